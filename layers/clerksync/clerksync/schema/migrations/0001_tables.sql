-- What is known of each Clerk id. No personal data, and it outlives the user.
CREATE TABLE sync_state (
    clerk_id         text PRIMARY KEY,
    clerk_updated_at timestamptz,           -- the version last applied, Clerk's clock
    deleted_at       timestamptz,           -- the tombstone, this database's clock
    confirmed_at     timestamptz,           -- Clerk, asked by id after this, knew it
    skipped          text,                  -- why there is no row in users
    synced_at        timestamptz NOT NULL   -- last claim, this database's clock
);

-- The ledger of bulk runs. instance_id is set once the instance is accepted.
CREATE TABLE sync_runs (
    run_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    mode        text NOT NULL,
    dry_run     boolean NOT NULL,
    status      text NOT NULL DEFAULT 'running',
    instance_id text,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    report      jsonb
);
CREATE INDEX sync_runs_started_at ON sync_runs (started_at);

-- The ids that the runs in progress have seen in Clerk's listing, a batch a row. Part
-- of the ledger, emptied when its run ends. Unlogged: lost in a crash, it reads as a
-- short listing, and a short listing deletes nothing.
CREATE UNLOGGED TABLE sync_run_listed (
    run_id    uuid NOT NULL,
    clerk_ids text[] NOT NULL
);
-- Ids do not compress: trying costs more than it saves.
ALTER TABLE sync_run_listed ALTER clerk_ids SET STORAGE EXTERNAL;
