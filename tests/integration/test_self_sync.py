"""The self-sync door: real session tokens, a stub Clerk that is asked, a Postgres."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clerksync.database import Database
from clerksync.session_token import SessionVerifier
from clerksync.user_table import UserTable
from functions.self_sync import app
from local.stub_clerk import Fault, StubClerk, StubRequest
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
    untouched,
)
from tests.people import user_id
from tests.tables import rows

SYNC = "/api/users/sync"
ME = "/api/users/me"
APP = "https://app.example.com"
ROUTES = [("POST", SYNC), ("GET", ME)]


@dataclass
class Door:
    """The function, Clerk behind it, and Noor Castell in front of it."""

    clerk: StubClerk
    user_id: str
    waits: list[float]

    def token(self, **options: Any) -> str:
        return self.clerk.session_token(self.user_id, **options)

    def ask(self, method: str, path: str, token: str = "", **request: Any) -> Answer:
        if token:
            request["headers"] = {"authorization": f"Bearer {token}"}
        return ask(app, api_request(method, path, **request))

    def sync(self, token: str = "", **request: Any) -> Answer:
        return self.ask("POST", SYNC, token or self.token(), **request)

    def me(self, token: str = "", **request: Any) -> Answer:
        return self.ask("GET", ME, token or self.token(), **request)

    def asked(self, path: str = "/v1/users") -> int:
        """How often Clerk was asked for something below a path."""
        return sum(r.path.startswith(path) for r in self.clerk.request_log)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubClerk]:
    with StubClerk() as stub:
        yield stub
        app.clerk._http.clear()


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    """An RSA key that is not Clerk's: to make one takes a while."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@pytest.fixture
def door(
    stub: StubClerk,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Door]:
    """A cold execution environment. Whatever a test did, its log must tell nothing."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("CLERK_SECRET_KEY", stub.secret_key)
    monkeypatch.setenv("CLERK_API_URL", stub.url)
    monkeypatch.setenv("CLERK_ISSUER", stub.issuer)
    monkeypatch.setattr(app, "sessions", SessionVerifier(app.clerk.jwks))
    waits: list[float] = []
    monkeypatch.setattr("clerksync.clerk_api.time.sleep", waits.append)
    stub.reset_faults()
    noor = stub.create_user(
        email="noor@example.com", first_name="Noor", last_name="Castell"
    )
    stub.reset_requests()
    with log_on_stdout():
        yield Door(stub, noor["id"], waits)
    app.database.close()
    stub.reset_faults()
    for clerk_id in stub.ids():
        stub.delete_user(clerk_id)
    assert_tells_nothing_private(capsys.readouterr().out)


@pytest.fixture
def known(door: Door) -> None:
    """The user has a row."""
    assert door.sync().status == 200


def assert_row(shown: dict[str, Any], row: dict[str, Any]) -> None:
    """What the browser gets is the row, times in ISO 8601."""
    assert {"id", "email", "name", "tier", "created_at", "updated_at"} <= set(shown)
    for name, value in shown.items():
        is_time = isinstance(row[name], datetime)
        assert (datetime.fromisoformat(value) if is_time else value) == row[name]


# Syncing.


@pytest.mark.parametrize("path", [SYNC, "/api/user/sync", SYNC + "/"])
def test_a_user_gets_its_row(
    door: Door, connection: psycopg.Connection, path: str
) -> None:
    """Both routes create the row before they answer, and give it back."""
    answer = door.ask("POST", path, door.token())
    assert (answer.status, answer.body["success"]) == (200, True)
    assert set(answer.body) == {"success", "user"}
    row = rows(connection)[door.user_id]
    assert (row["email"], row["name"], row["tier"]) == (
        "noor@example.com",
        "Noor Castell",
        "FREE",
    )
    assert_row(answer.body["user"], row)
    assert list(rows(connection, "rate_limits")) == [door.user_id]


def test_what_is_stored_is_what_clerk_says(
    door: Door, connection: psycopg.Connection
) -> None:
    """A body with a profile of its own changes nothing of the row."""
    body = {
        "userId": door.user_id,
        "email": "mallory@example.org",
        "firstName": "Mallory",
        "lastName": "Mallory",
        "imageUrl": "https://example.org/mallory.png",
        "tier": "PRO",
    }
    answer = door.sync(body=json.dumps(body).encode())
    assert answer.status == 200
    row = rows(connection)[door.user_id]
    assert "mallory" not in str(row).lower()
    assert (row["email"], row["tier"]) == ("noor@example.com", "FREE")
    assert_row(answer.body["user"], row)


@pytest.mark.usefixtures("known")
def test_syncing_again_writes_nothing(
    door: Door, connection: psycopg.Connection
) -> None:
    """A page that is loaded twice costs no write."""
    before = rows(connection)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 200
    assert_row(answer.body["user"], before[door.user_id])


@pytest.mark.usefixtures("known")
def test_what_belongs_to_the_application_is_kept(
    door: Door, connection: psycopg.Connection
) -> None:
    """A later sync brings the new name, and leaves tier and rate limit alone."""
    connection.execute("UPDATE users SET tier = 'PRO'")
    connection.execute("UPDATE rate_limits SET tokens = 3")
    limits = rows(connection, "rate_limits")
    door.clerk.update_user(door.user_id, last_name="Ibarra")
    answer = door.sync()
    assert (answer.body["user"]["name"], answer.body["user"]["tier"]) == (
        "Noor Ibarra",
        "PRO",
    )
    assert rows(connection)[door.user_id]["tier"] == "PRO"
    assert rows(connection, "rate_limits") == limits


def test_without_the_need_for_an_email_anybody_gets_a_row(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting reaches this door too."""
    monkeypatch.setenv("CLERKSYNC_REQUIRE_EMAIL", "false")
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, None)


