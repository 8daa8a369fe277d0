"""The schema, the table against the mapping, addresses, and the ledger."""

import psycopg
import pytest

from clerksync.mapping.file import DEFAULT
from clerksync.write.sql_functions import build
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.integration.local.doctor.examining import Doctor
from tests.terminal import clerksync_here

UPSERT, *_ = build(DEFAULT, "public").functions


def test_a_migrated_schema_is_right(doctor: Doctor) -> None:
    """With all migrations, and the functions of this very code."""
    examined = doctor()
    assert examined.one("schema") == ("ok", "It is up to date.")
    assert examined.one("mapping")[0] == "ok"
    assert examined.one("table") == ("ok", "It fits the mapping.")


@pytest.mark.alters_schema
def test_an_empty_database_has_to_be_migrated(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """That is all that is said of the schema; what it has is looked at."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    examined = doctor()
    assert examined.one("schema") == (
        "wrong",
        "The database schema is not up to date: run clerksync migrate.",
    )
    assert examined.level("rights") == "ok"
    assert examined.one("last run") == ("skipped", "Waits for: schema.")
    assert examined.level("emails in table") == "skipped"
    clerksync_here("migrate", cwd=doctor.folder, **doctor.settings)
    assert doctor().code == 0


@pytest.mark.parametrize("name", ["0002_resume.sql", UPSERT.name])
@pytest.mark.alters_schema
def test_what_migrate_has_not_applied_is_missing(
    doctor: Doctor, connection: psycopg.Connection, name: str
) -> None:
    """A migration of newer code, or a function."""
    connection.execute("DELETE FROM clerksync_migrations WHERE name = %s", [name])
    level, message = doctor().one("schema")
    assert level == "wrong"
    assert "run clerksync migrate" in message


@pytest.mark.alters_schema
def test_a_unique_index_that_came_after_the_migration_is_seen(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Until then, the write path does not know who holds such an email."""
    connection.execute("CREATE UNIQUE INDEX ON users (lower(email))")
    level, message = doctor().one("schema")
    assert level == "wrong"
    assert "run clerksync migrate" in message
    clerksync_here("migrate", cwd=doctor.folder, **doctor.settings)
    assert doctor().one("schema") == ("ok", "It is up to date.")


@pytest.mark.alters_schema
def test_a_function_that_was_dropped_is_named_with_the_remedy(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Migrate takes it for applied: what is said helps."""
    connection.execute(f"DROP FUNCTION {UPSERT.name}".encode())
    level, message = doctor().one("schema")
    assert level == "wrong"
    assert message.startswith(f"The function {UPSERT.name} was dropped: DELETE FROM ")
    statement = message.partition(" was dropped: ")[2].partition(";")[0]
    connection.execute(statement.encode())
    clerksync_here("migrate", cwd=doctor.folder, **doctor.settings)
    assert doctor().level("schema") == "ok"


def test_another_default_tier_has_to_be_migrated(doctor: Doctor) -> None:
    """The function that limits rates holds it."""
    level, message = doctor(CLERKSYNC_DEFAULT_TIER="TRIAL").one("schema")
    assert level == "wrong"
    assert "run clerksync migrate" in message


@pytest.mark.alters_schema
def test_a_table_of_tiers_of_another_kind_is_told(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """By its column; rates cannot be limited by it."""
    connection.execute("ALTER TABLE tiers RENAME COLUMN capacity TO size")
    level, message = doctor().one("table")
    assert level == "wrong"
    assert message.startswith('tiers: column "capacity" of ')


@pytest.mark.alters_schema
def test_a_database_ahead_of_the_code_is_a_warning(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Who deployed has newer code than this laptop."""
    connection.execute("INSERT INTO clerksync_migrations VALUES ('9999_later.sql')")
    level, message = doctor().one("schema")
    assert level == "warning"
    assert "ahead of this code, by 9999_later.sql" in message


@pytest.mark.alters_schema
def test_a_table_that_does_not_fit_says_what_to_mend(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """The column is named; the other checks of the table are made."""
    connection.execute("ALTER TABLE users DROP COLUMN image_url")
    examined = doctor()
    level, message = examined.one("table")
    assert level == "wrong"
    assert "image_url" in message
    assert examined.level("emails in table") == "ok"


def test_addresses_that_differ_in_case_only_are_told(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Counted, with a query that shows them; the addresses are not told."""
    assert doctor().level("emails in table") == "ok"
    connection.execute(
        "INSERT INTO users (id, email) VALUES ('user_1', 'noor@example.com'),"
        " ('user_2', 'Noor@example.com'), ('user_3', 'other@example.com')"
    )
    level, message = doctor().one("emails in table")
    assert level == "warning"
    assert message.startswith("1 address is there more than once, but for upper")
    query = message[message.index("SELECT") :]
    ((address, keys),) = connection.execute(query.encode()).fetchall()
    assert (address, sorted(keys)) == ("noor@example.com", ["user_1", "user_2"])


@pytest.mark.alters_schema
def test_addresses_that_are_there_twice_are_wrong(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A unique index cannot be made before they are gone."""
    connection.execute("ALTER TABLE users DROP CONSTRAINT users_email_key")
    connection.execute(
        "INSERT INTO users (id, email)"
        " VALUES ('user_1', 'noor@example.com'), ('user_2', 'noor@example.com')"
    )
    examined = doctor()
    assert examined.wrong == {"table", "emails in table"}
    told = "1 address is there more than once: let each have one row."
    assert examined.one("emails in table")[1].startswith(told)


def test_the_table_belongs_to_one_instance(doctor: Doctor, stub: StubClerk) -> None:
    """A key of another one, and the ids of both."""
    assert doctor().level("owner") == "ok"
    clerksync_here("sync", cwd=doctor.folder, **doctor.settings)
    assert doctor().level("owner") == "ok"
    with StubClerk(seed=2) as other:
        examined = doctor(
            CLERK_SECRET_KEY=other.secret_key,
            CLERK_API_URL=other.url,
            CLERK_ISSUER=other.issuer,
        )
    assert examined.wrong == {"owner"}
    message = examined.one("owner")[1]
    assert stub.instance_id in message
    assert other.instance_id in message


def test_the_last_run_is_told(
    doctor: Doctor, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """None, one that failed with its reason, one that completed, one long ago."""
    level, message = doctor().one("last run")
    assert (level, message.split(":")[0]) == ("warning", "There was none")
    stub.fail_next(1, path="/v1/users", fault=Fault(status=400))
    clerksync_here("sync", cwd=doctor.folder, **doctor.settings)
    level, message = doctor().one("last run")
    assert level == "warning"
    assert "ended failed. Clerk answered 400" in message
    clerksync_here("sync", "--dry-run", cwd=doctor.folder, **doctor.settings)
    assert "ended failed." in doctor().one("last run")[1]
    clerksync_here("sync", cwd=doctor.folder, **doctor.settings)
    assert doctor().level("last run") == "ok"
    connection.execute("UPDATE sync_runs SET started_at = now() - interval '3 days'")
    connection.execute("DELETE FROM sync_runs WHERE status = 'failed'")
    level, message = doctor().one("last run")
    assert level == "warning"
    assert message.startswith("It was 3 days ago (full), and completed.")


def test_a_run_in_progress_is_told_as_such(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Whether it was killed, no check can tell."""
    connection.execute("INSERT INTO sync_runs (mode, dry_run) VALUES ('full', false)")
    level, message = doctor().one("last run")
    assert level == "ok"
    assert "(full) and runs, as far as the ledger knows" in message
