"""The application's foreign keys, as far as they keep users from being deleted."""

import re
from typing import Final, LiteralString

from local.doctor.check_runner import Verdicts, ok, warning
from local.doctor.orm_remedies import ForeignKey, cascade_hints
from local.doctor.subject import Subject

# A cascade deletes rows that others may hold in turn.
_BLOCKING: LiteralString = """
    WITH RECURSIVE deleted AS (
        SELECT to_regclass(%(table)s)::oid AS table_id
        UNION
        SELECT c.conrelid
        FROM pg_constraint AS c
        JOIN deleted AS d ON d.table_id = c.confrelid
        WHERE c.contype = 'f' AND c.confdeltype = 'c'
    ), judged AS (
        SELECT c.*, t.relname AS of_table, k.attname AS of_column,
               r.relname AS to_table, rk.attname AS to_column,
               (
                   SELECT quote_ident(a.attname)
                   FROM pg_attribute AS a
                   WHERE a.attrelid = c.conrelid AND a.attnotnull
                     AND a.attnum = ANY (
                         coalesce(nullif(c.confdelsetcols, '{{}}'), c.conkey)
                     )
                   ORDER BY a.attnum
                   LIMIT 1
               ) AS not_null
        FROM pg_constraint AS c
        JOIN deleted AS d ON d.table_id = c.confrelid
        JOIN pg_class AS t ON t.oid = c.conrelid
        JOIN pg_attribute AS k ON k.attrelid = t.oid AND k.attnum = c.conkey[1]
        JOIN pg_class AS r ON r.oid = c.confrelid
        JOIN pg_attribute AS rk ON rk.attrelid = r.oid AND rk.attnum = c.confkey[1]
        WHERE c.contype = 'f' AND c.conparentid = 0
    )
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid),
           confdeltype = 'n', not_null,
           conname, of_table, of_column, to_table, to_column
    FROM judged
    WHERE confdeltype IN ('a', 'r') OR (confdeltype = 'n' AND not_null IS NOT NULL)
    ORDER BY 1, 2
"""
_ACTION: Final = re.compile(r" ON DELETE (RESTRICT|NO ACTION|SET NULL( \([^)]*\))?)")
# What may come behind the actions of a foreign key.
_BEHIND: Final = re.compile(r"( (NOT )?DEFERRABLE| NOT VALID| NOT ENFORCED|$)")


def foreign_keys(subject: Subject) -> Verdicts:
    """Each that would block a deletion, with the statement that mends it."""
    if subject.settings.soft_delete:
        yield ok("Soft deletion keeps the row, and so every foreign key.")
        return
    found = subject.rows(_BLOCKING, {"table": subject.target})
    for table, constraint, definition, sets_null, not_null, *names in found:
        hints = cascade_hints(subject.tools, ForeignKey(*names))
        mend = (
            f"ALTER TABLE {table} DROP CONSTRAINT {constraint}, ADD CONSTRAINT "
            f"{constraint} {cascading(definition)};"
        )
        if sets_null:
            yield warning(
                f"{table}.{constraint} blocks deletions: ON DELETE SET NULL, and "
                f"{not_null} is NOT NULL. Mend it: ALTER TABLE {table} ALTER "
                f"{not_null} DROP NOT NULL; or {mend} {hints}"
            )
        else:
            keep = "" if not_null else " SET NULL instead of CASCADE keeps those rows."
            yield warning(
                f"{table}.{constraint} blocks the deletion of a user who has rows "
                f"there. Mend it: {mend}{keep} {hints}"
            )
    if not found:
        yield ok("None blocks the deletion of a user.")


def cascading(definition: str) -> str:
    """A foreign key as Postgres words it, with ON DELETE CASCADE."""
    return _BEHIND.sub(r" ON DELETE CASCADE\1", _ACTION.sub("", definition), count=1)