def test_a_user_without_an_email_is_told_so(
    door: Door, connection: psycopg.Connection
) -> None:
    """While emails are required and there is no row, it is a 400."""
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert answer.status == 400
    assert "email" in answer.error
    assert rows(connection) == {}


@pytest.mark.usefixtures("known")
def test_a_user_that_lost_its_email_keeps_its_row(
    door: Door, connection: psycopg.Connection
) -> None:
    """With a row, it is a 200: only creation asks for an email."""
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, None)
    assert rows(connection)[door.user_id]["email"] is None


def test_an_email_moves_to_the_user_who_has_it_now(
    door: Door, users: UserTable, connection: psycopg.Connection
) -> None:
    """A row that still holds the address does not keep its new owner out."""
    other = door.clerk.create_user(email="old@example.com", notify=False)
    door.clerk.session_token(other["id"])
    assert door.sync(door.clerk.session_token(other["id"])).status == 200
    door.clerk.update_user(other["id"], email="new@example.com")
    door.clerk.update_user(door.user_id, email="old@example.com")
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, "old@example.com")
    assert rows(connection)[other["id"]]["email"] is None
    assert users.find(other["id"]) is not None


@pytest.mark.parametrize(
    ("name", "in_body"),
    [("self_sync", False), ("self_sync_with_body", True), ("users_me", False)],
)
@pytest.mark.usefixtures("known")
def test_the_sample_requests_are_answered(
    door: Door, name: str, *, in_body: bool
) -> None:
    """As they are, but for a token of now and the id of its user."""
    event = sample(name)
    event["headers"]["authorization"] = f"Bearer {door.token()}"
    if in_body:
        event["body"] = json.dumps(json.loads(event["body"]) | {"userId": door.user_id})
    answer = ask(app, event)
    assert (answer.status, answer.body["user"]["id"]) == (200, door.user_id)


# The body.


@pytest.mark.parametrize("body", [b"", b" \r\n\t"], ids=["no body", "white space"])
def test_a_body_is_not_needed(door: Door, body: bytes) -> None:
    """The token says who it is, and Clerk the rest."""
    assert door.sync(body=body).status == 200


