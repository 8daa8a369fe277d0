"""The one write path: every change of the target table goes through this room.

The rules for order, deletion, email and tier are SQL, generated from a mapping and kept
as functions in the database; Python hands users to them and reads what became of them.
This room knows no listing and no run, and asks Clerk only through what it is given.
"""
