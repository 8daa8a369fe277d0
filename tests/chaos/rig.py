"""The stack under attack: Postgres, Clerk, the functions, and proxies in between."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import psycopg

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.stub_clerk.stub import StubClerk
from tests.chaos.audit import differences, half_done
from tests.chaos.callers import Callers, Changes
from tests.chaos.environment import Environment
from tests.chaos.postgres import Server, own_server
from tests.chaos.proxy import Proxy
from tests.chaos.secrets_manager import SecretsManager, secrets_manager

Seen = TypeVar("Seen")

DATABASE: Final = "app"
ROLE: Final = "app"
_FIRST_PASSWORD: Final = "first"
_ENVIRONMENTS: Final = 4


@dataclass
class Rig:
    """Everything of it runs on loopback and ends with the block of `assembled`."""

    folder: Path
    server: Server
    clerk: StubClerk
    changes: Changes
    database_proxy: Proxy
    clerk_proxy: Proxy
    secrets: SecretsManager
    secrets_proxy: Proxy
    environments: Sequence[Environment]

    @property
    def settings(self) -> dict[str, str]:
        """What the functions read, wherever they read it."""
        return dict(self.secrets.values)

    @property
    def log(self) -> str:
        """Everything that the functions have logged."""
        return (self.folder / "functions.log").read_text("utf-8", "replace")

    def environment(self) -> Environment:
        """A cold one, which reads its settings from the secret."""
        told = self.secrets.environment(self.secrets_proxy.port)
        return Environment(told, log=self.folder / "functions.log")

    @contextmanager
    def callers(self) -> Iterator[Callers]:
        """While the block runs they call; at its end all is delivered that can be."""
        callers = Callers(
            self.environments, self.clerk, self.changes, issuer=self.issuer
        )
        try:
            yield callers
        finally:
            callers.stop()

    @property
    def issuer(self) -> str:
        return self.settings["CLERK_ISSUER"]

    def heal(self) -> None:
        for proxy in (self.database_proxy, self.clerk_proxy, self.secrets_proxy):
            proxy.heal()
        self.clerk.reset_faults()

    def set_password(self, password: str) -> None:
        """Postgres asks for another one from now on; the secret does not say so yet."""
        self.server.execute(f"ALTER ROLE {ROLE} PASSWORD '{password}'")

    def tell_password(self, password: str) -> None:
        """Now the secret says so."""
        self.secrets.values["DATABASE_URL"] = self._url(password)

    def differences(self) -> list[str]:
        return self._look(lambda connection: differences(self.clerk, connection))

    def half_done(self) -> int:
        return self._look(half_done)

    def _look(self, look: Callable[[psycopg.Connection], Seen]) -> Seen:
        """Again where a server that was just killed has not noticed it before."""
        for _ in range(10):
            self.server.wait()
            with (
                suppress(psycopg.OperationalError),
                self.server.connected(DATABASE) as connection,
            ):
                return look(connection)
        raise RuntimeError("Postgres does not come back")

    def _url(self, password: str) -> str:
        place = f"127.0.0.1:{self.database_proxy.port}/{DATABASE}"
        return f"postgresql://{ROLE}:{password}@{place}"

    def prepare(self) -> None:
        """A database whose owner needs a password, and what the secret says."""
        self.server.execute(
            f"CREATE ROLE {ROLE} LOGIN PASSWORD '{_FIRST_PASSWORD}'",
            f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
        )
        self.server.ask_for_password(ROLE)
        clerk = f"http://127.0.0.1:{self.clerk_proxy.port}"
        self.secrets.values = {
            "DATABASE_URL": self._url(_FIRST_PASSWORD),
            "CLERK_SECRET_KEY": self.clerk.secret_key,
            "CLERK_API_URL": clerk,
            "CLERK_ISSUER": clerk,
            "CLERK_WEBHOOK_SIGNING_SECRET": self.clerk.webhook_signing_secret,
        }
        database = Database(lambda: self.settings["DATABASE_URL"])
        try:
            migrate(database)
        finally:
            database.close()


@contextmanager
def assembled(*, users: int) -> Iterator[Rig]:
    """A rig whose database is migrated and empty."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        folder.chmod(0o755)  # Postgres has a user of its own, where this one is root
        server = stack.enter_context(own_server(folder))
        clerk = StubClerk(users=users, environment_type="production")
        stack.enter_context(clerk)
        secrets = stack.enter_context(secrets_manager())
        rig = Rig(
            folder=folder,
            server=server,
            clerk=clerk,
            changes=Changes(clerk),
            database_proxy=stack.enter_context(Proxy(server.socket)),
            clerk_proxy=stack.enter_context(Proxy(_port(clerk.url))),
            secrets=secrets,
            secrets_proxy=stack.enter_context(Proxy(secrets.server_port)),
            environments=[],
        )
        rig.prepare()
        rig.environments = [
            stack.enter_context(rig.environment()) for _ in range(_ENVIRONMENTS)
        ]
        yield rig


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