def test_a_body_in_base64_is_read(door: Door, connection: psycopg.Connection) -> None:
    """Encoded or not, somebody else's id is somebody else's."""
    body = json.dumps({"userId": user_id(2), "email": "n@example.com"}).encode()
    with untouched(connection):
        assert door.sync(body=body, in_base64=True).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"userId"',
        b"17",
        b"{}",
        b"\xff",
        b"userId=1",
        b"[" * 100_000,
        '{"userId": "ID"}',
        '{"email": "noor@example.com"}',
        '{"userId": "ID", "email": ""}',
        '{"userId": "ID", "email": null}',
        '{"userId": "ID", "email": 1}',
        '{"userId": "", "email": "noor@example.com"}',
        '{"userId": ["ID"], "email": "noor@example.com"}',
        '{"userId": "ID", "email": "noor@example.com", "firstName": 1}',
        '{"userId": "ID", "email": "noor@example.com", "imageUrl": {}}',
        '{"userId": "ID", "email": "\\ud800"}',
        '{"user_id": "ID", "email": "noor@example.com"}',
    ],
    ids=lambda body: ascii(body[:50]),
)
@pytest.mark.usefixtures("known")
def test_a_malformed_body_is_refused(
    door: Door, connection: psycopg.Connection, body: bytes | str
) -> None:
    """A body is optional, and must be right when it is there."""
    door.clerk.update_user(door.user_id, last_name="Changed")
    if isinstance(body, str):
        body = body.replace("ID", door.user_id).encode()
    with untouched(connection):
        answer = door.sync(body=body)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("other", [user_id(2), "user_1", "someone", "\0"], ids=ascii)
@pytest.mark.usefixtures("known")
def test_a_body_for_somebody_else_is_forbidden(
    door: Door, connection: psycopg.Connection, other: str
) -> None:
    """A session syncs its own user only."""
    body = json.dumps({"userId": other, "email": "noor@example.com"}).encode()
    with untouched(connection):
        answer = door.sync(body=body)
    # What is empty without its NUL is no user id at all.
    assert answer.status == (400 if other == "\0" else 403)
    assert answer.error


def test_the_token_is_looked_at_before_the_body(door: Door) -> None:
    """A stranger learns nothing about which bodies are good."""
    assert door.ask("POST", SYNC, body=b"{").status == 401


# Where the token is.


@pytest.mark.parametrize(
    "authorization",
    ["Bearer TOKEN", "bearer TOKEN", "BEARER TOKEN", " Bearer   TOKEN "],
    ids=lambda text: text.replace(" ", "·"),
)
@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_the_scheme_and_the_header_have_no_case(
    door: Door, name: str, authorization: str
) -> None:
    """Nor do spaces matter."""
    headers = {name: authorization.replace("TOKEN", door.token())}
    assert door.ask("POST", SYNC, headers=headers).status == 200


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.usefixtures("known")
def test_the_session_cookie_will_do(
    door: Door, method_and_path: tuple[str, str]
) -> None:
    """A page of the same site sends no header."""
    cookies = ["theme=dark", f"__session={door.token()}", "__session_x=nothing"]
    assert door.ask(*method_and_path, cookies=cookies).status == 200


def test_the_header_beats_the_cookie(
    door: Door, connection: psycopg.Connection
) -> None:
    """Who says both means the header, even where the header is no good."""
    other = door.clerk.create_user(email="other@example.com")
    headers = {"authorization": f"Bearer {door.token()}"}
    cookies = [f"__session={door.clerk.session_token(other['id'])}"]
    answer = door.ask("POST", SYNC, headers=headers, cookies=cookies)
    assert answer.body["user"]["id"] == door.user_id
    headers = {"authorization": "Bearer garbage"}
    assert door.ask("POST", SYNC, headers=headers, cookies=cookies).status == 401
    assert list(rows(connection)) == [door.user_id]


