"""The listing of users: pages, cursors, bounds, filters, orders."""

import pytest

from local.stub_clerk.stub import StubClerk
from tests.openapi import assert_answer, needs_specifications
from tests.unit.local.stub_clerk.asking import call, listed


def test_listing_shows_the_newest_ten_by_default(crowd: StubClerk) -> None:
    """Without parameters: ten users, newest first."""
    assert listed(crowd, "") == crowd.ids()[::-1][:10]


@pytest.mark.parametrize("order", ["created_at", "%2Bcreated_at", "+created_at"])
def test_a_plus_may_come_encoded_or_not_or_not_at_all(
    crowd: StubClerk, order: str
) -> None:
    """All three spellings mean ascending, though a literal + decodes as a space."""
    assert listed(crowd, f"limit=5&order_by={order}") == crowd.ids()[:5]


@pytest.mark.parametrize("order", ["", "&order_by=-created_at", "&order_by=created_at"])
@pytest.mark.parametrize("limit", [7, 100, 400])
def test_a_cursor_walk_sees_everybody_once(
    crowd: StubClerk, order: str, limit: int
) -> None:
    """Pages joined are the whole listing in order; equal milliseconds do no harm."""
    seen: list[str] = []
    while True:
        cursor = f"&starting_after={seen[-1]}" if seen else ""
        page = listed(crowd, f"limit={limit}{order}{cursor}")
        seen += page
        if len(page) < limit:
            break
    ascending = order.endswith("=created_at")
    assert seen == (crowd.ids() if ascending else crowd.ids()[::-1])


def test_an_offset_walk_sees_everybody_once(crowd: StubClerk) -> None:
    """Offset and limit cut the same listing."""
    seen = []
    for offset in (0, 150, 300):
        seen += listed(crowd, f"limit=150&offset={offset}")
    assert seen == crowd.ids()[::-1]
    assert listed(crowd, "offset=400") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=501",
        "limit=ten",
        "offset=-1",
        "order_by=age",
        "starting_after={id}&order_by=-updated_at",
        "starting_after={id}&offset=1",
        "starting_after=user_gone",
        "created_at_after=yesterday",
        "banned=perhaps",
        "&".join(f"user_id=user_{n}" for n in range(101)),
        "&".join(f"email_address=a{n}@example.com" for n in range(101)),
    ],
)
@needs_specifications
def test_what_clerk_refuses_is_a_422(crowd: StubClerk, query: str) -> None:
    """Each with an error body of Clerk's form."""
    path = "/v1/users?" + query.format(id=crowd.ids()[0])
    status, answer = call(crowd, "GET", path)
    assert status == 422
    assert answer["errors"][0]["code"]
    assert_answer("get", "/users", 422, answer)


def test_a_cursor_may_have_offset_zero(crowd: StubClerk) -> None:
    """Only a non-zero offset contradicts a cursor."""
    newest = crowd.ids()[-1]
    expected = crowd.ids()[::-1][1:3]
    assert listed(crowd, f"limit=2&offset=0&starting_after={newest}") == expected


def test_the_status_for_a_lost_cursor_can_be_chosen(stub: StubClerk) -> None:
    """Clerk does not say what it answers when the cursor's user is gone."""
    user_id = stub.create_user(email="a@example.com")["id"]
    stub.delete_user(user_id)
    assert call(stub, "GET", f"/v1/users?starting_after={user_id}")[0] == 422
    stub.listing.unknown_cursor_status = 404
    assert call(stub, "GET", f"/v1/users?starting_after={user_id}")[0] == 404


@pytest.mark.parametrize(
    ("inclusive", "expected"), [(False, [2000]), (True, [1000, 2000, 3000])]
)
def test_whether_bounds_are_inclusive_can_be_chosen(
    stub: StubClerk, inclusive: bool, expected: list[int]
) -> None:
    """created_at_after and _before, in listing and count, in any order."""
    for at in (500, 1000, 2000, 3000, 3500):
        stub.create_user(created_at=at)
    stub.listing.bounds_inclusive = inclusive
    bounds = "created_at_after=1000&created_at_before=3000"
    for order in ("created_at", "updated_at", "username"):
        users = call(stub, "GET", f"/v1/users?{bounds}&order_by={order}")[1]
        assert sorted(user["created_at"] for user in users) == expected
    count = call(stub, "GET", f"/v1/users/count?{bounds}")[1]
    assert count["total_count"] == len(expected)


