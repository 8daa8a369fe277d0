"""How checks are made: each one, whatever became of those before it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import psycopg

from clerksync.errors import ClerksyncError, MissingSettingError, SchemaOutdatedError
from local.doctor.subject import Subject

Level = Literal["ok", "warning", "wrong", "skipped"]
Verdict = tuple[Level, str]
"""With a sentence on what was found and, unless it is ok, how to mend it."""
Verdicts = Iterator[Verdict]

_UNSOUND: Final[tuple[Level, ...]] = ("wrong", "skipped")
NEEDED_BY: Final = {
    "DATABASE_URL": "Every function needs it.",
    "CLERK_SECRET_KEY": "Self-sync and bulk sync need it.",
    "CLERK_WEBHOOK_SIGNING_SECRET": "The webhook function needs it.",
}


def ok(message: str) -> Verdict:
    return "ok", message


def warning(message: str) -> Verdict:
    """What works, and may not be meant."""
    return "warning", message


def wrong(message: str) -> Verdict:
    """What does not work."""
    return "wrong", message


def skipped(message: str) -> Verdict:
    """What cannot be told before something else is mended."""
    return "skipped", message


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    level: Level
    message: str
    """Without secrets, emails and names of people."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    look: Callable[[Subject], Verdicts]
    """Gives no verdict where there is nothing to be looked at."""
    needs: tuple[str, ...] = ()
    """Checks that must not have found anything wrong."""


def examine(checks: Iterable[Check], subject: Subject) -> Iterator[Finding]:
    """Make every check whose preconditions hold; the others are told as skipped."""
    found: dict[str, set[Level]] = {}
    for check in checks:
        levels = found.setdefault(check.name, set())
        for level, message in _verdicts(check, subject, found):
            levels.add(level)
            yield Finding(check.name, level, message)


def _verdicts(
    check: Check, subject: Subject, found: Mapping[str, set[Level]]
) -> Verdicts:
    # What is wrong comes before what waits for it in turn.
    by_level = [[n for n in check.needs if level in found[n]] for level in _UNSOUND]
    if waits_for := next(filter(None, by_level), None):
        yield skipped(f"Waits for: {', '.join(waits_for)}.")
        return
    try:
        yield from check.look(subject)
    except SchemaOutdatedError:
        yield wrong("The database schema is not up to date: run clerksync migrate.")
    except MissingSettingError as error:
        yield wrong(f"{error} {NEEDED_BY.get(error.name, '')}".rstrip())
    except ClerksyncError as error:
        yield wrong(str(error))
    except psycopg.Error as error:
        name = type(error).__name__
        yield wrong(f"Postgres refused to tell: {name} (SQLSTATE {error.sqlstate}).")
    except Exception as error:  # noqa: BLE001 - the other checks are made all the same
        yield wrong(f"This check itself failed: {type(error).__name__}.")
