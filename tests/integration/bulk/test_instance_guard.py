"""The table is of one Clerk instance: keys of another are refused."""

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.people import a_user, shown
from tests.tables import emails, rows


@pytest.mark.usefixtures("stub")
def test_a_key_of_another_instance_is_refused_unless_forced(
    bulk: Bulk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger remembers whose users the table holds, and after force, the new."""
    bulk()
    before = rows(connection)
    with StubClerk(users=3, seed=99) as other:
        ask_this_clerk(monkeypatch, other)
        report = bulk()
        assert (report.status, report.fetched) == ("refused", 0)
        assert rows(connection) == before
        assert bulk("user", user_id=other.ids()[0]).status == "refused"
        assert bulk("incremental", force=True).status == "completed"
        assert bulk().status == "refused", "too many orphans, but the instance is known"


@pytest.mark.usefixtures("stub")
def test_the_watermark_of_one_instance_means_nothing_to_another(
    bulk: Bulk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first incremental run of a new instance reads everything."""
    bulk()
    with StubClerk(users=600, seed=99) as other:
        ask_this_clerk(monkeypatch, other)
        assert bulk("incremental", force=True).fetched == 600
        assert shown(other) <= rows(connection).keys()


@pytest.mark.usefixtures("stub")
def test_an_instance_named_in_the_settings_must_be_the_keys(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on the very first run."""
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", "ins_another")
    assert bulk().status == "refused"


def test_an_email_that_a_foreign_user_took_returns_in_the_run_that_deletes_that_user(
    stub: StubClerk, bulk: Bulk, connection: psycopg.Connection
) -> None:
    """Its rightful owner is written again after the sweep."""
    bulk()
    owner = min(shown(stub))
    email = rows(connection)[owner]["email"]
    foreign = a_user(1, version=10**12, email=email)
    bulk.users.upsert(foreign)
    connection.execute(
        "UPDATE sync_state SET synced_at = now() - interval '1 hour'; "
        "UPDATE users SET created_at = now() - interval '1 hour'"
    )
    assert emails(connection)[owner] is None
    report = bulk()
    assert (report.status, report.deleted, report.orphans_found) == ("completed", 1, 1)
    assert emails(connection)[owner] == email
    assert foreign.id not in rows(connection)
    again = bulk()
    assert (again.updated, again.email_conflicts) == (0, 0)
