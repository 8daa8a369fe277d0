"""All settings."""

from typing import Any

from clerksync.mapping.file import DEFAULT

# Every setting: its property, a value as it is written, and what it means.
SETTINGS: list[tuple[str, str, str, Any]] = [
    ("DATABASE_URL", "database_url", "postgresql://h/d", "postgresql://h/d"),
    ("CLERK_SECRET_KEY", "clerk_secret_key", "sk_test_x", "sk_test_x"),
    ("CLERK_API_URL", "clerk_api_url", "https://api.test", "https://api.test"),
    ("CLERK_WEBHOOK_SIGNING_SECRET", "webhook_signing_secrets", "a b", ["a", "b"]),
    ("CLERK_JWT_KEY", "clerk_jwt_key", "a\\nb\nc", "a\nb\nc"),
    ("CLERK_ISSUER", "clerk_issuer", "https://clerk.test", "https://clerk.test"),
    (
        "CLERK_AUTHORIZED_PARTIES",
        "authorized_parties",
        " https://a.test/ ,,https://b.test",
        {"https://a.test", "https://b.test"},
    ),
    ("CLERKSYNC_SCHEMA", "schema", "app", "app"),
    ("CLERKSYNC_MAPPING", "mapping", "default", DEFAULT),
    ("CLERKSYNC_REQUIRE_EMAIL", "require_email", "false", False),
    ("CLERKSYNC_DELETE_MODE", "soft_delete", "soft", True),
    ("CLERKSYNC_DEFAULT_TIER", "default_tier", "TRIAL", "TRIAL"),
    ("CLERKSYNC_TIER_METADATA_KEY", "tier_metadata_key", "plan", "plan"),
    ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "0.5", 0.5),
    ("CLERKSYNC_WORKERS", "workers", "3", 3),
    ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", "2.5", 2.5),
    ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", "500", 500),
    ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", "0", 0),
    ("CLERKSYNC_INSTANCE_ID", "instance_id", "ins_1", "ins_1"),
]
