"""Tables of applications, for each mapping that comes with clerksync."""

from typing import Final, LiteralString

# What the application's own migrations have made. The default table is ours to make.
TABLES: Final[dict[str, LiteralString]] = {
    "default": "",
    "clerk-id": """
        CREATE TABLE users (
            id text PRIMARY KEY, email text NOT NULL UNIQUE, first_name text,
            last_name text, image_url text, tier text DEFAULT 'FREE',
            created_at timestamp, updated_at timestamp
        )
    """,
    "prisma": """
        CREATE TABLE users (
            id text PRIMARY KEY, "clerkId" text UNIQUE, email text UNIQUE NOT NULL,
            name text, "imageUrl" text,
            "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
            "updatedAt" timestamp(3) NOT NULL
        );
        CREATE TABLE credits (
            "userId" text REFERENCES users ON DELETE CASCADE, amount integer
        )
    """,
    "avatar": """
        CREATE TABLE users (
            id serial PRIMARY KEY, "clerkUserId" text UNIQUE, email text, name text,
            "avatarUrl" text, "createdAt" timestamptz, "updatedAt" timestamptz
        )
    """,
}
