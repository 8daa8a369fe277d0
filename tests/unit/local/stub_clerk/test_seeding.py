"""The users with which a stub Clerk begins, and its ids and keys."""

import json
from types import SimpleNamespace

import pytest
from faker import Faker

from local.stub_clerk.stub import StubClerk


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


def test_faker_is_asked_for_a_few_hundred_names_and_not_for_each_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes longer than everything else about a user."""
    drawn: list[str] = []

    def counted(locales: list[str]) -> SimpleNamespace:
        faker = Faker(locales)

        def draw(kind: str) -> str:
            drawn.append(kind)
            return str(getattr(faker, kind)())

        return SimpleNamespace(
            seed_instance=faker.seed_instance,
            first_name=lambda: draw("first_name"),
            last_name=lambda: draw("last_name"),
        )

    monkeypatch.setattr("local.stub_clerk.users.people.Faker", counted)
    seed = 987_654  # of which no other test has drawn the names
    for _ in range(2):
        assert StubClerk(users=1_000, seed=seed).count == 1_000
    assert 0 < len(drawn) <= 500


def test_ids_look_like_clerks_and_sort_by_time(stub: StubClerk) -> None:
    """27 base62 characters after the prefix, in the order of creation by the second."""
    times = (1_500_000_000_000, 1_500_000_001_000)
    older, newer = (stub.create_user(created_at=at)["id"] for at in times)
    assert older < newer
    prefix, ksuid = older.split("_")
    assert prefix == "user"
    assert len(ksuid) == 27
    assert ksuid.isalnum()


def test_users_weigh_what_they_weigh_at_clerk(crowd: StubClerk) -> None:
    """Between two and three kilobytes on average, so that benchmarks mean something."""
    sizes = [len(json.dumps(crowd.get_user(i)).encode()) for i in crowd.ids()]
    assert 2000 < sum(sizes) / len(sizes) < 3200
