"""clerksync: an application's Postgres `users` table, kept equal to Clerk."""

import os

# Pydantic looks through all installed packages for plugins, at each cold start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
