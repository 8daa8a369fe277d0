"""How a batch leaves out the rows that the application has locked, as parts of the
upsert."""

from typing import LiteralString

LOCKING_VARIABLES: LiteralString = """
    _free text[];
    _locked text;"""

# Of a batch: a row that the application has locked is left out, with all that depends
# on it, and the others do not wait for it.
LOCK_FREE: LiteralString = """
    WITH free AS (
        SELECT u.{key} AS clerk_id
        FROM (
            SELECT {resolved}
            FROM {incoming} AS i
            JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
        ) AS i
        JOIN {users} AS u ON u.{key} = i.clerk_id
        WHERE {differs_but_email} OR NOT ({same_email})
              OR i.clerk_id = ANY (_released)
        FOR NO KEY UPDATE OF u SKIP LOCKED
    )
    SELECT coalesce(array_agg(clerk_id), '{{}}') INTO _free FROM free;
"""
REFUSE_LOCKED: LiteralString = """
            SELECT string_agg(u.{key}, ',')
            INTO _locked
            FROM {users} AS u
            WHERE u.{key} = ANY (_missed) AND u.{key} <> ALL (_free);
            IF _locked IS NOT NULL THEN
                BEGIN  -- or does a policy hide them?
                    PERFORM FROM {users} AS u
                    WHERE u.{key} = ANY (_missed) AND u.{key} <> ALL (_free)
                    FOR NO KEY UPDATE NOWAIT;
                EXCEPTION WHEN lock_not_available THEN
                    RAISE EXCEPTION USING
                        ERRCODE = 'CS003', MESSAGE = 'rows are locked',
                        DETAIL = _locked;
                END;
            END IF;
"""
