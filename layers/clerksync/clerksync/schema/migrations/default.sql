-- The default target. An application may add columns; sync leaves them alone.
CREATE TABLE IF NOT EXISTS users (
    id               text PRIMARY KEY,              -- Clerk's user id
    email            text UNIQUE,
    first_name       text,
    last_name        text,
    name             text,
    username         text,
    phone_number     text,
    image_url        text,
    tier             text NOT NULL DEFAULT 'FREE',  -- the application's, see rule 7
    public_metadata  jsonb,
    banned           boolean,
    clerk_created_at timestamptz,
    deleted_at       timestamptz,                   -- soft deletion only
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
