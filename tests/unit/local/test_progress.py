"""Counts with their nouns."""

import pytest

from local.progress import counted


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 rows have"),
        (1, "1 row has"),
        (2, "2 rows have"),
        (1000, "1,000 rows have"),
    ],
)
def test_one_thing_is_not_called_several(count: int, text: str) -> None:
    """The verb agrees, too."""
    assert counted(count, "row has", "rows have") == text


def test_most_plurals_have_an_s() -> None:
    """So only the others are named."""
    assert [counted(n, "user") for n in (1, 2)] == ["1 user", "2 users"]
