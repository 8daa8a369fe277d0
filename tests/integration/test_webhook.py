"""The webhook door: real signatures, a real Postgres, and every kind of bad input."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import hmac_data

from functions.webhook import app
from local.stub_clerk import StubClerk
from tests.doors import (
    UNREACHABLE,
    Answer,
    api_request,
    ask,
    assert_tells_nothing_private,
    forget_settings,
    log_lines,
    log_on_stdout,
    sample,
    sign_by_hand,
    untouched,
)
from tests.people import EPOCH_MS, user_id, user_json
from tests.tables import rows

PATH = "/api/webhooks/clerk"
OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="


@dataclass
class Door:
    """The function, and Clerk as the sender that knows its signing secret."""

    clerk: StubClerk

    def deliver(self, event: Any, **headers: str) -> Answer:
        """Sign an event, or a body, and post it. Headers replace those signed."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(body, self.clerk.sign(body) | names)

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        return ask(app, api_request("POST", PATH, body=body, headers=headers))

    def send(self, event_type: str, user: Any) -> Answer:
        return self.deliver(self.clerk.event(event_type, user))

    def created(self, number: int = 1, **fields: Any) -> Answer:
        return self.send("user.created", user_json(number, **fields))

    def updated(self, number: int = 1, *, version: int = 1, **fields: Any) -> Answer:
        return self.send("user.updated", user_json(number, version=version, **fields))

    def deleted(self, number: int = 1) -> Answer:
        return self.send("user.deleted", user_id(number))


@pytest.fixture(scope="module")
def clerk() -> StubClerk:
    """Clerk as a sender only: it needs not listen."""
    return StubClerk()


@pytest.fixture
def door(
    clerk: StubClerk,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Door]:
    """The function as deployed. Whatever a test did, its log must tell nothing."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", clerk.webhook_signing_secret)
    with log_on_stdout():
        yield Door(clerk)
    app.database.close()
    assert_tells_nothing_private(capsys.readouterr().out)


@pytest.fixture
def event(clerk: StubClerk) -> dict[str, Any]:
    """A delivery that would change the user of `known`, if it were accepted."""
    return clerk.event("user.updated", user_json(1, version=99, first_name="Changed"))


@pytest.fixture
def known(door: Door) -> None:
    """One user is in the table."""
    assert door.created().body["action"] == "created"


def action(answer: Answer) -> str:
    """What a successful answer says, and that it says nothing else."""
    assert (answer.status, answer.body["success"]) == (200, True), answer
    assert set(answer.body) == {"success", "action"}
    return str(answer.body["action"])


# What is answered to whom.


def test_a_new_user_is_created(door: Door, connection: psycopg.Connection) -> None:
    """Answered `created`, the row, its rate limit and the version are there."""
    assert action(door.created()) == "created"
    row = rows(connection)[user_id(1)]
    assert (row["email"], row["name"], row["tier"]) == (
        "user1@example.com",
        "Noor Castell",
        "FREE",
    )
    assert list(rows(connection, "rate_limits")) == [user_id(1)]
    assert list(rows(connection, "sync_state")) == [user_id(1)]


@pytest.mark.usefixtures("known")
def test_a_change_is_applied(door: Door, connection: psycopg.Connection) -> None:
    """Answered `updated`, the row has what is new."""
    assert action(door.updated(last_name="Ibarra")) == "updated"
    assert rows(connection)[user_id(1)]["name"] == "Noor Ibarra"


def test_an_update_of_an_unknown_user_creates_it(door: Door) -> None:
    """The update may overtake the creation."""
    assert action(door.updated()) == "created"


def test_a_creation_of_a_known_user_updates_it(door: Door) -> None:
    """Self-sync may have been there before the first webhook."""
    door.created()
    newer = user_json(version=5, last_name="Ibarra")
    assert action(door.send("user.created", newer)) == "updated"


@pytest.mark.usefixtures("known")
def test_a_delivery_that_comes_twice_is_written_once(
    door: Door, connection: psycopg.Connection, event: dict[str, Any]
) -> None:
    """The same message again answers `unchanged`, and neither writes nor locks."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, "msg_twice")
    assert action(door.post(body, headers)) == "updated"
    with untouched(connection):
        assert action(door.post(body, headers)) == "unchanged"


