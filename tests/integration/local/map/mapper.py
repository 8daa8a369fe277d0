"""`clerksync map` on an application's tables, and what follows from its output."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from clerksync.mapping.file import parse
from clerksync.mapping.table import TableMapping
from tests.integration.local.cli.output import summary
from tests.terminal import clerksync_here


@dataclass(frozen=True)
class Mapped:
    """What `map` has written, and what it has said beside it."""

    text: str
    said: str

    @property
    def mapping(self) -> TableMapping:
        return parse(self.text, name="mapped")

    @property
    def decisions(self) -> dict[str, str]:
        """By what each is about."""
        lines = re.findall(r"^- ([^:]+): (.*)$", self.said, re.MULTILINE)
        return dict(lines)

    @property
    def sources(self) -> dict[str, str]:
        return {column.name: column.source for column in self.mapping.columns}

    @property
    def levels(self) -> set[tuple[str, str]]:
        """Of what doctor would report: level and check."""
        line = r"^(ok|warning|wrong) +(table|foreign keys|access)  "
        return set(re.findall(line, self.said, re.MULTILINE))


@dataclass
class Mapper:
    """Maps the tables of a database, in a folder of its own."""

    folder: Path
    settings: dict[str, str]
    connection: psycopg.Connection

    @property
    def file(self) -> Path:
        return self.folder / "mapping.toml"

    def create(self, tables: str) -> None:
        """Create an application's tables in a database without clerksync's own."""
        self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.connection.execute(tables.encode())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return clerksync_here(*arguments, cwd=self.folder, **self.settings)

    def map(self, *arguments: str) -> Mapped:
        done = self.run("map", *arguments, "--out", str(self.file), "--force")
        assert done.returncode == 0, done.stderr
        return Mapped(self.file.read_text(), done.stderr)

    def follow(self, mapped: Mapped) -> None:
        """Run the statements of its decisions, as the owner would."""
        for decision in mapped.decisions.values():
            for statement in re.findall(r"(?:ALTER|CREATE) [^;]*;", decision):
                self.connection.execute(statement.encode())

    def sync(self) -> dict[str, int]:
        """Migrate and sync with the file; return the numbers of the run."""
        self.settings |= {
            "CLERKSYNC_MAPPING": str(self.file),
            "CLERKSYNC_SCHEMA": "clerksync",
        }
        for command in ("migrate", "sync"):
            done = self.run(command)
            assert done.returncode == 0, done.stderr
        return summary(done.stdout)


class Users:
    """Maps a table `users` with these columns."""

    def __init__(self, mapper: Mapper) -> None:
        self.mapper = mapper

    def __call__(self, columns: str, *rows: str) -> Mapped:
        self.mapper.create(f"CREATE TABLE users ({columns})")
        for row in rows:
            self.mapper.connection.execute(f"INSERT INTO users {row}".encode())
        return self.mapper.map()
