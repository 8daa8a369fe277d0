"""Databases whose encoding is not UTF-8."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.stub_clerk.stub import StubClerk
from tests.integration.postgres.life import (
    application,
    browser,
    encoded,
    life,
    migrated,
    notify,
    owned,
    plain,
)

EMOJI = "Zoë🦄"
HELD = {"LATIN1": "Zoë", "WIN1252": "Zoë €", "EUC_JP": "ゾーイ"}


@pytest.fixture
def crowd() -> Iterator[StubClerk]:
    """Thirty users without a name, to whom a test gives some."""
    with StubClerk() as stub:
        for number in range(30):
            stub.create_user(email=f"user{number}@example.com")
        yield stub
        for app in (bulk_sync, self_sync):
            app.clerk._http.clear()


def test_a_database_of_unchecked_bytes_holds_everything(
    monkeypatch: pytest.MonkeyPatch,
    clerk: StubClerk,
    server_url: str,
    tmp_path: Path,
    usual: dict[str, Any],
) -> None:
    """SQL_ASCII converts nothing, and all that we send is UTF-8."""
    with (
        owned(server_url, encoded("SQL_ASCII")) as database,
        application(monkeypatch, clerk, database.url, tmp_path),
    ):
        assert life(clerk, database) == usual


@pytest.mark.parametrize("encoding", HELD)
def test_a_character_that_an_encoding_lacks_costs_one_row(
    monkeypatch: pytest.MonkeyPatch,
    crowd: StubClerk,
    server_url: str,
    tmp_path: Path,
    encoding: str,
) -> None:
    """A webhook of that user is refused; a run writes all others, and is partial."""
    strange, plain_one, *_ = crowd.ids()
    crowd.update_user(strange, first_name=EMOJI)
    crowd.update_user(plain_one, first_name=HELD[encoding])
    with (
        owned(server_url, encoded(encoding)) as database,
        application(monkeypatch, crowd, database.url, tmp_path),
    ):
        migrated(database.url)
        refused = notify(crowd, "user.created", crowd.get_user(strange))
        assert refused == {"error": "Postgres cannot store this user (SQLSTATE 22P05)."}
        assert browser(crowd, strange, "POST", "sync") == refused
        report = bulk_sync.handler({}, None)
        assert (report["status"], report["failed"]) == ("partial", 1)
        assert report["created"] == 29
        shown = browser(crowd, plain_one, "GET", "me")
        assert shown["user"]["name"] == HELD[encoding]
        crowd.update_user(strange, first_name="Zoe")
        assert notify(crowd, "user.updated", crowd.get_user(strange))["success"]
        assert bulk_sync.handler({}, None)["status"] == "completed"
        webhook.database.close()
        with plain(make_conninfo(database.url)) as connection:
            assert len(connection.execute("SELECT FROM members").fetchall()) == 30