def test_a_cursor_outside_the_bounds_does_not_widen_them(crowd: StubClerk) -> None:
    """A cursor before the lower bound continues at the bound."""
    ids = crowd.ids()
    after = crowd.get_user(ids[200])["created_at"]
    expected = [i for i in ids if crowd.get_user(i)["created_at"] > after][:3]
    query = f"limit=3&order_by=created_at&created_at_after={after}"
    assert listed(crowd, f"{query}&starting_after={ids[5]}") == expected
    assert listed(
        crowd, f"limit=3&created_at_after={after}&starting_after={ids[5]}"
    ) == ([])


def test_asking_by_id_ignores_strangers_and_obeys_the_limit(crowd: StubClerk) -> None:
    """Unknown ids are left out without a word, and so is what exceeds the limit."""
    wanted = crowd.ids()[100:190]
    query = "&".join(f"user_id={user_id}" for user_id in [*wanted, "user_nobody"])
    assert set(listed(crowd, f"{query}&limit=100")) == set(wanted)
    assert len(listed(crowd, query)) == 10
    assert listed(crowd, "user_id=user_nobody") == []
    assert listed(crowd, f"user_id={wanted[0]},{wanted[1]}") == []


def test_an_id_may_be_included_or_excluded(crowd: StubClerk) -> None:
    """With + an id is asked for, with - left out."""
    first, second = crowd.ids()[:2]
    assert listed(crowd, f"user_id=%2B{first}") == [first]
    left = listed(crowd, f"user_id=-{first}&order_by=created_at&limit=1")
    assert left == [second]


def test_asking_by_email_finds_secondary_addresses_too(stub: StubClerk) -> None:
    """Case does not matter; together with ids both must match."""
    user = stub.create_user(email="main@example.com", emails=["old@example.com"])
    other = stub.create_user(email="other@example.com")
    assert listed(stub, "email_address=OLD@example.com") == [user["id"]]
    assert listed(stub, "email_address=nobody@example.com") == []
    both = f"email_address=main@example.com&user_id={other['id']}"
    assert listed(stub, both) == []
    assert listed(stub, "email_address=main@example.com&user_id=user_nobody") == []


def test_further_filters_select(stub: StubClerk) -> None:
    """`banned`, `query` and the times of sign-in and activity, in listing and count."""
    ann = stub.create_user(first_name="Ann", banned=True, last_sign_in_at=5000)["id"]
    # A dot is in no id, and ids are searched too.
    bob = stub.create_user(username="bob.by", last_active_at=7000)["id"]
    for query, expected in {
        "banned=true": [ann],
        "banned=false": [bob],
        "query=BOB.": [bob],
        "last_sign_in_at_after=4999": [ann],
        "last_sign_in_at_before=5000": [],
        "last_active_at_before=7001": [bob],
        "last_active_at_since=7000&last_active_at_before=7001": [bob],
    }.items():
        assert listed(stub, query) == expected, query
        count = call(stub, "GET", f"/v1/users/count?{query}")[1]["total_count"]
        assert count == len(expected), query


def test_a_filter_that_the_stub_lacks_is_not_ignored(stub: StubClerk) -> None:
    """It answers 501 rather than users who were not asked for."""
    assert call(stub, "GET", "/v1/users?organization_id=org_1")[0] == 501


def test_every_ordering_of_clerks_is_there(crowd: StubClerk) -> None:
    """Ascending is descending reversed, and the values do ascend."""
    for field in ("updated_at", "last_sign_in_at", "last_active_at", "username"):
        query = f"limit=400&order_by={field}"
        users = call(crowd, "GET", f"/v1/users?{query}")[1]
        values = [user[field] for user in users if user[field] is not None]
        assert values == sorted(values)
    for field in ("email_address", "phone_number", "web3wallet", "first_name"):
        up = listed(crowd, f"limit=400&order_by={field}")
        assert up == listed(crowd, f"limit=400&order_by=-{field}")[::-1]
        assert set(up) == set(crowd.ids())


def test_an_updated_user_comes_first_by_updated_at(stub: StubClerk) -> None:
    """What an incremental sync reads; only the first order_by counts."""
    first, second = (stub.create_user(created_at=t)["id"] for t in (1000, 2000))
    stub.update_user(first, first_name="New")
    assert listed(stub, "order_by=-updated_at&order_by=created_at") == [first, second]
