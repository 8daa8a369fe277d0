"""What `doctor` would report for a mapping."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Final

from clerksync.mapping.table import TableMapping
from clerksync.settings.schemas import OWN
from local.doctor import access, foreign_keys, tables
from local.doctor.check_runner import Check, Finding, examine
from local.doctor.subject import ReadableSettings, Subject

# Those that read only the catalog.
_CHECKS: Final = (
    Check("table", tables.fit),
    Check("foreign keys", foreign_keys.foreign_keys),
    Check("access", access.others),
)


class _Settings(ReadableSettings):
    """The settings as they are, with a mapping that none of them names yet."""

    def __init__(self, mapping: TableMapping) -> None:
        super().__init__()
        self._mapping = mapping

    @property
    def schema(self) -> str:
        """Where `map` advises to keep clerksync's own tables."""
        return self.text("CLERKSYNC_SCHEMA") or OWN

    @property
    def described_mapping(self) -> TableMapping:
        return self._mapping


class _Subject(Subject):
    def __init__(self, mapping: TableMapping) -> None:
        super().__init__(own=True, progress=lambda: nullcontext(lambda *_: None))
        self.settings = _Settings(mapping)


def verdict_on(mapping: TableMapping) -> list[Finding]:
    """Return what `doctor` finds in the tables, if this is the mapping."""
    with _opened(mapping) as subject:
        return [*examine(_CHECKS, subject)]


@contextmanager
def _opened(mapping: TableMapping) -> Iterator[Subject]:
    subject = _Subject(mapping)
    with closing(subject.database):
        yield subject
