"""Constants as TOML: what a parser reads is what was written."""

import tomllib

import pytest

from clerksync.mapping.as_toml import toml, toml_name
from clerksync.mapping.table import Constant


@pytest.mark.parametrize(
    "value",
    [
        *(
            "a",
            "",
            'say "no"',
            "C:\\new",
            "two\nlines",
            "tab\t",
            "\x00\x1f\x7f",
            "über",
        ),
        *(True, False, 0, -7, 1.5, float("inf")),
        {"free": "FREE", "very special": 'a "b"', "": "*"},
    ],
)
def test_a_constant_is_read_as_it_was_written(
    value: Constant | dict[str, Constant],
) -> None:
    """With quotes, backslashes and control characters, in names too."""
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}


@pytest.mark.parametrize("name", ["plain", "with space", 'q"uote', "", "naïve", "a.b"])
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    """It is quoted only if it has to be."""
    assert tomllib.loads(f"{toml_name(name)} = 1") == {name: 1}
