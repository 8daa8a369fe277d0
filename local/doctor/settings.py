"""Checks of what is set."""

import os
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from clerksync.errors import ClerksyncError
from clerksync.settings.environment import Settings
from local.doctor.check_runner import Verdicts, ok, warning, wrong
from local.doctor.subject import Subject
from local.progress import counted

_PROPERTIES: Final = [n for n, v in vars(Settings).items() if isinstance(v, property)]
# These have checks of their own.
_LOOKED_AT_ELSEWHERE: Final = frozenset(
    {
        "clerk_issuer",
        "clerk_jwt_key",
        "clerk_secret_key",
        "database_url",
        "described_mapping",
        "webhook_signing_secrets",
    }
)
# Names that begin so are ours. Of CLERK_…, others have some too.
_OURS: Final = "CLERKSYNC_"
_OF_OUR_TESTS: Final = "CLERKSYNC_TEST_"
# How much alike names must be: 1 is equal.
_NEAREST: Final = 0.6
_MISSPELT: Final = 0.9


class _AskedFor(Settings):
    """Notes which settings are asked for, and has none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {"CLERKSYNC_SECRET_ID"}

    def _text(self, name: str) -> str | None:
        self.names.add(name)
        return None

    def _secret(self, named_by: str) -> Mapping[str, str] | None:
        self.names.add(named_by)
        return None


def secret(subject: Subject) -> Verdicts:
    """Nothing can be looked at without it, where one is named."""
    if os.environ.get("CLERKSYNC_SECRET_ID"):
        values = counted(len(subject.settings.in_secret()), "value")
        yield ok(f"The secret that CLERKSYNC_SECRET_ID names was read: {values}.")


def well_formed(subject: Subject) -> Verdicts:
    """Each setting can be parsed, and there is none that nobody reads."""
    if not subject.own:
        yield warning(
            "Neither CLERK_SECRET_KEY nor DATABASE_URL is set: this is about the stub "
            "Clerk and the embedded Postgres."
        )
    known = _known()
    given = {name for name, value in os.environ.items() if value.strip()}
    given |= subject.settings.in_secret().keys()
    problems = [*dict.fromkeys(_malformed(subject.settings))]
    for problem in problems:
        yield wrong(problem)
    for name in sorted(given - known):
        if unknown := _unknown(name, known):
            yield warning(unknown)
    if not problems:
        settings = counted(len(given & known), "setting is", "settings are")
        yield ok(f"{settings} set, and can be read.")


def _known() -> set[str]:
    asked = _AskedFor()
    for name in _PROPERTIES:
        with suppress(ClerksyncError):
            getattr(asked, name)
    return asked.names


def _malformed(settings: Settings) -> list[str]:
    # One setting may be needed to read another.
    told = {_problem(settings, name) for name in _LOOKED_AT_ELSEWHERE}
    found = [_problem(settings, name) for name in _PROPERTIES]
    problems = [problem for problem in found if problem and problem not in told]
    if not is_web_address(settings.clerk_api_url):
        problems.append("CLERK_API_URL must be an address such as https://host.")
    return problems


def _problem(settings: Settings, name: str) -> str | None:
    try:
        getattr(settings, name)
    except ClerksyncError as error:
        return str(error)
    return None


def _unknown(name: str, known: set[str]) -> str | None:
    ours = name.startswith(_OURS) and not name.startswith(_OF_OUR_TESTS)
    if not ours and not name.startswith("CLERK_"):
        return None
    # What all names have in common makes none of them alike.
    rests = {other.removeprefix(_OURS): other for other in known}
    alike = _NEAREST if ours else _MISSPELT
    nearest = get_close_matches(name.removeprefix(_OURS), rests, 1, alike)
    if not nearest and not ours:
        return None
    meant = f" Was {rests[nearest[0]]} meant?" if nearest else " Remove it."
    return f"{name} is no setting, and changes nothing.{meant}"


def is_web_address(text: str) -> bool:
    """Whether it is http(s)://host, perhaps with a port, and nothing more than a
    path."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.hostname) and not url.query
