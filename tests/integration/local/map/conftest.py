"""A database for an application's own tables."""

from pathlib import Path

import psycopg
import pytest

from tests.integration.local.map.mapper import Mapper, Users


@pytest.fixture
def mapper(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> Mapper:
    return Mapper(tmp_path, settings, connection)


@pytest.fixture
def users(mapper: Mapper) -> Users:
    return Users(mapper)
