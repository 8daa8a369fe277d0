"""Checks of the tables, and of what they hold."""

from typing import Final, LiteralString

import psycopg
from psycopg import errors, sql

from clerksync.bulk.run_ledger import RunLedger
from clerksync.errors import SchemaOutdatedError
from clerksync.mapping.file import DEFAULT
from clerksync.schema import rate_limit_sql
from clerksync.schema.catalog import source_of
from clerksync.schema.email_fit import email_rule
from clerksync.schema.length_fit import short_columns
from clerksync.schema.migrate import TARGET_TABLE, all_scripts, scripts_of
from clerksync.schema.own_schema import explain_elsewhere
from clerksync.schema.table_fit import Misfit, default_tier_misfits, misfits
from clerksync.settings.schemas import PUBLIC
from clerksync.write.sql_functions import build, functions_for
from local.doctor.check_runner import Verdicts, ok, skipped, warning, wrong
from local.doctor.subject import Subject
from local.progress import counted, span

_DAY_SECONDS: Final = 86_400
_AT_MOST: Final = "30s"
_ADDRESSES: Final = ("address is", "addresses are")
_IS_THERE: LiteralString = "SELECT to_regclass(%(table)s) IS NOT NULL"
_APPLIED: LiteralString = "SELECT name FROM {}"
_THERE: LiteralString = """
    SELECT p.proname
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = %(schema)s AND p.proname = ANY (%(names)s)
"""
# Clerk knows no upper and lower case in addresses.
_DUPLICATES: LiteralString = """
    SELECT count(*) FILTER (WHERE in_one_spelling), count(*)
    FROM (
        SELECT count(*) > count(DISTINCT u.{email}) AS in_one_spelling
        FROM {users} AS u
        WHERE u.{email} IS NOT NULL
        GROUP BY lower(u.{email}::text)
        HAVING count(*) > 1
    ) AS addresses
"""
_SHOW_DUPLICATES: LiteralString = (
    "SELECT lower({email}), array_agg({key}) FROM {users}"
    " GROUP BY 1 HAVING count(*) > 1;"
)
_LAST_RUN: LiteralString = """
    SELECT mode, status, report ->> 'reason',
           extract(epoch FROM now() - started_at)::bigint
    FROM {runs}
    WHERE NOT dry_run AND mode NOT IN ('user', 'link')
    ORDER BY started_at DESC
    LIMIT 1
"""

_STILL_WRITTEN: LiteralString = """
    SELECT coalesce(max(updated_at) > (
        SELECT max(applied_at) FROM {ledger} WHERE name = ANY (%(names)s)
    ), false)
    FROM {users}
"""


def mapping(subject: Subject) -> Verdicts:
    """It can be read; whether the table is like that is another question."""
    yield ok(f"By the mapping {subject.mapping.name}, users go to {subject.target}.")


def schema(subject: Subject) -> Verdicts:
    """Everything that `migrate` brings is there, as this code has it."""
    scripts = {*scripts_of(subject.mapping)}
    functions = {f.name for f in build(subject.mapping, subject.schema).functions}
    if subject.is_elsewhere:
        yield wrong(explain_elsewhere(subject.schema, PUBLIC))
        return
    ledger = sql.Identifier(subject.schema, "clerksync_migrations")
    applied = {name for (name,) in subject.rows(sql.SQL(_APPLIED).format(ledger))}
    if not scripts | functions <= applied or not _limits_are_up_to_date(subject):
        raise SchemaOutdatedError
    parameters = {"schema": subject.schema, "names": list(functions)}
    dropped = sorted(functions - {name for (name,) in subject.rows(_THERE, parameters)})
    for name in dropped:
        yield wrong(
            f"The function {name} was dropped: DELETE FROM {ledger.as_string()} WHERE "
            f"name = '{name}'; then run clerksync migrate."
        )
    newer = sorted(n for n in applied - {*all_scripts()} if n.endswith(".sql"))
    if newer:
        yield warning(
            f"The database is ahead of this code, by {', '.join(newer)}: use the newer "
            "code here too."
        )
    elif not dropped and not _emails_are_compared_as_the_table_does(subject):
        yield wrong(
            "A unique index or constraint on the emails was added, changed or dropped "
            "since the last migration: run clerksync migrate."
        )
    elif not dropped:
        yield ok("It is up to date.")
    if TARGET_TABLE in applied - scripts:
        yield from _left_behind(subject)


def _left_behind(subject: Subject) -> Verdicts:
    table = subject.own_table(DEFAULT.table)
    (is_there,) = subject.row(_IS_THERE, {"table": table})
    if not is_there or table == subject.target:
        return
    own = sql.Identifier(subject.schema, DEFAULT.table)
    ledger = sql.Identifier(subject.schema, "clerksync_migrations")
    functions = [f.name for f in build(subject.mapping, subject.schema).functions]
    query = sql.SQL(_STILL_WRITTEN).format(users=own, ledger=ledger)
    (still_written,) = subject.row(query, {"names": functions})
    if still_written:
        yield warning(
            f"{table} was written to after this mapping was installed: a different "
            f"deployment or the application uses it. If it is a deployment of "
            "clerksync, set CLERKSYNC_SCHEMA to a schema of its own in one of the two."
        )
    else:
        yield warning(
            f"{table} was made for the mapping default, and this mapping does not "
            "write to it. If no other deployment and no part of the application reads "
            "it, it can be dropped."
        )


