"""Attacks that people write about. Those on the token itself are tested where it is."""

import pytest

from tests.doors import untouched
from tests.strangers.attacks import CARRIED, SIGNATURES, Attack
from tests.strangers.stack import Stack


@pytest.mark.parametrize("attack", [*SIGNATURES, *CARRIED], ids=lambda a: a.name)
def test_an_attack_gets_its_answer(stack: Stack, attack: Attack) -> None:
    """And writes nothing, unless it is none."""
    if attack.answer == 200:
        assert attack.send(stack).status == 200
        return
    with untouched(stack.connection):
        assert attack.send(stack).status == attack.answer
