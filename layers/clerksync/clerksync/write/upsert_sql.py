"""The upsert as SQL: the body of a PL/pgSQL function, with names left open.

`sql_functions` fills in tables and columns and makes a function of it. `{incoming}` is
what an entry point handed over: one user, or a staged batch. `{differs_but_email}` is
true if the row `u` is not what `i` would make of it, apart from the email. What becomes
of contested emails is in `email_sql`.

Each statement in a function sees what was committed while the one before it waited.
"""

from typing import LiteralString

UPSERT: LiteralString = """
#variable_conflict use_column
DECLARE
    _news text[];
    _holders text[];
    _contested boolean;
    _unlocked boolean;
    _claimed text[];
    _released text[] := '{{}}';
    _more text[];
    _rowless bigint;
    _written text[];
    _missed text[];
    _companions bigint;
    _has_triggers boolean;{locking_variables}
BEGIN
    created := 0;
    updated := 0;
    unchanged := 0;
    skipped := 0;
    email_conflicts := 0;
    _losers := '{{}}';

    -- None of them known? Then plain inserts, which cost less than any check: the
    -- unique indexes object to whoever came up in between and to an email that is
    -- taken, and then this did not happen and the rest of the function decides.
    IF NOT EXISTS (
           SELECT FROM {incoming} AS i
           JOIN {sync_state} AS s ON s.clerk_id = i.clerk_id
       ) AND NOT EXISTS (
           SELECT FROM {incoming} AS i JOIN {users} AS u ON u.{key} = i.clerk_id
       ){unless_unlinked}
    THEN
        BEGIN
            PERFORM set_config('lock_timeout', _lock_timeout, true);
            INSERT INTO {sync_state}
                (clerk_id, clerk_updated_at, confirmed_at, skipped, synced_at)
            SELECT i.clerk_id, i.clerk_updated_at, i.confirmed_at,
                   CASE WHEN i.email IS NULL AND _require_email THEN 'no email' END,
                   clock_timestamp()
            FROM {incoming} AS i
            ORDER BY i.clerk_id COLLATE "C";
            WITH written AS (
                INSERT INTO {users} AS u ({inserted})
                SELECT {values}
                FROM {incoming} AS i
                WHERE i.email IS NOT NULL OR NOT _require_email
                {in_order}
                RETURNING {returned}
            ){new_companions}
            SELECT count(*), {companions_made} INTO created, _companions FROM written;
            SELECT count(*) FILTER (WHERE i.email IS NULL AND _require_email),
                   count(*) FILTER (WHERE i.email IS NOT NULL OR NOT _require_email)
                   - created,
                   {has_triggers}
            INTO skipped, unchanged, _has_triggers
            FROM {incoming} AS i;
            IF _has_triggers THEN
                SET CONSTRAINTS ALL IMMEDIATE;
                SELECT unchanged + created - count(*)
                INTO unchanged
                FROM {incoming} AS i JOIN {users} AS u ON u.{key} = i.clerk_id;
            END IF;
            IF unchanged <> 0 OR _companions < created * {companions_each} THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'CS001', MESSAGE = 'a row was not inserted';
            END IF;
            RETURN;
        EXCEPTION WHEN unique_violation OR exclusion_violation THEN
            NULL;  -- all of it is undone
        END;
    END IF;

    -- What is news? Only reads: what is not news is neither written nor locked.
    -- Skipping by content is safe for the same version only.
    SELECT array_agg(clerk_id) FILTER (WHERE verdict = 'news'),
           count(*) FILTER (WHERE verdict = 'unchanged'),
           count(*) FILTER (WHERE verdict = 'skipped'),
           array_agg(clerk_id) FILTER (WHERE verdict = 'tombstoned'),
           array_agg(clerk_id) FILTER (WHERE verdict = 'ahead')
    INTO _news, unchanged, skipped, tombstoned, ahead
    FROM (
        SELECT i.clerk_id,
               CASE
                   WHEN s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)
                   THEN 'tombstoned'
                   WHEN s.clerk_updated_at > i.clerk_updated_at{unless_doubted}
                   THEN {unchanged_or_ahead}
                   WHEN s.clerk_updated_at <> i.clerk_updated_at
                        OR s.clerk_updated_at IS NULL
                        OR s.deleted_at IS NOT NULL
                   THEN 'news'
                   WHEN u.{key} IS NULL AND s.skipped IS NOT NULL
                        AND i.email IS NULL AND {email_is_required}
                   THEN 'skipped'
{still_held_back}                   WHEN CASE WHEN u.{key} IS NULL THEN {row_is_due}
                             ELSE {differs_but_email} END
                   THEN 'news'
                   WHEN {same_email}
                   THEN 'unchanged'
                   -- Kept back for a row of the application: nothing new in that.
                   WHEN {email_is_kept_back} AND EXISTS (
                       SELECT FROM {holders} AS h
                       WHERE h.{held} {equals} i.{wanted}
                         AND (h.{key} ~ {clerk_id}) IS NOT TRUE
                   )
                   THEN CASE WHEN u.{key} IS NULL THEN 'skipped' ELSE 'unchanged' END
                   ELSE 'news'
               END AS verdict
        FROM {incoming} AS i
        LEFT JOIN {sync_state} AS s ON s.clerk_id = i.clerk_id
        LEFT JOIN {users} AS u ON u.{key} = i.clerk_id
        OFFSET 0  -- or each of the five aggregates would judge anew
    ) AS verdicts;
    IF _news IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('lock_timeout', _lock_timeout, true);
{set_aside}{find_holders}{lock_all}
    -- The claim: the one row that serialises all writers of a user. Every writer claims
    -- in one order, whatever the collation of the database.
    WITH claims AS (
        INSERT INTO {sync_state} AS s
            (clerk_id, clerk_updated_at, confirmed_at, synced_at)
        SELECT i.clerk_id, i.clerk_updated_at, i.confirmed_at, clock_timestamp()
        FROM {incoming} AS i
        JOIN unnest(_news) AS n (clerk_id) ON n.clerk_id = i.clerk_id
        ORDER BY i.clerk_id COLLATE "C"
        ON CONFLICT (clerk_id) DO UPDATE
        SET clerk_updated_at = excluded.clerk_updated_at,
            confirmed_at = coalesce(excluded.confirmed_at, s.confirmed_at),
            deleted_at = NULL,
            skipped = NULL,
            synced_at = clock_timestamp()
        WHERE (s.deleted_at IS NULL OR s.deleted_at < excluded.confirmed_at)
          AND (s.clerk_updated_at IS NULL
               OR s.clerk_updated_at <= excluded.clerk_updated_at{or_doubted})
        RETURNING s.clerk_id
    )
    SELECT coalesce(array_agg(clerk_id), '{{}}') INTO _claimed FROM claims;

    -- Not claimed: overtaken, while waiting, by a deletion or by a newer version.
    IF cardinality(_claimed) < cardinality(_news) THEN
        SELECT tombstoned
               || array_agg(s.clerk_id) FILTER (WHERE s.deleted_at IS NOT NULL),
               unchanged + count(*) FILTER (WHERE s.deleted_at IS NULL)
        INTO tombstoned, unchanged
        FROM {sync_state} AS s
        WHERE s.clerk_id = ANY (_news) AND s.clerk_id <> ALL (_claimed);
    END IF;

{settle_emails}
    -- Whatever depends on the row is decided now, after the claim. An existing row gets
    -- an UPDATE: an INSERT that turns into one would fire the triggers, check the rules
    -- and consume the defaults that are meant for new rows.{lock_free}
    WITH written AS (
        UPDATE {users} AS u
        SET {assignments}
        FROM (
            SELECT {resolved}
            FROM {incoming} AS i
            JOIN unnest({due}) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            {in_order}
        ) AS i
        WHERE u.{key} = i.clerk_id{is_due}
        RETURNING {returned}
    ){companions}
    SELECT count(*), array_agg(key), {companions_missed}
    INTO updated, _written, _companions
    FROM written;
    IF updated < cardinality(_claimed) THEN
        WITH written AS (
            INSERT INTO {users} AS u ({inserted})
            SELECT {values}
            FROM (
                SELECT {resolved}, i.email IS NOT NULL AS has_email{held_back}
                FROM {incoming} AS i
                JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            ) AS i
            WHERE ({may_be_created})
              AND NOT EXISTS (SELECT FROM {users} AS u WHERE u.{key} = i.clerk_id)
            {in_order}
            RETURNING {returned}
        ){companions}
        SELECT count(*), _written || array_agg(key), _companions + {companions_missed},
               {has_triggers}
        INTO created, _written, _companions, _has_triggers
        FROM written;
    END IF;

{manage_tier}
    -- A trigger, rule or policy can swallow a row without an error, or delete it again.
    -- Conditions of their own, because each costs as much as a statement.
    IF created > 0 AND _has_triggers THEN
        SET CONSTRAINTS ALL IMMEDIATE;
        IF created + updated > (
            SELECT count(*)
            FROM {users} AS u
            WHERE u.{key} = ANY (_written) AND u.{key} = ANY (_claimed)
        ) THEN
            RAISE EXCEPTION USING
                ERRCODE = 'CS001', MESSAGE = 'a row is not there any more';
        END IF;
    END IF;
    -- A companion's row may have come from elsewhere at the same moment.
    IF _companions > 0 THEN
        IF {lacks_companion} THEN
            RAISE EXCEPTION USING
                ERRCODE = 'CS001', MESSAGE = 'a companion row was not written';
        END IF;
    END IF;
    IF created + updated < cardinality(_claimed) THEN
        -- Who was claimed and not written must need no write.
        SELECT array_agg(i.clerk_id)
        INTO _missed
        FROM (
            SELECT {resolved}, i.email IS NOT NULL AS has_email{held_back}
            FROM {incoming} AS i
            JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            WHERE (i.clerk_id = ANY (_written)) IS NOT TRUE
        ) AS i
        LEFT JOIN {users} AS u ON u.{key} = i.clerk_id
        WHERE CASE
                  WHEN u.{key} IS NULL THEN {may_be_created}
                  ELSE {differs_but_email} OR NOT ({same_email})
              END;
        IF _missed IS NOT NULL THEN{refuse_locked}
            RAISE EXCEPTION USING
                ERRCODE = 'CS001', MESSAGE = 'a row was not written';
        END IF;
        -- ANY is looked up in a hash table; a join that is thought to be of one row
        -- would go through all claims for each user without an email.
        UPDATE {sync_state} AS s
        SET skipped = CASE WHEN i.email IS NULL THEN 'no email' ELSE 'email taken' END
        FROM {incoming} AS i
        WHERE s.clerk_id = i.clerk_id AND {may_be_rowless}
          AND i.clerk_id = ANY (_claimed)
          AND NOT EXISTS (SELECT FROM {users} AS u WHERE u.{key} = i.clerk_id);
        GET DIAGNOSTICS _rowless = ROW_COUNT;
        skipped := skipped + _rowless;
        unchanged := unchanged + cardinality(_claimed) - created - updated - _rowless;
    END IF;
END
"""

# Of a batch: a version that was claimed before the run began, and is newer than what
# Clerk lists, is doubted. If Clerk was asked by ID, after the claim, the claim yields.
UNLESS_DOUBTED: LiteralString = """
                        AND (s.synced_at < i.confirmed_at
                             AND s.synced_at < _doubted_before) IS NOT TRUE"""
UNCHANGED_OR_AHEAD: LiteralString = """CASE
                       WHEN i.confirmed_at IS NULL AND s.synced_at < _doubted_before
                       THEN 'ahead'
                       ELSE 'unchanged'
                   END"""
OR_DOUBTED: LiteralString = """
               OR (s.synced_at < excluded.confirmed_at
                   AND s.synced_at < _doubted_before)"""

# Only where a metadata key is configured: otherwise the tier is the application's.
MANAGE_TIER: LiteralString = """
    IF _manages_tier THEN
        UPDATE {users} AS u
        SET {tier} = {new_tier}
        FROM {incoming} AS i
        JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
        WHERE u.{key} = i.clerk_id
          AND i.tier IS NOT NULL AND {old_tier} IS DISTINCT FROM i.tier;
    END IF;
"""
