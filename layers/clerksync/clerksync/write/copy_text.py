"""Rows as lines of Postgres's COPY in text format.

psycopg can do that too, but only on the thread that writes and in pieces of 32 kB, for
each of which it must win the interpreter back from the thread that decodes. As text, a
batch is made by that one, and written at once.
"""

import re
from typing import Any, Final

# https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_NULL: Final = "\\N"


def copy_lines(rows: list[list[Any]]) -> list[str]:
    """Each row of str, int, bool, datetime and None, without the newline at its end."""
    lines = [
        "\t".join(
            [v if v.__class__ is str else _NULL if v is None else str(v) for v in row]
        )
        for row in rows
    ]
    # Next to never does a text hold what must be escaped: all are searched at once.
    text = "".join(lines)
    if (
        text.count("\t") == sum([len(row) - 1 for row in rows])
        and text.count("\\") == sum([row.count(None) for row in rows])
        and "\n" not in text
        and "\r" not in text
    ):
        return lines
    return ["\t".join([_escaped(v) for v in row]) for row in rows]


def values_of(line: str) -> list[str | None]:
    """Return the values of a line as texts."""
    return [None if v == _NULL else _unescaped(v) for v in line.split("\t")]


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    return re.sub(r"\\(.)", lambda found: _ESCAPED[found[1]], value)


def _escaped(value: Any) -> str:
    return _NULL if value is None else str(value).translate(_ESCAPES)
