"""Clerk fails, limits the rate, or answers nonsense while a browser waits."""

import psycopg
import pytest

from local.stub_clerk.faults import Fault
from tests.doors import log_lines, untouched
from tests.foreign_responses import FOREIGN
from tests.integration.functions.self_sync.door import Door

FAULTS = {
    "500": Fault(status=500),
    "502": Fault(status=502),
    "503 with Retry-After": Fault(status=503, headers={"Retry-After": "60"}),
    "closed connection": Fault(breaks="connection"),
    "half an answer": Fault(breaks="body"),
    "half a JSON": Fault(breaks="json"),
}
OF_A_USER = FAULTS | FOREIGN


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *((name, "/v1/users/") for name in OF_A_USER),
        *((n, "/.well-known/") for n in OF_A_USER if n != "another code"),
    ],
)
def test_when_clerk_cannot_be_asked_the_browser_is_told_when_to_try_again(
    door: Door, connection: psycopg.Connection, name: str, path: str
) -> None:
    """503 and Retry-After, for a user as for the keys; nothing is written. Who is
    in between is not the browser's business."""
    door.clerk.fail_next(2, fault=OF_A_USER[name], path=path)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 503
    assert answer.error == "Clerk cannot be asked at the moment. Try again."
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert sum(door.waits) <= 2
    assert door.sync().status == 200


@pytest.mark.parametrize("name", FAULTS)
def test_a_single_failure_of_clerk_is_not_noticed(door: Door, name: str) -> None:
    """It is asked again, once, after a moment."""
    door.clerk.fail_next(fault=FAULTS[name], path="/v1/users/")
    assert door.sync().status == 200
    assert len(door.waits) == 1


@pytest.mark.parametrize("retry_after", [5, 30, 300])
def test_a_rate_limit_is_passed_on(
    door: Door, connection: psycopg.Connection, retry_after: int
) -> None:
    """A wait longer than a browser's patience is the browser's, and not longer than
    five seconds: then the next request asks again."""
    door.clerk.fail_next(status=429, retry_after=retry_after)
    with untouched(connection):
        answer = door.sync()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert door.waits == []


def test_a_short_rate_limit_is_waited_out(door: Door) -> None:
    """A second is not worth an error."""
    door.clerk.fail_next(status=429, retry_after=1)
    assert door.sync().status == 200
    assert door.waits == [1]


@pytest.mark.parametrize("retry_after", [0, 1])
def test_a_rate_limit_that_goes_on_is_not_waited_out_for_ever(
    door: Door, retry_after: int
) -> None:
    """Somebody waits for the answer, and API Gateway for no longer than 30 seconds."""
    door.clerk.fail_next(100, status=429, retry_after=retry_after, path="/v1/users/")
    answer = door.sync()
    assert answer.status == 503
    assert sum(door.waits) <= 10


@pytest.mark.parametrize("retry_after", ["inf", "nan", "-1", "1e999", "soon", ""])
def test_a_retry_after_that_is_no_time_does_no_harm(
    door: Door, retry_after: str
) -> None:
    """Whatever stands between us and Clerk may have written it."""
    fault = Fault(status=429, headers={"Retry-After": retry_after})
    door.clerk.fail_next(fault=fault, path="/v1/users/")
    answer = door.sync()
    assert answer.status in {200, 503}
    assert all(0 <= wait <= 1 for wait in door.waits)


def test_a_user_that_cannot_be_read_is_no_failure_of_the_network(
    door: Door, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clerk has responded: 500 at once, and log and response name the field."""
    door.clerk.update_user(door.user_id, first_name=17)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 500
    assert "first_name" in answer.error
    assert "network" not in answer.error
    assert "retry-after" not in answer.headers
    assert door.asked(f"/v1/users/{door.user_id}") == 1
    (line,) = log_lines(capsys.readouterr().out, "request refused")
    assert line["reason"] == answer.error


@pytest.mark.usefixtures("known")
def test_odd_values_that_nobody_needs_are_not_noticed(door: Door) -> None:
    """A second email without an ID, a second phone number without a number."""
    user = door.clerk.get_user(door.user_id)
    user["email_addresses"].append({"id": None, "email_address": "n@example.com"})
    user["phone_numbers"].append({"id": "idn_phone"})
    user |= {"first_name": "Nora", "created_at": -62_135_596_800_000, "locale": 17}
    door.clerk.users.replace(user)
    answer = door.sync()
    assert answer.status == 200
    row = answer.body["user"]
    assert (row["first_name"], row["email"]) == ("Nora", "noor@example.com")
    assert row["clerk_created_at"] == "0001-01-01T00:00:00+00:00"
