-- What each tier may do: the application's, to change and to add to. A bucket holds at
-- most `capacity` tokens, and gets back `refill_per_second`; 0 gives nothing back.
CREATE TABLE IF NOT EXISTS tiers (
    name              text PRIMARY KEY,
    capacity          double precision NOT NULL
        CHECK (capacity BETWEEN 0 AND 1e9),
    refill_per_second double precision NOT NULL
        CHECK (refill_per_second = 0 OR refill_per_second BETWEEN 1e-9 AND 1e9)
);
