"""Invented users, many and fast, the same for the same seed on any day."""

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from faker import Faker

from local.stub_clerk.users.object import user_object
from local.stub_clerk.wire import JSON

# A fixed end: were it today, the same seed would give other users tomorrow.
_UNTIL_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_SPAN_MS = 2 * 365 * 86_400_000
_NAMES_DRAWN = 250
_LOCALES = ["en_US", "es_ES", "de_DE", "pl_PL", "tr_TR", "ja_JP", "vi_VN"]
_DOMAINS = ("example.com", "example.org", "orchard.test", "mail.test")
_PLANS: tuple[JSON, ...] = ({}, {}, {}, {"tier": "PRO"}, {"tier": "BETA", "seats": 5})


def invented_users(count: int, seed: int, rng: random.Random) -> Iterator[JSON]:
    """Yield `count` users: unordered, created within two years, ending with 2025.

    One in fifty has a phone number only, one in ten no names, one in twelve a second
    address that stands before the primary one, and one in twenty shares its
    millisecond of creation with the user before.
    """
    first_names, last_names = invented_names(seed) if count else ([], [])
    created_at = _UNTIL_MS - rng.randrange(_SPAN_MS)
    for number in range(count):
        if rng.random() >= 1 / 20:
            created_at = _UNTIL_MS - rng.randrange(_SPAN_MS)
        fields: dict[str, Any] = {
            "public_metadata": rng.choice(_PLANS),
            "external_id": f"crm-{number}" if rng.random() < 1 / 4 else None,
            "banned": rng.random() < 1 / 200,
        }
        if rng.random() < 9 / 10:
            fields["first_name"] = rng.choice(first_names)
            fields["last_name"] = rng.choice(last_names)
        if rng.random() < 1 / 3:
            fields["username"] = f"user{number}"
        if rng.random() < 4 / 5:
            seen_at = created_at + rng.randrange(_UNTIL_MS - created_at + 1)
            fields["last_sign_in_at"] = seen_at
            fields["last_active_at"] = seen_at // 86_400_000 * 86_400_000
            fields["updated_at"] = seen_at
        yield user_object(
            created_at=created_at, rng=rng, **_identifiers(number, rng), **fields
        )


def _identifiers(number: int, rng: random.Random) -> dict[str, Any]:
    if rng.random() < 1 / 50:
        return {"phone": f"+1555{number:07d}"}
    primary = f"user{number}@{_DOMAINS[number % len(_DOMAINS)]}"
    emails = [primary]
    if rng.random() < 1 / 12:
        emails.insert(0, f"old{number}@example.com")
    return {
        "emails": emails,
        "primary_email": primary,
        "google": rng.random() < 3 / 5,
    }


@cache
def invented_names(seed: int) -> tuple[list[str], list[str]]:
    """Return first and last names of many languages to choose from."""
    # A few hundred names are drawn once: asking Faker for each user would take longer
    # than everything else together.
    faker = Faker(_LOCALES)
    faker.seed_instance(seed)
    firsts = [faker.first_name() for _ in range(_NAMES_DRAWN)]
    lasts = [faker.last_name() for _ in range(_NAMES_DRAWN)]
    return firsts, lasts
