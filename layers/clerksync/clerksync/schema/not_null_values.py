"""Which constant suits a new row, for a column that nothing else fills."""

import re
from typing import Final

import psycopg
from psycopg import sql

from clerksync.mapping.table import Constant
from clerksync.schema.catalog import FoundColumn

ACTIVE: Final = ("isactive", "active", "enabled", "isenabled")
PASSWORD: Final = (
    *("password", "passwordhash", "hashedpassword", "encryptedpassword"),
    *("passworddigest", "passwd", "pwhash"),
)
TEXTS: Final = frozenset({"text", "character varying", "character", "citext"})
NUMBERS: Final = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
)
# Of an enum: the labels that suit a new user.
_PREFERRED: Final = (
    *("user", "member", "free", "basic", "standard", "default", "customer"),
    *("active", "none", "guest", "viewer"),
)
# For these, false is no guess: a person who signs up is none of them.
_SURELY_FALSE: Final = frozenset(
    {"issuperuser", "isstaff", "isadmin", "superuser", "staff", "admin"}
    | {"isdeleted", "deleted", "isbanned", "isblocked", "suspended", "disabled"}
)
_EMPTY: Final = {"jsonb": "{}", "json": "{}"}


def plain(name: str) -> str:
    """Return a name in lower case, without underscores and other signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def constant_for(
    connection: psycopg.Connection, found: FoundColumn
) -> tuple[Constant | None, bool]:
    """Return a constant that a new row can have, and whether it is certain to be meant.

    It satisfies the column's type and each CHECK of this column alone. None if no
    constant can be guessed: the column is unique or a foreign key, or its type or a
    CHECK says no to what is usual.
    """
    if found.unique_alone or found.leads_to is not None:
        return None, False
    constants, is_certain = _usual(found)
    fitting = (c for c in constants if _satisfies(connection, found, c))
    constant = next(fitting, None)
    return constant, is_certain and constant is not None


def _usual(found: FoundColumn) -> tuple[list[Constant], bool]:
    """Return the constants to try, and whether they are certain."""
    if found.allowed:
        by_plain = {plain(label): label for label in reversed(found.allowed)}
        likely = [by_plain[p] for p in _PREFERRED if p in by_plain]
        return [*likely, *found.allowed], False
    name, type_ = plain(found.name), found.base_type
    if type_ == "boolean":
        return [name in ACTIVE], name in {*ACTIVE, *_SURELY_FALSE}
    if type_ in NUMBERS:
        return [0, 1], False
    if type_ in TEXTS:
        return (["!"], True) if name in PASSWORD else ([""], False)
    if type_.endswith("[]"):
        return ["{}"], True
    return ([_EMPTY[type_]], False) if type_ in _EMPTY else ([], False)


def _satisfies(
    connection: psycopg.Connection, found: FoundColumn, constant: Constant
) -> bool:
    """Whether the type, a domain's rules included, and each CHECK take a constant."""
    name = sql.Identifier(found.name).as_string()
    value = sql.Literal(constant).as_string(connection)
    # The type and the conditions come from the catalog, quoted where they have to be.
    results = ", ".join([f"{name} IS NOT NULL", *found.checks])
    row = f"(SELECT CAST({value} AS {found.type}) AS {name}) AS _"
    query = f"SELECT {results} FROM {row}"
    try:
        with connection.transaction():
            values = connection.execute(query.encode()).fetchone() or ()
    except psycopg.Error:
        return False
    return False not in values
