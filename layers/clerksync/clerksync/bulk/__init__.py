"""Bulk sync: runs that read all of Clerk and make the table agree with it.

`run` shows the steps in order: plan, walk, judge, sweep, report. A run that did not see
everything deletes nobody and is never called completed. This room knows no Lambda: an
entry point gives a run its request and its deadline.
"""
