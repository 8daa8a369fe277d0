"""docs/recipes.md is run as it stands there: Python, SQL and template."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from clerksync.clerk.user import parse_user
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.doors import Answer, api_request, ask_this_clerk, sample
from tests.tables import rows
from tests.template import FUNCTIONS, RESOURCES, read_yaml

pytestmark = pytest.mark.alters_schema

_ROOT: Final = Path(__file__).parents[2]
_TEXT: Final = (_ROOT / "docs" / "recipes.md").read_text("utf-8")
_MIRA: Final = "user_2x0iqy5a2csrtTDuShPB6LKCwD5"
_PROFILE: Final = json.loads(sample("user_created")["body"])["data"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _TEXT, re.MULTILINE | re.DOTALL)


def module(number: int) -> ModuleType:
    """One of the examples in Python, imported."""
    module = ModuleType(f"recipe_{number}")
    sys.modules[module.__name__] = module  # where FastAPI looks for what names mean
    exec(compile(blocks("python")[number], "docs/recipes.md", "exec"), vars(module))  # noqa: S102 - it is our own
    return module


@pytest.fixture
def stub(environment: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """Settings as of a deployment, and Noor Castell, whose webhook has not come yet."""
    with StubClerk() as stub:
        ask_this_clerk(environment, stub)
        environment.setenv("CLERK_ISSUER", stub.issuer)
        stub.create_user(
            email="noor@example.com", first_name="Noor", last_name="Castell"
        )
        yield stub


@pytest.fixture
def tables(connection: psycopg.Connection) -> None:
    """The first of the recipes: tables of an application."""
    connection.execute(blocks("sql")[0].encode())


def test_every_piece_of_sql_does_what_is_said_of_it(
    connection: psycopg.Connection, users: UserBatches, database_url: str
) -> None:
    """One after the other, as somebody would who reads along."""
    role = f"clerksync_test_app_{os.getpid()}"
    pieces = [re.sub(r"\bapp\b(?!\.)", role, text).encode() for text in blocks("sql")]
    foreign_keys, note, join, tiers, consume, grants, policy, own, by_token = pieces
    ask = connection.execute
    ask(foreign_keys)
    with pytest.raises(errors.ForeignKeyViolation):
        ask(note)
    users.upsert(parse_user(_PROFILE))
    ask(note)
    picture = _PROFILE["image_url"]
    assert ask(join).fetchone() == (2, "Buy milk.", "Mira Okafor", picture)

    ask(tiers)
    assert rows(connection)[_MIRA]["tier"] == "PRO"
    taken = ask(consume)
    assert taken.fetchone() == (True, 299, 0)
    assert taken.nextset()
    assert taken.fetchone() == (True, pytest.approx(274, abs=0.9), 0)

    ask(grants)
    try:
        ask(policy)
        ask("INSERT INTO users (id) VALUES ('user_2'), ('user_3')")
        ask("INSERT INTO notes (user_id, text) VALUES ('user_2', 'Of somebody else.')")
        seen = ask(own)
        while seen.description is None or seen.description[0].name != "text":
            assert seen.nextset()
        assert seen.fetchall() == [("Buy milk.",), ("Only mine.",)]
        ask(by_token)
        as_role = make_conninfo(database_url, options=f"-c role={role}")
        with psycopg.connect(as_role, autocommit=True) as app:
            assert_sees_only_its_own(app)
    finally:
        ask(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def assert_sees_only_its_own(app: psycopg.Connection) -> None:
    """By the claims of a token, by the id, and within its transaction only."""
    query = "SELECT text FROM notes"
    assert app.execute(query).fetchall() == []
    claims = '{"sub": "user_2", "role": "authenticated"}'
    with app.transaction():
        app.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        assert app.execute(query).fetchall() == [("Of somebody else.",)]
    assert app.execute(query).fetchall() == []
    with app.transaction(force_rollback=True):
        app.execute("SELECT set_config('app.user_id', 'user_3', true)")
        with pytest.raises(errors.InsufficientPrivilege):
            app.execute("INSERT INTO notes (user_id, text) VALUES ('user_2', '')")
    allowed = app.execute("SELECT allowed FROM consume_rate_limit('user_2')")
    assert allowed.fetchone() == (True,)


@pytest.mark.usefixtures("tables")
def test_foreign_keys_do_at_a_deletion_what_the_table_says(
    connection: psycopg.Connection, users: UserBatches
) -> None:
    """Gone with the user, or kept and nobody's; one that says neither is refused."""
    users.upsert(parse_user(_PROFILE))
    connection.execute("INSERT INTO notes (user_id, text) VALUES (%s, '')", [_MIRA])
    connection.execute("INSERT INTO invoices (user_id, cents) VALUES (%s, 5)", [_MIRA])
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    connection.execute("INSERT INTO orders VALUES (%s)", [_MIRA])
    with pytest.raises(errors.ForeignKeyViolation):
        users.delete([_MIRA])
    connection.execute("DROP TABLE orders")
    assert users.delete([_MIRA]) == 1
    assert rows(connection, "notes") == {}
    assert [row["user_id"] for row in rows(connection, "invoices").values()] == [None]


class Api:
    """The FastAPI example, asked as its server would, by many at once if need be."""

    def __init__(self, stub: StubClerk) -> None:
        self.stub = stub
        self.module = module(0)

    def ask(
        self, method: str = "GET", token: str = "", *, times: int = 1, **body: str
    ) -> list[httpx.Response]:
        token = token or self.stub.session_token(self.stub.ids()[0])
        headers = {"authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.module.app, raise_app_exceptions=False)

        async def ask() -> list[httpx.Response]:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://api.example.com", headers=headers
            ) as client:
                requests = [
                    client.request(method, "/api/notes", json=body or None)
                    for _ in range(times)
                ]
                return await asyncio.gather(*requests)

        return asyncio.run(ask())


