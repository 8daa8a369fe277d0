"""The examples of docs/mapping.md are mappings."""

import re
from pathlib import Path

import pytest

from clerksync.mapping.file import parse

_MANUAL = (Path(__file__).parents[3] / "docs/mapping.md").read_text("utf-8")
EXAMPLES = re.findall(r"^ *```toml\n(.*?)^ *```$", _MANUAL, re.MULTILINE | re.DOTALL)
_TABLE = 'name = "people"\nkey = "clerk"\n'


def completed(example: str) -> str:
    """An example with what a mapping needs besides."""
    if re.search(r"^name = ", example, re.MULTILINE):
        return example
    if not example.startswith("["):
        example = f"[table]\n{example}"
    if "[table]\n" in example:
        example = example.replace("[table]\n", f"[table]\n{_TABLE}")
    else:
        example = f"[table]\n{_TABLE}{example}"
    if "[columns]\n" not in example:
        return f'{example}\n[columns]\nmail = "email"\n'
    if re.search(r'= "email"$', example, re.MULTILINE):
        return example
    return example.replace("[columns]\n", '[columns]\nmail = "email"\n')


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_manual_can_be_read(example: str) -> None:
    """By itself, or as a part of the least that a mapping needs."""
    assert parse(completed(example), name="mine").columns


def test_the_manual_has_examples_of_all_that_a_column_can_say() -> None:
    """So that the test above reads them."""
    text = "".join(EXAMPLES)
    for word in ("clerk_id", "not banned", "values", "truncate", "deleted_email", "or"):
        assert re.search(rf'{word}"? ?', text), word
