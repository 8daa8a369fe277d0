"""Why there is no connection: in words that say what to do, and nothing private."""

import socket
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from clerksync.errors import DatabaseUnreachableError
from clerksync.observability import describe
from clerksync.postgres.database import Database
from tests.integration.postgres.fake_server import (
    server_that_refuses,
    server_that_says,
    standby_that_refuses,
)
from tests.pgbouncer import pgbouncer, unless_installed

PRIVATE = ("somebody", "correct-horse", "db.example.invalid", "127.0.0.1", "customers")
CANNOT_BE_REACHED = "Postgres cannot be reached: check the host and port of DATABASE_"


def backend(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


def unreachable(url: str) -> str:
    """The message about a URL, in which nothing of it is to be read."""
    with pytest.raises(DatabaseUnreachableError) as caught:
        Database(lambda: url).run(backend)
    message = str(caught.value)
    assert not [word for word in PRIVATE if word in message]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "nor in a traceback"
    return message


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("somebody:correct-horse", "not a Postgres URL"),
        ("postgresql://localhost/db?sslmod=require", "does not know: sslmod"),
        ("mysql://somebody:correct-horse@db.example.invalid/customers", "not a Post"),
        ("postgresql://somebody:correct-horse@[bad/customers", "not a Postgres URL"),
        ("postgresql://somebody:correct-horse@127.0.0.1:1/customers", "host and port"),
        ("postgresql://somebody:correct-horse@db.example.invalid/customers", "host"),
        ("postgresql://somebody:correct-horse@127.0.0.1:port/customers", "host and"),
    ],
    ids=[
        "no URL",
        "unknown parameter",
        "MySQL",
        "broken URL",
        "nobody listens",
        "no such host",
        "no port",
    ],
)
def test_a_url_that_leads_nowhere_says_what_to_check_and_nothing_private(
    url: str, advice: str
) -> None:
    """Libpq's own message would quote host, port and user."""
    message = unreachable(url)
    assert advice in message
    assert "DATABASE_URL" in message


def test_a_server_without_that_database_says_so(database_url: str) -> None:
    """And not that the network is at fault."""
    url = make_conninfo(database_url, dbname="customers")
    assert "no such database or role" in unreachable(url)


def test_a_refused_password_says_so_and_not_which() -> None:
    """As Postgres words it, with the name of the role."""
    with server_that_refuses('password authentication failed for user "x"') as port:
        url = f"postgresql://somebody:correct-horse@127.0.0.1:{port}/customers"
        assert "refused user or password" in unreachable(url)


# Of Postgres, PgBouncer, Supavisor, Neon, RDS Proxy, and the network between.
RESPONSES = {
    # Postgres
    'no pg_hba.conf entry for host "1.2.3.4", SSL encryption': "its pg_hba.conf",
    'PAM authentication failed for user "somebody"': "refused user or password",
    "sorry, too many clients already": "takes no more connections",
    "remaining connection slots are reserved for roles with the SUPERUSER attribute": (
        "takes no more connections"
    ),
    'too many connections for role "somebody"': "takes no more connections",
    "the database system is starting up": "Try again in a minute",
    "the database system is shutting down": "Try again in a minute",
    "the database system is not yet accepting connections": "Try again in a minute",
    "the database system is in recovery mode": "Try again in a minute",
    'database "customers" is not currently accepting connections': "ALLOW_CONNECTIONS",
    'role "somebody" is not permitted to log in': "ALTER ROLE … LOGIN",
    'permission denied for database "customers"': "GRANT CONNECT ON DATABASE",
    'role "somebody" does not exist': "no such database or role",
    "connection requires a valid client certificate": (
        'refused the connection: "connection requires a valid client certificate"'
    ),
    # PgBouncer
    "unsupported startup parameter: options": 'parameter: "unsupported startup',
    "no more connections allowed (max_client_conn)": "takes no more connections",
    "client connections exceeded (max_db_client_connections)": "no more connections",
    "query_wait_timeout": "had no free connection to Postgres in time",
    "no such database: customers": "no such database or role",
    "SASL authentication failed": "refused user or password",
    "SSL required": "accepts encrypted connections only",
    "server login has been failing, try again later (server_login_retry)": (
        "cannot connect to Postgres"
    ),
    "pgbouncer cannot connect to server": "cannot connect to Postgres",
    # Supavisor
    "Tenant or user not found": "connection string from your provider's dashboard",
    "Max client connections reached": "takes no more connections",
    "MaxClientsInSessionMode: max clients reached": "takes no more connections",
    "SSL connection is required": "accepts encrypted connections only",
    # Neon
    "The requested endpoint could not be found, or you don't have access to it. Please "
    "check the provided ID and try again.": "connection string from your provider's",
    "Endpoint ID is not specified. Either please upgrade the postgres client library": (
        "connection string from your provider's dashboard"
    ),
    "Your account or project has exceeded the compute time quota. Upgrade your plan to "
    "increase limits.": '"Your account or project has exceeded the compute time quota.',
    "connection is insecure (try using `sslmode=require`)": "encrypted connections",
    "Couldn't connect to compute node": "cannot connect to Postgres",
    # RDS Proxy
    "This RDS proxy has no credentials for the role somebody. Check the credentials "
    "for this role and try again.": "RDS Proxy has no credentials for the role",
    "Feature not supported: RDS Proxy currently doesn't support command-line "
    "options.": "refuses a startup parameter",
    "This RDS Proxy requires TLS connections": "accepts encrypted connections only",
    "Timed-out waiting to acquire database connection": "no free connection to Post",
    # Any other
    "database is not accepting connections": "Try again in a minute",
    "project is suspended": '"project is suspended"',
    "Passwort-Authentifizierung für Benutzer »somebody« fehlgeschlagen": (
        'refused the connection: "Passwort-Authentifizierung für Benutzer »…« fehl'
    ),
    "no route from 127.0.0.1 to db.example.invalid": '"no route from … to …"',
    "the moon is full": 'Postgres refused the connection: "the moon is full"',
}


