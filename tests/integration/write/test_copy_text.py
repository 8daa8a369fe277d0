"""Rows as text for COPY: what goes into Postgres is what comes out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clerksync.write.copy_text import copy_lines, values_of

# All that Postgres can hold: no NUL character, no lone surrogate.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_ODD = ["", "\\", "\\N", "\\.", "\t", "\n", "\r", "\r\n", "\\t", "\\\\N", "N", "null"]
TEXTS = st.none() | st.sampled_from(_ODD) | st.text(_CHARACTERS, max_size=12)
TEXTS |= st.text(st.sampled_from("\\\t\n\rNn.x '\"{}"), max_size=8)
MOMENTS = st.integers(0, 200_000_000_000_000).map(
    lambda ms: datetime.fromtimestamp(ms / 1000, UTC)
)


@pytest.fixture(scope="module")
def session(shared_database: str) -> Iterator[psycopg.Connection]:
    """With tables of its own, which are gone when it is closed."""
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE single (n serial, a text)")
        connection.execute("CREATE TEMP TABLE texts (n serial, a text, b text, c text)")
        connection.execute(
            "CREATE TEMP TABLE mixed"
            " (n serial, a bigint, b boolean, c timestamptz, d text, e jsonb)"
        )
        yield connection


def through_postgres(
    session: psycopg.Connection, table: str, columns: str, rows: list[list[Any]]
) -> list[list[Any]]:
    """Copy rows in, and read them again, in their order."""
    text = "".join([f"{line}\n" for line in copy_lines(rows)])
    session.execute(f"TRUNCATE {table} RESTART IDENTITY".encode())
    with session.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
            copy.write(text)
        cursor.execute(f"SELECT {columns} FROM {table} ORDER BY n".encode())
        return [list(row) for row in cursor]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS).map(list), min_size=1, max_size=6))
@example(rows=[["\\N", None, "\\."], [None, None, None], ["", "", ""]])
@example(rows=[["a\tb", "c\nd", "e\rf"], ["\\", "\\\\", "\\n"], ["é", "日本", "🙂"]])
def test_texts_come_out_as_they_went_in(
    session: psycopg.Connection, rows: list[list[str | None]]
) -> None:
    """Nothing that is in a text ends a column or a row, or passes for no text."""
    assert through_postgres(session, "texts", "a, b, c", rows) == rows


@given(rows=st.lists(TEXTS.map(lambda text: [text]), min_size=1, max_size=6))
def test_a_single_column_comes_out_as_it_went_in(
    session: psycopg.Connection, rows: list[list[str | None]]
) -> None:
    """Where an empty text is an empty line."""
    assert through_postgres(session, "single", "a", rows) == rows


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.booleans(),
            st.none() | MOMENTS,
            TEXTS,
        ).map(list),
        min_size=1,
        max_size=5,
    )
)
def test_numbers_booleans_and_moments_come_out_as_they_went_in(
    session: psycopg.Connection, rows: list[list[Any]]
) -> None:
    """Beside texts that must be escaped, and beside no value at all."""
    assert through_postgres(session, "mixed", "a, b, c, d", rows) == rows


@given(text=st.text(_CHARACTERS, max_size=12))
def test_json_comes_out_as_it_went_in(session: psycopg.Connection, text: str) -> None:
    """It has backslashes of its own, which become two."""
    row = [json.dumps({"key": text})]
    assert through_postgres(session, "mixed", "e", [row]) == [[{"key": text}]]


def test_a_text_of_another_class_is_escaped_as_well(
    session: psycopg.Connection,
) -> None:
    """An enumeration's member is a text, and no less dangerous."""

    class Text(str):
        __slots__ = ()

    row = [Text("a\tb"), Text("\\N"), "plain"]
    assert through_postgres(session, "texts", "a, b, c", [row]) == [row]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS).map(list), min_size=1, max_size=4))
@example(rows=[["a\tb", "\\N"], ["\\t", "c\\\\\n\r"]])
def test_the_values_of_a_line_are_those_that_it_was_made_of(
    rows: list[list[str | None]],
) -> None:
    """So that a refused row can be looked at again."""
    assert [values_of(line) for line in copy_lines(rows)] == rows
