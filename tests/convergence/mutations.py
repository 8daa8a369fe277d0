"""Faults to be put into the rules of truth, one at a time, on a copy of the code.

Fragments are short, so that they outlast changes of what surrounds them. One that is
no longer there is an error of the list, and told as such.
"""

from typing import Final

from tests.convergence.mutant import (
    COMPANIONS,
    DELETION,
    EMAIL,
    LAYER,
    PARTS,
    RUN,
    SQL,
    SWEEP,
    Edit,
    Mutant,
)
from tests.convergence.mutations_by_test import BY_TEST


def _mutant(name: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(name, tuple(Edit(*edit) for edit in edits))


# What the rules of truth stand on: a short campaign must catch each.
NAMED: Final = (
    _mutant(
        "no version guard",
        (SQL, "WHEN s.clerk_updated_at > i.clerk_updated_at", "WHEN false"),
        (SQL, "OR s.clerk_updated_at <= excluded.clerk_updated_at", "OR true"),
    ),
    _mutant(
        "no tombstone check",
        (SQL, "s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)", "false"),
        (
            SQL,
            "(s.deleted_at IS NULL OR s.deleted_at < excluded.confirmed_at)",
            "true",
        ),
    ),
    _mutant(
        "no ratio guard",
        (SWEEP, "if len(candidates) <= allowed:", "if True:"),
    ),
    _mutant(
        "an email is not released",
        (EMAIL, "WHERE u.{key} = ANY (_losers) AND", "WHERE false AND"),
    ),
    _mutant(
        "no proof of an orphan",
        (
            SWEEP,
            "sorted(set(batch) - {user.id for user in known} - unreadable)",
            "sorted(batch)",
        ),
    ),
)

OTHERS: Final = (
    _mutant(
        "any look-up by id revives",
        (
            SQL,
            "s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)",
            "s.deleted_at IS NOT NULL AND i.confirmed_at IS NULL",
        ),
        (
            SQL,
            "s.deleted_at < excluded.confirmed_at",
            "excluded.confirmed_at IS NOT NULL",
        ),
    ),
    _mutant(
        "the clock is read after Clerk was asked",
        (
            f"{LAYER}/doors/ensure_user.py",
            "users.upsert(user, confirmed_at=confirmed_at)",
            "users.upsert(user, confirmed_at=users.clock())",
        ),
    ),
    _mutant(
        "a deletion leaves no tombstone",
        (DELETION, "SET deleted_at = clock_timestamp(),", "SET deleted_at = NULL,"),
    ),
    _mutant(
        "deleting a stranger leaves no tombstone",
        (
            DELETION,
            "SELECT gone.clerk_id, clock_timestamp(), clock_timestamp()",
            "SELECT gone.clerk_id, NULL, clock_timestamp()",
        ),
    ),
    _mutant(
        "an email belongs to the oldest claim",
        (EMAIL, "ORDER BY version DESC", "ORDER BY version ASC"),
    ),
    _mutant(
        "skipped by content before the claim",
        (SQL, "WHEN s.clerk_updated_at <> i.clerk_updated_at", "WHEN false"),
    ),
    _mutant(
        "the same version is never looked at",
        (SQL, "ELSE {differs_but_email} END", "ELSE false END"),
    ),
    _mutant(
        "a row without the email that is required",
        (SQL, "WHERE i.email IS NOT NULL OR NOT _require_email", "WHERE true"),
    ),
    _mutant(
        "no companion row",
        (
            COMPANIONS,
            "FROM written AS w RETURNING",
            "FROM written AS w WHERE false RETURNING",
        ),
        (COMPANIONS, "sql.Literal(len(rows))", "sql.Literal(0)"),
        (COMPANIONS, "{reference} IS NULL OR NOT", "{reference} IS NULL AND NOT"),
    ),
    _mutant(
        "the tier is written at each update",
        (
            PARTS,
            '*_set(mapping.deleted_at, "NULL"),',
            '*_set(mapping.deleted_at, "NULL"), *_set(mapping.tier, "_default_tier"),',
        ),
    ),
    _mutant(
        "a soft deletion forgets nothing",
        (PARTS, "if column.personal", "if False"),
    ),
    _mutant(
        "any instance is accepted",
        (
            f"{LAYER}/bulk/instance.py",
            "if owners <= {None, instance.id} or",
            "if True or",
        ),
    ),
    _mutant(
        "any listing is complete",
        (RUN, "if listed < min(expected, now):", "if False:"),
    ),
    _mutant(
        "a dry run commits",
        (
            f"{LAYER}/write/user_batches.py",
            "if dry_run:",
            "if False:",
        ),
    ),
    _mutant(
        "a dry run deletes",
        (SWEEP, "if dry_run:", "if False:"),
    ),
    _mutant(
        "200 before anything is written",
        ("functions/webhook/app.py", "action = apply(event)", 'action = "updated"'),
    ),
    _mutant(
        "a lost connection is not made again",
        (
            f"{LAYER}/postgres/database.py",
            "if self._is_broken():\n            if reconnected:",
            "if self._is_broken():\n            if True:",
        ),
    ),
    _mutant(
        "a failure is answered with 200",
        (
            f"{LAYER}/doors/http_api.py",
            "response = Response(\n                500,",
            "response = Response(\n                200,",
        ),
    ),
    _mutant(
        "who was not listed is not looked for",
        (
            SWEEP,
            "candidates = _candidates(job, run, created_before)",
            "candidates = list[str]()",
        ),
    ),
)
MUTANTS: Final = NAMED + OTHERS + BY_TEST
