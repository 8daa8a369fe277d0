"""Settings: the environment, and the Secrets Manager secret that it may name.

Nothing is read at import. A setting is looked up when it is used, so that a function
demands only what it needs, and a changed value counts from the next request on.
"""

import base64
import os
import re
from collections.abc import Mapping
from typing import Final

from psycopg import ProgrammingError, conninfo

from clerksync.clerk.user import ClerkUser
from clerksync.errors import InvalidSettingError, MissingSettingError
from clerksync.mapping.as_toml import DELETED_EMAIL, toml
from clerksync.mapping.file import load
from clerksync.mapping.table import TableMapping
from clerksync.mapping.values import replaced
from clerksync.settings.database_url import without_other_drivers_parameters
from clerksync.settings.schemas import PUBLIC, default_schema, placed
from clerksync.settings.secret_cache import Secret

_SETTINGS_ID: Final = "CLERKSYNC_SECRET_ID"
_DATABASE_ID: Final = "CLERKSYNC_DATABASE_SECRET_ID"
# What a secret that RDS manages may hold besides user and password.
_PLACE: Final = ("host", "port", "dbname")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_HOST: Final = r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?"


class Settings:
    """All settings by their meaning. Raises MissingSettingError or InvalidSettingError;
    neither message holds a value."""

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}

    def refresh(self) -> bool:
        """Read the secrets anew: something in them proved wrong. Whether they changed.

        Asks Secrets Manager at most every 10 s.
        """
        changed = [secret.refresh() for secret in self._secrets.values()]
        return any(changed)

    @property
    def database_url(self) -> str:
        """With user and password of the secret that CLERKSYNC_DATABASE_SECRET_ID names,
        if any. Such as RDS keeps also holds host, port and database: DATABASE_URL may
        then be missing, and otherwise wins."""
        url = without_other_drivers_parameters(self._text("DATABASE_URL") or "")
        credentials = self._secret(_DATABASE_ID)
        if credentials is not None:
            url = _with_credentials(url, credentials)
        if not url:
            hint = "Set it to postgresql://user:password@host/database."
            raise MissingSettingError("DATABASE_URL", hint)
        return url

    @property
    def database_uses_iam(self) -> bool:
        """Whether RDS takes an IAM token for a password."""
        method = self._text("CLERKSYNC_DATABASE_AUTH") or "password"
        if method not in {"password", "iam"}:
            message = "CLERKSYNC_DATABASE_AUTH must be password or iam."
            raise InvalidSettingError(message)
        return method == "iam"

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
        """Where clerksync's own tables are."""
        chosen = self._text("CLERKSYNC_SCHEMA")
        return chosen or default_schema(self._text("CLERKSYNC_MAPPING"))

    @property
    def earlier_schema(self) -> str | None:
        """Where an earlier version made clerksync's tables if CLERKSYNC_SCHEMA was not
        set either; None if that is `schema`, or if it is set."""
        is_default = self._text("CLERKSYNC_SCHEMA") is None and self.schema != PUBLIC
        return PUBLIC if is_default else None

    @property
    def require_email(self) -> bool:
        return self._flag("CLERKSYNC_REQUIRE_EMAIL", default=True)

    @property
    def described_mapping(self) -> TableMapping:
        """As its file says."""
        return load(self._text("CLERKSYNC_MAPPING") or "default")

    @property
    def mapping(self) -> TableMapping:
        """The target table. CLERKSYNC_DELETE_MODE wins over its file's deletion."""
        mapping = placed(self.described_mapping, self.schema)
        return mapping.with_deletion(soft=self.soft_delete)

    @property
    def user_model(self) -> type[ClerkUser]:
        """What the mapping and the tier need of Clerk's users."""
        if self.tier_metadata_key is None:
            return self.described_mapping.user_model
        return self.described_mapping.user_model_with_tier

    @property
    def soft_delete(self) -> bool:
        mapping = self.described_mapping
        mode = self._text("CLERKSYNC_DELETE_MODE")
        if mode is None:
            mode = "hard" if mapping.deletion == "trigger" else mapping.deletion
        if mode not in {"hard", "soft"}:
            raise InvalidSettingError("CLERKSYNC_DELETE_MODE must be hard or soft.")
        needed = [] if mapping.deleted_at else ['deleted_at = "deleted_at"']
        if mapping.email_not_null and mapping.deleted_email is None:
            needed.append(f"deleted_email = {toml(DELETED_EMAIL)}")
        if mode == "soft" and needed:
            raise InvalidSettingError(
                "CLERKSYNC_DELETE_MODE is soft: add to [table] in the mapping "
                f"{' and '.join(needed)}."
            )
        return mode == "soft"

    @property
    def default_tier(self) -> str:
        """As the table has it: the mapping may have another value for it."""
        tier = self._text("CLERKSYNC_DEFAULT_TIER") or "FREE"
        return replaced(tier, self.described_mapping.tier_values) or tier

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
    def lock_timeout(self) -> float:
        """How long a row is waited for that the application has locked, in seconds."""
        try:
            seconds = float(self._text("CLERKSYNC_LOCK_TIMEOUT") or "1")
        except ValueError:
            seconds = -1
        if not 0.1 <= seconds <= 10:
            message = "CLERKSYNC_LOCK_TIMEOUT must be a number of seconds, 0.1 to 10."
            raise InvalidSettingError(message)
        return seconds

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
        values = self._secret(_SETTINGS_ID)
        return values.get(name) if values else None

    def _secret(self, named_by: str) -> Mapping[str, str] | None:
        """The values of the secret that a variable names; None when it names none."""
        name = os.environ.get(named_by)
        if not name:
            return None
        secret = self._secrets.setdefault(name, Secret(name, named_by=named_by))
        return secret.values()


def _frontend_host(publishable_key: str) -> str:
    """A publishable key is pk_test_ or pk_live_ and base64 of '<host>$'."""
    kind, encoded = publishable_key[:8], publishable_key[8:]
    try:
        host = base64.b64decode(encoded + "==").decode().rstrip("$")
    except ValueError:
        host = ""
    if kind not in {"pk_test_", "pk_live_"} or not re.fullmatch(_HOST, host):
        message = (
            "CLERK_PUBLISHABLE_KEY is not one: it begins with pk_test_ or pk_live_."
        )
        raise InvalidSettingError(message)
    return host


def _with_credentials(url: str, secret: Mapping[str, str]) -> str:
    given: dict[str, str] = {k: secret[k] for k in _PLACE if secret.get(k)}
    try:
        given |= {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items()}
    except ProgrammingError:
        return url  # the database will say what is wrong with it
    if missing := [key for key in ("username", "password") if not secret.get(key)]:
        message = f"The secret of {_DATABASE_ID} has no {missing[0]}."
        raise InvalidSettingError(message)
    if "host" not in given and "hostaddr" not in given:
        hint = "Set it to postgresql://host/database: the secret has no host."
        raise MissingSettingError("DATABASE_URL", hint)
    given |= {"user": secret["username"], "password": secret["password"]}
    return conninfo.make_conninfo(**given)