@pytest.mark.usefixtures("known")
def test_a_late_delivery_changes_nothing(
    door: Door, connection: psycopg.Connection
) -> None:
    """An older version after a newer one answers `unchanged`."""
    door.updated(version=10, last_name="Ibarra")
    with untouched(connection):
        assert action(door.updated(version=9, last_name="Old")) == "unchanged"


@pytest.mark.usefixtures("known")
def test_a_deletion_removes_the_row_and_keeps_it_away(
    door: Door, connection: psycopg.Connection
) -> None:
    """After `deleted`, no webhook of whatever version revives the user."""
    assert action(door.deleted()) == "deleted"
    assert rows(connection) == {}
    assert rows(connection, "rate_limits") == {}
    with untouched(connection):
        assert action(door.updated(version=10**9)) == "skipped"
    assert rows(connection) == {}


def test_the_deletion_of_an_unknown_user_keeps_it_away(
    door: Door, connection: psycopg.Connection
) -> None:
    """A deletion that overtakes the creation answers `deleted` and wins."""
    assert action(door.deleted()) == "deleted"
    assert action(door.created()) == "skipped"
    assert rows(connection) == {}


@pytest.mark.parametrize("id_", [{}, {"id": None}], ids=["missing", "null"])
@pytest.mark.usefixtures("known")
def test_a_deletion_without_an_id_is_ignored(
    door: Door, connection: psycopg.Connection, id_: dict[str, None]
) -> None:
    """Clerk's schema allows it, and there is nobody to delete."""
    data = {"object": "user", "deleted": True} | id_
    with untouched(connection):
        answer = door.deliver({"type": "user.deleted", "data": data})
    assert action(answer) == "ignored"


def test_a_user_without_an_email_is_skipped(
    door: Door, connection: psycopg.Connection
) -> None:
    """By default a row needs an email to come to be."""
    assert action(door.created(email=None)) == "skipped"
    assert rows(connection) == {}


@pytest.mark.usefixtures("known")
def test_a_user_that_loses_its_email_keeps_its_row(
    door: Door, connection: psycopg.Connection
) -> None:
    """Only creation asks for an email."""
    assert action(door.updated(email=None)) == "updated"
    assert rows(connection)[user_id(1)]["email"] is None


@pytest.mark.parametrize(
    "type_",
    ["session.created", "organization.updated", "email.created", "user.invented", ""],
)
@pytest.mark.parametrize("data", [{"id": user_id(1)}, None, []], ids=repr)
def test_an_event_of_another_type_is_ignored(
    door: Door, connection: psycopg.Connection, type_: str, data: Any
) -> None:
    """Types that are not about users, or not known yet, are a 200, whatever is in."""
    with untouched(connection):
        assert action(door.deliver({"type": type_, "data": data})) == "ignored"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_created", "created"),
        ("user_created_phone_only", "skipped"),
        ("user_updated", "updated"),
        ("user_deleted", "deleted"),
        ("organization_created", "ignored"),
    ],
)
def test_the_sample_events_do_what_their_names_say(
    door: Door, name: str, expected: str
) -> None:
    """As they are, but for a signature of now; a change needs somebody to be there."""
    if name == "user_updated":
        deliver_sample(door, "user_created")
    assert action(deliver_sample(door, name)) == expected


def deliver_sample(door: Door, name: str) -> Answer:
    event = sample(name)
    event["headers"] |= door.clerk.sign(event["body"].encode())
    return ask(app, event)


# Settings reach the write path.


