"""Every check, in the order in which they are made and shown."""

from typing import Final

from local.doctor import (
    access,
    clerk,
    coexistence,
    database,
    foreign_keys,
    links,
    privileges,
    settings,
    tables,
    tokens,
)
from local.doctor.check_runner import Check

_TABLES: Final = ("mapping", "database", "rights")

CHECKS: Final = (
    Check("secret", settings.secret),
    Check("settings", settings.well_formed, ("secret",)),
    Check("mapping", tables.mapping, ("secret",)),
    Check("secret key", clerk.secret_key, ("secret",)),
    Check("instance", clerk.instance, ("secret key",)),
    Check("clock of Clerk", clerk.clock, ("secret",)),
    Check("emails at Clerk", clerk.emails, ("mapping", "secret key")),
    Check("webhook secret", tokens.webhook_secret, ("secret",)),
    Check("issuer", tokens.issuer, ("secret key",)),
    Check("JWT key", tokens.jwt_key, ("secret",)),
    Check("origins", tokens.origins, ("secret key",)),
    Check("database", database.reachable, ("secret",)),
    Check("TLS", database.tls, ("database",)),
    Check("server", database.server, ("database",)),
    Check("encoding", database.encoding, ("database",)),
    Check("clock of Postgres", database.clock, ("database",)),
    Check("rights", privileges.rights, ("mapping", "database")),
    Check("access", access.others, _TABLES),
    Check("schema", tables.schema, _TABLES),
    Check("other tools", coexistence.other_tools, _TABLES),
    Check("table", tables.fit, _TABLES),
    Check("foreign keys", foreign_keys.foreign_keys, ("server", *_TABLES)),
    Check("emails in table", tables.emails, _TABLES),
    Check("links", links.links, ("schema", *_TABLES)),
    Check("owner", tables.owner, ("secret key", "schema")),
    Check("last run", tables.last_run, ("schema",)),
)
