"""A reliable connection to Postgres: TLS, session settings, time limits, a second try.

Units of work run once more after a collision or over a new connection. Nothing here
keeps session state that a pooler does not restore. This room knows no table.
"""
