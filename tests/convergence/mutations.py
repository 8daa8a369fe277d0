"""Faults to be put into the rules of truth, one at a time, on a copy of the code.

Fragments are short, so that they outlast changes of what surrounds them. One that is
no longer there is an error of the list, and told as such.
"""

from dataclasses import dataclass
from typing import Final

_LAYER: Final = "layers/clerksync/clerksync"
_SQL: Final = f"{_LAYER}/write/upsert_sql.py"
_DELETION: Final = f"{_LAYER}/write/deletion_sql.py"
_EMAIL: Final = f"{_LAYER}/write/email_sql.py"
_PARTS: Final = f"{_LAYER}/write/mapped_sql.py"
_SWEEP: Final = f"{_LAYER}/bulk/orphan_sweep.py"
_RUN: Final = f"{_LAYER}/bulk/run.py"
_NOT_NULL: Final = "tests/integration/mapping"
_INTERLEAVINGS: Final = "tests/integration/write/test_interleavings.py"


@dataclass(frozen=True, slots=True)
class Edit:
    """Every occurrence of a fragment is replaced."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    edits: tuple[Edit, ...]
    test: str | None = None
    """What must fail, where a short campaign can't show the fault: pytest's name."""
    why: str = ""
    """Why it can't."""


def _mutant(name: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(name, tuple(Edit(*edit) for edit in edits))


# What the rules of truth stand on: a short campaign must catch each.
NAMED: Final = (
    _mutant(
        "no version guard",
        (_SQL, "WHEN s.clerk_updated_at > i.clerk_updated_at", "WHEN false"),
        (_SQL, "OR s.clerk_updated_at <= excluded.clerk_updated_at", "OR true"),
    ),
    _mutant(
        "no tombstone check",
        (_SQL, "s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)", "false"),
        (
            _SQL,
            "(s.deleted_at IS NULL OR s.deleted_at < excluded.confirmed_at)",
            "true",
        ),
    ),
    _mutant(
        "no ratio guard",
        (_SWEEP, "if len(candidates) <= allowed:", "if True:"),
    ),
    _mutant(
        "an email is not released",
        (_EMAIL, "WHERE u.{key} = ANY (_losers) AND", "WHERE false AND"),
    ),
    _mutant(
        "no proof of an orphan",
        (
            _SWEEP,
            "sorted(set(batch) - {user.id for user in known} - unreadable)",
            "sorted(batch)",
        ),
    ),
)

OTHERS: Final = (
    _mutant(
        "any look-up by id revives",
        (
            _SQL,
            "s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)",
            "s.deleted_at IS NOT NULL AND i.confirmed_at IS NULL",
        ),
        (
            _SQL,
            "s.deleted_at < excluded.confirmed_at",
            "excluded.confirmed_at IS NOT NULL",
        ),
    ),
    _mutant(
        "the clock is read after Clerk was asked",
        (
            f"{_LAYER}/doors/ensure_user.py",
            "users.upsert(user, confirmed_at=confirmed_at)",
            "users.upsert(user, confirmed_at=users.clock())",
        ),
    ),
    _mutant(
        "a deletion leaves no tombstone",
        (_DELETION, "SET deleted_at = clock_timestamp(),", "SET deleted_at = NULL,"),
    ),
    _mutant(
        "deleting a stranger leaves no tombstone",
        (
            _DELETION,
            "SELECT gone.clerk_id, clock_timestamp(), clock_timestamp()",
            "SELECT gone.clerk_id, NULL, clock_timestamp()",
        ),
    ),
    _mutant(
        "an email belongs to the oldest claim",
        (_EMAIL, "ORDER BY version DESC", "ORDER BY version ASC"),
    ),
    _mutant(
        "skipped by content before the claim",
        (_SQL, "WHEN s.clerk_updated_at < i.clerk_updated_at", "WHEN false"),
    ),
    _mutant(
        "the same version is never looked at",
        (_SQL, "ELSE {differs_but_email} END", "ELSE false END"),
    ),
    _mutant(
        "a row without the email that is required",
        (_SQL, "WHERE i.email IS NOT NULL OR NOT _require_email", "WHERE true"),
    ),
    _mutant(
        "no companion row",
        (_PARTS, "FROM written AS w", "FROM (SELECT * FROM written WHERE false) AS w"),
    ),
    _mutant(
        "the tier is written at each update",
        (
            _PARTS,
            '*_set(mapping.deleted_at, "NULL"),',
            '*_set(mapping.deleted_at, "NULL"), *_set(mapping.tier, "excluded.tier"),',
        ),
    ),
    _mutant(
        "a soft deletion forgets nothing",
        (_PARTS, "if column.personal", "if False"),
    ),
    _mutant(
        "any instance is accepted",
        (
            f"{_LAYER}/bulk/instance.py",
            "if owners <= {None, instance.id} or",
            "if True or",
        ),
    ),
    _mutant(
        "any listing is complete",
        (_RUN, "if listed < min(expected, now):", "if False:"),
    ),
    _mutant(
        "a dry run commits",
        (
            f"{_LAYER}/write/staging.py",
            "force_rollback=dry_run",
            "force_rollback=False",
        ),
    ),
    _mutant(
        "a dry run deletes",
        (_SWEEP, "if not dry_run:", "if True:"),
    ),
    _mutant(
        "200 before anything is written",
        ("functions/webhook/app.py", "action = apply(event)", 'action = "updated"'),
    ),
    _mutant(
        "a lost connection is not made again",
        (
            f"{_LAYER}/postgres/database.py",
            "if self._is_broken():\n            if reconnected:",
            "if self._is_broken():\n            if True:",
        ),
    ),
    _mutant(
        "a failure is answered with 200",
        (
            f"{_LAYER}/doors/http_api.py",
            "response = Response(\n                500,",
            "response = Response(\n                200,",
        ),
    ),
    _mutant(
        "who was not listed is not looked for",
        (_SWEEP, "candidates = _candidates(job, run)", "candidates = list[str]()"),
    ),
    Mutant(
        "a swap is not released first",
        (
            Edit(
                _EMAIL,
                "WHERE u.{key} = i.clerk_id AND u.{email} IS NOT NULL",
                "WHERE false",
            ),
        ),
        test="tests/integration/write/test_email_reassignment.py",
        why="the batch is halved until it succeeds, which is right and slow",
    ),
    Mutant(
        "no version guard at the claim",
        (Edit(_SQL, "OR s.clerk_updated_at <= excluded.clerk_updated_at", "OR true"),),
        test=f"{_INTERLEAVINGS}::test_no_interleaving_lets_an_older_version_win",
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "no tombstone check at the claim",
        (
            Edit(
                _SQL,
                "(s.deleted_at IS NULL OR s.deleted_at < excluded.confirmed_at)",
                "true",
            ),
        ),
        test=f"{_INTERLEAVINGS}::test_no_interleaving_revives_a_deleted_user",
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "claims in another order than locks",
        (
            Edit(
                _SQL,
                'ORDER BY i.clerk_id COLLATE "C"',
                'ORDER BY i.clerk_id COLLATE "C" DESC',
            ),
        ),
        test=f"{_INTERLEAVINGS}::test_all_writers_lock_in_one_order",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "only who has a row is locked",
        (
            Edit(
                _EMAIL,
                "SELECT unnest(_news) UNION SELECT unnest(_holders)",
                "SELECT clerk_id FROM {sync_state} WHERE clerk_id = ANY (_news)"
                " UNION SELECT unnest(_holders)",
            ),
        ),
        test=f"{_INTERLEAVINGS}::test_who_is_not_known_yet_is_locked_in_the_same_order",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "who has a row is not locked",
        (
            Edit(
                _EMAIL,
                "DO UPDATE SET synced_at = s.synced_at WHERE false",
                "DO NOTHING",
            ),
        ),
        test=_INTERLEAVINGS,
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "emails are written in any order",
        (Edit(_EMAIL, 'ORDER BY i.email COLLATE "C"', "ORDER BY i.clerk_id"),),
        test=f"{_INTERLEAVINGS}::test_batches_that_want_the_same_emails_never_deadlock",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "a kept email is given away",
        (Edit(_EMAIL, "> 1 OR k.email IS NOT NULL AS loses", "> 1 AS loses"),),
        test=_NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "the holder is not asked for",
        (Edit(_EMAIL, "WHILE NOT _all_asked LOOP", "WHILE false LOOP"),),
        test=_NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "what is kept is not looked at again",
        (Edit(_EMAIL, "_losers := _losers || _more;", "_losers := _more;"),),
        test=_NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "a swallowed row counts as written",
        (
            Edit(_SQL, "IF unchanged <> 0 THEN", "IF false THEN"),
            Edit(
                _SQL,
                "        IF EXISTS (\n            SELECT FROM (",
                "        IF false AND EXISTS (\n            SELECT FROM (",
            ),
        ),
        test="tests/integration/write/test_refused_rows.py",
        why="no table of the simulation has triggers",
    ),
    Mutant(
        "a kept row counts as deleted",
        (
            Edit(
                _DELETION,
                "    IF EXISTS (\n        SELECT FROM {users} AS u",
                "    IF false AND EXISTS (\n        SELECT FROM {users} AS u",
            ),
        ),
        test="tests/integration/write/test_refused_rows.py",
        why="no table of the simulation has triggers",
    ),
    Mutant(
        "a row that is refused costs its batch",
        (
            Edit(
                f"{_LAYER}/write/batch.py",
                "            self._call(self._path.upsert_staged, [])",
                "            raise",
            ),
        ),
        test="tests/integration/write/test_refused_rows.py",
        why="no table of the simulation refuses rows",
    ),
    Mutant(
        "who was skipped is gone without a proof",
        (Edit(_SWEEP, "if clerk_id not in known]", "]"),),
        test="tests/integration/bulk/test_skipped_and_gone.py",
        why="seldom does a listing lag behind for just those without an email",
    ),
    Mutant(
        "a walk is taken over once only",
        (
            Edit(
                f"{_LAYER}/bulk/run_ledger.py",
                "AND (r.run_id = %(run_id)s",
                "AND (false",
            ),
        ),
        test="tests/convergence/test_wire.py",
        why="the run that follows mends it",
    ),
    Mutant(
        "who was synced meanwhile is deleted",
        (Edit(_DELETION, "WHERE _unless_synced_since IS NULL OR", "WHERE true OR"),),
        test="tests/integration/bulk/test_races_with_webhooks.py",
        why="needs a Clerk whose answers by id lag behind",
    ),
)
MUTANTS: Final = NAMED + OTHERS
