"""The page of `clerksync dev`: users, webhook deliveries and runs as they change.

It gives the gateway its routes, and serves only a browser on the same machine. With a
stub Clerk the page also acts; with the user's own Clerk it only reads. It must not know
how the stack around it was started.
"""
