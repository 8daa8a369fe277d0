"""The deletion as SQL: the body of a PL/pgSQL function, with names left open.

`sql_functions` fills in tables and columns and makes a function of it.
"""

from typing import LiteralString

# The tombstone in one statement and the row in the next, which so sees an upsert that
# the first one waited for. A known tombstone is stamped anew: a look-up made before
# this deletion must not revive the user.
DELETE: LiteralString = """
#variable_conflict use_column
DECLARE
    _claimed text[];
BEGIN
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
    IF _soft THEN
        UPDATE {users} AS u
        SET {forgotten}
        WHERE u.{key} = ANY (_claimed) AND {live};
        GET DIAGNOSTICS deleted = ROW_COUNT;
        {forget_companions}
    ELSE
        DELETE FROM {users} AS u WHERE u.{key} = ANY (_claimed);
        GET DIAGNOSTICS deleted = ROW_COUNT;
    END IF;
END
"""
