"""The users of the stub: what they look like, how they change, where they are kept.

`object` is Clerk's user object, `people` invents many users, and `directory` keeps them
in the orders that a listing needs. This room knows no HTTP and no webhooks.
"""
