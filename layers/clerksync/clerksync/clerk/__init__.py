"""What Clerk sends and returns: users, webhook events and session tokens; and the
client of its Backend API with its rate limit.

Everything that comes from Clerk is checked here, and nowhere else. This room knows no
settings, no Postgres and no AWS: callers pass in what it needs to know.
"""