def test_without_the_need_for_an_email_anybody_gets_a_row(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without email, names and anything else is created all the same."""
    monkeypatch.setenv("CLERKSYNC_REQUIRE_EMAIL", "false")
    bare = {"id": user_id(1), "updated_at": EPOCH_MS}
    assert action(door.send("user.created", bare)) == "created"
    row = rows(connection)[user_id(1)]
    assert [row[name] for name in ("email", "name", "username", "banned")] == [None] * 4
    assert row["public_metadata"] == {}


@pytest.mark.usefixtures("known")
def test_soft_deletion_empties_the_row_and_keeps_it(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In soft mode the row stays, dated, and without personal data."""
    monkeypatch.setenv("CLERKSYNC_DELETE_MODE", "soft")
    assert action(door.deleted()) == "deleted"
    row = rows(connection)[user_id(1)]
    assert row["deleted_at"] is not None
    assert (row["email"], row["name"]) == (None, None)


@pytest.mark.parametrize(
    ("settings", "tier"),
    [
        ({"CLERKSYNC_DEFAULT_TIER": "TRIAL"}, "TRIAL"),
        ({"CLERKSYNC_TIER_METADATA_KEY": "plan"}, "GOLD"),
        ({"CLERKSYNC_TIER_METADATA_KEY": "absent"}, "FREE"),
    ],
    ids=["default", "from metadata", "not in metadata"],
)
def test_the_tier_of_a_new_user_is_configurable(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    tier: str,
) -> None:
    """A default, and a metadata key that overrides it."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    door.created(public_metadata={"plan": "GOLD"})
    assert rows(connection)[user_id(1)]["tier"] == tier


@pytest.mark.usefixtures("known")
def test_an_event_of_another_instance_is_refused(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    event: dict[str, Any],
) -> None:
    """Where an instance is set, events of another or of none are a 400."""
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", "ins_other")
    without = {name: value for name, value in event.items() if name != "instance_id"}
    with untouched(connection):
        for refused in (event, without, event | {"type": "session.created"}):
            answer = door.deliver(refused)
            assert answer.status == 400
            assert "CLERKSYNC_INSTANCE_ID" in answer.error
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", door.clerk.instance_id)
    assert action(door.deliver(event)) == "updated"


# Secrets.


@pytest.mark.parametrize(
    "name", ["CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_WEBHOOK_SECRET"]
)
def test_the_secret_has_two_names(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Much of the world still uses the older one."""
    monkeypatch.delenv("CLERK_WEBHOOK_SIGNING_SECRET")
    monkeypatch.setenv(name, door.clerk.webhook_signing_secret)
    assert action(door.created()) == "created"


def test_the_newer_name_of_the_secret_wins(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret under the older name is not accepted beside one under the newer."""
    monkeypatch.setenv("CLERK_WEBHOOK_SECRET", door.clerk.webhook_signing_secret)
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", OTHER_SECRET)
    assert door.created().status == 400


@pytest.mark.parametrize("place", ["first", "last"])
def test_during_a_rotation_either_secret_signs(
    door: Door, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Several secrets stand in one setting, separated by any white space."""
    secrets = [door.clerk.webhook_signing_secret, OTHER_SECRET]
    text = " \n".join(secrets if place == "first" else reversed(secrets))
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", text)
    assert action(door.created()) == "created"


def test_without_a_secret_nothing_is_accepted(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is a 500 that names the setting: the sender tries again."""
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", "")
    with untouched(connection):
        answer = door.created()
    assert answer.status == 500
    assert "CLERK_WEBHOOK_SIGNING_SECRET" in answer.error


@pytest.mark.parametrize("secret", ["whsec_", "whsec_%", "a", "whsec_é"])
def test_a_secret_that_is_none_is_named_and_not_shown(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
) -> None:
    """A setting that nothing could be signed with is the operator's error: a 500."""
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", secret)
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    with untouched(connection):
        answer = door.post(body, door.clerk.sign(body))
    assert answer.status == 500
    assert "CLERK_WEBHOOK_SIGNING_SECRET" in answer.error


# The way to the database.


def test_an_unreachable_database_is_a_500_and_the_retry_succeeds(
    door: Door,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is acknowledged that is not stored; the same delivery works later."""
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    headers = door.clerk.sign(body)
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    answer = door.post(body, headers)
    assert answer.status == 500
    assert answer.error
    output = capsys.readouterr().out
    assert_tells_nothing_private(output)
    assert log_lines(output, "request failed")[0]["level"] == "ERROR"
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert action(door.post(body, headers)) == "created"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "correct-horse battery"),
        ("CLERKSYNC_SCHEMA", "not_migrated"),
        ("CLERKSYNC_REQUIRE_EMAIL", "correct-horse"),
        ("CLERKSYNC_DELETE_MODE", "correct-horse"),
    ],
)
def test_a_setting_that_cannot_be_used_is_a_500_without_its_value(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    """A mistake of the operator is never the sender's: it shall try again."""
    monkeypatch.setenv(name, value)
    with untouched(connection):
        answer = door.created()
    assert answer.status == 500
    assert "correct-horse" not in answer.error


def test_a_failure_inside_the_database_is_a_500_without_detail(
    door: Door, connection: psycopg.Connection
) -> None:
    """What the application's own constraint objects to is not told to strangers."""
    connection.execute(
        "ALTER TABLE users ADD CONSTRAINT grumpy CHECK (first_name <> 'Noor')"
    )
    try:
        with untouched(connection):
            answer = door.created()
    finally:
        connection.execute("ALTER TABLE users DROP CONSTRAINT grumpy")
    assert answer.status == 500
    assert "grumpy" not in answer.error


@pytest.mark.usefixtures("known")
def test_a_dead_connection_is_replaced(
    door: Door, connection: psycopg.Connection
) -> None:
    """An execution environment that slept survives what its connection did not."""
    killed = connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'clerksync' AND datname = current_database()"
    ).fetchall()
    assert (True,) in killed
    assert action(door.updated(last_name="Ibarra")) == "updated"
    assert rows(connection)[user_id(1)]["name"] == "Noor Ibarra"


# Forms of a good request.


def test_a_body_in_base64_is_decoded_before_it_is_checked(
    door: Door, event: dict[str, Any]
) -> None:
    """API Gateway encodes what it takes for binary; the signature is of the bytes."""
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = door.clerk.sign(body)
    request = api_request("POST", PATH, body=body, headers=headers, in_base64=True)
    assert request["isBase64Encoded"]
    assert action(ask(app, request)) == "created"


def test_a_body_that_only_claims_to_be_base64_is_refused(door: Door) -> None:
    """A stranger's encoding error is a 400."""
    request = api_request("POST", PATH, body=b"{}", headers=door.clerk.sign(b"{}"))
    answer = ask(app, request | {"isBase64Encoded": True})
    assert answer.status == 400
    assert answer.error


def test_header_names_have_no_case(door: Door, event: dict[str, Any]) -> None:
    """Tools and proxies write them as they like."""
    body = json.dumps(event).encode()
    headers = {name.title(): value for name, value in door.clerk.sign(body).items()}
    assert "Svix-Id" in headers
    assert action(door.post(body, headers)) == "created"


def test_letters_of_any_script_arrive_as_they_are(
    door: Door, connection: psycopg.Connection
) -> None:
    """Unescaped UTF-8 is signed, decoded and stored without a change."""
    user = user_json(first_name="Zoë 🦊", last_name="Łukasiewicz 王")
    body = json.dumps(door.clerk.event("user.created", user), ensure_ascii=False)
    assert action(door.deliver(body.encode())) == "created"
    assert rows(connection)[user_id(1)]["name"] == "Zoë 🦊 Łukasiewicz 王"


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_a_signature_holds_for_five_minutes(
    door: Door, event: dict[str, Any], minutes: float
) -> None:
    """Clocks differ, in both directions."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, timestamp=time.time() + minutes * 60)
    assert action(door.post(body, headers)) == "created"


@pytest.mark.parametrize(
    "before",
    ["v1,", "v1", "garbage", "v1,%%%", "v1,a", "v2,AAAA", "v1a,AAAA", ",", "é"],
)
def test_one_good_signature_among_others_is_enough(
    door: Door, event: dict[str, Any], before: str
) -> None:
    """A signature that is wrong or malformed does not hide the good one behind it."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    headers["svix-signature"] = f"{before} {headers['svix-signature']}"
    assert action(door.post(body, headers)) == "created"


# Bad signatures.


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
@pytest.mark.parametrize("value", [None, "", " "], ids=["missing", "empty", "blank"])
@pytest.mark.usefixtures("known")
def test_a_delivery_without_one_of_the_headers_is_refused(
    door: Door,
    connection: psycopg.Connection,
    event: dict[str, Any],
    name: str,
    value: str | None,
) -> None:
    """Each of the three is needed."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    del headers[name]
    if value is not None:
        headers[name] = value
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "signature",
    [
        "v1",
        "v1,",
        "v1,%%%",
        "v1,a",
        "v1,é",
        "v1,AAAA",
        "v1,AAAA,AAAA",
        "v2,AAAA",
        "\ud800",
        "null",
        "v1,AAAA v1,BBBB",
        ",",
        ", ,",
        "v1,AAAA " * 50,
    ],
    ids=ascii,
)
@pytest.mark.usefixtures("known")
def test_a_malformed_signature_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], signature: str
) -> None:
    """Whatever a stranger writes there is a 400, never an error of ours."""
    with untouched(connection):
        answer = door.deliver(event, svix_signature=signature)
    assert answer.status == 400
    assert answer.error


@pytest.mark.usefixtures("known")
def test_a_good_signature_under_another_version_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any]
) -> None:
    """Only v1 is HMAC-SHA256."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    signature = headers["svix-signature"].replace("v1,", "v2,")
    with untouched(connection):
        assert door.post(body, headers | {"svix-signature": signature}).status == 400


@pytest.mark.parametrize("what", ["secret", "body", "id", "timestamp"])
@pytest.mark.usefixtures("known")
def test_a_signature_of_something_else_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], what: str
) -> None:
    """A signature binds secret, body, id and timestamp together."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, "msg_one")
    now = headers["svix-timestamp"]
    match what:
        case "secret":
            headers = sign_by_hand(OTHER_SECRET, body, timestamp=now)
        case "body":
            body = json.dumps(event, indent=1).encode()
        case "id":
            headers["svix-id"] = "msg_two"
        case "timestamp":
            headers["svix-timestamp"] = str(int(now) - 1)
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert "secret" in answer.error


@pytest.mark.parametrize("minutes", [-(60 * 24), -5.1, 5.1, 60 * 24])
@pytest.mark.usefixtures("known")
def test_an_old_or_early_signature_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], minutes: float
) -> None:
    """A message that somebody recorded cannot be replayed for ever."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, timestamp=time.time() + minutes * 60)
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert "5 minutes" in answer.error


@pytest.mark.parametrize(
    "timestamp",
    [
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "9" * 30,
        "9" * 5000,
        "soon",
        "0x1",
        "\0",
    ],
    ids=lambda text: ascii(text[:10]),
)
@pytest.mark.usefixtures("known")
def test_a_timestamp_that_is_no_time_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], timestamp: str
) -> None:
    """Even signed with the right secret, a time that is none is never within reach."""
    body = json.dumps(event).encode()
    secret = door.clerk.webhook_signing_secret
    with untouched(connection):
        answer = door.post(body, sign_by_hand(secret, body, timestamp=timestamp))
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("signature", ["v1,AAAA", "v1,", "garbage"])
def test_many_signatures_cost_no_more_than_a_few(
    door: Door,
    event: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    signature: str,
) -> None:
    """A stranger cannot have a large body hashed a thousand times with one request."""
    hashed: list[int] = []

    def counting(key: bytes, data: bytes) -> bytes:
        hashed.append(len(data))
        return hmac_data(key, data)

    monkeypatch.setattr("standardwebhooks.webhooks.hmac_data", counting)
    many = " ".join([signature] * 1000)
    assert door.deliver(event, svix_signature=many).status == 400
    assert len(hashed) <= 20  # Svix itself sends two, during a rotation