@pytest.mark.parametrize(
    "authorization",
    ["", " ", "Bearer", "Bearer ", "bearer  ", "Basic TOKEN", "TOKEN", "BearerTOKEN"],
)
@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
def test_without_a_bearer_token_nobody_is_authenticated(
    door: Door,
    connection: psycopg.Connection,
    method_and_path: tuple[str, str],
    authorization: str,
) -> None:
    """A token counts only where it belongs."""
    headers = {"authorization": authorization.replace("TOKEN", door.token())}
    with untouched(connection):
        answer = door.ask(*method_and_path, headers=headers)
    assert answer.status == 401
    assert answer.error
    assert door.asked() == 0


# Tokens that must be refused.

Forge = Callable[[Door, rsa.RSAPrivateKey], str]


def _altered(token: str, **claims: Any) -> str:
    """The token with other claims under the signature of the old ones."""
    head, payload, signature = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(payload + "=="))
    new = base64.urlsafe_b64encode(json.dumps(old | claims).encode())
    return f"{head}.{new.decode().rstrip('=')}.{signature}"


FORGED: dict[str, Forge] = {
    "garbage": lambda *_: "garbage",
    "two dots": lambda *_: "..",
    "three words": lambda *_: "a.b.c",
    "not ASCII": lambda *_: "é.é.é",
    "a lone surrogate": lambda *_: "\ud800.\ud800.\ud800",
    "NUL": lambda *_: "\0.\0.\0",
    "JSON of another shape": lambda *_: "W10.W10.W10",
    "deep nesting": lambda *_: base64.b64encode(b"[" * 60_000).decode() + ".e30.e30",
    "100 KB": lambda *_: "a" * 100_000,
    "100 KB of dots": lambda *_: "." * 100_000,
    "100 KB in a claim": lambda door, key: door.token(key=key, pad="a" * 100_000),
    "a machine's": lambda *_: "mt_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "machine to machine": lambda *_: "m2m_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "an opaque OAuth token": lambda *_: "oat_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "an API key": lambda *_: "ak_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "the secret key": lambda door, _: door.clerk.secret_key,
    "of another key": lambda door, key: door.token(key=key),
    "altered": lambda door, _: _altered(door.token(), sub=user_id(2)),
    "without signature": lambda door, _: door.token().rpartition(".")[0] + ".",
    "cut off": lambda door, _: door.token()[:-9],
    "alg none": lambda door, _: door.token(algorithm="none"),
    "alg None": lambda door, _: (
        base64.b64encode(b'{"alg":"None","typ":"JWT"}').decode().rstrip("=")
        + "."
        + door.token().split(".")[1]
        + "."
    ),
    "HS256 by the public key": lambda door, _: door.token(
        algorithm="HS256", key=door.clerk.jwt_public_key
    ),
    "RS512": lambda door, _: door.token(algorithm="RS512"),
    "PS256": lambda door, _: door.token(algorithm="PS256"),
    "expired": lambda door, _: door.token(lifetime_seconds=-8),
    "expired long ago": lambda door, _: door.token(lifetime_seconds=-86_400),
    "not yet valid": lambda door, _: door.token(nbf=int(time.time()) + 60),
    "without exp": lambda door, _: door.token(exp=None),
    "exp a text": lambda door, _: door.token(exp="tomorrow"),
    "without sub": lambda door, _: door.token(sub=None),
    "without sid": lambda door, _: door.token(sid=None),
    "sid empty": lambda door, _: door.token(sid=""),
    "sid a number": lambda door, _: door.token(sid=1),
    "without issuer": lambda door, _: door.token(iss=None),
    "another issuer": lambda door, _: door.token(iss="https://clerk.example.org"),
    "the issuer with a slash": lambda door, _: door.token(iss=door.clerk.issuer + "/"),
    "pending": lambda door, _: door.token(sts="pending"),
    "sub of a machine": lambda door, _: door.token(sub="mch_2g7np7Hrk0SN6kj5EDMLDaKN"),
    "sub of a session": lambda door, _: door.token(sub="sess_2g7np7Hrk0SN6kj5EDMLDaK"),
    "sub with a newline": lambda door, _: door.token(sub=door.user_id + "\n"),
    "sub with a path": lambda door, _: door.token(sub="user_1/../" + door.user_id),
    "sub empty": lambda door, _: door.token(sub=""),
    "OAuth": lambda door, _: door.token(headers={"typ": "at+jwt"}),
    "OAuth in capitals": lambda door, _: door.token(headers={"typ": "AT+JWT"}),
    "OAuth in full": lambda door, _: door.token(headers={"typ": "application/at+jwt"}),
    "typ a number": lambda door, _: door.token(headers={"typ": 1}),
    "an unknown critical header": lambda door, _: door.token(
        headers={"crit": ["exp"], "exp": 1}
    ),
}


