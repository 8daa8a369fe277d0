"""The webhooks of the stub: events as Clerk words them, deliveries as Svix makes them.

`events` words and signs an event, `deliveries` sends it, with Svix's retries. This room
knows the endpoint by its URL only, and no users except those that it is given.
"""
