"""Columns of type citext, in whatever schema its extension is."""

from collections.abc import Iterator

import pytest

from tests.debian_postgres import debian_postgres, unless_installed
from tests.integration.local.map.mapper import Mapper

pytestmark = [unless_installed, pytest.mark.alters_schema]


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """Return the URL of a server that has the extension."""
    with debian_postgres() as url:
        yield url


def test_citext_outside_the_search_path_is_recognised(mapper: Mapper) -> None:
    """Supabase keeps extensions in a schema of their own."""
    mapper.create(
        "CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;"
        " CREATE TABLE users (clerk_id text UNIQUE, email ext.citext NOT NULL UNIQUE,"
        " name ext.citext, nick ext.citext NOT NULL)"
    )
    mapped = mapper.map()
    assert mapped.sources == {"email": "email", "name": "name"}
    assert mapped.mapping.defaults == {"nick": ""}
    assert mapper.run("map", "--check", str(mapper.file)).returncode == 0
    assert mapper.sync()["failed"] == 0