@pytest.fixture(params=["CLERK_JWT_KEY", "JWKS"])
def keys(
    request: pytest.FixtureRequest, door: Door, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Both ways to know the key that signs."""
    if request.param == "CLERK_JWT_KEY":
        monkeypatch.setenv("CLERK_JWT_KEY", door.clerk.jwt_public_key)
    return str(request.param)


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.usefixtures("keys")
def test_a_token_that_is_not_a_good_one_is_refused(
    door: Door,
    connection: psycopg.Connection,
    other_key: rsa.RSAPrivateKey,
    name: str,
) -> None:
    """Nothing is written, and Clerk is not asked for the user."""
    token = FORGED[name](door, other_key)
    with untouched(connection):
        for method, path in ROUTES:
            answer = door.ask(method, path, token)
            assert answer.status == 401
            assert answer.error
    assert door.asked() == 0


@pytest.mark.usefixtures("keys")
def test_a_refused_token_in_the_cookie_is_refused_too(door: Door) -> None:
    """The cookie is no weaker door."""
    cookies = [f"__session={door.token(lifetime_seconds=-60)}"]
    assert door.ask("POST", SYNC, cookies=cookies).status == 401


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({}, {"lifetime_seconds": -3}),
        ({"nbf": 3}, {}),
        ({}, {"headers": {"typ": "jwt"}}),
        ({"sts": None}, {}),
        ({"azp": None}, {}),
    ],
    ids=["just expired", "almost valid", "typ jwt", "version 1", "no azp"],
)
@pytest.mark.usefixtures("keys")
def test_a_token_that_is_good_enough_is_accepted(
    door: Door, claims: dict[str, Any], options: dict[str, Any]
) -> None:
    """Clocks differ by up to 5 seconds, and not every claim is in every token."""
    if claims.get("nbf"):
        claims = {"nbf": int(time.time()) + claims["nbf"]}
    assert door.sync(door.token(**options, **claims)).status == 200


@pytest.mark.parametrize(
    ("azp", "status"),
    [
        (APP, 200),
        ("http://localhost:3000", 200),
        ("https://app.example.com.evil.example", 401),
        ("https://evil.example", 401),
        ("http://app.example.com", 401),
        (APP + ",http://localhost:3000", 401),
        ("", 401),
        (None, 401),
        (1, 401),
        ([APP], 401),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("keys")
def test_only_authorised_parties_may_call_when_they_are_set(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    azp: Any,
    status: int,
) -> None:
    """The token's origin must be one of them, and must be there."""
    parties = f" {APP}/ , http://localhost:3000,"
    monkeypatch.setenv("CLERK_AUTHORIZED_PARTIES", parties)
    assert door.sync(door.token(azp=azp)).status == status
    assert len(rows(connection)) == (status == 200)


# Where the key comes from.


@pytest.mark.parametrize("newline", ["\n", "\\n"], ids=["lines", "escapes"])
@pytest.mark.usefixtures("known")
def test_with_the_key_in_the_environment_nothing_is_fetched(
    door: Door, monkeypatch: pytest.MonkeyPatch, newline: str
) -> None:
    """A PEM, as it is or with escaped line ends, verifies without any request."""
    monkeypatch.setenv(
        "CLERK_JWT_KEY", door.clerk.jwt_public_key.replace("\n", newline)
    )
    monkeypatch.delenv("CLERK_SECRET_KEY")
    door.clerk.reset_requests()
    assert door.me().status == 200
    assert door.clerk.requests == 0


def test_with_an_issuer_the_key_is_fetched_from_there_once(door: Door) -> None:
    """The public key set of the Frontend API serves all tokens that follow."""
    assert [door.sync().status for _ in range(3)] == [200] * 3
    assert door.asked("/.well-known/jwks.json") == 1
    assert door.asked("/v1/jwks") == 0


def test_without_an_issuer_the_key_is_fetched_from_the_backend(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Backend API has it too, for who has the secret key."""
    monkeypatch.delenv("CLERK_ISSUER")
    assert [door.sync().status for _ in range(3)] == [200] * 3
    assert door.asked("/v1/jwks") == 1
    assert door.asked("/.well-known/jwks.json") == 0


def test_the_publishable_key_names_the_issuer(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of another instance are refused, though the same key had signed them."""
    monkeypatch.delenv("CLERK_ISSUER")
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", door.clerk.publishable_key)
    monkeypatch.setenv("CLERK_JWT_KEY", door.clerk.jwt_public_key)
    with untouched(connection):
        assert door.sync().status == 401
    issuer = door.clerk.issuer.replace("http:", "https:")
    assert door.sync(door.token(iss=issuer)).status == 200


def test_unknown_key_ids_do_not_hammer_the_key_set(
    door: Door, connection: psycopg.Connection
) -> None:
    """Strangers can invent key ids; the set is fetched once for all of them."""
    with untouched(connection):
        for number in range(20):
            token = door.token(headers={"kid": f"ins_{number}"})
            assert door.sync(token).status == 401
    assert door.asked("/.well-known/jwks.json") == 1
    assert door.sync().status == 200
    assert door.asked("/.well-known/jwks.json") == 1


@pytest.mark.parametrize("kid", [None, "", "ins_other", 1, ["a"]], ids=repr)
def test_a_token_of_an_unknown_key_is_refused(
    door: Door, connection: psycopg.Connection, kid: Any
) -> None:
    """The key set alone says which keys there are."""
    if isinstance(kid, str) or kid is None:
        token = door.token(headers={"kid": kid})
    else:
        head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid}).encode()
        _, _, rest = door.token().partition(".")
        token = f"{base64.urlsafe_b64encode(head).decode().rstrip('=')}.{rest}"
    with untouched(connection):
        assert door.sync(token).status == 401
    assert door.asked() == 0


