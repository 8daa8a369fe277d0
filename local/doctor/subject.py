"""What is examined: settings, Clerk and the database, as the functions see them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cached_property
from typing import Any, Final, LiteralString, Self

import psycopg
from psycopg import sql

from clerksync.clerk.api import Instance
from clerksync.clerk.retry import Patience
from clerksync.mapping.table import Companion, TableMapping
from clerksync.postgres.database import Database
from clerksync.schema.own_schema import is_elsewhere
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.identifiers import companion_table, identifiers
from local.migration_tools import Tool, recognise
from local.progress import Advance

# Somebody is waiting, and a failure that passes is no finding.
_PATIENCE: Final = Patience(retries=2, longest_wait_seconds=30, timeout_seconds=10)


class ReadableSettings(Settings):
    """Settings that can also be read as they stand there."""

    def text(self, name: str) -> str | None:
        return self._text(name)

    def in_secret(self) -> Mapping[str, str]:
        """What the secret holds that CLERKSYNC_SECRET_ID names, if it names one."""
        return self._secret("CLERKSYNC_SECRET_ID") or {}


class Subject:
    """What the checks look at. What is asked for twice is asked once."""

    def __init__(
        self,
        *,
        own: bool,
        progress: Callable[[], AbstractContextManager[Advance]],
    ) -> None:
        self.own = own
        """Whether it is the user's own Clerk and database."""
        self.progress = progress
        self.settings = ReadableSettings()
        self.database = Database.from_settings(self.settings)
        self.clerk = clerk_client(self.settings, _PATIENCE)

    @classmethod
    @contextmanager
    def opened(
        cls, *, own: bool, progress: Callable[[], AbstractContextManager[Advance]]
    ) -> Iterator[Self]:
        subject = cls(own=own, progress=progress)
        with closing(subject.database):
            yield subject

    @cached_property
    def instance(self) -> Instance:
        return self.clerk.instance()

    @cached_property
    def mapping(self) -> TableMapping:
        return self.settings.mapping

    @cached_property
    def schema(self) -> str:
        return self.settings.schema

    @property
    def is_elsewhere(self) -> bool:
        """Whether an earlier version made clerksync's tables in a different schema."""
        earlier = self.settings.earlier_schema
        return earlier is not None and self.database.run(
            lambda connection: is_elsewhere(connection, self.schema, earlier)
        )

    @cached_property
    def tools(self) -> list[Tool]:
        """The tools that manage the schema of the application."""
        return self.database.run(recognise)

    @property
    def schemas(self) -> list[str]:
        """Where the target table is, and where clerksync's own are."""
        return [self.schema, self.mapping.schema or self.schema]

    @property
    def names(self) -> Mapping[str, sql.Composable]:
        return identifiers(self.mapping, self.schema)

    @property
    def target(self) -> str:
        """The target table, quoted, as regclass reads it."""
        return self.names["users"].as_string()

    @property
    def companions(self) -> dict[str, Companion]:
        """By the quoted name of their table."""
        mapping, schema = self.mapping, self.schema
        return {
            companion_table(companion, mapping, schema).as_string(): companion
            for companion in mapping.companions
        }

    def own_table(self, name: str) -> str:
        return sql.Identifier(self.schema, name).as_string()

    def rows(
        self,
        query: LiteralString | sql.SQL | sql.Composed,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[tuple[Any, ...]]:
        """Ask the database; in a text, names left open are those of the mapping."""
        if isinstance(query, str):
            query = sql.SQL(query).format(**self.names)
        return self.database.run(
            lambda connection: connection.execute(query, parameters).fetchall()
        )

    def row(
        self,
        query: LiteralString | sql.SQL | sql.Composed,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[Any, ...]:
        """The same for what always gives one row."""
        (row,) = self.rows(query, parameters)
        return row

    def row_within(
        self, at_most: LiteralString, query: LiteralString
    ) -> tuple[Any, ...]:
        """The same for a query that may take long. Raises QueryCanceled."""
        composed = sql.SQL(query).format(**self.names)
        limit = sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(at_most))

        def work(connection: psycopg.Connection) -> tuple[Any, ...]:
            with connection.transaction():
                connection.execute(limit)
                (row,) = connection.execute(composed).fetchall()
                return row

        return self.database.run(work)
