"""Faults that a short campaign cannot show: for each, the test that must fail."""

from typing import Final

from tests.convergence.mutant import (
    DELETION,
    EMAIL,
    INTERLEAVINGS,
    LAYER,
    NOT_NULL,
    SQL,
    SWEEP,
    Edit,
    Mutant,
)

WORD: Final = "tests/integration/bulk/test_clerks_word.py"

BY_TEST: Final = (
    Mutant(
        "a swap is not released first",
        (
            Edit(
                EMAIL,
                "WHERE u.{key} = i.clerk_id AND u.{email} IS NOT NULL",
                "WHERE false",
            ),
        ),
        test="tests/integration/write/test_email_reassignment.py",
        why="the batch is halved until it succeeds, which is right and slow",
    ),
    Mutant(
        "no version guard at the claim",
        (Edit(SQL, "OR s.clerk_updated_at <= excluded.clerk_updated_at", "OR true"),),
        test=f"{INTERLEAVINGS}::test_no_interleaving_lets_an_older_version_win",
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "no tombstone check at the claim",
        (
            Edit(
                SQL,
                "(s.deleted_at IS NULL OR s.deleted_at < excluded.confirmed_at)",
                "true",
            ),
        ),
        test=f"{INTERLEAVINGS}::test_no_interleaving_revives_a_deleted_user",
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "claims in another order than locks",
        (
            Edit(
                SQL,
                'ORDER BY i.clerk_id COLLATE "C"',
                'ORDER BY i.clerk_id COLLATE "C" DESC',
            ),
        ),
        test=f"{INTERLEAVINGS}::test_all_writers_lock_in_one_order",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "only who has a row is locked",
        (
            Edit(
                EMAIL,
                "SELECT unnest(_news) UNION SELECT unnest(_holders)",
                "SELECT clerk_id FROM {sync_state} WHERE clerk_id = ANY (_news)"
                " UNION SELECT unnest(_holders)",
            ),
        ),
        test=f"{INTERLEAVINGS}::test_who_is_not_known_yet_is_locked_in_the_same_order",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "who has a row is not locked",
        (
            Edit(
                EMAIL,
                "DO UPDATE SET synced_at = s.synced_at WHERE false",
                "DO NOTHING",
            ),
        ),
        test=INTERLEAVINGS,
        why="only seen when two writers meet within a statement",
    ),
    Mutant(
        "emails are written in any order",
        (Edit(EMAIL, 'ORDER BY i.email COLLATE "C"', "ORDER BY i.clerk_id"),),
        test=f"{INTERLEAVINGS}::test_batches_that_want_the_same_emails_never_deadlock",
        why="a deadlock is made good by trying again",
    ),
    Mutant(
        "a kept email is given away",
        (Edit(EMAIL, "> 1 OR k.email IS NOT NULL AS loses", "> 1 AS loses"),),
        test=NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "the holder is not asked for",
        (Edit(EMAIL, "WHILE NOT _all_asked LOOP", "WHILE false LOOP"),),
        test=NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "what is kept is not looked at again",
        (Edit(EMAIL, "_losers := _losers || _more;", "_losers := _more;"),),
        test=NOT_NULL,
        why="only where no row may be without an email",
    ),
    Mutant(
        "an event of any instance is applied",
        (
            Edit(
                f"{LAYER}/write/instance.py",
                "WHERE coalesce(({accepted}), %s) = %s",
                "WHERE coalesce(({accepted}), %s) IS NOT NULL OR %s IS NULL",
            ),
        ),
        test="tests/integration/functions/webhook/test_other_instance.py",
        why="every webhook of the simulation is of the table's instance",
    ),
    Mutant(
        "a session of any instance is stored",
        (
            Edit(
                f"{LAYER}/doors/ensure_user.py",
                "if not owners <= {signed_by}:",
                "if False:",
            ),
        ),
        test="tests/integration/functions/self_sync/test_other_instance.py",
        why="every session of the simulation is of the table's instance",
    ),
    Mutant(
        "a swallowed row counts as written",
        (
            Edit(SQL, "IF unchanged <> 0 OR", "IF false OR"),
            Edit(SQL, "IF _missed IS NOT NULL THEN", "IF false THEN"),
        ),
        test="tests/integration/write/test_refused_rows.py",
        why="no table of the simulation has triggers",
    ),
    Mutant(
        "a kept row counts as deleted",
        (
            Edit(
                DELETION,
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
                f"{LAYER}/write/batch.py",
                "self._call(self._path.upsert_staged, [], all_asked)",
                "raise",
            ),
        ),
        test="tests/integration/write/test_refused_rows.py",
        why="no table of the simulation refuses rows",
    ),
    Mutant(
        "who was skipped is gone without a proof",
        (Edit(SWEEP, "if clerk_id not in known]", "]"),),
        test="tests/integration/bulk/test_skipped_and_gone.py",
        why="seldom does a listing lag behind for just those without an email",
    ),
    Mutant(
        "a walk is taken over once only",
        (
            Edit(
                f"{LAYER}/bulk/run_ledger.py",
                "AND (r.run_id = %(run_id)s",
                "AND (false",
            ),
        ),
        test="tests/convergence/test_wire.py",
        why="the run that follows fixes it",
    ),
    Mutant(
        "any 404 says that a user is gone",
        (
            Edit(
                f"{LAYER}/clerk/refusal.py",
                "    if code is None or status < 400:",
                "    if status != 404 and (code is None or status < 400):",
            ),
            Edit(
                f"{LAYER}/clerk/refusal.py",
                "(about_user and status == 404 and code != NOT_FOUND)",
                "False",
            ),
        ),
        test=f"{WORD}::test_a_404_of_something_else_deletes_nobody",
        why="the simulation's runs for one user meet no proxies",
    ),
    Mutant(
        "a listing ends by the database's clock",
        (
            Edit(
                f"{LAYER}/bulk/clocks.py",
                "_ms(database_now) + clerk_ahead_ms(clerk, database_now)",
                "_ms(database_now)",
            ),
        ),
        test=f"{WORD}::test_a_full_run_misses_nobody_if_the_databases_clock_is_behind",
        why="the clocks of the simulation agree",
    ),
    Mutant(
        "who was synced meanwhile is deleted",
        (Edit(DELETION, "WHERE _unless_synced_since IS NULL OR", "WHERE true OR"),),
        test="tests/integration/bulk/test_races_with_webhooks.py",
        why="needs a Clerk whose answers by id lag behind",
    ),
    Mutant(
        "an email is compared as text, whatever the table does",
        (
            Edit(
                EMAIL,
                "ON h.{held} {equals} i.{wanted} AND h.{key} IS DISTINCT FROM",
                "ON h.{email} = i.email AND h.{key} IS DISTINCT FROM",
            ),
        ),
        test="tests/integration/write/test_email_rules.py",
        why="the tables of the simulation compare emails as text",
    ),
    Mutant(
        "dates are shown as the owner likes them",
        (
            Edit(
                f"{LAYER}/postgres/session_settings.py",
                "        yield _SET_DATE_STYLE",
                "        pass",
            ),
        ),
        test="tests/integration/postgres/test_session_settings.py",
        why="the simulation's database has no settings of its owner",
    ),
    Mutant(
        "a batch is refused for one locked row",
        (
            Edit(
                f"{LAYER}/write/locks.py",
                "if error.sqlstate == LOCKED:",
                "if error.sqlstate is None:",
            ),
        ),
        test="tests/integration/write/test_locked_rows.py",
        why="nobody but clerksync locks rows in the simulation",
    ),
    Mutant(
        "an update is an insert first",
        (
            Edit(
                SQL,
                "              AND NOT EXISTS (SELECT FROM {users} AS u"
                " WHERE u.{key} = i.clerk_id)\n            {in_order}\n",
                "            {in_order}\n            ON CONFLICT ({key}) DO NOTHING\n",
            ),
            Edit(SQL, "IF updated < cardinality(_claimed) THEN", "IF true THEN"),
        ),
        test="tests/integration/write/test_existing_rows.py",
        why="no table of the simulation demands anything of new rows",
    ),
    Mutant(
        "a resumed run trusts what a restore has changed",
        (
            Edit(
                f"{LAYER}/bulk/changed_rows.py",
                "if run.snapshot is None or",
                "if True or",
            ),
        ),
        test="tests/integration/bulk/parallel/test_restored.py",
        why="seldom does a short campaign resume a walk after a restore",
    ),
    Mutant(
        "a walk is resumed however old it is",
        (Edit(f"{LAYER}/bulk/plan_or_resume.py", "hours=1", "days=365"),),
        test="tests/integration/bulk/parallel/test_who_goes_on.py",
        why="seldom does a short campaign leave a walk for an hour",
    ),
    Mutant(
        "a version that is ahead of Clerk's is believed",
        (Edit(SQL, "THEN 'ahead'", "THEN 'unchanged'"),),
        test="tests/integration/bulk/test_versions_ahead.py",
        why="sync_state claims no such version in the simulation",
    ),
)
