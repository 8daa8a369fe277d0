"""The page of the laptop over the tables of applications."""

from collections.abc import Iterator

import pytest

from tests.integration.mapping.application import Application
from tests.laptop import Laptop, served


@pytest.fixture
def page(application: Application) -> Iterator[Laptop]:
    with served(application.clerk) as page:
        yield page


def test_a_user_in_step_is_shown_to_be(application: Application, page: Laptop) -> None:
    """Whatever the columns are called, and in whatever time zone their times are."""
    user = application.sign_up(
        "noor@example.com", first_name="Noor", last_name="Castell"
    )
    shown = page.user(user["id"])
    assert (shown["standing"], shown["differs"]) == ("in step", [])
    assert shown["row"]["name"] == "Noor Castell"
    assert shown["row"]["email"] == "noor@example.com"
    assert shown["row"]["tier"] == ("FREE" if application.mapping.tier else None)
    rate_limits = application.mapping.rate_limits
    assert shown["row"]["bucket"] == ("full" if rate_limits else None)
    for search in ("NOOR", "castell", "noor@example"):
        assert [u["key"] for u in page.state(search)["users"]] == [user["id"]]


def test_the_comparison_is_of_the_mapped_columns(
    application: Application, page: Laptop
) -> None:
    """All equal on both sides; what else is in the row comes from the table alone."""
    user = application.sign_up("noor@example.com", first_name="Noor")
    answer = page.get(f"/page/user?id={user['id']}").json()
    synced = [field for field in answer["fields"] if "own" not in field]
    mapped = [column.name for column in application.mapping.columns]
    assert [field["name"] for field in synced] == ["version", *mapped]
    assert [f for f in synced if f["clerk"] != f["table"]] == []
    own = {field["name"] for field in answer["fields"] if "own" in field}
    assert application.mapping.created_at in own


def test_a_tier_is_set_where_there_is_one(
    application: Application, page: Laptop
) -> None:
    """And refused, with the reason, where the table has none."""
    user = application.sign_up("noor@example.com")["id"]
    answer = page.post("/page/tier", {"id": user, "tier": "PRO"})
    if application.mapping.tier:
        assert answer.status == 200
        assert page.user(user)["row"]["tier"] == "PRO"
    else:
        assert answer.status == 422
        assert "no tier" in answer.json()["error"]


def test_a_deleted_user_is_a_tombstone(application: Application, page: Laptop) -> None:
    """Also where the table keeps nothing of it."""
    user = application.sign_up("noor@example.com")["id"]
    application.clerk.delete_user(user, notify=False)
    assert page.user(user)["standing"] == "orphan"
    assert application.notify("user.deleted", user) == "deleted"
    assert page.user(user)["standing"] == "deleted"
    assert page.state()["counts"]["table"] == 0


def test_a_self_sync_is_told_with_the_clerk_id(
    application: Application, page: Laptop
) -> None:
    """Not with the table's own id, which may be a number."""
    user = application.clerk.create_user(email="noor@example.com", notify=False)["id"]
    assert page.self_sync(application.clerk.session_token(user)) == 200
    (told,) = page.state()["self_syncs"]
    assert (told["status"], told["user_id"]) == (200, user)
