-- A run that ends before its walk does leaves a checkpoint: the windows of created_at,
-- which are done and where the others stand. The next run takes it over.
ALTER TABLE sync_runs
    ADD continues  uuid,  -- the run that began the walk, where it was another one
    ADD checkpoint jsonb;
