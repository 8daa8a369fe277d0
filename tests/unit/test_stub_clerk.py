"""The stub Clerk's API: it answers as Clerk would, also when asked something wrong."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from local.stub_clerk import ClerkError, StubClerk
from tests.openapi import assert_answer, needs_specifications

Answer = tuple[int, Any]


def call(stub: StubClerk, method: str, path: str, body: Any = None) -> Answer:
    """Ask the stub with its key; the JSON answer of a test without surprises."""
    headers = {"Authorization": f"Bearer {stub.secret_key}"}
    with urllib3.PoolManager(headers=headers, retries=False) as http:
        response = http.request(method, stub.url + path, json=body)
        return response.status, response.json()


def listed(stub: StubClerk, query: str) -> list[str]:
    """Ask for a page and return its ids."""
    status, users = call(stub, "GET", f"/v1/users?{query}")
    assert status == 200, users
    return [user["id"] for user in users]


@pytest.fixture(scope="module")
def crowd() -> Iterator[StubClerk]:
    """A stub with 400 users whom no test may change."""
    with StubClerk(users=400) as stub:
        yield stub


@pytest.fixture
def stub() -> Iterator[StubClerk]:
    """An empty stub of the test's own."""
    with StubClerk() as stub:
        yield stub


def test_seeded_users_are_the_same_for_the_same_seed() -> None:
    """A seed gives the same people, ids and times; another seed others."""
    one, same, other = (StubClerk(users=50, seed=s) for s in (1, 1, 2))
    assert [one.get_user(i) for i in one.ids()] == [
        same.get_user(i) for i in same.ids()
    ]
    assert not set(one.ids()) & set(other.ids())
    assert one.instance_id == same.instance_id != other.instance_id
    assert one.secret_key == same.secret_key != other.secret_key


def test_environments_are_instances_of_their_own() -> None:
    """Development and production share a seed but neither ids nor keys."""
    production = StubClerk(environment_type="production")
    assert production.instance_id != StubClerk().instance_id
    assert production.secret_key.startswith("sk_live_")


def test_seeded_users_are_as_mixed_as_real_ones(crowd: StubClerk) -> None:
    """Some have no email, no name, a shared millisecond, or a primary email in 2nd."""
    users = [crowd.get_user(user_id) for user_id in crowd.ids()]
    assert any(not u["email_addresses"] and u["phone_numbers"] for u in users)
    assert any(u["first_name"] is None for u in users)
    assert len({u["created_at"] for u in users}) < len(users)
    assert any(
        u["primary_email_address_id"] != u["email_addresses"][0]["id"]
        for u in users
        if u["email_addresses"]
    )
    assert all(
        entry["email_address"].endswith((".test", "@example.com", "@example.org"))
        for u in users
        for entry in u["email_addresses"]
    )


def test_a_thousand_users_are_there_in_no_time() -> None:
    """Seeding draws from names fetched once; a slow machine gets its share of time."""
    started = time.process_time()
    assert StubClerk(users=1000).count == 1000
    assert time.process_time() - started < 1


