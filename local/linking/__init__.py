"""Link rows that an application had before clerksync to Clerk users.

Knows Clerk's listing with the verification of emails, and rows without a Clerk ID. It
writes the key of a row and nothing else; the next sync does the rest.
"""