@pytest.fixture
def api(
    stub: StubClerk,
    tables: None,  # noqa: ARG001 - there before the first request
) -> Iterator[Api]:
    api = Api(stub)
    yield api
    api.module.clerk.close()


def test_fastapi_serves_a_user_whose_webhook_has_not_come_yet(
    api: Api, connection: psycopg.Connection
) -> None:
    """The note is hers at once. When her row is there, Clerk is not asked."""
    (added,) = api.ask("POST", text="Buy milk.")
    assert (added.status_code, added.json()) == (201, {"text": "Buy milk."})
    asked = api.stub.requests
    (read,) = api.ask()
    assert (read.status_code, read.json()) == (200, [{"text": "Buy milk."}])
    assert api.stub.requests == asked
    (row,) = rows(connection).values()
    assert row["email"] == "noor@example.com"


def test_fastapi_lets_no_more_through_than_the_tier_allows(
    api: Api, connection: psycopg.Connection
) -> None:
    """Of many at once; the others are told when to come again."""
    connection.execute("UPDATE tiers SET capacity = 10, refill_per_second = 0.01")
    api.ask()
    answers = api.ask(times=60)
    assert sorted(a.status_code for a in answers) == [200] * 9 + [429] * 51
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.json() == {"detail": "Too many requests."}
    assert 1 <= int(refused.headers["retry-after"]) <= 101


def test_fastapi_says_whose_fault_it_is(api: Api) -> None:
    """No user, no email, no Clerk: each has a status of its own."""
    answers = {}
    for kind in ("garbage", "stranger", "nameless", "unavailable"):
        clerk_id = api.stub.ids()[0]
        if kind == "stranger":
            clerk_id = "user_404"
        if kind == "nameless":
            clerk_id = api.stub.create_user(phone_number="+15555550100")["id"]
        token = api.stub.session_token(clerk_id)
        if kind == "unavailable":
            api.stub.fail_next(9, path="/v1/users", fault=Fault(status=503))
        if kind == "garbage":
            token = "no.such.token"
        (answers[kind],) = api.ask(token=token)
    assert {kind: a.status_code for kind, a in answers.items()} == {
        "garbage": 401,
        "stranger": 401,
        "nameless": 400,
        "unavailable": 503,
    }
    assert all(a.json().keys() == {"error"} for a in answers.values())
    assert 1 <= int(answers["unavailable"].headers["retry-after"]) <= 5


def asked(app: ModuleType, event: dict[str, Any]) -> Answer:
    """The example's response, as API Gateway reads it."""
    payload = app.handler(event, None)
    assert payload["headers"]["Content-Type"] == "application/json"
    body = json.loads(payload["body"])
    return Answer(payload["statusCode"], payload["headers"], body)


@pytest.mark.usefixtures("tables")
def test_lambda_serves_the_same_behind_the_same_api(
    stub: StubClerk, connection: psycopg.Connection
) -> None:
    """As API Gateway asks it: before the webhook, within the limit, and beyond it."""
    app = module(1)
    token = stub.session_token(stub.ids()[0])
    headers = {"authorization": f"Bearer {token}"}
    event = api_request("GET", "/api/notes", headers=headers)
    try:
        answer = asked(app, event)
        assert (answer.status, answer.body) == (200, {"notes": []})
        connection.execute("UPDATE tiers SET capacity = 1, refill_per_second = 0.01")
        assert asked(app, event).status == 200
        answer = asked(app, event)
        assert (answer.status, answer.error) == (429, "Too many requests.")
        assert 1 <= int(answer.headers["Retry-After"]) <= 101
        assert asked(app, api_request("GET", "/api/notes")).status == 401
        nameless = stub.create_user(phone_number="+15555550100")["id"]
        headers = {"authorization": f"Bearer {stub.session_token(nameless)}"}
        event = api_request("GET", "/api/notes", headers=headers)
        assert asked(app, event).status == 400
    finally:
        app.clerk.close()


def test_the_template_of_the_recipe_is_like_those_that_are_there() -> None:
    """As the self-sync function's, but for what is its own; its log group as well."""
    (text,) = blocks("yaml")
    recipe = read_yaml(text)
    function, group = recipe["NotesFunction"], recipe["NotesLogGroup"]
    like = FUNCTIONS["SelfSyncFunction"]
    own = function["Properties"]
    assert function["DependsOn"] == RESOURCES["SelfSyncFunction"]["DependsOn"]
    assert own["Policies"] == like["Policies"]
    assert (
        own["Events"]["Notes"]["Properties"]["ApiId"]
        == (like["Events"]["Me"]["Properties"]["ApiId"])
    )
    assert own["LoggingConfig"] == {"LogGroup": {"Ref": "NotesLogGroup"}}
    like = RESOURCES["SelfSyncLogGroup"]
    name = group["Properties"].pop("LogGroupName")
    assert name == {"Fn::Sub": "/aws/lambda/${AWS::StackName}-notes"}
    assert {**like["Properties"], "LogGroupName": name} == (
        group["Properties"] | {"LogGroupName": name}
    )
    assert {k: v for k, v in group.items() if k != "Properties"} == (
        {k: v for k, v in like.items() if k != "Properties"}
    )
