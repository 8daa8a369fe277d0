"""Odd values at Clerk: a run loses nobody and stays complete."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from clerksync.mapping.file import load
from clerksync.schema.migrate import migrate
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import log_lines, log_on_stdout
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows

_EMAIL_ONLY = '[table]\nname = "users"\nkey = "id"\n[columns]\nemail = "email"\n'
_YEAR_1 = -62_135_596_800_000


def spoil(stub: StubClerk, clerk_id: str, **fields: Any) -> None:
    stub.users.replace(stub.get_user(clerk_id) | fields)


def test_odd_values_that_nobody_needs_leave_a_run_complete(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Times of creation before 1970, a second email without an ID, and the like."""
    first, second, third, fourth, *_ = sorted(shown(stub))
    spoil(stub, first, created_at=_YEAR_1)
    spoil(stub, second, created_at=-1)
    emails = stub.get_user(third)["email_addresses"]
    spoil(stub, third, email_addresses=[*emails, {"email_address": "x@example.com"}])
    spoil(stub, fourth, phone_numbers=[{"id": "idn_1"}], locale=17, external_id={})
    report = bulk()
    assert (report.status, report.failed, report.fetched) == ("completed", 0, 1_200)
    assert rows(connection).keys() == shown(stub)
    assert bulk().status == "completed"


def test_hundreds_from_before_1970_are_found_by_many_workers(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """More than a page of them, before the page in which the others begin; no bound
    of a request is before 1970."""
    for number, clerk_id in enumerate(stub.ids()[:700]):
        spoil(stub, clerk_id, created_at=_YEAR_1 if number < 600 else -number)
    report = bulk()
    assert (report.status, report.fetched) == ("completed", 1_200)
    assert rows(connection).keys() == shown(stub)
    bounds = [
        int(value)
        for request in stub.request_log
        for name in ("created_at_after", "created_at_before")
        for value in request.query.get(name, ())
    ]
    assert bounds
    assert min(bounds) >= 0


def test_a_field_that_the_mapping_leaves_out_fails_nobody(
    bulk: Bulk, stub: StubClerk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in it, and in whatever part of the users."""
    file = tmp_path / "mapping.toml"
    file.write_text(_EMAIL_ONLY)
    monkeypatch.setenv("CLERKSYNC_MAPPING", str(file))
    monkeypatch.setenv("CLERKSYNC_SCHEMA", "public")
    migrate(bulk.database, mapping=load(str(file)))
    for clerk_id in stub.ids()[:50]:
        spoil(stub, clerk_id, first_name=17, public_metadata="odd", banned="odd")
    report = bulk()
    assert (report.status, report.failed, report.fetched) == ("completed", 0, 1_200)


def test_a_user_that_cannot_be_read_is_named_in_the_log(
    bulk: Bulk, stub: StubClerk, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the field, so that somebody can look it up at Clerk."""
    clerk_id = min(shown(stub))
    spoil(stub, clerk_id, first_name=17)
    with log_on_stdout():
        assert bulk().status == "partial"
    lines = log_lines(capsys.readouterr().out, "user not read")
    assert lines
    assert {line["clerk_id"] for line in lines} == {clerk_id}
    assert {line["reason"] for line in lines} == {"Not a Clerk user: first_name."}
    report = bulk(mode="user", user_id=clerk_id)
    assert report.status == "failed"
    assert report.reason is not None
    assert "first_name" in report.reason


def test_a_user_that_cannot_be_read_does_not_keep_orphans_from_going(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk, asked by ID, knows it, so it stays; the others are proven all the same."""
    bulk()
    hidden, *gone = sorted(shown(stub))[:5]
    user = stub.get_user(hidden) | {"first_name": 17}
    for clerk_id in (hidden, *gone):
        stub.delete_user(clerk_id)

    def come_back(request: StubRequest) -> None:
        if "user_id" in request.query and hidden not in stub.ids():
            stub.users.add(user)

    stub.interfere = come_back
    report = bulk()
    assert (report.status, report.failed) == ("partial", 1)
    assert (report.orphans_found, report.deleted) == (4, 4)
    assert rows(connection).keys() == shown(stub)