@pytest.mark.usefixtures("known")
def test_a_refusal_is_logged_with_the_id_of_the_delivery(
    door: Door, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what was refused and why, and has nothing of the body."""
    capsys.readouterr()
    door.deliver(event, svix_signature="v1,AAAA", svix_id="msg_refused")
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request refused")
    assert (line["status"], line["error"], line["svix_id"]) == (
        400,
        "InvalidSignatureError",
        "msg_refused",
    )
    assert_tells_nothing_private(output, "Changed")


# Bad bodies, well signed.


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _user(**fields: Any) -> bytes:
    """A signed update of the user of `known`, in which some fields are spoilt."""
    user = user_json(1, version=99) | fields
    user = {name: value for name, value in user.items() if value is not ...}
    return json.dumps({"type": "user.updated", "data": user}).encode()


MALFORMED = {
    "empty": b"",
    "blank": b"  ",
    "no JSON": b"type=user.created",
    "half of it": b'{"type": "user.created", "data": {',
    "two of it": b"{}{}",
    "NaN": b'{"type": "user.updated", "data": NaN}',
    "a list": b"[]",
    "null": b"null",
    "a string": b'"user.created"',
    "a number": b"17",
    "no type": b'{"data": {}}',
    "type null": b'{"type": null}',
    "type a list": b'{"type": ["user.created"], "data": {}}',
    "no data": b'{"type": "user.created"}',
    "data null": b'{"type": "user.created", "data": null}',
    "data a list": b'{"type": "user.created", "data": []}',
    "data a string": b'{"type": "user.created", "data": "user_1"}',
    "data empty": b'{"type": "user.created", "data": {}}',
    "id missing": _user(id=...),
    "id null": _user(id=None),
    "id a number": _user(id=1),
    "id a list": _user(id=[user_id(1)]),
    "id of a session": _user(id="sess_2g7np7Hrk0SN6kj5EDMLDaKNL0S"),
    "id with a newline": _user(id=user_id(1) + "\n"),
    "id with a path": _user(id="user_1/../user_2"),
    "id too long": _user(id="user_" + "a" * 251),
    "id of nothing": _user(id="user_"),
    "updated_at missing": _user(updated_at=...),
    "updated_at null": _user(updated_at=None),
    "updated_at a string": _user(updated_at="yesterday"),
    "updated_at a time without zone": _user(updated_at="2026-01-01T00:00:00"),
    "updated_at a boolean": _user(updated_at=True),
    "updated_at a list": _user(updated_at=[EPOCH_MS]),
    "updated_at huge": _user(updated_at=10**20),
    "updated_at of 5000 digits": _user().replace(b"1767614400099", b"9" * 5000),
    "updated_at after year 9999": _user(updated_at=253_402_300_800_000),
    "created_at a string": _user(created_at="once"),
    "first_name a number": _user(first_name=17),
    "first_name a list": _user(first_name=["Noor"]),
    "emails an object": _user(email_addresses={}),
    "emails of strings": _user(email_addresses=["noor@example.com"]),
    "emails without id": _user(email_addresses=[{"email_address": "n@example.com"}]),
    "phones a number": _user(phone_numbers=1),
    "metadata a list": _user(public_metadata=[1]),
    "metadata a string": _user(public_metadata="Noor"),
    "metadata with infinity": _user(public_metadata={"a": 0}).replace(b"0}", b"1e999}"),
    "metadata nested deep": _user(public_metadata={"a": "deep"}).replace(
        b'"deep"', _nested(100_000)
    ),
    "a lone surrogate": _user(first_name="\ud800"),
    "a lone surrogate in metadata": _user(public_metadata={"a": "\udfff"}),
    "banned a text": _user(banned="Noor"),
    "deletion without data": b'{"type": "user.deleted"}',
    "deletion of a list": b'{"type": "user.deleted", "data": ["user_1"]}',
    "deletion of a number": b'{"type": "user.deleted", "data": {"id": 1}}',
    "deletion of a session": b'{"type": "user.deleted", "data": {"id": "sess_1"}}',
    "deletion with a newline": json.dumps(
        {"type": "user.deleted", "data": {"id": user_id(1) + "\n"}}
    ).encode(),
    "100,000 brackets": _nested(100_000),
    "100,000 open brackets": b"[" * 100_000,
    "100,000 objects": b'{"type":' * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.usefixtures("known")
def test_a_malformed_body_is_refused(
    door: Door, connection: psycopg.Connection, name: str
) -> None:
    """Signed or not, what is no event of Clerk's is a 400 and leaves no trace."""
    with untouched(connection):
        answer = door.deliver(MALFORMED[name])
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{}",
        b'{"type": "\xe9"}',
        b'{"type": "\xed\xa0\x80"}',
        b"\x00",
        b"\x80" * 9,
    ],
    ids=["byte order mark", "Latin-1", "encoded surrogate", "NUL", "binary"],
)
@pytest.mark.usefixtures("known")
def test_a_body_that_is_no_text_is_refused(
    door: Door, connection: psycopg.Connection, body: bytes
) -> None:
    """Bytes that are no UTF-8 are a 400, even with a signature that fits them."""
    secret = door.clerk.webhook_signing_secret
    headers = sign_by_hand(secret, body, timestamp=str(int(time.time())))
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert answer.error


