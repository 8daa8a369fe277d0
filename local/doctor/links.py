"""Whether rows without a Clerk ID stand between Clerk users and their rows."""

from typing import LiteralString

from psycopg import errors

from clerksync.errors import SchemaOutdatedError
from local.doctor.check_runner import Verdicts, ok, skipped, warning, wrong
from local.doctor.subject import Subject
from local.progress import counted

_AT_MOST: LiteralString = "30s"
_UNLINKED: LiteralString = """
    SELECT count(*) FILTER (WHERE coalesce(u.{key}::text, '') = ''), count(*)
    FROM {users} AS u
    WHERE (u.{key}::text ~ {clerk_id}) IS NOT TRUE AND u.{email} IS NOT NULL
"""
# The same email in other letters: no index refused the second row.
_DUPLICATES: LiteralString = """
    SELECT count(*)
    FROM {users} AS u
    WHERE coalesce(u.{key}::text, '') = '' AND {live}
      AND lower(u.{email}::text) IN (
          SELECT lower(o.{email}::text) FROM {users} AS o
          WHERE o.{key}::text ~ {clerk_id} AND o.{email} IS NOT NULL
      )
"""
# What entry points have noted of users without a row, and what the last run counted.
_HELD_BACK: LiteralString = """
    SELECT greatest(
        (SELECT count(*) FROM {sync_state}
         WHERE skipped = 'email taken' AND deleted_at IS NULL),
        (SELECT coalesce((report ->> 'held_back')::bigint, 0) FROM {runs}
         WHERE NOT dry_run AND mode IN ('full', 'incremental') AND status = 'completed'
         ORDER BY started_at DESC LIMIT 1)
    )
"""
_HAS_RUN: LiteralString = (
    "SELECT EXISTS (SELECT FROM {runs} WHERE NOT dry_run AND mode <> 'link')"
)


def links(subject: Subject) -> Verdicts:
    """Rows that were there before clerksync have their Clerk IDs."""
    try:
        unlinked, unmanaged = subject.row(_UNLINKED)
    except SchemaOutdatedError:
        yield skipped("Waits for: table.")
        return
    if not unmanaged:
        yield ok("Every row with an email has a Clerk ID.")
        return
    try:
        (duplicates,) = subject.row_within(_AT_MOST, _DUPLICATES)
    except errors.QueryCanceled:
        yield skipped(f"Waits for a faster answer: there was none in {_AT_MOST}.")
        return
    if duplicates:
        yield wrong(
            f"{counted(duplicates, 'row')} without a Clerk ID: the email belongs to a "
            "synced user, perhaps in other letter case, who so has two rows. Run "
            "clerksync link, which lists them, and keep one row of each."
        )
    held_back = int(subject.row(_HELD_BACK)[0] or 0)
    if held_back:
        yield wrong(
            f"{counted(held_back, 'user is', 'users are')} held back: a row without "
            "their Clerk ID has their email. Run clerksync link, then clerksync sync."
        )
    if duplicates or held_back:
        return
    if unlinked and not subject.row(_HAS_RUN)[0]:
        yield warning(
            f"{counted(unlinked, 'row has', 'rows have')} an email and no Clerk ID. "
            "Before the first sync, "
            "run clerksync link: it shows which of them are Clerk users."
        )
        return
    rows = counted(unmanaged, "row without a Clerk ID", "rows without a Clerk ID")
    yield ok(f"{rows}: nobody is held back.")
