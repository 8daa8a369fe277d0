"""Clerk's user object, as the Backend API and the webhooks give it.

All times are Unix milliseconds, as everywhere in Clerk's user object.
"""

import random
from collections.abc import Sequence
from typing import Any

from local.stub_clerk.wire import JSON, new_id

# Clerk's image URLs carry a base64 blob of this length; the stub's carry one too, so
# that a page weighs what a page weighs.
_IMAGE_BLOB = "eyJ0eXBlIjoicHJveHkiLCJzcmMiOiJodHRwczovL2ltYWdlcy5jbGVyay5kZXYv" * 2


def email_address(
    address: str, created_at: int, rng: random.Random, google_id: str | None = None
) -> JSON:
    """Return an entry of `email_addresses`, verified by code or through Google."""
    verification: JSON = {
        "object": "verification_otp",
        "status": "verified",
        "strategy": "email_code",
        "attempts": 1,
        "expire_at": created_at + 600_000,
        "verified_at_client": None,
    }
    linked_to = []
    if google_id:
        linked_to = [{"type": "oauth_google", "id": google_id}]
        verification = {
            "object": "verification_from_oauth",
            "status": "verified",
            "strategy": "from_oauth_google",
            "attempts": None,
            "expire_at": None,
            "verified_at_client": None,
        }
    return {
        "id": new_id("idn", created_at, rng),
        "object": "email_address",
        "email_address": address,
        "reserved": False,
        "verification": verification,
        "linked_to": linked_to,
        "matches_sso_connection": False,
        "created_at": created_at,
        "updated_at": created_at,
    }


def phone_number(number: str, created_at: int, rng: random.Random) -> JSON:
    """Return an entry of `phone_numbers`, verified by code."""
    return {
        "id": new_id("idn", created_at, rng),
        "object": "phone_number",
        "phone_number": number,
        "reserved_for_second_factor": False,
        "default_second_factor": False,
        "reserved": False,
        "verification": {
            "object": "verification_otp",
            "status": "verified",
            "strategy": "phone_code",
            "attempts": 1,
            "expire_at": created_at + 600_000,
            "verified_at_client": None,
        },
        "linked_to": [],
        "backup_codes": None,
        "created_at": created_at,
        "updated_at": created_at,
    }


def google_account(
    address: str, names: tuple[str, str], created_at: int, rng: random.Random
) -> JSON:
    """Return an entry of `external_accounts`: a sign-in with Google."""
    return {
        "object": "external_account",
        "id": new_id("eac", created_at, rng),
        "provider": "oauth_google",
        "identification_id": new_id("idn", created_at, rng),
        "provider_user_id": str(rng.getrandbits(66)),
        "approved_scopes": "email https://www.googleapis.com/auth/userinfo.email "
        "https://www.googleapis.com/auth/userinfo.profile openid profile",
        "email_address": address,
        "email_address_verified": True,
        "first_name": names[0],
        "last_name": names[1],
        "avatar_url": "https://lh3.googleusercontent.test/a/avatar=s1000-c",
        "image_url": f"https://img.clerk.com/{_IMAGE_BLOB}",
        "username": None,
        "phone_number": None,
        "public_metadata": {},
        "label": None,
        "created_at": created_at,
        "updated_at": created_at,
        "verification": {
            "object": "verification_oauth",
            "status": "verified",
            "strategy": "oauth_google",
            "attempts": None,
            "expire_at": created_at + 600_000,
            "verified_at_client": None,
        },
    }


def user_object(
    *,
    created_at: int,
    rng: random.Random,
    emails: Sequence[str] = (),
    primary_email: str | None = None,
    phone: str | None = None,
    google: bool = False,
    **fields: Any,
) -> JSON:
    """Return a whole user; `fields` replace what a new user of Clerk's would have.

    `primary_email` is one of `emails`, at any place among them; with `google` the user
    signed up through Google with it.
    """
    user_id = new_id("user", created_at, rng)
    external_accounts = []
    google_id = None
    if google and primary_email:
        names = (fields.get("first_name") or "", fields.get("last_name") or "")
        account = google_account(primary_email, names, created_at, rng)
        google_id = account["identification_id"]
        external_accounts = [account]
    addresses = [
        email_address(e, created_at, rng, google_id if e == primary_email else None)
        for e in emails
    ]
    phones = [phone_number(phone, created_at, rng)] if phone else []
    image_url = f"https://img.clerk.com/{_IMAGE_BLOB}{user_id}"
    identity: JSON = {
        "id": user_id,
        "object": "user",
        "image_url": image_url,
        "profile_image_url": image_url,
        "has_image": bool(google_id),
        "primary_email_address_id": next(
            (a["id"] for a in addresses if a["email_address"] == primary_email), None
        ),
        "primary_phone_number_id": phones[0]["id"] if phones else None,
        "email_addresses": addresses,
        "phone_numbers": phones,
        "external_accounts": external_accounts,
    }
    return identity | _fields_of_a_new_user(created_at) | fields


def _fields_of_a_new_user(created_at: int) -> JSON:
    return {
        "username": None,
        "first_name": None,
        "last_name": None,
        "locale": None,
        "primary_web3_wallet_id": None,
        "password_enabled": False,
        "two_factor_enabled": False,
        "totp_enabled": False,
        "backup_code_enabled": False,
        "web3_wallets": [],
        "passkeys": [],
        "saml_accounts": [],
        "enterprise_accounts": [],
        "password_last_updated_at": None,
        "public_metadata": {},
        "private_metadata": {},
        "unsafe_metadata": {},
        "external_id": None,
        "last_sign_in_at": None,
        "banned": False,
        "locked": False,
        "deprovisioned": False,
        "lockout_expires_in_seconds": None,
        "verification_attempts_remaining": 100,
        "created_at": created_at,
        "updated_at": created_at,
        "delete_self_enabled": True,
        "create_organization_enabled": True,
        "create_organizations_limit": None,
        "last_active_at": created_at,
        "mfa_enabled_at": None,
        "mfa_disabled_at": None,
        "legal_accepted_at": None,
        "bypass_client_trust": False,
    }


def primary_email_of(user: JSON) -> str | None:
    """Return the address whose id is `primary_email_address_id`; not the first one."""
    primary = user["primary_email_address_id"]
    for entry in user["email_addresses"]:
        if entry["id"] == primary:
            return str(entry["email_address"])
    return None
