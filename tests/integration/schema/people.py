"""A table of people with credits, the mapping that fits it, and what is said if not."""

import psycopg
import pytest

from clerksync.errors import TableMisfitError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate

MAPPING = """\
[table]
name = "people"
key = "clerk"
id = { column = "id", generate = "uuid4" }
updated_at = "changed"

[columns]
mail = "email"
full = "name"
meta = "public_metadata"
plan = { from = "public_metadata.plan", or = "none" }

[defaults]
role = "member"

[[companions]]
table = "credits"
key = "person"
references = "id"
values = { amount = 0 }
"""
TABLES = """
    CREATE TABLE people (
        id uuid PRIMARY KEY, clerk varchar(255) UNIQUE, mail varchar(255) UNIQUE,
        "full" text, meta jsonb NOT NULL, plan text NOT NULL, role text NOT NULL,
        changed timestamp NOT NULL, note text
    );
    CREATE TABLE credits (person uuid REFERENCES people, amount int NOT NULL);
"""


def make_tables(connection: psycopg.Connection) -> None:
    """In a schema `ours`, which the connection then looks at first."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute("CREATE SCHEMA ours; SET search_path TO ours")
    connection.execute(TABLES.encode())


def refusal(database: Database, mapping: str = MAPPING) -> str:
    with pytest.raises(TableMisfitError) as refused:
        migrate(database, schema="ours", mapping=parse(mapping, name="mine"))
    return str(refused.value)