def test_half_a_character_in_the_body_is_refused(door: Door) -> None:
    """Lambda's own JSON may hold a lone surrogate, which no UTF-8 can."""
    request = api_request("POST", PATH, headers=door.clerk.sign(b"{}"))
    answer = ask(app, request | {"body": '{"type": "\ud800"}'})
    assert answer.status == 400
    assert answer.error


@pytest.mark.usefixtures("known")
def test_an_email_too_long_for_its_index_is_refused(
    door: Door, connection: psycopg.Connection
) -> None:
    """Postgres cannot index it, and no retry will change that: a 400."""
    letters = os.urandom(5_000).hex()
    before = rows(connection), rows(connection, "sync_state")
    answer = door.updated(email=f"{letters}@example.com")
    assert answer.status == 400
    assert answer.error
    assert (rows(connection), rows(connection, "sync_state")) == before


@pytest.mark.parametrize(
    "change",
    [
        {"headers": None},
        {"headers": {}},
        {"body": None},
        {"requestContext": {}},
        {"cookies": None},
    ],
    ids=repr,
)
@pytest.mark.usefixtures("door")
def test_a_request_with_parts_missing_is_refused(change: dict[str, Any]) -> None:
    """An event made by hand may lack what API Gateway always sends."""
    request = api_request("POST", PATH, body=b"{}") | change
    assert ask(app, request).status == 400