@pytest.mark.parametrize(
    "pem",
    [
        "correct-horse",
        "-----BEGIN PUBLIC KEY-----\\nY29ycmVjdC1ob3JzZQ==\\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----",
    ],
    ids=["no PEM", "no key inside", "cut off"],
)
def test_a_key_that_is_none_is_named_and_not_shown(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    pem: str,
) -> None:
    """It is the operator's error: a 500 that says which setting, not which value."""
    monkeypatch.setenv("CLERK_JWT_KEY", pem)
    with untouched(connection):
        for answer in (door.sync(), door.me()):
            assert answer.status == 500
            assert "CLERK_JWT_KEY" in answer.error


def test_a_private_key_is_not_a_public_one(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance's PEM of another kind does not verify anything."""
    monkeypatch.setenv("CLERK_JWT_KEY", "-----BEGIN PRIVATE KEY-----\nAAAA")
    assert door.sync().status == 500


# What Clerk says.


def test_a_user_that_clerk_does_not_know_is_not_authenticated(
    door: Door, connection: psycopg.Connection
) -> None:
    """A token outlives its user by up to a minute; nothing is written."""
    token = door.clerk.session_token(user_id(404))
    with untouched(connection):
        answer = door.sync(token)
    assert answer.status == 401
    assert door.asked(f"/v1/users/{user_id(404)}") == 1


def test_a_user_deleted_during_the_look_up_is_not_revived(
    door: Door, database_url: str, connection: psycopg.Connection
) -> None:
    """Clerk's answer may be older than the deletion that came in meanwhile."""
    assert door.sync().status == 200
    door.clerk.update_user(door.user_id, last_name="Changed")

    def delete(request: StubRequest) -> Fault | None:
        if request.path.startswith("/v1/users/"):
            database = Database(lambda: database_url)
            UserTable(database).delete([door.user_id])
            database.close()
        return None

    door.clerk.interfere = delete
    answer = door.sync()
    assert answer.status == 401
    assert answer.error
    assert rows(connection) == {}
    assert rows(connection, "rate_limits") == {}
    assert rows(connection, "sync_state")[door.user_id]["deleted_at"] is not None


def test_a_user_deleted_by_mistake_comes_back(
    door: Door, users: UserTable, connection: psycopg.Connection
) -> None:
    """Clerk, asked after the deletion, still knows it: the tombstone goes."""
    users.delete([door.user_id])
    answer = door.sync()
    assert (answer.status, answer.body["user"]["id"]) == (200, door.user_id)
    assert list(rows(connection)) == [door.user_id]
    assert rows(connection, "sync_state")[door.user_id]["deleted_at"] is None


def test_a_softly_deleted_user_comes_back_whole(
    door: Door, database: Database, connection: psycopg.Connection
) -> None:
    """The row that was kept and emptied is filled again."""
    assert door.sync().status == 200
    UserTable(database, soft_delete=True).delete([door.user_id])
    assert door.me().status == 404
    assert door.sync().status == 200
    row = rows(connection)[door.user_id]
    assert (row["email"], row["deleted_at"]) == ("noor@example.com", None)
    assert list(rows(connection, "rate_limits")) == [door.user_id]
    assert door.me().status == 200


FAULTS = {
    "500": Fault(status=500),
    "502": Fault(status=502),
    "503 with Retry-After": Fault(status=503, headers={"Retry-After": "60"}),
    "closed connection": Fault(breaks="connection"),
    "half an answer": Fault(breaks="body"),
    "half a JSON": Fault(breaks="json"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("path", ["/v1/users/", "/.well-known/"])
def test_when_clerk_cannot_be_asked_the_browser_is_told_when_to_try_again(
    door: Door, connection: psycopg.Connection, name: str, path: str
) -> None:
    """503 and Retry-After, for a user as for the keys; nothing is written."""
    door.clerk.fail_next(2, fault=FAULTS[name], path=path)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 503
    assert answer.error
    assert int(answer.headers["retry-after"]) >= 1
    assert sum(door.waits) <= 2
    assert door.sync().status == 200


@pytest.mark.parametrize("name", FAULTS)
def test_a_single_failure_of_clerk_is_not_noticed(door: Door, name: str) -> None:
    """It is asked again, once, after a moment."""
    door.clerk.fail_next(fault=FAULTS[name], path="/v1/users/")
    assert door.sync().status == 200
    assert len(door.waits) == 1


def test_a_rate_limit_is_passed_on(door: Door, connection: psycopg.Connection) -> None:
    """A wait longer than a browser's patience is the browser's."""
    door.clerk.fail_next(status=429, retry_after=30)
    with untouched(connection):
        answer = door.sync()
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
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


def test_an_unreadable_user_is_clerks_failure(
    door: Door, connection: psycopg.Connection
) -> None:
    """An answer that is no user is no reason to tell the browser it did wrong."""
    door.clerk.update_user(door.user_id, first_name=17)
    with untouched(connection):
        assert door.sync().status == 503


def test_a_wrong_secret_key_is_the_operators_error(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither the browser's nor one that passes: a 500, explained in the log."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_wrong")
    capsys.readouterr()
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 500
    assert answer.error
    output = capsys.readouterr().out
    assert "CLERK_SECRET_KEY" in output
    assert_tells_nothing_private(output)
    assert door.asked() == 1


@pytest.mark.parametrize("name", ["CLERK_SECRET_KEY", "DATABASE_URL"])
def test_a_setting_that_is_missing_is_named(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A 500 that says what to set."""
    monkeypatch.delenv(name)
    answer = door.sync()
    assert answer.status == 500
    assert name in answer.error


# Reading.


@pytest.mark.usefixtures("known")
def test_a_user_reads_its_own_row(door: Door, connection: psycopg.Connection) -> None:
    """The row as stored; Clerk is not asked for the user, and nothing is written."""
    other = door.clerk.create_user(email="other@example.com")
    door.sync(door.clerk.session_token(other["id"]))
    door.clerk.update_user(door.user_id, last_name="Changed")
    door.clerk.reset_requests()
    with untouched(connection):
        answer = door.me()
    assert (answer.status, set(answer.body)) == (200, {"user"})
    assert_row(answer.body["user"], rows(connection)[door.user_id])
    assert answer.body["user"]["name"] == "Noor Castell"
    assert door.asked() == 0


def test_a_user_without_a_row_is_not_synced_yet(
    door: Door, connection: psycopg.Connection
) -> None:
    """404, and reading creates nothing."""
    with untouched(connection):
        answer = door.me()
    assert answer.status == 404
    assert "sync" in answer.error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SYNC),
        ("POST", ME),
        ("DELETE", ME),
        ("GET", "/"),
        ("GET", "/api/users/me/x"),
        ("POST", "/api/users/sync/me"),
        ("POST", "/API/USERS/SYNC"),
        ("POST", "/api/webhooks/clerk"),
    ],
)
def test_another_route_is_not_there(
    door: Door, connection: psycopg.Connection, method: str, path: str
) -> None:
    """404 in the form of every error, with or without a token."""
    with untouched(connection):
        for token in ("", door.token()):
            answer = door.ask(method, path, token)
            assert answer.status == 404
            assert answer.error


# The database.


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
def test_an_unreachable_database_is_a_500(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method_and_path: tuple[str, str],
) -> None:
    """Without detail to the browser; the log says so without the URL."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    capsys.readouterr()
    answer = door.ask(*method_and_path, door.token())
    assert answer.status == 500
    assert answer.error
    (line,) = log_lines(capsys.readouterr().out, "request failed")
    assert line["error"] == "DatabaseUnreachableError"


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.usefixtures("known")
def test_a_dead_connection_is_replaced(
    door: Door, connection: psycopg.Connection, method_and_path: tuple[str, str]
) -> None:
    """An execution environment that slept survives what its connection did not."""
    killed = connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'clerksync' AND datname = current_database()"
    ).fetchall()
    assert (True,) in killed
    assert door.ask(*method_and_path, door.token()).status == 200


# What is written down.


def test_every_sync_is_logged_and_counted(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the id and the action; one metric by action."""
    capsys.readouterr()
    door.sync()
    output = capsys.readouterr().out
    (line,) = log_lines(output, "self-sync")
    assert (line["clerk_id"], line["action"]) == (door.user_id, "created")
    assert '"SelfSyncsCreated":[1' in output
    assert_tells_nothing_private(output)


@pytest.mark.usefixtures("known")
def test_a_refusal_is_logged_without_the_token(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says that somebody was refused, and not with what."""
    token = door.token(lifetime_seconds=-60)
    capsys.readouterr()
    door.sync(token)
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request refused")
    assert (line["status"], line["error"]) == (401, "NotAuthenticatedError")
    assert_tells_nothing_private(output, *token.split("."))
