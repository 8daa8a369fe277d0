"""The secret key, its instance, Clerk's clock and Clerk's users."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from local.stub_clerk.stub import StubClerk
from tests.doors import NOBODY_LISTENS
from tests.integration.local.doctor.examining import Doctor


def test_the_key_tells_which_kind_of_instance_it_is(
    doctor: Doctor, stub: StubClerk
) -> None:
    """With the id that Clerk gives."""
    told = f"It works, for the development instance {stub.instance_id}."
    assert doctor().one("secret key") == ("ok", told)


def test_a_live_key_is_told_as_such(doctor: Doctor, production: StubClerk) -> None:
    """Who thinks to be in development reads it here."""
    told = f"It works, for the production instance {production.instance_id}."
    assert doctor().one("secret key") == ("ok", told)


def test_a_key_that_clerk_does_not_take_is_wrong(doctor: Doctor) -> None:
    """It is not printed."""
    level, message = doctor(CLERK_SECRET_KEY="sk_test_wrong").one("secret key")
    assert level == "wrong"
    assert "Clerk does not accept CLERK_SECRET_KEY" in message


def test_what_is_no_secret_key_is_not_even_sent(
    doctor: Doctor, stub: StubClerk
) -> None:
    """A publishable key, say, in the wrong place."""
    examined = doctor(CLERK_SECRET_KEY=stub.publishable_key)
    level, message = examined.one("secret key")
    assert level == "wrong"
    assert "begins with neither sk_test_ nor sk_live_" in message
    assert {request.path for request in stub.request_log} <= {"/v1/instance"}


def test_a_key_of_another_kind_than_its_instance_is_wrong(doctor: Doctor) -> None:
    """CLERK_API_URL may lead to something that is not Clerk."""
    key = "sk_live_of_a_development_instance"
    with StubClerk(secret_key=key) as stub:
        level, message = doctor(CLERK_SECRET_KEY=key, CLERK_API_URL=stub.url).one(
            "secret key"
        )
    assert level == "wrong"
    assert "begins with sk_live_, and " in message
    assert "is a development instance" in message


def test_clerk_that_is_away_is_told_once(doctor: Doctor) -> None:
    """Whatever needs its answer waits for it."""
    examined = doctor(CLERK_API_URL=NOBODY_LISTENS)
    assert examined.wrong == {"secret key"}
    assert "Clerk cannot be asked" in examined.one("secret key")[1]
    assert examined.level("clock of Clerk") == "skipped"
    assert examined.level("database") == "ok"


def test_the_instance_that_is_named_must_be_the_keys(
    doctor: Doctor, stub: StubClerk
) -> None:
    """Else every webhook and every run is refused."""
    assert doctor().level("instance") == "ok"
    assert doctor(CLERKSYNC_INSTANCE_ID=stub.instance_id).level("instance") == "ok"
    level, message = doctor(CLERKSYNC_INSTANCE_ID="ins_other").one("instance")
    assert level == "wrong"
    assert "ins_other" in message
    assert stub.instance_id in message
    level, message = doctor(CLERKSYNC_INSTANCE_ID="correct-horse").one("instance")
    assert level == "wrong"
    assert message == "CLERKSYNC_INSTANCE_ID must be an id of Clerk's: ins_…."


@contextmanager
def with_a_clock(stub: StubClerk, ahead_seconds: float) -> Iterator[str]:
    """Clerk behind a server that dates its answers so; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"authorization": self.headers.get("authorization", "")}
            answer = urllib3.request("GET", stub.url + self.path, headers=headers)
            self.send_response_only(answer.status)
            self.send_header("Date", formatdate(time.time() + ahead_seconds))
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("ahead", "level", "told"),
    [
        (0, "ok", "This machine's clock and Clerk's agree."),
        (20, "warning", "seconds behind Clerk's. "),
        (-20, "warning", "seconds ahead of Clerk's. "),
        (7200, "wrong", "seconds behind Clerk's. "),
    ],
)
def test_clocks_that_are_apart_are_told(
    doctor: Doctor, stub: StubClerk, ahead: float, level: str, told: str
) -> None:
    """By the date of Clerk's answers; more than a minute is wrong."""
    with with_a_clock(stub, ahead) as url:
        examined = doctor(CLERK_API_URL=url)
    found, message = examined.one("clock of Clerk")
    assert found == level
    assert told in message
    assert ("NTP" in message) == (level != "ok")


def test_users_without_an_email_are_counted(doctor: Doctor, stub: StubClerk) -> None:
    """They get no row, unless that is asked for."""
    for user_id in stub.ids():
        stub.update_user(user_id, email=f"{user_id.lower()}@example.com", notify=False)
    assert doctor().one("emails at Clerk") == ("ok", "All of 30 users have one.")
    for user_id in stub.ids()[:4]:
        stub.update_user(user_id, email=None, notify=False)
    level, message = doctor().one("emails at Clerk")
    assert level == "warning"
    assert message.startswith("4 of 30 users without an email. Such a user gets no new")
    allowed = doctor(CLERKSYNC_REQUIRE_EMAIL="false").one("emails at Clerk")
    assert allowed == ("ok", "4 of 30 users without an email. They get a row, too.")


def test_of_a_large_instance_only_some_users_are_looked_at(doctor: Doctor) -> None:
    """Five pages, with progress, and it is said which."""
    with StubClerk(users=3_000) as stub:
        examined = doctor.run(CLERK_SECRET_KEY=stub.secret_key, CLERK_API_URL=stub.url)
        pages = [r for r in stub.request_log if r.path == "/v1/users"]
    assert len(pages) == 5
    assert "the 2,500 users that were changed last, of 3,000," in examined.stdout
    assert "looking at users: 2500 of 2500\n" in examined.stderr
