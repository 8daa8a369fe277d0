"""Clerk's timestamps: Unix milliseconds, most of the time."""

from typing import Annotated, Final, TypeGuard

from pydantic import AfterValidator, Field

_NO_MILLISECONDS: Final = 20_000_000_000
_YEAR_1: Final = -62_135_596_800_000
YEAR_10000: Final = 253_402_300_800_000
"""Unix milliseconds; no Python datetime, and so no row that is read, is later."""


def milliseconds(timestamp: int) -> int:
    """Clerk's timestamps are Unix milliseconds. Some of its own examples show seconds:
    whatever would be in 1970 and before September counts as those."""
    if timestamp > _NO_MILLISECONDS or timestamp < 0:
        return timestamp
    return timestamp * 1000


# Integers as they come: two datetimes would cost a third of reading a user.
Timestamp = Annotated[
    int, Field(strict=True, ge=0, lt=YEAR_10000), AfterValidator(milliseconds)
]
"""Unix milliseconds of Clerk's clock, from 1970 on."""
Moment = Annotated[
    int, Field(strict=True, ge=_YEAR_1, lt=YEAR_10000), AfterValidator(milliseconds)
]
"""The same from the year 1 on, which Python and Postgres can hold: an import may have
brought a time before 1970, and a Go program writes the year 1 for no time at all."""


def is_moment(value: object) -> TypeGuard[int]:
    return type(value) is int and _YEAR_1 <= value < YEAR_10000
