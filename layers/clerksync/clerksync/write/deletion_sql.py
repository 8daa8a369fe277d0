"""The deletion as SQL: the body of a PL/pgSQL function, with names left open.

`sql_functions` fills in tables and columns and makes a function of it.
"""

from typing import LiteralString

# The tombstone in one statement and the row in the next, which so sees an upsert that
# the first one waited for. A known tombstone is stamped again: a look-up made before
# this deletion must not revive the user.
DELETE: LiteralString = """
#variable_conflict use_column
DECLARE
    _claimed text[];
    _live bigint := 0;
    _locked text;
BEGIN
    PERFORM set_config('lock_timeout', _lock_timeout, true);
    WITH claims AS (
        INSERT INTO {sync_state} AS s (clerk_id, deleted_at, synced_at)
        SELECT gone.clerk_id, clock_timestamp(), clock_timestamp()
        FROM (SELECT DISTINCT unnest(_clerk_ids) AS clerk_id) AS gone
        ORDER BY gone.clerk_id COLLATE "C"
        ON CONFLICT (clerk_id) DO UPDATE
        SET deleted_at = clock_timestamp(),
            skipped = NULL,
            synced_at = clock_timestamp()
        WHERE _unless_synced_since IS NULL OR s.synced_at < _unless_synced_since
        RETURNING s.clerk_id
    )
    SELECT array_agg(clerk_id) INTO _claimed FROM claims;
    IF cardinality(_claimed) > 1 THEN
        -- A row that the application has locked is left out, with all that depends on
        -- it, and the others do not wait for it.
        WITH free AS (
            SELECT u.{key} FROM {users} AS u WHERE u.{key} = ANY (_claimed)
            FOR UPDATE SKIP LOCKED
        )
        SELECT string_agg(u.{key}, ',')
        INTO _locked
        FROM {users} AS u
        WHERE u.{key} = ANY (_claimed) AND {live}
          AND u.{key} NOT IN (SELECT {key} FROM free);
        IF _locked IS NOT NULL THEN
            RAISE EXCEPTION USING
                ERRCODE = 'CS003', MESSAGE = 'rows are locked', DETAIL = _locked;
        END IF;
    END IF;
    IF _deletion = 'soft' THEN
        UPDATE {users} AS u
        SET {forgotten}
        WHERE u.{key} = ANY (_claimed) AND {live};
        GET DIAGNOSTICS deleted = ROW_COUNT;
        {forget_companions}
    ELSE
        IF _deletion = 'trigger' THEN
            SELECT count(*) INTO _live
            FROM {users} AS u WHERE u.{key} = ANY (_claimed) AND {live};
            {forget_companions}
        END IF;
        DELETE FROM {users} AS u WHERE u.{key} = ANY (_claimed);
        GET DIAGNOSTICS deleted = ROW_COUNT;
        deleted := greatest(deleted, _live);
    END IF;
    -- What COMMIT would do happens now, so that the next statement sees it.
    SET CONSTRAINTS ALL IMMEDIATE;
    -- A trigger, rule or policy can keep a row without an error. No tombstone may stand
    -- beside a row that is live: all of this is undone.
    IF EXISTS (
        SELECT FROM {users} AS u
        WHERE u.{key} = ANY (_claimed) AND (_deletion = 'hard' OR {live})
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'CS002', MESSAGE = 'a row is still there';
    END IF;
END
"""
