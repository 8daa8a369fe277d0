"""What webhooks and session tokens are verified with."""

from collections.abc import Iterator

import pytest

from local.stub_clerk.stub import StubClerk
from tests.doors import NOBODY_LISTENS
from tests.integration.functions.webhook.door import OTHER_SECRET
from tests.integration.local.doctor.examining import Doctor


@pytest.fixture
def other() -> Iterator[StubClerk]:
    """Another instance, which has other keys."""
    with StubClerk(seed=2) as stub:
        yield stub


def test_signing_secrets_are_counted(doctor: Doctor, stub: StubClerk) -> None:
    """Two, while one is being rotated; under the older name as well."""
    secret = stub.webhook_signing_secret
    level, message = doctor().one("webhook secret")
    assert (level, message[:8]) == ("ok", "1 secret")
    both = doctor(CLERK_WEBHOOK_SIGNING_SECRET=f"{secret} {OTHER_SECRET}")
    assert both.one("webhook secret")[1].startswith("2 secrets, well-formed.")
    older = doctor(CLERK_WEBHOOK_SIGNING_SECRET="", CLERK_WEBHOOK_SECRET=secret)
    assert older.level("webhook secret") == "ok"


@pytest.mark.parametrize("wrong", ["correct-horse", "whsec_abcde", "whsec_", "whsec_%"])
def test_what_is_no_signing_secret_is_told_by_its_place(
    doctor: Doctor, stub: StubClerk, wrong: str
) -> None:
    """Not by what it is."""
    examined = doctor(
        CLERK_WEBHOOK_SIGNING_SECRET=f"{stub.webhook_signing_secret} {wrong}"
    )
    level, message = examined.one("webhook secret")
    assert level == "wrong"
    assert message.startswith("Secret 2 of 2 is not whsec_ and base64")


def test_a_signing_secret_that_was_cut_off_is_suspected(
    doctor: Doctor, stub: StubClerk
) -> None:
    """It is base64 all the same, and every signature would be refused."""
    cut = stub.webhook_signing_secret[:-8]
    level, message = doctor(CLERK_WEBHOOK_SIGNING_SECRET=cut).one("webhook secret")
    assert level == "warning"
    assert "was it copied whole" in message


def test_the_issuer_of_the_keys_instance_is_right(doctor: Doctor) -> None:
    """They show the same keys. Without an issuer the instance's own decide."""
    told = "It has the keys of the secret key's instance."
    assert doctor().one("issuer") == ("ok", told)
    level, message = doctor(CLERK_ISSUER="").one("issuer")
    assert level == "ok"
    assert "the instance's own keys decide" in message


def test_an_issuer_of_another_instance_is_wrong(
    doctor: Doctor, other: StubClerk
) -> None:
    """Nobody could sign in."""
    level, message = doctor(CLERK_ISSUER=other.issuer).one("issuer")
    assert level == "wrong"
    assert "of another instance than CLERK_SECRET_KEY" in message


def test_an_issuer_that_does_not_answer_is_wrong_unless_its_key_is_set(
    doctor: Doctor, stub: StubClerk
) -> None:
    """With CLERK_JWT_KEY nobody asks it."""
    away = NOBODY_LISTENS
    level, message = doctor(CLERK_ISSUER=away).one("issuer")
    assert level == "wrong"
    assert "The issuer's keys cannot be fetched" in message
    with_key = doctor(CLERK_ISSUER=away, CLERK_JWT_KEY=stub.jwt_public_key)
    assert with_key.level("issuer") == "warning"


def test_keys_of_two_kinds_are_wrong(doctor: Doctor, production: StubClerk) -> None:
    """A publishable key of the development instance beside a live secret key."""
    key = production.instance.publishable_key("app.example.com")
    mixed = key.replace("pk_live_", "pk_test_")
    level, message = doctor(CLERK_PUBLISHABLE_KEY=mixed).one("issuer")
    assert level == "wrong"
    assert "begins with pk_test_, CLERK_SECRET_KEY with sk_live_" in message
    assert doctor(CLERK_PUBLISHABLE_KEY=key).level("issuer") == "ok"


def test_what_is_no_publishable_key_is_wrong(doctor: Doctor) -> None:
    """As it tells no issuer."""
    examined = doctor(CLERK_ISSUER="", CLERK_PUBLISHABLE_KEY="correct-horse")
    level, message = examined.one("issuer")
    assert level == "wrong"
    assert message.startswith("CLERK_PUBLISHABLE_KEY is not one")


def test_a_jwt_key_must_be_one_of_the_instances(
    doctor: Doctor, stub: StubClerk, other: StubClerk
) -> None:
    """Unset, keys are fetched; with line ends escaped, as they stand in one line."""
    assert doctor().level("JWT key") == "ok"
    escaped = stub.jwt_public_key.replace("\n", "\\n")
    right = ("ok", "CLERK_JWT_KEY is a key of this instance.")
    assert doctor(CLERK_JWT_KEY=escaped).one("JWT key") == right
    level, message = doctor(CLERK_JWT_KEY=other.jwt_public_key).one("JWT key")
    assert level == "wrong"
    assert message.startswith("CLERK_JWT_KEY is no key of this instance")


def test_a_jwt_key_that_cannot_be_read_is_wrong(doctor: Doctor) -> None:
    """A key id, say, or a private key."""
    level, message = doctor(CLERK_JWT_KEY="correct-horse").one("JWT key")
    assert level == "wrong"
    assert message.startswith("CLERK_JWT_KEY is not an RSA public key")


def test_a_jwt_key_is_read_though_clerk_cannot_be_asked(
    doctor: Doctor, stub: StubClerk
) -> None:
    """What can be told is told."""
    examined = doctor(
        CLERK_SECRET_KEY="sk_test_wrong", CLERK_JWT_KEY=stub.jwt_public_key
    )
    level, message = examined.one("JWT key")
    assert level == "ok"
    assert "Clerk was not there to compare" in message


@pytest.mark.usefixtures("production")
def test_a_live_instance_should_name_its_origins(doctor: Doctor) -> None:
    """A token of another site of the instance would be taken."""
    level, message = doctor().one("origins")
    assert level == "warning"
    assert message.startswith("CLERK_AUTHORIZED_PARTIES is not set")
    parties = "https://app.example.com, https://www.example.com"
    named = doctor(CLERK_AUTHORIZED_PARTIES=parties)
    assert named.one("origins") == ("ok", "Tokens of 2 origins are taken.")


def test_a_development_instance_may_take_any_origin(doctor: Doctor) -> None:
    """Its ports change."""
    assert doctor().level("origins") == "ok"


@pytest.mark.parametrize(
    "party", ["app.example.com", "https://app.example.com/in", "*"]
)
def test_an_origin_that_no_token_can_have_is_wrong(doctor: Doctor, party: str) -> None:
    """Scheme and host, and nothing behind."""
    examined = doctor(CLERK_AUTHORIZED_PARTIES=f"https://ok.example.com,{party}")
    level, message = examined.one("origins")
    assert level == "wrong"
    assert message.startswith(
        "1 of 2 entries of CLERK_AUTHORIZED_PARTIES are no origin"
    )
