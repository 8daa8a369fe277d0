"""The migrate function, asked by CloudFormation."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.functions.migrate.stack import Stack, a_stack


@pytest.fixture
def stack(environment: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Whatever is answered and logged, it tells nothing private."""
    environment.setenv("CLERKSYNC_SCHEMA", "")
    with a_stack() as stack:
        yield stack


@pytest.fixture
def empty(connection: psycopg.Connection) -> psycopg.Connection:
    """A connection to a database in which there is nothing yet."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return connection
