"""What it takes to keep the page up to date, and what happens when it cannot be."""

from collections.abc import Callable

import psycopg
import pytest

from tests.doors import UNREACHABLE, untouched
from tests.laptop import Laptop
from tests.tables import rows

CHANGES: dict[str, Callable[[Laptop], object]] = {
    "a user signs up, and the webhook fails": lambda stub: stub.clerk.create_user(),
    "a user changes, and no webhook tells": lambda stub: stub.clerk.update_user(
        stub.clerk.ids()[0], first_name="New", notify=False
    ),
    "a user is deleted": lambda stub: stub.clerk.delete_user(
        stub.clerk.ids()[0], notify=False
    ),
    "webhooks are held back": lambda stub: stub.clerk.sender.hold(),
    "a run": lambda stub: stub.sync_all(),
    "a self-sync that is refused": lambda stub: stub.self_sync(""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_told_at_the_next_question(
    stub: Laptop, change: str
) -> None:
    """And nothing is told again as long as nothing does: an empty 304."""
    tag = stub.get("/page/state").headers["etag"]
    for _ in range(2):
        same = stub.get("/page/state", if_none_match=tag)
        assert (same.status, same.data) == (304, b"")
    assert stub.get("/page/state?q=a", if_none_match=tag).status == 200
    CHANGES[change](stub)
    news = stub.get("/page/state", if_none_match=tag)
    assert news.status == 200
    assert news.headers["etag"] != tag


def test_a_row_that_somebody_else_writes_is_told(
    stub: Laptop, connection: psycopg.Connection
) -> None:
    """Also in a transaction that was open before the last look, once it commits."""
    stub.sync_all()
    user = next(iter(rows(connection)))
    with connection.transaction():
        connection.execute("UPDATE users SET tier = 'PRO' WHERE id = %s", [user])
        answer = stub.get("/page/state")
        assert '"PRO"' not in answer.data.decode()
    news = stub.get("/page/state", if_none_match=answer.headers["etag"])
    assert news.status == 200
    assert stub.user(user)["row"]["tier"] == "PRO"


def test_looking_writes_and_locks_nothing(
    stub: Laptop, connection: psycopg.Connection
) -> None:
    """Neither in our tables nor at Clerk."""
    stub.sync_all()
    user = stub.clerk.ids()[0]
    with untouched(connection):
        stub.state()
        stub.state("user")
        assert stub.get(f"/page/user?id={user}").status == 200
    assert stub.clerk.deliveries == []


def test_a_database_that_is_away_is_said(
    stub: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to check, and without the URL; afterwards all is well again."""
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", UNREACHABLE)
        answer = stub.get("/page/state")
        assert answer.status == 503
        assert "Postgres cannot be reached" in answer.json()["error"]
        assert "correct-horse" not in answer.data.decode()
    assert stub.get("/page/state").status == 200


@pytest.mark.alters_schema
def test_tables_that_are_not_there_yet_are_said(
    stub: Laptop, connection: psycopg.Connection
) -> None:
    """With the command that makes them."""
    connection.execute("DROP TABLE sync_runs")
    answer = stub.get("/page/state")
    assert answer.status == 503
    assert "run migrate" in answer.json()["error"]