# Odd bodies that are well-formed.


def test_nul_characters_are_left_out(
    door: Door, connection: psycopg.Connection
) -> None:
    """Legal in JSON, impossible in Postgres: the user is stored without them."""
    answer = door.created(
        first_name="No\0or\0",
        last_name="\0",
        username="back\\slash\\u0000",
        public_metadata={"pl\0an": ["\0gold", {"\0": 1}], "kept": "\\\0\\u0000"},
    )
    assert action(answer) == "created"
    row = rows(connection)[user_id(1)]
    assert (row["first_name"], row["name"]) == ("Noor", "Noor")
    assert row["username"] == "back\\slash\\u0000"
    assert row["public_metadata"] == {
        "plan": ["gold", {"": 1}],
        "kept": "\\\\u0000",
    }


def test_a_megabyte_of_metadata_is_stored(
    door: Door, connection: psycopg.Connection
) -> None:
    """Large is not malformed."""
    metadata = {"notes": os.urandom(512 * 1024).hex()}
    assert action(door.created(public_metadata=metadata)) == "created"
    assert rows(connection)[user_id(1)]["public_metadata"] == metadata


def test_a_long_name_is_stored(door: Door, connection: psycopg.Connection) -> None:
    """No column cuts off."""
    assert action(door.created(first_name="N" * 10_000, last_name=None)) == "created"
    assert rows(connection)[user_id(1)]["name"] == "N" * 10_000


