"""Settings that the owner of a database or a role makes for each of its sessions."""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clerksync.postgres.connect import connect
from clerksync.postgres.database import Database
from local.stub_clerk.stub import StubClerk
from tests.convergence.wire import Wire
from tests.integration.postgres.life import application, life, owned
from tests.pgbouncer import pgbouncer, shows, unless_installed

# Each of these once changed a row, a response, or whether there was one.
HARMFUL = [
    {"DateStyle": "German, DMY"},
    {"DateStyle": "SQL, MDY"},
    {"DateStyle": "Postgres, DMY"},
    {"TimeZone": "Asia/Kolkata"},
    {"TimeZone": "<odd>-05:30"},
    {"client_encoding": "LATIN1"},
    {"client_encoding": "SQL_ASCII"},
    {"client_encoding": "EUC_JP"},
    {"extra_float_digits": "-15"},
    {"quote_all_identifiers": "on"},
]
# These never did. Together, to save time.
HARMLESS = {
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "search_path": "nowhere, pg_temp",
    "row_security": "off",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_deferrable": "on",
    "plpgsql.variable_conflict": "use_column",
    "plpgsql.extra_errors": "all",
    "plpgsql.check_asserts": "off",
    "check_function_bodies": "off",
    "synchronous_commit": "off",
    "plan_cache_mode": "force_custom_plan",
    "enable_nestloop": "off",
    "enable_hashjoin": "off",
    "xmlbinary": "hex",
    "xmloption": "document",
    "client_min_messages": "debug5",
    "default_text_search_config": "simple",
}
OTHERWISE_HARMLESS = HARMLESS | {
    "IntervalStyle": "iso_8601",
    "search_path": "",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "3",
    "plpgsql.variable_conflict": "use_variable",
    "plan_cache_mode": "force_generic_plan",
    "enable_nestloop": "on",
}
ALL = [*HARMFUL, HARMLESS, OTHERWISE_HARMLESS]
POOLED = {k: v for one in reversed(ALL) for k, v in one.items()}


def name_of(settings: dict[str, str]) -> str:
    ((name, value),) = list(settings.items())[-1:]
    return f"{name}={value}" if len(settings) == 1 else f"{len(settings)} others"


@pytest.mark.parametrize("of", ["DATABASE", "ROLE"])
@pytest.mark.parametrize("settings", ALL, ids=name_of)
def test_a_setting_of_the_owner_changes_nothing(  # noqa: PLR0917 - fixtures
    monkeypatch: pytest.MonkeyPatch,
    clerk: StubClerk,
    server_url: str,
    tmp_path: Path,
    usual: dict[str, Any],
    of: str,
    settings: dict[str, str],
) -> None:
    """Rows, responses and status are those of a database without it."""
    with (
        owned(server_url) as database,
        application(monkeypatch, clerk, database.url, tmp_path),
    ):
        database.alter(of, settings)
        assert life(clerk, database) == usual


@unless_installed
def test_they_change_nothing_behind_a_pooler(
    monkeypatch: pytest.MonkeyPatch,
    clerk: StubClerk,
    server_url: str,
    tmp_path: Path,
    usual: dict[str, Any],
) -> None:
    """In transaction mode, and all connections share one of the server."""
    with owned(server_url) as database:
        database.alter("DATABASE", POOLED)
        with (
            pgbouncer(database.url, tmp_path) as url,
            application(monkeypatch, clerk, url, tmp_path),
        ):
            assert life(clerk, database, url) == usual


@unless_installed
def test_what_another_client_of_the_pooler_has_set_changes_nothing(
    server_url: str, tmp_path: Path
) -> None:
    """Nor does ours reach that client, whichever came first."""

    def hour(connection: psycopg.Connection) -> Any:
        query = "SELECT timestamptz '2026-03-07 10:00+00'"
        row = connection.execute(query).fetchone()
        return row and row[0].hour

    with owned(server_url) as database:
        database.alter("DATABASE", {"DateStyle": "German", "TimeZone": "UTC"})
        with (
            pgbouncer(database.url, tmp_path) as url,
            psycopg.connect(url, autocommit=True, prepare_threshold=None) as other,
            closing(Database(lambda: url)) as ours,
        ):
            other.execute("SET DateStyle = 'SQL, MDY'")
            assert ours.run(hour) == 10
            assert shows(other, "DateStyle") == "SQL, MDY"
            other.execute("SET client_encoding = 'LATIN1'")
            assert ours.run(lambda c: shows(c, "client_encoding")) == "UTF8"
            assert ours.run(hour) == 10
            assert shows(other, "client_encoding") == "LATIN1"
            assert ours.run(lambda c: c.info.backend_pid) != other.info.backend_pid


@pytest.mark.parametrize(
    ("settings", "statements"),
    [({}, 0), ({"client_encoding": "LATIN1"}, 0), ({"DateStyle": "German"}, 1)],
    ids=["usual", "an encoding", "a date style"],
)
def test_a_usual_connection_costs_no_further_round_trip(
    server_url: str, settings: dict[str, str], statements: int
) -> None:
    """The encoding is sent with the login; the style is only set if it is not ISO."""
    with owned(server_url) as database:
        database.alter("DATABASE", settings)
        with closing(Wire(database.url)) as wire, psycopg.connect(wire.url):
            bare = wire._asked
        with closing(Wire(database.url)) as wire, connect(wire.url, uses_iam=False):
            assert wire._asked == bare + statements


def test_our_transactions_see_what_others_have_committed(server_url: str) -> None:
    """The write path decides after it has waited, by a new snapshot."""

    def isolation(connection: psycopg.Connection) -> str:
        with connection.transaction():
            return shows(connection, "transaction_isolation")

    with owned(server_url) as database:
        database.alter("ROLE", {"default_transaction_isolation": "serializable"})
        with closing(Database(lambda: database.url)) as ours:
            assert ours.run(isolation) == "read committed"


def test_an_encoding_in_the_url_changes_nothing(database_url: str) -> None:
    """It is the wire's, not the owner's."""
    url = psycopg.conninfo.make_conninfo(database_url, client_encoding="LATIN1")
    with closing(Database(lambda: url)) as database:
        assert database.run(lambda c: shows(c, "client_encoding")) == "UTF8"
