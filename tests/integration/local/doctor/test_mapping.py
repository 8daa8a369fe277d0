"""A table that an application has already, examined before and after it is used."""

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.applications import TABLES
from tests.integration.local.doctor.examining import Doctor
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema

PRESETS = [name for name in TABLES if name != "default"]


@pytest.fixture(params=PRESETS)
def preset(
    request: pytest.FixtureRequest, doctor: Doctor, connection: psycopg.Connection
) -> str:
    """The application's own tables, and nothing of clerksync."""
    name = str(request.param)
    use(name, doctor, connection)
    return name


def use(preset: str, doctor: Doctor, connection: psycopg.Connection) -> None:
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(TABLES[preset].encode())
    doctor.settings["CLERKSYNC_MAPPING"] = preset
    if preset == "prisma":
        doctor.settings["CLERKSYNC_SCHEMA"] = "clerksync"


def command(doctor: Doctor, *arguments: str) -> str:
    done = clerksync_here(*arguments, cwd=doctor.folder, **doctor.settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_preset_is_examined_from_its_first_day_on(
    doctor: Doctor, preset: str, stub: StubClerk
) -> None:
    """The table fits before it is migrated; then all is right, and it is counted."""
    before = doctor()
    assert before.wrong == {"schema"}
    assert before.one("mapping") == (
        "ok",
        f'By the mapping {preset}, users go to "public"."users".',
    )
    command(doctor, "migrate")
    assert doctor().wrong == set()
    command(doctor, "sync")
    after = doctor()
    assert (after.code, after.level("last run")) == (0, "ok")
    status: dict[str, Any] = json.loads(command(doctor, "status", "--json"))
    assert status["users"] + status["skipped"].get("no email", 0) == stub.count
    assert (status["drift"], status["other_keys"], status["never_synced"]) == (0, 0, 0)


def test_a_table_that_does_not_fit_is_told_with_the_line_of_the_mapping(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """One finding for each thing that is wrong."""
    use("prisma", doctor, connection)
    connection.execute(
        'ALTER TABLE users DROP COLUMN "imageUrl", ADD COLUMN age integer NOT NULL'
    )
    found = doctor().of("table")
    assert [level for level, _ in found] == ["wrong", "wrong"]
    missing, strict = (message for _, message in found)
    assert missing.startswith('users: column "imageUrl" does not exist. Create it')
    assert ", or line " in missing
    assert missing.endswith(" of the mapping prisma.")
    assert strict.startswith('users: column "age" is NOT NULL and has no default.')
    assert "in [defaults]: age = 0. " in strict


@pytest.mark.parametrize("name", ["sync", "status", "link"])
def test_a_column_that_was_misspelt_after_migrating_is_named_with_its_line(
    doctor: Doctor, connection: psycopg.Connection, name: str
) -> None:
    """Not only that the schema is outdated: migrate would refuse it, too."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute("CREATE TABLE staff (clerk text UNIQUE, email text UNIQUE)")
    file = doctor.folder / "staff.toml"
    text = '[table]\nname = "staff"\nkey = "clerk"\n[columns]\nemail = "email"\n'
    file.write_text(text)
    doctor.settings["CLERKSYNC_MAPPING"] = str(file)
    command(doctor, "migrate")
    # A file is read once per process, and this one runs the commands.
    file = file.with_name("misspelt.toml")
    file.write_text(text.replace('"clerk"', '"clerc"'))
    doctor.settings["CLERKSYNC_MAPPING"] = str(file)
    done = clerksync_here(name, cwd=doctor.folder, **doctor.settings)
    assert done.returncode == 1
    assert f"The mapping {file} does not fit its table." in done.stderr
    assert 'line 3: staff: column "clerc" does not exist.' in done.stderr
    assert "write clerk instead" in done.stderr


def test_a_view_in_the_place_of_the_table_is_told(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Migrate would refuse it."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute("CREATE VIEW users AS SELECT 'user_1' AS id, 'x' AS email")
    level, message = doctor().of("table")[0]
    assert level == "wrong"
    assert "is a view or no table at all" in message


def test_a_mapping_that_is_none_is_told_and_the_tables_wait(doctor: Doctor) -> None:
    """By its own check only."""
    examined = doctor(CLERKSYNC_MAPPING="correct-horse")
    assert examined.wrong == {"mapping"}
    message = examined.one("mapping")[1]
    assert message.startswith("CLERKSYNC_MAPPING names no mapping that can be read.")
    for check in ("rights", "schema", "table", "foreign keys", "emails in table"):
        assert examined.one(check) == ("skipped", "Waits for: mapping.")


def test_a_file_that_cannot_be_parsed_is_told_with_its_line(
    doctor: Doctor, tmp_path: Path
) -> None:
    """As migrate would tell it."""
    file = tmp_path / "table.toml"
    file.write_text('[table]\nname = "users"\nkeys = "id"\n')
    level, message = doctor(CLERKSYNC_MAPPING=str(file)).one("mapping")
    assert level == "wrong"
    assert "line 3" in message


def test_addresses_may_be_there_twice_where_the_mapping_allows_it(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """They are counted all the same."""
    use("avatar", doctor, connection)
    connection.execute(
        "INSERT INTO users (email) VALUES ('a@b.test'), ('a@b.test'), ('c@d.test')"
    )
    told = "By the mapping they may be there twice; 1 is."
    assert doctor().one("emails in table") == ("ok", told)


def test_who_gets_no_row_by_the_mapping_is_not_told_to_change_a_setting(
    doctor: Doctor, connection: psycopg.Connection, stub: StubClerk
) -> None:
    """Where no row may be without an email, CLERKSYNC_REQUIRE_EMAIL changes nothing."""
    use("prisma", doctor, connection)
    stub.update_user(stub.ids()[0], email=None, notify=False)
    level, message = doctor().one("emails at Clerk")
    assert level == "warning"
    assert "By the mapping, no row can be without one" in message
    assert "CLERKSYNC_REQUIRE_EMAIL" not in message


def test_a_table_that_another_mapping_made_is_told(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Somebody migrated before the mapping was named: the code is none the older."""
    use("prisma", doctor, connection)
    mapping = doctor.settings.pop("CLERKSYNC_MAPPING")
    command(doctor, "migrate")
    doctor.settings["CLERKSYNC_MAPPING"] = mapping
    command(doctor, "migrate")
    fine, left = doctor().of("schema")
    assert fine == ("ok", "It is up to date.")
    assert left[0] == "warning"
    assert left[1].startswith('"clerksync"."users" was made for the mapping default')


def test_nobody_is_told_to_drop_a_table_that_a_second_deployment_writes(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """One with the mapping default, in the same schema."""
    use("prisma", doctor, connection)
    mapping = doctor.settings.pop("CLERKSYNC_MAPPING")
    command(doctor, "migrate")
    doctor.settings["CLERKSYNC_MAPPING"] = mapping
    command(doctor, "migrate")
    connection.execute("INSERT INTO clerksync.users (id) VALUES ('user_1')")
    _, (level, message) = doctor().of("schema")
    assert level == "warning"
    assert "drop" not in message.lower()
    assert "set CLERKSYNC_SCHEMA to a schema of its own" in message
