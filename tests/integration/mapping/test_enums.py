"""Columns whose type only the table knows: enums."""

import psycopg
import pytest

from clerksync.errors import TableMisfitError
from tests.integration.mapping.people import Make, people
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

COLUMNS = "clerk text UNIQUE, mail text UNIQUE, plan plan NOT NULL"
VALUES = '{ FREE = "free", PRO = "pro" }'


@pytest.fixture(autouse=True)
def plan(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TYPE plan AS ENUM ('free', 'pro', 'Very Special')")


def _plans(connection: psycopg.Connection) -> list[str]:
    return [row[1] for _, row in sorted(people(connection).items(), key=str)]


def test_a_source_fills_an_enum(table_of: Make, connection: psycopg.Connection) -> None:
    """What it has no value for counts as nothing; a list is of what stays as it is."""
    users = table_of(
        COLUMNS,
        mapped='plan = { from = "public_metadata.plan", or = "free",'
        ' values = ["free", "pro", "Very Special"] }',
    )
    users.upsert_many(
        [
            a_user(1, public_metadata={"plan": "pro"}),
            a_user(2, public_metadata={"plan": "nonsense"}),
            a_user(3),
        ]
    )
    assert _plans(connection) == ["pro", "free", "free"]
    assert users.upsert(a_user(3)).action == "unchanged"
    special = a_user(3, version=1, public_metadata={"plan": "Very Special"})
    assert users.upsert(special).action == "updated"
    assert users.upsert_many([special]).unchanged == 1
    assert _plans(connection) == ["pro", "free", "Very Special"]
    found = users.find(user_id(3))
    assert found is not None
    assert found["plan"] == "Very Special"


def test_values_are_replaced_by_labels(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Those of a boolean too, and `*` is for all others."""
    users = table_of(
        COLUMNS,
        mapped='plan = { from = "banned", or = "free",'
        ' values = { true = "Very Special", "*" = "pro" } }',
    )
    users.upsert_many([a_user(1, banned=True), a_user(2), a_user(3, banned=None)])
    assert _plans(connection) == ["Very Special", "pro", "free"]


def test_the_tier_is_an_enum(table_of: Make, connection: psycopg.Connection) -> None:
    """Of a new user the default, and then what metadata say, if there is a label."""
    users = table_of(
        COLUMNS,
        table=f'tier = {{ column = "plan", values = {VALUES} }}',
        default_tier="free",
        tier_metadata_key="plan",
    )
    users.upsert_many([a_user(1), a_user(2, public_metadata={"plan": "PRO"})])
    assert _plans(connection) == ["free", "pro"]
    pro = a_user(1, version=1, public_metadata={"plan": "PRO"})
    assert users.upsert(pro).action == "updated"
    assert users.upsert(pro).action == "unchanged"
    odd = a_user(1, version=2, public_metadata={"plan": "GOLD"})
    assert users.upsert(odd).action == "unchanged"
    assert _plans(connection) == ["pro", "pro"]


def test_an_enum_can_be_replaced_as_orms_do(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """By a new type of the same name: no function depends on the old one."""
    users = table_of(
        COLUMNS,
        mapped='plan = { from = "public_metadata.plan", or = "free",'
        ' values = ["free", "pro"] }',
    )
    users.upsert(a_user(1))
    connection.execute(
        "ALTER TYPE plan RENAME TO old_plan; CREATE TYPE plan AS ENUM ('free', 'pro');"
        "ALTER TABLE people ALTER plan TYPE plan USING plan::text::plan;"
        "DROP TYPE old_plan"
    )
    pro = a_user(1, version=1, public_metadata={"plan": "pro"})
    assert users.upsert(pro).action == "updated"
    assert users.upsert_many([a_user(2)]).created == 1
    assert _plans(connection) == ["pro", "free"]


@pytest.mark.parametrize(
    ("table", "mapped", "line"),
    [
        (
            "",
            'plan = "locale"',
            'plan = { from = "locale", values = ["free", "pro", "Very Special"] }',
        ),
        (
            "",
            'plan = "banned"',
            'plan = { from = "banned", values = { true = "free", false = ',
        ),
        ("", 'plan = "last_sign_in_at"', "is an enum: remove the line"),
        (
            "",
            'plan = { from = "locale", or = "free", values = { de = "german" } }',
            'with the values "free", "pro", "Very Special"',
        ),
        (
            "",
            'plan = { from = "locale", or = "no", values = { de = "pro" } }',
            'does not take "no". Write, for example, "free"',
        ),
        (
            'tier = "plan"',
            "",
            'tier = { column = "plan", values = ["free", "pro", "Very Special"] }',
        ),
        (
            'tier = { column = "plan", values = ["basic"] }',
            "",
            'does not take "basic"',
        ),
        (
            'tier = { column = "plan", values = ["free", "pro"] }',
            "",
            'or add to its values FREE = "free"',
        ),
        ("", "", 'in [defaults]: plan = "free"'),
    ],
)
def test_a_label_that_is_missing_is_refused_before_anything_is_written(
    table_of: Make, table: str, mapped: str, line: str
) -> None:
    """With the line to write."""
    with pytest.raises(TableMisfitError) as refused:
        table_of(COLUMNS, table=table, mapped=mapped)
    assert line in str(refused.value)


@pytest.mark.parametrize(
    "rule", ["NOT NULL", "CHECK (VALUE IS NOT NULL)"], ids=["not null", "check"]
)
def test_a_domain_that_is_not_null_elsewhere_in_the_table_is_reported(
    table_of: Make, connection: psycopg.Connection, rule: str
) -> None:
    """At its own column. Postgres then gives a text no type by the table."""
    connection.execute(f"CREATE DOMAIN filled AS text DEFAULT 'x' {rule}".encode())
    with pytest.raises(TableMisfitError) as refused:
        table_of(
            f"{COLUMNS}, note filled DEFAULT 'x'",
            mapped='plan = { from = "locale", or = "free", values = ["free"] }',
        )
    said = str(refused.value)
    assert 'column "note" is of the domain' in said
    assert 'cannot give "plan" the type of its column' in said
    assert 'column "plan" does not take' not in said
