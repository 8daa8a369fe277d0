"""Checks of what webhooks and session tokens are verified with."""

import base64
from typing import Final

from clerksync.clerk.session_token import public_key, rsa_keys
from clerksync.clerk.webhook import verifier_of
from clerksync.errors import (
    ClerkRequestError,
    ClerksyncError,
    ClerkUnavailableError,
    MissingSettingError,
)
from local.doctor.check_runner import NEEDED_BY, Verdicts, ok, warning, wrong
from local.doctor.settings import is_web_address
from local.doctor.subject import Subject

# Svix's have 24 bytes or more: a shorter one was not copied whole.
_LEAST_BYTES: Final = 24
_PUBLISHABLE: Final = frozenset({"pk_test_", "pk_live_"})


def webhook_secret(subject: Subject) -> Verdicts:
    """Each is whsec_ and base64. Whether it is the right one, only a delivery tells."""
    try:
        secrets = subject.settings.webhook_signing_secrets
    except MissingSettingError as error:
        yield warning(f"{error} {NEEDED_BY[error.name]}")
        return
    sound = True
    for number, secret in enumerate(secrets, start=1):
        which = f"Secret {number} of {len(secrets)}" if len(secrets) > 1 else "It"
        if verifier_of(secret) is None:
            sound = False
            yield wrong(
                f"{which} is not whsec_ and base64: copy the signing secret of the "
                "endpoint, under Webhooks in the Clerk dashboard, into "
                "CLERK_WEBHOOK_SIGNING_SECRET. Several are separated by spaces."
            )
        elif len(base64.b64decode(secret.removeprefix("whsec_"))) < _LEAST_BYTES:
            sound = False
            yield warning(
                f"{which} is shorter than a signing secret of Clerk's: was it copied "
                "whole into CLERK_WEBHOOK_SIGNING_SECRET?"
            )
    if sound:
        count = "1 secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
        yield ok(f"{count}, well-formed. Whether of this endpoint, a delivery tells.")


def issuer(subject: Subject) -> Verdicts:
    """Issuer and secret key belong to one instance: they have the same keys."""
    settings = subject.settings
    publishable = (settings.text("CLERK_PUBLISHABLE_KEY") or "")[:8]
    secret = settings.clerk_secret_key[:8]
    issuer = settings.clerk_issuer
    if publishable in _PUBLISHABLE and publishable[3:] != secret[3:]:
        yield wrong(
            f"CLERK_PUBLISHABLE_KEY begins with {publishable}, CLERK_SECRET_KEY with "
            f"{secret}: take both from one instance."
        )
        return
    if issuer is None:
        yield ok(
            "Neither CLERK_PUBLISHABLE_KEY nor CLERK_ISSUER is set: the instance's own "
            "keys decide."
        )
        return
    try:
        theirs = rsa_keys(subject.clerk.jwks(subject.clerk.jwks_url(issuer)))
    except (ClerkRequestError, ClerkUnavailableError):
        verdict = warning if settings.clerk_jwt_key else wrong
        yield verdict(
            "The issuer's keys cannot be fetched: check CLERK_ISSUER or "
            "CLERK_PUBLISHABLE_KEY, and the network."
        )
        return
    ours = rsa_keys(subject.clerk.jwks(subject.clerk.jwks_url(None)))
    if theirs.keys() & ours.keys():
        yield ok("It has the keys of the secret key's instance.")
    else:
        yield wrong(
            "The issuer is of another instance than CLERK_SECRET_KEY: set "
            "CLERK_PUBLISHABLE_KEY, or CLERK_ISSUER, to that instance's."
        )


def jwt_key(subject: Subject) -> Verdicts:
    """It is a public key and, where Clerk can be asked, one of the instance's."""
    pem = subject.settings.clerk_jwt_key
    if pem is None:
        yield ok("CLERK_JWT_KEY is not set: keys are fetched when they are needed.")
        return
    key = public_key(pem)
    try:
        theirs = rsa_keys(subject.clerk.jwks(subject.clerk.jwks_url(None)))
    except ClerksyncError:
        yield ok("CLERK_JWT_KEY is an RSA public key; Clerk was not there to compare.")
        return
    if key.public_numbers() in [their.public_numbers() for their in theirs.values()]:
        yield ok("CLERK_JWT_KEY is a key of this instance.")
    else:
        yield wrong(
            "CLERK_JWT_KEY is no key of this instance: every session token would be "
            "refused. Copy it again from API keys in the Clerk dashboard, or unset it."
        )


def origins(subject: Subject) -> Verdicts:
    """Whose tokens are taken, by the origin that asked for them."""
    parties = subject.settings.authorized_parties
    if odd := [party for party in parties if not _is_origin(party)]:
        yield wrong(
            f"{len(odd)} of {len(parties)} entries of CLERK_AUTHORIZED_PARTIES are no "
            "origin such as https://your.app: no token has such an azp."
        )
    elif parties:
        yield ok(f"Tokens of {len(parties)} origins are taken.")
    elif subject.instance.is_production:
        yield warning(
            "CLERK_AUTHORIZED_PARTIES is not set: a token that any site of this "
            "instance was given is taken. Set it to the origins of your front end."
        )
    else:
        yield ok("Tokens of any origin are taken; fine for a development instance.")


def _is_origin(party: str) -> bool:
    return is_web_address(party) and party.count("/") == 2
