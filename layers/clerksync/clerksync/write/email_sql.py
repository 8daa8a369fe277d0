"""What becomes of an email that two users claim, as parts of the upsert.

`sql_functions` puts one of each pair into it: by whether the email column is unique,
and whether it may be NULL.
"""

from typing import LiteralString

# Does another row hold, or another of these users want, one of the emails? What is the
# same email, and which rows count, is the table's own rule: see `email_rule`.
FIND_HOLDERS: LiteralString = """
    SELECT array_agg(h.{key}) FILTER (WHERE h.{key} IS NOT NULL),
           count(h.{held}) > 0 OR count(i.{wanted}) > count(DISTINCT i.{wanted})
    INTO _holders, _contested
    FROM {incoming} AS i
    JOIN unnest(_news) AS n (clerk_id) ON n.clerk_id = i.clerk_id
    LEFT JOIN {holders} AS h
        ON h.{held} {equals} i.{wanted} AND h.{key} IS DISTINCT FROM i.clerk_id;
"""

# A holder that may not be without an email is left alone, and so is whoever wants it,
# and who wants what that one has: the caller asks Clerk for the holders and hands all
# of them over together. When nobody is left to ask for, nobody is set aside.
SET_ASIDE: LiteralString = """
    WHILE NOT _all_asked LOOP
        SELECT array_agg(DISTINCT i.clerk_id),
               holders || array_agg(DISTINCT h.{key}) FILTER (WHERE o.clerk_id IS NULL)
        INTO _more, holders
        FROM {incoming} AS i
        JOIN unnest(_news) AS n (clerk_id) ON n.clerk_id = i.clerk_id
        JOIN {holders} AS h
            ON h.{held} {equals} i.{wanted} AND h.{key} <> i.clerk_id
        LEFT JOIN {incoming} AS o ON o.clerk_id = h.{key}
        WHERE h.{key} ~ {clerk_id}
          AND (o.clerk_id IS NULL OR h.{key} = ANY (blocked));
        EXIT WHEN _more IS NULL;
        blocked := blocked || _more;
        _news := array(SELECT unnest(_news) EXCEPT SELECT unnest(_more));
    END LOOP;
"""

# One statement for those who have a row and those who get one here: new users, and
# holders that were never synced. Locks in one order need one walk. DO UPDATE locks the
# row that is there, and WHERE false leaves it as it is.
LOCK_ALL: LiteralString = """
    IF _contested THEN
        INSERT INTO {sync_state} AS s (clerk_id, synced_at)
        SELECT c.clerk_id, '-infinity'
        FROM (SELECT unnest(_news) UNION SELECT unnest(_holders)) AS c (clerk_id)
        WHERE c.clerk_id ~ {clerk_id}
        ORDER BY c.clerk_id COLLATE "C"
        ON CONFLICT (clerk_id) DO UPDATE SET synced_at = s.synced_at WHERE false;
    END IF;
"""

# An email belongs to the newest claim, and each claim is locked by now. A holder that
# came up in between is not: the whole unit of work must start again. The older claim's
# email becomes NULL.
GIVE_WAY: LiteralString = """
    IF _contested THEN
        WITH wanted AS (
            SELECT i.{wanted} AS email, i.clerk_id, i.clerk_updated_at AS version
            FROM {incoming} AS i
            JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            WHERE i.{wanted} IS NOT NULL
        ), rivals AS (
            SELECT w.email, w.clerk_id, w.version FROM wanted AS w
            UNION
            SELECT w.email, h.{key},
                   CASE
                       WHEN (h.{key} ~ {clerk_id}) IS NOT TRUE THEN 'infinity'
                       ELSE coalesce(s.clerk_updated_at, '-infinity')
                   END
            FROM wanted AS w
            JOIN {holders} AS h ON h.{held} {equals} w.email
            LEFT JOIN {sync_state} AS s ON s.clerk_id = h.{key}
            WHERE (h.{key} = ANY (_claimed)) IS NOT TRUE
        ), ranked AS (
            SELECT clerk_id,
                   row_number() OVER (
                       PARTITION BY email ORDER BY version DESC, clerk_id DESC
                   ) > 1 AS loses
            FROM rivals
        )
        SELECT coalesce(array_agg(clerk_id) FILTER (WHERE loses), '{{}}'),
               count(*) FILTER (WHERE loses),
               bool_or(clerk_id <> ALL (_claimed || _holders))
        INTO _losers, email_conflicts, _unlocked
        FROM ranked;
        IF _unlocked THEN
            RAISE serialization_failure USING MESSAGE = 'an email changed hands';
        END IF;

        UPDATE {users} AS u
        SET {email} = NULL{touched}
        WHERE u.{key} = ANY (_losers) AND u.{key} <> ALL (_claimed)
          AND u.{email} IS NOT NULL;
        -- Of those handed over: what is released is written, and counts as updated.
        WITH released AS (
            UPDATE {users} AS u
            SET {email} = NULL
            FROM {incoming} AS i
            JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            WHERE u.{key} = i.clerk_id AND u.{email} IS NOT NULL
              AND (u.{email}::text COLLATE "C" IS DISTINCT FROM i.email
                   OR i.clerk_id = ANY (_losers))
            RETURNING u.{key} AS clerk_id
        )
        SELECT coalesce(array_agg(clerk_id), '{{}}') INTO _released FROM released;
    END IF;
"""

