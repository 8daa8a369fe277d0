"""Users as Clerk has them beside users as the table has them."""

from datetime import UTC, datetime
from typing import Any

import psycopg

from clerksync.clerk.user import ClerkUser, parse_user
from clerksync.mapping.values import reader_of
from local.page.tables import USERS_SHOWN, Row, Tables
from local.stub_clerk.stub import StubClerk

_NO_ROW = Row(None, None, None, None, None)


def beside_each_other(
    connection: psycopg.Connection,
    tables: Tables,
    stub: StubClerk | None,
    search: str,
) -> list[dict[str, Any]]:
    """Who is found, or else who changed last; the newest change first.

    Without a stub there is only the table: Clerk is not asked for each look at it.
    """
    model = tables.mapping.user_model
    known = {} if stub is None else _at_clerk(stub, search, model)
    rows = tables.rows(connection, list(known), search)
    if stub is not None:
        for clerk_id in rows.keys() - known.keys():
            if (user := _of_stub(stub, clerk_id, model)) is not None:
                known[clerk_id] = user
    both = {i: (known.get(i), rows.get(i, _NO_ROW)) for i in known.keys() | rows.keys()}
    newest = sorted(both, key=lambda i: (-_last_change(*both[i]), i))[:USERS_SHOWN]
    is_known = stub is not None
    return [_shown(tables, i, *both[i], clerk_is_known=is_known) for i in newest]


def compared(tables: Tables, user: ClerkUser | None, row: Row) -> list[dict[str, Any]]:
    """Each column that sync fills, with both values; None where there is none.

    What else is in the row comes after, from the table alone.
    """
    mapping = tables.mapping
    values = reader_of(mapping)(user)[2:] if user else [None] * len(mapping.columns)
    columns = dict(row.columns or {})
    for name in (mapping.created_at, mapping.updated_at, mapping.deleted_at):
        if name and columns.get(name):
            columns[name] = _moment(_milliseconds(columns[name]))
    fields = [
        _field("version", user and _moment(user.updated_at), _moment(row.version))
    ]
    for column, value in zip(mapping.columns, values, strict=True):
        stored = columns.pop(column.name, None)
        if column.type == "timestamp":
            moment = stored and _moment(_milliseconds(stored))
            fields.append(_field(column.name, _moment(value), moment))
        else:
            written = column.otherwise if user and value is None else value
            fields.append(_field(column.name, written, stored))
    columns.pop(mapping.key, None)
    own = [_field(name, None, value) for name, value in columns.items()]
    return fields + [field | {"own": True} for field in own]


def _at_clerk(
    stub: StubClerk, search: str, model: type[ClerkUser]
) -> dict[str, ClerkUser]:
    found: dict[str, ClerkUser] = {}
    wanted = search.lower()
    with stub.users.lock:
        for _, clerk_id in reversed(stub.users.by_updated_at):
            user = parse_user(stub.get_user(clerk_id), model)
            if wanted in " ".join([user.id, user.email or "", user.name or ""]).lower():
                found[clerk_id] = user
                if len(found) == USERS_SHOWN:
                    break
    return found


def _of_stub(
    stub: StubClerk, clerk_id: str, model: type[ClerkUser]
) -> ClerkUser | None:
    with stub.users.lock:
        known = clerk_id in stub.users
        return parse_user(stub.get_user(clerk_id), model) if known else None


def _last_change(user: ClerkUser | None, row: Row) -> int:
    return max(user.updated_at if user else 0, row.version or 0, row.deleted_at or 0)


def _shown(
    tables: Tables,
    clerk_id: str,
    user: ClerkUser | None,
    row: Row,
    clerk_is_known: bool,
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "key": clerk_id,
        "standing": _standing(tables, user, row, clerk_is_known=clerk_is_known),
        "version": row.version,
        "deleted_at": row.deleted_at,
        "skipped": row.skipped,
        "row": None,
        "differs": [],
    }
    if user is not None:
        shown["clerk"] = {
            "name": user.name,
            "email": user.email,
            "version": user.updated_at,
        }
    if row.columns is not None:
        columns, mapping = row.columns, tables.mapping
        shown["row"] = {
            "name": tables.name_in(columns),
            "email": columns.get(mapping.email),
            "tier": columns.get(mapping.tier) if mapping.tier else None,
            "bucket": _bucket(row.bucket),
        }
        shown["differs"] = _differing(tables, user, row) if user else []
    return shown


def _differing(tables: Tables, user: ClerkUser, row: Row) -> list[str]:
    """What the row has otherwise than Clerk: a name only where it is a column."""
    columns = row.columns or {}
    differing = {
        "version": user.updated_at != row.version,
        "email": columns.get(tables.mapping.email) != user.email,
        "name": any(columns.get(c) != user.name for c in tables.columns_of("name")),
    }
    return [name for name, differs in differing.items() if differs]


def _standing(
    tables: Tables, user: ClerkUser | None, row: Row, *, clerk_is_known: bool
) -> str:
    if row.columns is None:
        return _why_no_row(user, row)
    if not clerk_is_known:
        return "not synced" if row.version is None else "synced"
    if user is None:
        return "orphan"
    if user.updated_at != row.version:
        return "behind"
    lost = row.columns.get(tables.mapping.email) != user.email
    return "email lost" if lost else "in step"


def _why_no_row(user: ClerkUser | None, row: Row) -> str:
    if row.deleted_at is not None:
        return "deleted"
    if row.skipped is not None:
        return "skipped"
    return "gone" if user is None else "no row"


def _bucket(bucket: dict[str, Any] | None) -> str | None:
    if bucket is None:
        return None
    tokens = bucket.get("tokens")
    return "full" if tokens is None else f"{tokens:.0f}"


def _field(name: str, clerk: Any, table: Any) -> dict[str, Any]:
    return {"name": name, "clerk": clerk, "table": table}


def _moment(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    return moment.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    # A timestamp without a time zone is in UTC, as sync writes it.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