def _emails_are_compared_as_the_table_does(subject: Subject) -> bool:
    mapping, schema = subject.mapping, subject.schema

    def work(connection: psycopg.Connection) -> bool:
        rule = email_rule(connection, mapping, schema)
        return all(
            source_of(connection, schema, function.name) == function.source
            for function in functions_for(mapping, schema, rule)
        )

    return subject.database.run(work)


def _limits_are_up_to_date(subject: Subject) -> bool:
    mapping, schema = subject.mapping, subject.schema
    tier = subject.settings.default_tier
    return not mapping.rate_limits or subject.database.run(
        lambda c: rate_limit_sql.is_up_to_date(c, mapping, schema, tier)
    )


def fit(subject: Subject) -> Verdicts:
    """The table is such that the write path can use it."""
    mapping, schema = subject.mapping, subject.schema

    def work(connection: psycopg.Connection) -> list[Misfit]:
        found = misfits(connection, mapping, schema)
        found += default_tier_misfits(mapping, subject.settings.default_tier)
        if mapping.rate_limits:
            found += rate_limit_sql.misfits(connection, schema)
        return found

    found = subject.database.run(work)
    to_come = {m.table for m in found if _is_to_come(subject, m.table)}
    for misfit in found:
        if misfit.table in to_come:
            continue
        if mapping == DEFAULT:
            yield wrong(
                f"{misfit.table}: {misfit.reason}. If it is your application's table, "
                "run clerksync map, which writes a mapping for it. Otherwise fix the "
                "table, or give clerksync a schema of its own "
                "(CLERKSYNC_SCHEMA)."
            )
        else:
            line = mapping.line_of(misfit.table, misfit.column)
            yield wrong(
                f"{misfit.table}: {misfit.reason}. Mend the table, or line {line} of "
                f"the mapping {mapping.name}."
            )
    if to_come:
        yield skipped("Waits for: schema.")
    elif not found:
        yield ok("It fits the mapping.")
        for short in subject.database.run(lambda c: short_columns(c, mapping, schema)):
            yield warning(short)


def _is_to_come(subject: Subject, table: str) -> bool:
    """Whether it is not there, and `migrate` makes it."""
    ours = {"rate_limits", "tiers"} if subject.mapping.rate_limits else set()
    if subject.mapping == DEFAULT:
        ours.add(subject.mapping.table)
    if table not in ours:
        return False
    (is_there,) = subject.row(_IS_THERE, {"table": subject.own_table(table)})
    return not is_there


def emails(subject: Subject) -> Verdicts:
    """No address is there twice, whatever its upper and lower case."""
    names = subject.names

    def work(connection: psycopg.Connection) -> tuple[int, int]:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = '{_AT_MOST}'".encode())
            query = sql.SQL(_DUPLICATES).format(**names)
            exactly, all_in_all = connection.execute(query).fetchall()[0]
            return exactly, all_in_all

    try:
        exactly, all_in_all = subject.database.run(work)
    except SchemaOutdatedError:
        yield skipped("Waits for: table.")
        return
    except errors.QueryCanceled:
        yield skipped(f"Waits for a faster answer: there was none in {_AT_MOST}.")
        return
    if not subject.mapping.email_unique:
        are = "is" if all_in_all == 1 else "are"
        yield ok(f"By the mapping they may be there twice; {all_in_all:,} {are}.")
        return
    look = sql.SQL(_SHOW_DUPLICATES).format(**names).as_string()
    if exactly:
        yield wrong(
            f"{counted(exactly, *_ADDRESSES)} there more than once: let each have one "
            f"row. {look}"
        )
    if in_cases := all_in_all - exactly:
        yield warning(
            f"{counted(in_cases, *_ADDRESSES)} there more than once, but for upper and "
            "lower case, of which Clerk knows no difference: let each have one row. "
            f"{look}"
        )
    if not all_in_all:
        yield ok("No address is there twice.")


def owner(subject: Subject) -> Verdicts:
    """The key's instance is the one whose users the table holds, by the ledger."""
    ours = subject.instance.id
    theirs = RunLedger(subject.database, subject.schema).accepted_instance()
    if theirs in {None, ours}:
        yield ok("No other instance's users are in the table.")
    else:
        yield wrong(
            f"The table holds the users of {theirs}, and CLERK_SECRET_KEY belongs to "
            f"{ours}: bulk runs are refused. Take the right key or, if the change is "
            "meant, clerksync sync --force, which deletes the users of the old one."
        )


def last_run(subject: Subject) -> Verdicts:
    """When it was, and how it ended."""
    runs = subject.rows(_LAST_RUN)
    if not runs:
        yield warning("There was none: clerksync sync fills the table.")
        return
    ((mode, status, reason, age),) = runs
    began = f"{span(age)} ago"
    if status == "running":
        yield ok(f"It began {began} ({mode}) and runs, as far as the ledger knows.")
    elif status != "completed":
        yield warning(f"It began {began} ({mode}) and ended {status}. {reason or ''}")
    elif age > _DAY_SECONDS:
        yield warning(
            f"It was {began} ({mode}), and completed. Deletions that webhooks missed "
            "wait for the next: run clerksync sync every night."
        )
    else:
        yield ok(f"It was {began} ({mode}), and completed.")
