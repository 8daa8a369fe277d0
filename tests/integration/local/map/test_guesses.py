"""What map makes of single columns, and of the rows that are there."""

import psycopg
import pytest

from tests.integration.local.map import tables
from tests.integration.local.map.mapper import Mapper, Users

pytestmark = pytest.mark.alters_schema

KEY = "clerk_id text UNIQUE, email text UNIQUE"


def test_the_key_is_found_by_its_values(users: Users) -> None:
    """Whatever its name; a column that says who invited a user is not it."""
    mapped = users(
        "id serial PRIMARY KEY, invited_by text, subject text UNIQUE, email text",
        "(invited_by, subject) VALUES ('user_1', 'user_2'), ('user_1', 'user_3')",
    )
    assert mapped.mapping.key == "subject"


def test_a_table_of_few_words_is_understood(mapper: Mapper) -> None:
    """Soft deletion leaves the row of a person who is gone."""
    mapper.create(
        "CREATE TABLE members (clerk text PRIMARY KEY, email text UNIQUE, first text,"
        " gone_at timestamptz)"
    )
    mapped = mapper.map()
    mapping = mapped.mapping
    assert (mapping.table, mapping.key, mapping.own_id) == ("members", "clerk", None)
    assert mapped.sources == {"email": "email", "first": "first_name"}
    assert mapping.deleted_at == "gone_at"
    assert 'first = "first_name"  # guess: Clerk\'s first_name' in mapped.text


def test_another_providers_id_is_not_the_key(users: Users) -> None:
    """Its name alone would fit."""
    columns = "id serial PRIMARY KEY, external_id text UNIQUE, email text UNIQUE"
    assert users(columns).mapping.key == "external_id"
    mapped = users(columns, "(external_id) VALUES ('auth0|1')")
    assert mapped.mapping.key == "clerk_id"
    assert "ADD COLUMN clerk_id" in mapped.decisions["clerk_id"]


def test_rows_without_a_clerk_id_are_to_be_linked(users: Users) -> None:
    """Otherwise a sync would have to hold their users back."""
    mapped = users(
        f"id serial PRIMARY KEY, {KEY}",
        "(clerk_id, email) VALUES ('user_1', 'a@b.test'), (NULL, 'c@d.test')",
    )
    assert "of the first 2 rows, 1 without a Clerk ID" in mapped.decisions["clerk_id"]
    assert "clerksync link" in mapped.decisions["clerk_id"]


def test_a_key_that_is_not_unique_or_too_short_is_a_decision(mapper: Mapper) -> None:
    """With the statement; then it works."""
    mapper.create("CREATE TABLE users (clerk_id varchar(20), email text UNIQUE)")
    mapped = mapper.map()
    assert "TYPE text" in mapped.decisions["clerk_id"]
    assert "CREATE UNIQUE INDEX" in mapped.said
    for statement in (
        "ALTER TABLE users ALTER clerk_id TYPE text",
        "CREATE UNIQUE INDEX ON users (clerk_id)",
    ):
        mapper.connection.execute(statement.encode())
    assert mapper.map().decisions == {}
    assert mapper.sync()["failed"] == 0


@pytest.mark.parametrize(
    ("column", "value", "generated"),
    [
        ("bigint GENERATED ALWAYS AS IDENTITY", None, "database"),
        ("uuid DEFAULT gen_random_uuid()", None, "database"),
        ("uuid", None, "uuid7"),
        ("uuid", "3f8b8a4e-58b0-4a43-9c3b-0d6f6f0a1b2c", "uuid4"),
        ("uuid", "01890a5d-ac96-774b-bcce-b302099a8057", "uuid7"),
        ("text", "cjld2cjxh0000qzrmn831i7rn", "cuid"),
        ("text", "3f8b8a4e-58b0-4a43-9c3b-0d6f6f0a1b2c", "uuid4"),
    ],
)
def test_ids_are_made_as_they_were_made_before(
    users: Users, column: str, value: str | None, generated: str
) -> None:
    """By the database, or like the IDs that the rows have."""
    rows = [f"(id, clerk_id) VALUES ('{value}', 'user_1')"] if value else []
    mapping = users(f"id {column} PRIMARY KEY, {KEY}", *rows).mapping
    assert mapping.own_id is not None
    assert mapping.own_id.generated == generated


