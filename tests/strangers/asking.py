"""Many requests, one after the other, and what must be true of every answer."""

import math
from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.doors import untouched
from tests.integration.functions.webhook.door import PATH as WEBHOOK
from tests.strangers.requests import signed, strangers
from tests.strangers.stack import Stack

_TABLES = """
    SELECT count(*) FROM pg_tables WHERE schemaname = 'public'
"""


def ask_as_strangers(stack: Stack, requests: int) -> None:
    """Whatever somebody sends who has neither secret nor session: it is refused,
    nothing is written or locked, and nothing is told."""

    @_often(math.ceil(requests / 8))
    @given(events=strangers(stack))
    def is_refused(events: list[dict[str, Any]]) -> None:
        for event in events:
            answer = stack.ask(event)
            assert answer.status == (400 if event["rawPath"] == WEBHOOK else 401)

    with untouched(stack.connection):
        is_refused()


def ask_as_odd_users(stack: Stack, requests: int) -> None:
    """Whatever a user writes into the own profile, and Clerk signs: it is stored or a
    400, and never an error of ours."""

    @_often(requests)
    @given(event=signed(stack))
    def is_stored_or_refused(event: dict[str, Any]) -> None:
        assert stack.ask(event).status in {200, 400}

    before = stack.connection.execute(_TABLES).fetchone()
    is_stored_or_refused()
    assert stack.connection.execute(_TABLES).fetchone() == before


def _often(requests: int) -> settings:
    return settings(
        max_examples=requests,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
