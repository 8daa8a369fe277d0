"""A reliable connection to Postgres: TLS, time limits, and a second try.

Units of work run once more after a collision or over a new connection. Nothing here
keeps session state, so poolers may stand in between. This room knows no table.
"""