def test_a_number_that_nothing_makes_is_a_decision(mapper: Mapper) -> None:
    """The statement makes the database count."""
    mapper.create(f"CREATE TABLE users (id bigint PRIMARY KEY, {KEY})")
    mapped = mapper.map()
    assert "AS IDENTITY" in mapped.decisions["id"]
    mapper.follow(mapped)
    assert mapper.map().decisions == {}


def test_an_email_is_taken_as_the_table_has_it(users: Users) -> None:
    """Unique or not, with or without NULL."""
    strict = users("clerk_id text UNIQUE, email text NOT NULL UNIQUE").mapping
    assert (strict.email_not_null, strict.email_unique) == (True, True)
    loose = users('clerk_id text UNIQUE, "emailAddress" text').mapping
    assert (loose.email, loose.email_not_null, loose.email_unique) == (
        "emailAddress",
        False,
        False,
    )


def test_usual_names_are_recognised_in_any_spelling(users: Users) -> None:
    """Snake case and camel case."""
    mapped = users(
        f'{KEY}, "givenName" text, family_name text, "displayName" text,'
        ' "phoneNumber" text, picture text, "publicMetadata" jsonb, banned boolean,'
        ' "createdAt" timestamptz, "updatedAt" timestamp'
    )
    assert mapped.sources == {
        "email": "email",
        "givenName": "first_name",
        "family_name": "last_name",
        "displayName": "name",
        "phoneNumber": "phone_number",
        "picture": "image_url",
        "publicMetadata": "public_metadata",
        "banned": "banned",
    }
    mapping = mapped.mapping
    assert (mapping.created_at, mapping.updated_at) == ("createdAt", "updatedAt")


def test_a_usual_name_of_another_type_is_left_alone(users: Users) -> None:
    """An image may be the ID of a file."""
    mapped = users(f"{KEY}, image integer, name jsonb, phone bigint")
    assert mapped.sources == {"email": "email"}


def test_what_may_be_the_applications_is_only_suggested(users: Users) -> None:
    """Metadata, and usernames that rows have already."""
    mapped = users(
        f"{KEY}, metadata jsonb, username text, last_seen timestamptz",
        "(clerk_id, username) VALUES ('user_1', 'ada')",
    )
    assert mapped.sources == {"email": "email"}
    for line in (
        '# metadata = "public_metadata"  # only if you want it',
        '# username = "username"  # only if you want it',
        '# last_seen = "last_active_at"  # only if you want it',
    ):
        assert line in mapped.text


def test_a_sign_up_from_before_clerk_is_not_overwritten(mapper: Mapper) -> None:
    """Rows have the time when their user joined, and Clerk does not know it."""
    mapper.create(tables.DJANGO)
    assert mapper.map().sources["date_joined"] == "created_at"
    mapper.connection.execute(
        "INSERT INTO accounts_user (password, is_superuser, username, first_name,"
        " last_name, is_staff, is_active, date_joined, email)"
        " VALUES ('!', false, 'ada', '', '', false, true, now(), 'a@b.test')"
    )
    mapped = mapper.map()
    assert mapped.mapping.created_at == "date_joined"
    assert "date_joined" not in mapped.sources
    assert "clerksync link" in mapped.decisions["clerk_id"]


def test_a_column_that_needs_a_value_gets_a_guess_or_a_decision(users: Users) -> None:
    """A guess is named as one, and what nobody can guess has a statement."""
    mapped = users(
        f"{KEY}, plan text NOT NULL CHECK (plan IN ('pro', 'free')),"
        " credits integer NOT NULL, is_admin boolean NOT NULL, tags text[] NOT NULL,"
        " slug text NOT NULL UNIQUE, born date NOT NULL, seen_at timestamptz NOT NULL,"
        " locked boolean NOT NULL DEFAULT false"
    )
    assert mapped.mapping.defaults == {
        "plan": "free",
        "credits": 0,
        "is_admin": False,
        "tags": "{}",
    }
    assert mapped.sources["seen_at"] == "created_at"
    assert mapped.decisions.keys() == {"plan", "credits", "slug", "born", "seen_at"}
    assert "one of pro, free" in mapped.decisions["plan"]
    assert "gen_random_uuid()::text" in mapped.decisions["slug"]
    assert "[defaults]" in mapped.decisions["born"]


