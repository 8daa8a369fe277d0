"""Which column of the target table gets which value: the table as data.

A mapping is read from a TOML file or a preset and checked for contradictions in itself.
This room has no connection: whether the tables fit the mapping, `schema` finds out.
"""
