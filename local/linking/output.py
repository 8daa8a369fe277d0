"""How matches are shown: rows by their own id, emails only if they are asked for."""

import json
from collections.abc import Iterator
from typing import Final

from rich.console import Console

from local.linking.linker import LINK, OWN_KEY, Found, Row
from local.progress import counted

_HEADINGS: Final = {
    "link": ("row matches one user", "rows match one user each"),
    "ambiguous": (
        "row is ambiguous and stays as it is",
        "rows are ambiguous and stay as they are",
    ),
    "no_match": ("row has no match", "rows have no match"),
    "holds_email": (
        "row has a key of its own and the email of a Clerk user",
        "rows have a key of their own and the email of a Clerk user",
    ),
}
_REASONS: Final = {
    "has a row": "The user already has a row: keep one of the two rows.",
    "several users": "Several users have this email: write the Clerk ID yourself.",
    "several rows": "Several rows have the email of this user: keep one of them.",
    "deleted row": "The row is soft-deleted: delete it, or restore it.",
    "not verified": "The user has not verified this email.",
    "no email": "The row has no email.",
    "unknown email": "No Clerk user has this primary email.",
    OWN_KEY: "Sync gives this user no row, or a row without email.",
    LINK: "",
}

# Other tables may reference such a key, and only the owner knows what it is.
_OWN_KEYS: Final = (
    "\nlink never overwrites a key, because your application may use it. If {key} "
    "holds keys of your application, give the Clerk ID a column of its own: ALTER "
    'TABLE {table} ADD COLUMN clerk_id text UNIQUE; and write key = "clerk_id" in '
    "[table] of the mapping (and how {key} is made for new rows: id = {{ column = "
    '"{key}", generate = "…" }}). Then run clerksync migrate and clerksync link. If '
    "nothing needs such a key, set it to NULL (drop NOT NULL first), or delete the row."
)


def show_found(console: Console, found: Found, *, show_emails: bool) -> None:
    """Counts, and the first 20 rows of each kind."""
    total = found.counts.total() - found.counts["holds_email"]
    _say(
        console,
        f"{counted(total, 'row has', 'rows have')} no Clerk ID. "
        f"Clerk has {counted(found.users, 'user')}.",
    )
    for kind, heading in _HEADINGS.items():
        count = found.counts[kind]
        noun, plural = heading
        _say(console, f"\n{counted(count, noun, plural)}.")
        rows = found.first.get(kind, [])
        for row in rows:
            _say(console, _line(row, show_emails=show_emails))
        if count > len(rows):
            _say(console, f"  … and {count - len(rows):,} more: --json lists all.")
    if found.other_keys:
        _say(
            console,
            f"\n{counted(found.other_keys, 'row has', 'rows have')} a key that is not "
            "a Clerk ID. link only changes rows whose key is empty.",
        )
    if found.counts["holds_email"]:
        _say(console, _OWN_KEYS.format(table=found.table, key=found.key))


def show_linked(console: Console, found: Found, *, written: bool) -> None:
    """What was written, or how to write it, and what to do next."""
    if not written:
        next_step = " To link these rows: clerksync link --yes."
        has_links = found.counts[LINK] > 0
        text = f"\nNothing was written.{next_step if has_links else ''}"
        _say(console, text)
        return
    text = f"\nLinked {counted(found.linked, 'row')}."
    if found.changed:
        text += (
            f" {counted(found.changed, 'row was', 'rows were')} changed meanwhile and "
            "left alone: run clerksync link again."
        )
    if found.linked:
        text += " Next: clerksync sync, which updates the linked rows."
    _say(console, text)
    for failure in found.failures:
        _say(console, f"failed: {failure}")


def json_parts(found: Found, *, show_emails: bool) -> Iterator[str]:
    """One JSON object in pieces: the counts, then every row."""
    counts = {
        "users": found.users,
        **{kind: found.counts[kind] for kind in _HEADINGS},
        "other_keys": found.other_keys,
        "linked": found.linked,
        "failures": found.failures,
    }
    yield f'{json.dumps(counts)[:-1]}, "rows": ['
    for number, row in enumerate(found.rows()):
        shown: dict[str, object] = {
            "kind": row.kind,
            "row": row.row_id,
            "users": row.clerk_ids,
            "reason": _REASONS[row.verdict] or None,
        }
        if show_emails:
            shown["email"] = row.email
        yield f"{', ' if number else ''}{json.dumps(shown)}"
    yield "]}"


def _line(row: Row, *, show_emails: bool) -> str:
    email = f"  {row.email}" if show_emails and row.email else ""
    users = f"  {', '.join(row.clerk_ids)}" if row.clerk_ids else ""
    reason = f"  {_REASONS[row.verdict]}" if _REASONS[row.verdict] else ""
    return f"  row {row.row_id}{email}{users}{reason}"


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