def test_ids_look_like_clerks_and_sort_by_time(stub: StubClerk) -> None:
    """27 base62 characters after the prefix, in the order of creation by the second."""
    times = (1_500_000_000_000, 1_500_000_001_000)
    older, newer = (stub.create_user(created_at=at)["id"] for at in times)
    assert older < newer
    prefix, ksuid = older.split("_")
    assert prefix == "user"
    assert len(ksuid) == 27
    assert ksuid.isalnum()


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
    bob = stub.create_user(username="bobby", last_active_at=7000)["id"]
    for query, expected in {
        "banned=true": [ann],
        "banned=false": [bob],
        "query=BOB": [bob],
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


@needs_specifications
def test_answers_are_as_clerks_specification_says(crowd: StubClerk) -> None:
    """List, count, user, instance, key set, and the errors 401 and 404."""
    for method, path, asked, expected in [
        ("get", "/users", "/v1/users?limit=80", 200),
        ("get", "/users/count", "/v1/users/count", 200),
        ("get", "/users/{user_id}", f"/v1/users/{crowd.ids()[0]}", 200),
        ("get", "/users/{user_id}", "/v1/users/user_nobody", 404),
        ("get", "/instance", "/v1/instance", 200),
        ("get", "/jwks", "/v1/jwks", 200),
        ("get", "/jwks", "/.well-known/jwks.json", 200),
    ]:
        status, answer = call(crowd, "GET", asked)
        assert status == expected
        assert_answer(method, path, status, answer)


def test_the_instance_says_who_it_is(crowd: StubClerk) -> None:
    """Id and environment are those that the stub was made with."""
    answer = call(crowd, "GET", "/v1/instance")[1]
    assert answer["id"] == crowd.instance_id
    assert answer["environment_type"] == "development"


@needs_specifications
def test_users_live_through_the_api(stub: StubClerk) -> None:
    """POST, PATCH and DELETE answer by the specification, and do what they say."""
    body = {
        "email_address": ["noor@example.com", "old@example.com"],
        "phone_number": ["+15550000001"],
        "first_name": "Noor",
        "external_id": "crm-1",
        "public_metadata": {"tier": "PRO"},
        "skip_password_requirement": True,
        "created_at": "2024-05-06T07:08:09.010Z",
    }
    status, made = call(stub, "POST", "/v1/users", body)
    assert status == 200
    assert_answer("post", "/users", 200, made)
    assert made["created_at"] == 1_714_979_289_010
    assert [e["email_address"] for e in made["email_addresses"]] == body[
        "email_address"
    ]
    assert made["primary_email_address_id"] == made["email_addresses"][0]["id"]
    path = f"/v1/users/{made['id']}"

    second = made["email_addresses"][1]["id"]
    change = {"last_name": "Ruiz", "first_name": None}
    status, patched = call(
        stub, "PATCH", path, change | {"primary_email_address_id": second}
    )
    assert status == 200
    assert_answer("patch", "/users/{user_id}", 200, patched)
    assert {name: patched[name] for name in change} == change
    assert patched["updated_at"] > made["updated_at"]
    assert patched["primary_email_address_id"] == second
    assert call(stub, "GET", path) == (200, patched)

    status, gone = call(stub, "DELETE", path)
    assert_answer("delete", "/users/{user_id}", 200, gone)
    assert gone == {
        "object": "user",
        "id": made["id"],
        "deleted": True,
        "external_id": "crm-1",
    }
    for method in ("GET", "PATCH", "DELETE"):
        assert call(stub, method, path, {})[0] == 404
    assert stub.count == 0


@needs_specifications
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"email_address": ["TAKEN@example.com"]}, "form_identifier_exists"),
        ({"email_address": "a@example.com"}, "form_param_type_invalid"),
        ({"first_name": 1}, "form_param_type_invalid"),
        ({"public_metadata": []}, "form_param_type_invalid"),
        ({"age": 7}, "form_param_unknown"),
        ({"created_at": "soon"}, "form_param_value_invalid"),
        ([], "request_body_invalid"),
    ],
)
def test_a_wrong_body_changes_nothing(
    stub: StubClerk, body: Any, expected: str
) -> None:
    """An address in use, a wrong type, an unknown parameter: 422; no object: 400."""
    stub.create_user(email="taken@example.com")
    victim = stub.create_user(email="victim@example.com")
    for method, path in (("POST", ""), ("PATCH", f"/{victim['id']}")):
        status, answer = call(stub, method, f"/v1/users{path}", body)
        assert status == (400 if expected == "request_body_invalid" else 422)
        assert answer["errors"][0]["code"] == expected
        assert_answer("post", "/users", status, answer)
    assert stub.count == 2
    assert stub.get_user(victim["id"]) == victim


@needs_specifications
def test_without_the_right_key_it_is_a_401(stub: StubClerk) -> None:
    """No key, a wrong one, no Bearer; only the public key set needs none."""
    with urllib3.PoolManager(retries=False) as http:
        for headers in (
            {},
            {"Authorization": "Bearer sk_test_wrong"},
            {"Authorization": stub.secret_key},
            {"Authorization": f"Basic {stub.secret_key}"},
        ):
            for path in ("/v1/users", "/v1/jwks", "/v1/instance", "/v1/nothing"):
                response = http.request("GET", stub.url + path, headers=headers)
                assert response.status == 401
                assert_answer("get", "/users", 401, response.json())
        assert http.request("GET", f"{stub.issuer}/.well-known/jwks.json").status == 200
        headers = {"Authorization": f"bearer {stub.secret_key}"}
        assert (
            http.request("GET", f"{stub.url}/v1/users", headers=headers).status == 200
        )


