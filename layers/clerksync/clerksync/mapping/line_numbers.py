"""In which line of a TOML file something stands: its parser does not tell."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

KeyPath = tuple[str, ...]
"""Such as ("table", "name"), or ("companions", "0", "key")."""
Lines = Mapping[KeyPath, int]

# Compiled when they are used: only a mapping with a mistake needs its lines.
_HEADER: Final = r"\s*(\[\[?)\s*([\w.-]+)\s*\]\]?"
_ENTRY: Final = r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*="""


def lines_of(text: str) -> Lines:
    """For TOML as it is usually written: a header or a key at the beginning of a line.
    Lines count from 1."""
    return dict(_lines(text))


def innermost(path: KeyPath, lines: Lines) -> KeyPath:
    """The innermost thing on the way there that has a line."""
    while path and path not in lines:
        path = path[:-1]
    return path


def _lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Where tables and keys stand, as TOML is usually written; one line each."""
    section: KeyPath = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(_HEADER, line):
            section = tuple(header[2].split("."))
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                section = header[2], str(counts[header[2]])
            elif section[0] in counts:
                section = section[0], str(counts[section[0]]), *section[1:]
            yield section, number
        elif entry := re.match(_ENTRY, line):
            yield (*section, entry[1] or entry[2] or entry[3]), number
