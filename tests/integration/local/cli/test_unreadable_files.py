"""Files in other encodings, and what is no file: .env, events and mappings."""

from pathlib import Path

import pytest

from tests.integration.local.cli.output import CREATED
from tests.terminal import clerksync, clerksync_here

ODD = {
    "UTF-16 without a mark": "A=1\n".encode("utf-16-le"),
    "Latin-1": b"A=1\nB=Zo\xeb\n",
    "NUL": b"A=1\nB=\0\n",
}
LINES = {"UTF-16 without a mark": 1, "Latin-1": 2, "NUL": 2}
COMMANDS = [
    ("migrate",),
    ("sync",),
    ("status",),
    ("doctor",),
    ("seed",),
    ("dev",),
    ("sign", str(CREATED)),
    ("invoke", "webhook", str(CREATED)),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("encoding", ODD)
def test_a_dotenv_of_another_encoding_is_told_with_its_line(
    tmp_path: Path, command: tuple[str, ...], encoding: str
) -> None:
    """In one line, with status 2, before anything is started."""
    (tmp_path / ".env").write_bytes(ODD[encoding])
    done = clerksync_here(*command, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: .env, line {LINES[encoding]}: ")
    assert line.endswith("Save the file as UTF-8.")
    assert done.stdout == ""
    assert not (tmp_path / ".clerksync").exists()


def test_a_dotenv_with_a_byte_order_mark_is_read(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """As a Windows editor writes it."""
    text = "\r\n".join(f"{name}={value}" for name, value in settings.items())
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / ".env").write_bytes(text.encode(encoding))
        done = clerksync_here("sync", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_dotenv_that_is_a_directory_is_told(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """But for a virtual environment of that name."""
    (tmp_path / ".env").mkdir()
    done = clerksync_here("sync", cwd=tmp_path, **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("error: .env is a directory")
    (tmp_path / ".env" / "pyvenv.cfg").touch()
    assert clerksync_here("sync", cwd=tmp_path, **settings).returncode == 0


@pytest.mark.parametrize("encoding", ODD)
@pytest.mark.parametrize("command", ["sign", "invoke webhook"])
def test_an_event_of_another_encoding_is_told(
    tmp_path: Path, command: str, encoding: str
) -> None:
    """From a file as from standard input."""
    (tmp_path / "event.json").write_bytes(ODD[encoding])
    done = clerksync_here(*command.split(), "event.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    said = " ".join(done.stderr.split())
    assert f"event.json, line {LINES[encoding]}: " in said


def test_an_event_is_read_as_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    """And with a byte order mark, from a file as from standard input."""
    text = CREATED.read_text("utf-8").replace("Mira", "Zoë")
    assert "Zoë" in text
    (tmp_path / "event.json").write_bytes(text.encode("utf-16"))
    secret = {"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_c2VjcmV0"}
    done = clerksync("sign", "event.json", cwd=tmp_path, LC_ALL="C", **secret)
    assert done.returncode == 0, done.stderr
    assert "Zo\\u00eb" in done.stdout.replace("\\\\", "\\")
    done = clerksync_here("sign", "-", cwd=tmp_path, stdin=text, **secret)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("encoding", ODD)
def test_a_mapping_of_another_encoding_is_told_with_its_line(
    tmp_path: Path, settings: dict[str, str], encoding: str
) -> None:
    """Like any other file."""
    (tmp_path / "my.toml").write_bytes(ODD[encoding])
    done = clerksync_here("sync", cwd=tmp_path, CLERKSYNC_MAPPING="my.toml", **settings)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: Mapping my.toml, line {LINES[encoding]}: ")


def test_a_mapping_that_is_a_directory_is_told(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """By its name."""
    (tmp_path / "my.toml").mkdir()
    done = clerksync_here("sync", cwd=tmp_path, CLERKSYNC_MAPPING="my.toml", **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Mapping my.toml is a directory")


def test_a_mapping_with_a_byte_order_mark_is_read(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """As a Windows editor writes it."""
    text = '[table]\nname = "none"\nkey = "id"\n[columns]\nmail = "email"\n'
    (tmp_path / "my.toml").write_bytes(text.encode("utf-16"))
    settings |= {"CLERKSYNC_MAPPING": "my.toml", "CLERKSYNC_SCHEMA": "public"}
    done = clerksync_here("migrate", cwd=tmp_path, **settings)
    assert "Line 2: none: " in done.stderr
