"""DATABASE_URL as other drivers and their poolers want it."""

import psycopg
import pytest

from clerksync.settings.database_url import parameter_complaint
from clerksync.settings.environment import Settings

URL = "postgresql://u:p%40ss@h:6543/db"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("?schema=public", ""),
        ("?pgbouncer=true&connection_limit=1", ""),
        (
            "?sslmode=require&schema=app&connect_timeout=9",
            "?sslmode=require&connect_timeout=9",
        ),
        ("?options=-c%20a%3Db&Schema=x", "?options=-c%20a%3Db"),
        ("?sslmod=require", "?sslmod=require"),
    ],
)
def test_what_is_for_another_driver_is_left_out(
    monkeypatch: pytest.MonkeyPatch, query: str, kept: str
) -> None:
    """Prisma's URL works as it is. A slip of the pen stays, and is told by libpq."""
    monkeypatch.setenv("DATABASE_URL", URL + query)
    assert Settings().database_url == URL + kept


def test_a_connection_string_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a URL has parameters behind a question mark."""
    monkeypatch.setenv("DATABASE_URL", "host=h dbname=db user=u password=a?schema=b")
    assert Settings().database_url.endswith("password=a?schema=b")


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ("sslmod=require", "does not know: sslmod"),
        ("sslmode=hunter2", "has a value for sslmode"),
    ],
)
def test_a_slip_of_the_pen_is_told_by_name(parameter: str, told: str) -> None:
    """In libpq's own words, which hold the value; ours do not."""
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(f"postgresql://127.0.0.1:1/db?{parameter}")
    complaint = parameter_complaint(str(caught.value))
    assert complaint is not None
    assert told in complaint
    assert "hunter2" not in complaint
