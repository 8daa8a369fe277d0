"""Settings: the environment, and the Secrets Manager secret that it may name.

Nothing is read at import. A setting is looked up when it is used, so that a function
demands only what it needs, and a changed value counts from the next request on.
"""

import base64
import json
import os
import re
import time
from typing import Any, Final

from clerksync.errors import InvalidSettingError, MissingSettingError

_SECRET_TTL_SECONDS: Final = 300
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?")


class Settings:
    """All settings by their meaning. Raises MissingSettingError or InvalidSettingError;
    neither message holds a value."""

    def __init__(self) -> None:
        self._secret: dict[str, str] = {}
        self._secret_id = ""
        self._secret_read_at = 0.0

    @property
    def database_url(self) -> str:
        return self._required(
            "DATABASE_URL", "Set it to postgresql://user:password@host/database."
        )

    @property
    def clerk_secret_key(self) -> str:
        return self._required(
            "CLERK_SECRET_KEY",
            "Copy it (sk_test_… or sk_live_…) from API keys in the Clerk dashboard.",
        )

    @property
    def clerk_api_url(self) -> str:
        url = self._text("CLERK_API_URL") or "https://api.clerk.com"
        return url.rstrip("/").removesuffix("/v1")

    @property
    def webhook_signing_secrets(self) -> list[str]:
        """Several while one is being rotated."""
        secrets = self._text("CLERK_WEBHOOK_SIGNING_SECRET") or self._required(
            "CLERK_WEBHOOK_SECRET",
            "Set CLERK_WEBHOOK_SIGNING_SECRET to the signing secret (whsec_…) that "
            "the endpoint shows under Webhooks in the Clerk dashboard.",
            called="CLERK_WEBHOOK_SIGNING_SECRET",
        )
        return secrets.split()

    @property
    def clerk_jwt_key(self) -> str | None:
        """A PEM public key."""
        key = self._text("CLERK_JWT_KEY")
        return key.replace("\\n", "\n") if key else None

    @property
    def clerk_issuer(self) -> str | None:
        """The Frontend API URL, without a slash at its end; None when not known."""
        issuer = self._text("CLERK_ISSUER")
        if issuer:
            return issuer.rstrip("/")
        key = self._text("CLERK_PUBLISHABLE_KEY")
        return f"https://{_frontend_host(key)}" if key else None

    @property
    def authorized_parties(self) -> frozenset[str]:
        """Origins whose tokens are taken; empty means any."""
        origins = (self._text("CLERK_AUTHORIZED_PARTIES") or "").split(",")
        return frozenset(o.strip().rstrip("/") for o in origins if o.strip())

    @property
    def schema(self) -> str:
        return self._text("CLERKSYNC_SCHEMA") or "public"

    @property
    def require_email(self) -> bool:
        return self._flag("CLERKSYNC_REQUIRE_EMAIL", default=True)

    @property
    def soft_delete(self) -> bool:
        mode = self._text("CLERKSYNC_DELETE_MODE") or "hard"
        if mode not in {"hard", "soft"}:
            raise InvalidSettingError("CLERKSYNC_DELETE_MODE must be hard or soft.")
        return mode == "soft"

    @property
    def default_tier(self) -> str:
        return self._text("CLERKSYNC_DEFAULT_TIER") or "FREE"

    @property
    def tier_metadata_key(self) -> str | None:
        return self._text("CLERKSYNC_TIER_METADATA_KEY")

    @property
    def max_orphan_ratio(self) -> float:
        """The share of the table, 0 to 1, that one run may delete."""
        try:
            ratio = float(self._text("CLERKSYNC_MAX_ORPHAN_RATIO") or "0.1")
        except ValueError:
            ratio = -1
        if not 0 <= ratio <= 1:
            message = "CLERKSYNC_MAX_ORPHAN_RATIO must be a number from 0 to 1."
            raise InvalidSettingError(message)
        return ratio

    @property
    def workers(self) -> int:
        """How many threads read Clerk's listing at once."""
        return self._number("CLERKSYNC_WORKERS", default=8, least=1, most=32)

    @property
    def clerk_rate_limit(self) -> int | None:
        """Requests in 10 seconds; None leaves it to the kind of instance."""
        if self._text("CLERKSYNC_RATE_LIMIT") is None:
            return None
        return self._number("CLERKSYNC_RATE_LIMIT", default=0, least=1, most=100_000)

    @property
    def max_continuations(self) -> int:
        """How many further runs a run in Lambda may start that ran out of time."""
        # Lambda takes longer chains for a loop and stops them after 16 invocations.
        name = "CLERKSYNC_MAX_CONTINUATIONS"
        return self._number(name, default=10, least=0, most=14)

    @property
    def instance_id(self) -> str | None:
        return self._text("CLERKSYNC_INSTANCE_ID")

    def _text(self, name: str) -> str | None:
        value = os.environ.get(name, "").strip()
        return value or (self._from_secret(name) or "").strip() or None

    def _required(self, name: str, hint: str, *, called: str | None = None) -> str:
        value = self._text(name)
        if value is None:
            raise MissingSettingError(called or name, hint)
        return value

    def _flag(self, name: str, *, default: bool) -> bool:
        text = (self._text(name) or str(default)).lower()
        if text not in _TRUE | _FALSE:
            raise InvalidSettingError(f"{name} must be true or false.")
        return text in _TRUE

    def _number(self, name: str, *, default: int, least: int, most: int) -> int:
        try:
            number = int(self._text(name) or default)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            message = f"{name} must be a whole number from {least} to {most}."
            raise InvalidSettingError(message)
        return number

    def _from_secret(self, name: str) -> str | None:
        secret_id = os.environ.get("CLERKSYNC_SECRET_ID")
        if not secret_id:
            return None
        age = time.monotonic() - self._secret_read_at
        if secret_id != self._secret_id or age > _SECRET_TTL_SECONDS:
            self._secret = _read_secret(secret_id)
            self._secret_id = secret_id
            self._secret_read_at = time.monotonic()
        return self._secret.get(name)


def _read_secret(secret_id: str) -> dict[str, str]:
    # boto3 costs 150 ms: only those who keep a secret there pay for it.
    import boto3  # noqa: PLC0415 - see above
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - same

    try:
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)
    except (BotoCoreError, ClientError) as error:
        message = (
            "The secret named by CLERKSYNC_SECRET_ID cannot be read "
            f"({type(error).__name__}): check name, region and permission."
        )
        raise InvalidSettingError(message) from None
    try:
        values: Any = json.loads(answer["SecretString"])
    except (KeyError, ValueError):
        values = None
    if not isinstance(values, dict):
        message = "The secret named by CLERKSYNC_SECRET_ID is not a JSON object."
        raise InvalidSettingError(message)
    return {name: str(value) for name, value in values.items() if value is not None}


def _frontend_host(publishable_key: str) -> str:
    """A publishable key is pk_test_ or pk_live_ and base64 of '<host>$'."""
    kind, encoded = publishable_key[:8], publishable_key[8:]
    try:
        host = base64.b64decode(encoded + "==").decode().rstrip("$")
    except ValueError:
        host = ""
    if kind not in {"pk_test_", "pk_live_"} or not _HOST.fullmatch(host):
        message = (
            "CLERK_PUBLISHABLE_KEY is not one: it begins with pk_test_ or pk_live_."
        )
        raise InvalidSettingError(message)
    return host
