"""The Postgres server, and the way to it."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from local.doctor.database import version_verdict
from tests.doors import UNREACHABLE
from tests.integration.local.doctor.examining import Doctor
from tests.integration.local.doctor.remote import Remote
from tests.integration.postgres.fake_server import server_that_refuses
from tests.integration.postgres.life import encoded, owned

# Functions of these names stand before Postgres's own.
_SHADOWS = "-c search_path=shadows,pg_catalog,public"


def with_options(doctor: Doctor, options: str) -> str:
    return make_conninfo(doctor.settings["DATABASE_URL"], options=options)


def test_a_database_that_lets_us_write_is_right(doctor: Doctor) -> None:
    """On the embedded server."""
    assert doctor().one("database") == ("ok", "It lets us in, and takes writes.")


def test_a_database_that_is_away_is_told_without_its_address(doctor: Doctor) -> None:
    """Nor with user or password."""
    level, message = doctor(DATABASE_URL=UNREACHABLE).one("database")
    assert level == "wrong"
    assert message.startswith("Postgres cannot be reached: check the host and port")


def test_a_wrong_password_is_told_as_such(doctor: Doctor) -> None:
    """And not as a network that is down."""
    with server_that_refuses('password authentication failed for user "x"') as port:
        url = f"postgresql://somebody:correct-horse@127.0.0.1:{port}/customers"
        level, message = doctor(DATABASE_URL=url).one("database")
    assert level == "wrong"
    assert message.startswith("Postgres refused user or password")


def test_a_database_that_takes_no_writes_is_wrong(doctor: Doctor) -> None:
    """Every sync would fail."""
    url = with_options(doctor, "-c default_transaction_read_only=on")
    level, message = doctor(DATABASE_URL=url).one("database")
    assert level == "wrong"
    assert message.startswith("Transactions are read-only")


@pytest.mark.alters_schema
def test_a_read_replica_is_wrong(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """The address of the primary is what is wanted."""
    connection.execute("CREATE SCHEMA shadows")
    connection.execute(
        "CREATE FUNCTION shadows.pg_is_in_recovery() RETURNS boolean"
        " LANGUAGE sql RETURN true"
    )
    level, message = doctor(DATABASE_URL=with_options(doctor, _SHADOWS)).one("database")
    assert level == "wrong"
    assert message.startswith("DATABASE_URL leads to a read replica")


@pytest.mark.alters_schema
@pytest.mark.parametrize(
    ("interval", "level", "told"),
    [
        ("0", "ok", "This machine's clock and that of Postgres agree."),
        ("12 s", "warning", "clock is 12 seconds behind that of Postgres. "),
        ("-12 s", "warning", "clock is 12 seconds ahead of that of Postgres. "),
        ("1 day", "wrong", "clock is 86,400 seconds behind that of Postgres. "),
    ],
)
def test_a_clock_of_postgres_that_is_apart_is_told(
    doctor: Doctor,
    connection: psycopg.Connection,
    interval: str,
    level: str,
    told: str,
) -> None:
    """More than a minute is wrong."""
    connection.execute("CREATE SCHEMA shadows")
    connection.execute(
        "CREATE FUNCTION shadows.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        f" RETURN pg_catalog.clock_timestamp() + interval '{interval}'".encode()
    )
    examined = doctor(DATABASE_URL=with_options(doctor, _SHADOWS))
    found, message = examined.one("clock of Postgres")
    assert found == level
    assert told in message


def test_a_server_on_this_machine_needs_no_tls(doctor: Doctor) -> None:
    """Nobody stands in between."""
    assert doctor().level("TLS") == "ok"


def test_a_remote_server_that_is_verified_is_right(
    doctor: Doctor, remote: Remote
) -> None:
    """As it is where the URL says nothing of TLS but where its authority is."""
    url = remote.url(sslrootcert=str(remote.certificate))
    told = "The connection is encrypted, and the server verified."
    assert doctor(DATABASE_URL=url).one("TLS") == ("ok", told)


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("require", "is encrypted, and the server is not verified (sslmode=require)"),
        ("prefer", "is encrypted, and the server is not verified (sslmode=prefer)"),
        ("verify-ca", "is encrypted, and its name is not verified (sslmode=verify-ca)"),
        ("disable", "is not encrypted (sslmode=disable)"),
    ],
)
def test_a_remote_server_that_anybody_could_be_is_a_warning(
    doctor: Doctor, remote: Remote, mode: str, told: str
) -> None:
    """The URL asked for it; that it did is told."""
    more = {"sslrootcert": str(remote.certificate)} if mode == "verify-ca" else {}
    examined = doctor(DATABASE_URL=remote.url(sslmode=mode, **more))
    level, message = examined.one("TLS")
    assert (examined.code, level) == (0, "warning")
    assert told in message
    assert "Leave sslmode out of DATABASE_URL" in message


def test_a_remote_server_that_cannot_be_verified_is_not_connected_to(
    doctor: Doctor, remote: Remote
) -> None:
    """What to do about it stands there."""
    level, message = doctor(DATABASE_URL=remote.url()).one("database")
    assert level == "wrong"
    assert message.startswith("Postgres shows no TLS certificate that can be trusted")


@pytest.mark.parametrize(
    ("encoding", "level", "told"),
    [
        ("UTF8", "ok", "It is UTF8."),
        ("LATIN1", "warning", "It is LATIN1, which does not have every character."),
        ("SQL_ASCII", "warning", "It is SQL_ASCII, so Postgres does not check texts."),
    ],
)
def test_an_encoding_that_does_not_hold_every_character_is_a_warning(
    doctor: Doctor, server_url: str, encoding: str, level: str, told: str
) -> None:
    """With what to do: no ALTER DATABASE changes an encoding."""
    with owned(server_url, encoded(encoding)) as database:
        found, message = doctor(DATABASE_URL=database.url).one("encoding")
    assert found == level
    assert message.startswith(told)
    assert ("ENCODING 'UTF8' TEMPLATE template0" in message) == (level == "warning")


def test_the_version_is_told(doctor: Doctor, connection: psycopg.Connection) -> None:
    """As the server numbers it."""
    major = connection.info.server_version // 10_000
    level, message = doctor().one("server")
    assert level == "ok"
    assert message.startswith(f"It is Postgres {major}.")


def test_a_version_before_15_is_wrong() -> None:
    """There is no such server here: only its number."""
    assert version_verdict(150_000)[0] == "ok"
    level, message = version_verdict(140_019)
    assert level == "wrong"
    assert message == (
        "It is Postgres 14.19, and 15 or newer is needed: upgrade the server."
    )
