"""Strangers by the hundred. `python -m tests.strangers` sends ten thousands."""

from tests.strangers.asking import ask_as_odd_users, ask_as_strangers
from tests.strangers.stack import Stack


def test_strangers_are_refused(stack: Stack) -> None:
    """Without secret and session nobody writes, locks or learns anything."""
    ask_as_strangers(stack, 300)


def test_odd_users_are_stored_or_refused(stack: Stack) -> None:
    """What Clerk signs comes from users, who write what they like."""
    ask_as_odd_users(stack, 200)
