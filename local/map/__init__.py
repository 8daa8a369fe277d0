"""Write the mapping of a table that an application already has.

This room knows which names applications usually give their columns. It reads the
catalog and a sample of rows, and it promises to change nothing. What only the owner can
decide, it lists; it must not decide it silently.
"""
