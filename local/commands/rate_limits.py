"""`tier` and `rate-limit`."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated, Final

import typer
from psycopg import sql
from rich.console import Console
from rich.table import Table

from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.rate_limits import Decision, consume
from clerksync.write.user_table import UserTable
from local.commands.context import (
    ClerkId,
    check_id,
    database,
    err,
    fail,
    out,
    say,
    stack,
)

_MOST_CONNECTIONS: Final = 16
_WIDEST_PICTURE: Final = 60

_TIER: Final = """
    SELECT {tier} FROM {users} AS u WHERE u.{key} = %s AND {live}
"""
_TOMBSTONE: Final = """
    SELECT FROM {sync_state} WHERE clerk_id = %s AND deleted_at IS NOT NULL
"""
_SET_TIER: Final = """
    UPDATE {users} AS u SET {tier} = %s WHERE u.{key} = %s AND {live}
"""
_LIMITS: Final = "SELECT capacity, refill_per_second FROM {tiers} WHERE name = %s"
_TIERS: Final = "SELECT name FROM {tiers} ORDER BY capacity, name"


def tier(
    clerk_id: ClerkId,
    name: Annotated[
        str | None, typer.Argument(metavar="TIER", help="The new one, such as PRO.")
    ] = None,
) -> None:
    """Show the tier of a user, or set it."""
    check_id(clerk_id)
    with stack() as settings, database(settings) as opened:
        if name is not None:
            check_tier(opened, settings, name)
            set_tier(out, opened, settings, clerk_id, name)
            return
        check_mapping(settings, tier=True)
        current = _tier_of(opened, settings, clerk_id)
        if current is None:
            fail(f"{clerk_id} is not in the table: run clerksync sync-user {clerk_id}.")
        say(out, f"{clerk_id}: {_described(opened, settings, current)}")


def rate_limit(
    clerk_id: ClerkId,
    *,
    burst: Annotated[
        int, typer.Option(min=1, max=10_000, help="How many attempts at once.")
    ] = 20,
    cost: Annotated[float, typer.Option(help="Tokens that each attempt takes.")] = 1,
) -> None:
    """Take from a user's bucket, many times at once, and show what was allowed.

    It is the user's real bucket: what is taken here, the application does not get.
    """
    check_id(clerk_id)
    if not cost > 0:
        raise typer.BadParameter("--cost must be a number above 0")
    with stack() as settings, database(settings) as opened:
        check_mapping(settings)
        told = _told(opened, settings, clerk_id)
        decisions = _burst(settings, clerk_id, burst, cost)
    say(out, told)
    _show(out, decisions)


def check_mapping(settings: Settings, *, tier: bool = False) -> None:
    """Exit with 1 where the target table has no rate limits, or no tiers."""
    mapping = settings.mapping
    if not mapping.rate_limits:
        fail(
            f"Mapping {mapping.name} has no rate limits: say rate_limits = true in its "
            "[table], if it is a preset in a copy of it (docs/mapping.md)."
        )
    if tier and mapping.tier is None:
        fail(
            f"Mapping {mapping.name} names no tier column, and all have the default "
            'tier: say tier = "…" in its [table] (docs/mapping.md).'
        )


def check_tier(opened: Database, settings: Settings, name: str) -> None:
    """Exit with 1 for a tier that there is none of, naming those that there are."""
    check_mapping(settings, tier=True)
    query = sql.SQL(_TIERS).format(tiers=sql.Identifier(settings.schema, "tiers"))
    known = opened.run(
        lambda connection: [str(row[0]) for row in connection.execute(query)]
    )
    if name not in known:
        fail(
            f"There is no tier {name}. There are {', '.join(known)}; a further one is "
            "a row of the table tiers."
        )


def set_tier(
    console: Console, opened: Database, settings: Settings, clerk_id: str, name: str
) -> None:
    """Set a tier that was checked. Exit with 1 for a user without a row."""
    before = _tier_of(opened, settings, clerk_id)
    if before is None:
        fail(
            f"{clerk_id} is not in the table, and got no tier. If Clerk knows that id, "
            f"clerksync sync-user {clerk_id} --tier {name} makes the row."
        )
    if before != name:
        names = UserTable.from_settings(opened, settings).names
        query = sql.SQL(_SET_TIER).format(**names)
        opened.run(lambda connection: connection.execute(query, [name, clerk_id]))
    say(console, f"{clerk_id}: {before} → {name}")
    if settings.tier_metadata_key is not None:
        say(
            err,
            "CLERKSYNC_TIER_METADATA_KEY is set: the next sync overwrites the tier "
            "with what the user's public_metadata says.",
        )


def _tier_of(opened: Database, settings: Settings, clerk_id: str) -> str | None:
    """None for a user without a row. Without a tier column, all have the default."""
    default: dict[str, sql.Composable] = {"tier": sql.Literal(settings.default_tier)}
    names = default | UserTable.from_settings(opened, settings).names
    query = sql.SQL(_TIER).format(**names)
    row = opened.run(
        lambda connection: connection.execute(query, [clerk_id]).fetchone()
    )
    return None if row is None else row[0] or "no tier"


def _told(opened: Database, settings: Settings, clerk_id: str) -> str:
    """By what the attempts of a user are judged."""
    own = _tier_of(opened, settings, clerk_id)
    if own is not None:
        return f"{clerk_id}: {_described(opened, settings, own)}"
    names = UserTable.from_settings(opened, settings).names
    query = sql.SQL(_TOMBSTONE).format(**names)
    row = opened.run(
        lambda connection: connection.execute(query, [clerk_id]).fetchone()
    )
    if row is not None:
        return f"{clerk_id} was deleted: nothing is allowed."
    default = _described(opened, settings, settings.default_tier)
    return f"{clerk_id} is not in the table, and so not counted: {default}"


def _described(opened: Database, settings: Settings, name: str) -> str:
    query = sql.SQL(_LIMITS).format(tiers=sql.Identifier(settings.schema, "tiers"))
    row = opened.run(lambda connection: connection.execute(query, [name]).fetchone())
    if row is None:
        default = settings.default_tier
        return f"{name}, which is not in the table tiers: the limits of {default} hold"
    capacity, refill = row
    return f"{name}, {capacity:g} tokens at most, {refill:g} back each second"


def _burst(
    settings: Settings, clerk_id: str, attempts: int, cost: float
) -> list[Decision]:
    """All attempts, over several connections, which are there before the first one."""
    with ExitStack() as open_ones:
        opened = [
            open_ones.enter_context(database(settings))
            for _ in range(min(attempts, _MOST_CONNECTIONS))
        ]
        for one in opened:
            one.run(lambda connection: connection.execute("SELECT"))

        def attempt(first: int) -> list[Decision]:
            return [
                consume(opened[first], clerk_id, cost, schema=settings.schema)
                for _ in range(first, attempts, len(opened))
            ]

        with ThreadPoolExecutor(len(opened)) as pool:
            return [d for part in pool.map(attempt, range(len(opened))) for d in part]


def _show(console: Console, decisions: Sequence[Decision]) -> None:
    allowed = [d for d in decisions if d.allowed]
    refused = [d for d in decisions if not d.allowed]
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column()
    for heading in ("attempts", "remaining", "retry after"):
        table.add_column(heading, justify="right")
    table.add_row("allowed", str(len(allowed)), _remaining(allowed), "")
    table.add_row("refused", str(len(refused)), _remaining(refused), _retry(refused))
    console.print(table)
    width = min(len(decisions), _WIDEST_PICTURE)
    green = -(-len(allowed) * width // len(decisions))
    picture = f"[green]{'■' * green}[/green][red]{'□' * (width - green)}[/red]"
    console.print(picture, highlight=False)


def _remaining(decisions: Sequence[Decision]) -> str:
    """From the most to the least."""
    if not decisions:
        return ""
    most = round(max(d.remaining for d in decisions), 2)
    least = round(min(d.remaining for d in decisions), 2)
    return f"{most:g}" if most == least else f"{most:g} … {least:g}"


def _retry(decisions: Sequence[Decision]) -> str:
    waits = [d.retry_after_ms for d in decisions if d.retry_after_ms is not None]
    if not decisions:
        return ""
    return f"{min(waits)} ms" if waits else "never"