@pytest.mark.parametrize("severity", ["FATAL", "ERREUR"])
@pytest.mark.parametrize(("said", "advice"), RESPONSES.items())
def test_a_refusal_is_not_a_server_that_cannot_be_reached(
    said: str, advice: str, severity: str
) -> None:
    """It says what to do, or what the server has said."""
    with server_that_refuses(said, sqlstate="XX000", severity=severity) as port:
        message = unreachable(
            f"postgresql://somebody:correct-horse@db.example.invalid:{port}/customers"
            "?hostaddr=127.0.0.1&sslmode=disable"
        )
    assert advice in message
    assert "cannot be reached" not in message


def test_the_parts_of_a_user_and_a_host_are_private_too() -> None:
    """A project and an endpoint are named by them."""
    said = "ep-cool-1 of abcdefgh.somebody is asleep at 2600:1f18::e08a:95, [::1]"
    with server_that_refuses(said) as port:
        message = unreachable(
            f"postgresql://abcdefgh.somebody@ep-cool-1.example.com:{port}/customers"
            "?hostaddr=127.0.0.1&sslmode=disable"
        )
    assert '"… of … is asleep at …, […]"' in message


@pytest.mark.parametrize(
    "words",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["nothing", "HTTP", "SSH"],
)
@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
def test_who_gives_no_response_of_postgres_cannot_be_reached(
    words: bytes, mode: str
) -> None:
    """A wrong port, or a server that hangs up without a word."""
    with server_that_says(words) as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/customers?sslmode={mode}"
        assert unreachable(url).startswith(CANNOT_BE_REACHED)


def test_who_stays_silent_cannot_be_reached() -> None:
    """For as long as the URL is ready to wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://somebody@127.0.0.1:{port}/customers?connect_timeout=1"
        assert unreachable(url).startswith(CANNOT_BE_REACHED)


def test_of_several_addresses_the_one_that_responds_counts() -> None:
    """The last one may only lack a network."""
    with server_that_refuses("Tenant or user not found") as port:
        message = unreachable(
            "postgresql://somebody@/customers?host=127.0.0.1,127.0.0.1"
            f"&port={port},1&sslmode=disable"
        )
    assert "does not know that project or role" in message


@pytest.mark.parametrize(
    ("said", "sqlstate"),
    [
        ("cannot execute INSERT in a read-only transaction", "25006"),
        ("cannot access temporary or unlogged relations during recovery", "0A000"),
        ("recovery is in progress", "55000"),
    ],
)
def test_a_read_replica_says_so(said: str, sqlstate: str) -> None:
    """Whichever way it refuses; after a second look, as there may be a new primary."""
    with standby_that_refuses(said, sqlstate) as port:
        url = f"postgresql://somebody@127.0.0.1:{port}/customers?sslmode=disable"
        with pytest.raises(DatabaseUnreachableError, match="to a read replica"):
            Database(lambda: url).run(lambda c: c.execute("INSERT"))


def test_a_feature_that_a_primary_lacks_is_an_error_of_its_own(
    database: Database,
) -> None:
    """Only the standby's report makes it a standby."""
    with pytest.raises(errors.FeatureNotSupported):
        database.run(lambda c: c.execute("DO $$ BEGIN RAISE SQLSTATE '0A000'; END $$"))


@unless_installed
def test_a_pooler_of_statements_says_what_to_change(
    database_url: str, tmp_path: Path
) -> None:
    """There are no transactions in it."""

    def work(connection: psycopg.Connection) -> None:
        with connection.transaction():
            connection.execute("SELECT")

    with (
        pgbouncer(database_url, tmp_path, pool_mode="statement") as url,
        closing(Database(lambda: url)) as database,
        pytest.raises(DatabaseUnreachableError, match="pool_mode = transaction"),
    ):
        database.run(work)


@pytest.mark.alters_schema
def test_a_denied_table_is_named_in_the_log(
    database: Database, connection: psycopg.Connection
) -> None:
    """But nothing that a trigger says, which could be about a person."""
    connection.execute("CREATE ROLE clerksync_denied")
    try:
        with pytest.raises(errors.InsufficientPrivilege) as caught:
            database.run(
                lambda c: c.execute("SET ROLE clerksync_denied; TABLE sync_state")
            )
        assert describe(caught.value)["denied"] == (
            "permission denied for table sync_state"
        )
    finally:
        database.close()
        connection.execute("DROP ROLE clerksync_denied")
    raising = "DO $$ BEGIN RAISE SQLSTATE '42501' USING MESSAGE = 'Noor'; END $$"
    with pytest.raises(errors.InsufficientPrivilege) as caught:
        database.run(lambda c: c.execute(raising))
    assert "denied" not in describe(caught.value)
