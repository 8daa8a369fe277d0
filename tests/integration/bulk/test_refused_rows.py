"""Rows that the application's own rules refuse, in the middle of a run."""

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows

pytestmark = pytest.mark.alters_schema


def trigger(connection: psycopg.Connection, when: str, body: str) -> None:
    """On each row of `users`."""
    connection.execute(
        f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;"
        f"CREATE TRIGGER t {when} ON users FOR EACH ROW EXECUTE FUNCTION t()".encode()
    )


@pytest.mark.parametrize("does", ["RAISE sqlstate 'PT402'", "RETURN NULL"])
def test_a_run_writes_all_others_and_names_who_was_refused(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, does: str
) -> None:
    """Partial, with the IDs and the reasons in the report; and so is the next run."""
    banned = stub.create_user(email="x@banned.example.com")["id"]
    condition = "NEW.email LIKE '%@banned.example.com'"
    body = f"IF {condition} THEN {does}; END IF; RETURN NEW;"
    trigger(connection, "BEFORE INSERT", body)
    for _ in range(2):
        report = bulk()
        assert (report.status, report.failed) == ("partial", 1)
        (failure,) = report.failures
        assert failure.startswith(f"{banned}: ")
        assert rows(connection).keys() == shown(stub) - {banned}
    assert report.unchanged == len(shown(stub)) - 1


def test_a_report_names_the_first_twenty_who_were_refused(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """All are counted."""
    for number in range(25):
        stub.create_user(email=f"x{number}@banned.example.com")
    connection.execute(
        "ALTER TABLE users ADD CONSTRAINT allowed CHECK (email NOT LIKE '%banned%')"
    )
    report = bulk()
    assert (report.failed, len(report.failures)) == (25, 20)
    assert all(line.endswith("(users.allowed)") for line in report.failures)
    assert report.as_json()["failures"] == report.failures


@pytest.mark.parametrize("does", ["RAISE sqlstate 'PT402'", "RETURN NULL"])
def test_an_orphan_that_a_trigger_keeps_does_not_keep_the_others(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, does: str
) -> None:
    """It has no tombstone, and the run is not completed."""
    bulk()
    first, kept, last = sorted(shown(stub))[:3]
    condition = f"OLD.id = '{kept}'"
    trigger(
        connection, "BEFORE DELETE", f"IF {condition} THEN {does}; END IF; RETURN OLD;"
    )
    for clerk_id in (first, kept, last):
        stub.delete_user(clerk_id)
    report = bulk()
    assert (report.deleted, report.deletions_blocked) == (2, 1)
    assert report.status == "partial"
    assert "trigger" in str(report.reason)
    assert rows(connection).keys() == shown(stub) | {kept}
    assert rows(connection, "sync_state")[kept]["deleted_at"] is None


@pytest.mark.parametrize(
    ("does", "why"),
    [("RAISE sqlstate 'PT402'", "SQLSTATE PT402"), ("RETURN NULL", "swallowed")],
)
def test_a_companion_that_is_refused_costs_that_row_only(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, does: str, why: str
) -> None:
    """The run names the user, and is not completed."""
    bulk()
    refused, *_ = sorted(shown(stub))
    connection.execute("DELETE FROM rate_limits")
    connection.execute(
        "CREATE FUNCTION r() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        f" IF NEW.user_id = '{refused}' THEN {does}; END IF; RETURN NEW; END$$;"
        " CREATE TRIGGER r BEFORE INSERT ON rate_limits FOR EACH ROW"
        " EXECUTE FUNCTION r()".encode()
    )
    report = bulk()
    assert (report.status, report.companions_failed) == ("partial", 1)
    (failure,) = report.failures
    assert failure.startswith(f"{refused}: rate_limits: ")
    assert why in failure
    buckets = rows(connection, "rate_limits").keys()
    assert buckets == shown(stub) - {refused}
