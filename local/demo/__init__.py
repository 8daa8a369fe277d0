"""`clerksync demo`: takes users through all that can happen to them, and checks it.

`story` has the steps in their order; `stage` acts, shows and checks for each of them.
The demo needs no settings and leaves nothing behind. It must not reach into the
functions: it uses their HTTP routes, their events and the tables, as anyone could.
"""
