"""What must exist in the database first: migrations, and tiers and buckets as SQL.

`migrate` applies what is missing, all or nothing. It refuses tables that the write path
could not use, and says why. This room changes no user.
"""
