"""The owner's configuration: environment variables, and the Secrets Manager secrets
that they name.

Settings are read when they are used, and read again if one proved wrong. A message
names a setting, never its value. This room opens no connection to Postgres or Clerk.
"""
