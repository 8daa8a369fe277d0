"""`clerksync doctor`: finds what is wrong with a setup and says how to fix it.

`checks` lists the checks in their order, `examination` makes them, and the modules
named after what they look at hold them. The doctor reads settings, Clerk and the
database, and must not change any of them.
"""
