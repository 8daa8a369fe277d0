"""Rows as lines of Postgres's COPY in text format.

psycopg can do that too, but only on the thread that writes and in pieces of 32 kB, for
each of which it must win the interpreter back from the thread that decodes. As text, a
batch is made by that one, and written at once.
"""

from typing import Any, Final

# https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL: Final = "\\N"


def copy_line(values: list[Any]) -> str:
    """One row, without the newline at its end. Of str, int, bool, datetime, None."""
    line = "\t".join(
        [v if v.__class__ is str else _NULL if v is None else str(v) for v in values]
    )
    # Next to never does a text hold what must be escaped: it is searched as a whole.
    if (
        line.count("\t") == len(values) - 1
        and line.count("\\") == values.count(None)
        and "\n" not in line
        and "\r" not in line
    ):
        return line
    escaped = [v.translate(_ESCAPES) if isinstance(v, str) else v for v in values]
    return "\t".join([_NULL if v is None else str(v) for v in escaped])