# Where no row may be without an email, one keeps the address that it has unless it gets
# another: who wants that address then loses, and keeps its own, and so on. What is
# released takes a placeholder, which nobody sees outside of this transaction but the
# table's own triggers. It has 49 characters.
KEEP: LiteralString = """
    IF _contested THEN
        LOOP
            WITH wanted AS (
                SELECT i.{wanted} AS email, i.clerk_id, i.clerk_updated_at AS version
                FROM {incoming} AS i
                JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
                WHERE i.{wanted} IS NOT NULL AND i.clerk_id <> ALL (_losers)
            ), kept AS (
                SELECT h.{held} AS email, h.{key} AS clerk_id
                FROM {holders} AS h
                LEFT JOIN {incoming} AS i
                    ON i.clerk_id = h.{key} AND i.clerk_id = ANY (_claimed)
                WHERE EXISTS (SELECT FROM wanted AS w WHERE h.{held} {equals} w.email)
                  AND (i.email IS NULL OR i.clerk_id = ANY (_losers))
            ), ranked AS (
                SELECT w.clerk_id,
                       row_number() OVER (
                           PARTITION BY w.email
                           ORDER BY w.version DESC, w.clerk_id DESC
                       ) > 1 OR k.email IS NOT NULL AS loses
                FROM wanted AS w
                LEFT JOIN kept AS k
                    ON k.email {equals} w.email
                    AND k.clerk_id IS DISTINCT FROM w.clerk_id
            )
            SELECT array_agg(clerk_id) INTO _more FROM ranked WHERE loses;
            EXIT WHEN _more IS NULL;
            _losers := _losers || _more;
        END LOOP;
        email_conflicts := cardinality(_losers);
        -- Whoever came up in between has to be asked for first.
        SELECT count(*) > 0 AND NOT _all_asked INTO _unlocked
        FROM {incoming} AS i
        JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
        JOIN {holders} AS h
            ON h.{held} {equals} i.{wanted} AND h.{key} <> i.clerk_id
        WHERE h.{key} ~ {clerk_id}
          AND NOT EXISTS (SELECT FROM {incoming} AS o WHERE o.clerk_id = h.{key});
        IF _unlocked THEN
            RAISE serialization_failure USING MESSAGE = 'an email changed hands';
        END IF;

        WITH released AS (
            UPDATE {users} AS u
            SET {email} = u.{key} || '@released.invalid'
            FROM {incoming} AS i
            JOIN unnest(_claimed) AS c (clerk_id) ON c.clerk_id = i.clerk_id
            WHERE u.{key} = i.clerk_id AND u.{email}::text COLLATE "C" <> i.email
              AND i.clerk_id <> ALL (_losers)
            RETURNING u.{key} AS clerk_id
        )
        SELECT coalesce(array_agg(clerk_id), '{{}}') INTO _released FROM released;
    END IF;
"""

# Who writes an email that another is just writing waits for that one: all go through
# the unique index in one direction.
IN_ORDER: LiteralString = 'ORDER BY i.email COLLATE "C"'