def test_an_unknown_route_is_a_404(stub: StubClerk) -> None:
    """Also a known path with a method that it does not have."""
    assert call(stub, "GET", "/v1/organizations")[0] == 404
    assert call(stub, "POST", "/v1/instance", {})[0] == 404


def test_updated_at_always_grows(stub: StubClerk) -> None:
    """Even twice within a millisecond, or when it lies in the future."""
    user_id = stub.create_user(created_at=1000)["id"]
    versions = [
        stub.update_user(user_id, first_name=str(n))["updated_at"] for n in range(50)
    ]
    assert versions == sorted(set(versions))
    future = stub.update_user(user_id, updated_at=2**42)["updated_at"]
    assert stub.update_user(user_id, banned=True)["updated_at"] == future + 1
    assert stub.get_user(user_id)["created_at"] == 1000


def test_an_address_moves_from_one_user_to_another(stub: StubClerk) -> None:
    """It is refused while somebody has it, and free once given up or deleted."""
    a = stub.create_user(email="shared@example.com")["id"]
    b = stub.create_user(email="b@example.com")["id"]
    with pytest.raises(ClerkError, match="form_identifier_exists"):
        stub.update_user(b, email="Shared@example.com")
    assert stub.update_user(a, email=None)["email_addresses"] == []
    moved = stub.update_user(b, email="shared@example.com")
    assert [e["email_address"] for e in moved["email_addresses"]] == (
        ["shared@example.com"]
    )
    stub.delete_user(b)
    assert stub.create_user(email="shared@example.com")["primary_email_address_id"]


def test_the_primary_address_need_not_be_the_first(stub: StubClerk) -> None:
    """A new primary address takes the old one's place; the others stay."""
    user = stub.create_user(email="main@example.com", emails=["old@example.com"])
    assert user["primary_email_address_id"] == user["email_addresses"][1]["id"]
    user = stub.update_user(user["id"], email="new@example.com")
    assert [e["email_address"] for e in user["email_addresses"]] == [
        "old@example.com",
        "new@example.com",
    ]
    assert user["primary_email_address_id"] == user["email_addresses"][1]["id"]
    assert listed(stub, "email_address=main@example.com") == []


def test_an_image_is_the_same_under_both_names(stub: StubClerk) -> None:
    """`image_url` and the deprecated `profile_image_url`, when created and changed."""
    user = stub.create_user(image_url="https://img.clerk.com/a")
    assert user["profile_image_url"] == user["image_url"] == "https://img.clerk.com/a"
    user = stub.update_user(user["id"], image_url="https://img.clerk.com/b")
    assert user["profile_image_url"] == user["image_url"] == "https://img.clerk.com/b"
    assert user["has_image"]


def test_a_misspelt_field_is_an_error(stub: StubClerk) -> None:
    """A test that changes nothing must not go on as if it had."""
    user_id = stub.create_user(phone_number="+15550000001")["id"]
    with pytest.raises(TypeError, match="frist_name"):
        stub.update_user(user_id, frist_name="Ann")
    with pytest.raises(TypeError, match="frist_name"):
        stub.create_user(frist_name="Ann")


def test_what_a_method_returns_is_a_copy(stub: StubClerk) -> None:
    """Changing it changes nothing in the stub."""
    user = stub.create_user(public_metadata={"tier": "FREE"})
    user["public_metadata"]["tier"] = "PRO"
    assert stub.get_user(user["id"])["public_metadata"] == {"tier": "FREE"}


def test_users_weigh_what_they_weigh_at_clerk(crowd: StubClerk) -> None:
    """Between two and three kilobytes on average, so that benchmarks mean something."""
    sizes = [len(json.dumps(crowd.get_user(i)).encode()) for i in crowd.ids()]
    assert 2000 < sum(sizes) / len(sizes) < 3200