def test_nested_metadata_is_stored(door: Door, connection: psycopg.Connection) -> None:
    """Depth as people use it is no attack."""
    metadata: dict[str, Any] = {}
    for _ in range(50):
        metadata = {"in": [metadata]}
    assert action(door.created(public_metadata=metadata)) == "created"
    assert rows(connection)[user_id(1)]["public_metadata"] == metadata


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"first_name": None, "last_name": None}, "user1"),
        ({"first_name": None, "last_name": None, "username": "nc"}, "nc"),
        ({"first_name": "", "last_name": "Castell", "username": "nc"}, "Castell"),
    ],
    ids=["email only", "username", "last name only"],
)
def test_a_user_without_names_gets_one(
    door: Door, connection: psycopg.Connection, fields: dict[str, Any], name: str
) -> None:
    """What is shown to others is the best that there is."""
    assert action(door.created(**fields)) == "created"
    assert rows(connection)[user_id(1)]["name"] == name


@pytest.mark.parametrize("unit", [1, 1000], ids=["milliseconds", "seconds"])
def test_times_are_read_by_their_magnitude(
    door: Door, connection: psycopg.Connection, unit: int
) -> None:
    """Some of Clerk's own examples show seconds."""
    at = EPOCH_MS // unit
    assert action(door.created(created_at=at, updated_at=at)) == "created"
    moment = datetime.fromtimestamp(EPOCH_MS / 1000, UTC)
    assert rows(connection)[user_id(1)]["clerk_created_at"] == moment
    state = rows(connection, "sync_state")[user_id(1)]
    assert state["clerk_updated_at"] == moment


def test_an_update_in_milliseconds_beats_an_older_one_in_seconds(door: Door) -> None:
    """Units do not decide which of two versions is newer."""
    assert action(door.created(updated_at=EPOCH_MS // 1000)) == "created"
    assert action(door.updated(version=1, last_name="Ibarra")) == "updated"
    late = user_json(last_name="Old", updated_at=EPOCH_MS // 1000)
    assert action(door.send("user.updated", late)) == "unchanged"


# What is written down.


def test_every_delivery_is_logged_and_counted(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with type, action and delivery id; one metric by action."""
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    door.post(body, door.clerk.sign(body, "msg_logged"))
    output = capsys.readouterr().out
    (line,) = log_lines(output, "webhook applied")
    assert (line["type"], line["action"], line["svix_id"]) == (
        "user.created",
        "created",
        "msg_logged",
    )
    assert '"WebhooksCreated":[1' in output.replace(" ", "")
    assert_tells_nothing_private(output)
