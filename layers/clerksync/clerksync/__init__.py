"""clerksync: an application's Postgres `users` table, kept equal to Clerk."""
