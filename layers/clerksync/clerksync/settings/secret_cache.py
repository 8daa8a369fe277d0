"""Values of Secrets Manager secrets, cached, and read anew when they proved wrong."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from clerksync.errors import InvalidSettingError
from clerksync.observability import describe, logger
from clerksync.settings.secrets_manager import read_secret

_TTL_SECONDS: Final = 300
# A stranger with a bad signature, say, makes us ask no more often than this.
_LEAST_SECONDS: Final = 10


class Secret:
    """One secret that holds a JSON object.

    Its values are read at first use and again after 5 minutes. While they cannot be
    read, the old ones are used.
    """

    def __init__(self, name: str, *, named_by: str) -> None:
        self._name = name
        self._named_by = named_by
        self._values: dict[str, str] | None = None
        self._read_at = 0.0

    def values(self) -> Mapping[str, str]:
        """Raises InvalidSettingError, without a value, when they were never read."""
        if self._values is None or self._age() > _TTL_SECONDS:
            self._read()
        return self._values or {}

    def refresh(self) -> bool:
        """Read it anew, unless that was done within 10 s; whether it changed."""
        if self._values is None or self._age() < _LEAST_SECONDS:
            return False
        before = self._values
        self._read()
        return before != self._values

    def _age(self) -> float:
        return time.monotonic() - self._read_at

    def _read(self) -> None:
        try:
            self._values = self._parsed(
                read_secret(self._name, named_by=self._named_by)
            )
        except InvalidSettingError as error:
            if self._values is None:
                raise
            logger.error("secret not read: the old one is used", **describe(error))
        self._read_at = time.monotonic()

    def _parsed(self, text: str | None) -> dict[str, str]:
        try:
            values: Any = json.loads(text or "")
        except ValueError:
            values = None
        if not isinstance(values, dict):
            message = f"The secret named by {self._named_by} is not a JSON object."
            raise InvalidSettingError(message)
        return {name: str(v) for name, v in values.items() if v is not None}
