"""A Clerk instance on 127.0.0.1 that behaves as Clerk's specification says.

`StubClerk` in `stub` has users, an API, webhooks and session tokens, and fails on
request. It must not know clerksync: it stands for Clerk in the tests of clerksync, and
could not do that if it used the same code.
"""
