"""The commands of the command line: their arguments, their output, their exit status.

A command finds out what it acts on, calls the code that does the work, and shows the
result. The commands know no SQL and no HTTP, apart from `tier` and `rate-limit`, which
read and write a user's tier. Nothing but the command line imports them.
"""
