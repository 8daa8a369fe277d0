"""What stands in for AWS: the functions behind HTTP, with a Clerk and a Postgres.

`target` decides which Clerk and which Postgres are used, `gateway` is API Gateway, and
`functions` calls the handlers as Lambda would. This room knows the functions only by
their handlers, and no command that uses it.
"""