def test_a_guess_satisfies_the_checks_of_its_column(users: Users) -> None:
    """The first row must not be refused for a value that map has proposed."""
    mapped = users(
        f"{KEY}, seats integer NOT NULL CHECK (seats > 0),"
        " land text NOT NULL CHECK (length(land) = 2)"
    )
    assert mapped.mapping.defaults == {"seats": 1}
    assert "no value can be guessed" in mapped.decisions["land"]


def test_a_reference_that_must_be_there_is_the_owners(mapper: Mapper) -> None:
    """Nobody else knows to which team a new user belongs."""
    mapper.create(
        "CREATE TABLE teams (id serial PRIMARY KEY);"
        f"CREATE TABLE users ({KEY}, team_id integer NOT NULL REFERENCES teams)"
    )
    mapped = mapper.map()
    assert mapped.mapping.defaults == {}
    assert "reference public.teams" in mapped.decisions["team_id"]


def test_soft_deletion_is_used_if_the_table_allows_it(users: Users) -> None:
    """And it is a decision, because a person's data stays or goes."""
    soft = users(f"{KEY}, deleted_at timestamptz")
    assert (soft.mapping.deleted_at, soft.mapping.deletion) == ("deleted_at", "soft")
    assert 'deletion = "hard"' in soft.decisions["deleted_at"]
    filled = users(f"{KEY}, name text NOT NULL, deleted_at timestamptz")
    assert filled.mapping.deletion == "soft"
    hard = users(f"{KEY}, public_metadata jsonb NOT NULL, deleted_at timestamptz")
    assert hard.mapping.deletion == "hard"
    assert "NOT NULL" in hard.decisions["deleted_at"]


def test_an_email_that_must_be_there_does_not_break_soft_deletion(
    mapper: Mapper,
) -> None:
    """The mapping fits either way."""
    mapper.create(
        "CREATE TABLE users (clerk_id text UNIQUE, email text NOT NULL UNIQUE,"
        " deleted_at timestamptz)"
    )
    assert ("ok", "table") in mapper.map().levels
    mapper.sync()


def test_a_rule_that_keeps_deleted_rows_is_seen(
    mapper: Mapper, connection: psycopg.Connection
) -> None:
    """Deletion is then the table's own."""
    mapper.create(f"CREATE TABLE users ({KEY}, deleted_at timestamptz)")
    connection.execute(
        "CREATE RULE keep AS ON DELETE TO users DO INSTEAD"
        " UPDATE users SET deleted_at = now() WHERE clerk_id = OLD.clerk_id"
    )
    assert mapper.map().mapping.deletion == "trigger"


def test_a_default_tier_stays_the_tables(users: Users) -> None:
    """Without one, a new row gets clerksync's."""
    assert users(f"{KEY}, tier text NOT NULL").mapping.tier == "tier"
    assert users(f"{KEY}, tier text NOT NULL DEFAULT 'free'").mapping.tier is None


def test_a_companion_is_suggested_where_its_values_are_unknown(mapper: Mapper) -> None:
    """A row at Stripe is none that a constant can make."""
    mapper.create(
        f"CREATE TABLE users (id serial PRIMARY KEY, {KEY});"
        "CREATE TABLE wallets (user_id integer PRIMARY KEY REFERENCES users,"
        " balance integer NOT NULL, updated_at timestamptz NOT NULL);"
        "CREATE TABLE stripe_customers (user_id integer UNIQUE REFERENCES users,"
        " customer text NOT NULL);"
        "CREATE TABLE tokens (user_id integer UNIQUE REFERENCES users,"
        " token text NOT NULL UNIQUE)"
    )
    mapped = mapper.map()
    (wallet,) = mapped.mapping.companions
    assert (wallet.table, wallet.values) == ("wallets", {"balance": 0})
    assert wallet.updated_at == "updated_at"
    assert '# table = "stripe_customers"' in mapped.text
    assert "tokens" not in mapped.decisions


def test_odd_names_and_quotes_do_no_harm(mapper: Mapper) -> None:
    """Keywords, spaces, and a label with a quote."""
    mapper.create(
        "CREATE TYPE mood AS ENUM ('it''s fine', 'ok');"
        'CREATE TABLE "user" ("clerk id" text UNIQUE, email text,'
        ' "order" mood NOT NULL)'
    )
    mapped = mapper.map()
    assert mapped.mapping.key == "clerk id"
    assert mapped.mapping.defaults == {"order": "it's fine"}
    assert mapper.sync()["failed"] == 0
