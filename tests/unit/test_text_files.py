"""Text files of people: what is read, and what is said of the others."""

import codecs
import os
from pathlib import Path

import pytest

from clerksync.errors import UnreadableFileError
from clerksync.text_files import decode, read_text

TEXT = "# Zoë\nA=1\r\nB=🦄\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    ],
    ids=["UTF-8", "UTF-8 with mark", "UTF-16 LE", "UTF-16 BE", "UTF-32"],
)
def test_utf_8_and_what_a_byte_order_mark_says_is_read(content: bytes) -> None:
    """As editors write it."""
    assert decode(content, called=".env") == TEXT


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_an_empty_file_is_a_text(mark: bytes) -> None:
    """With or without a byte order mark."""
    assert decode(mark, called=".env") == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"A=1\nB=Zo\xeb\n", ".env, line 2: not UTF-8. Save"),
        (codecs.BOM_UTF8 + b"A=1\n\n\xff", ".env, line 3: not UTF-8. Save"),
        (codecs.BOM_UTF16_LE + b"A\0\n\0B", ".env, line 2: not UTF-16. Save"),
        ("A=1\nB=2\n".encode("utf-16-le"), ".env, line 1: a NUL character. The file"),
        ("A=ë\n".encode("utf-16-be"), ".env, line 1: "),
        (b"A=1\nB=\0\n", ".env, line 2: a NUL character. The file may be UTF-16"),
        (b"A=\xed\xa0\x80", ".env, line 1: not UTF-8. Save"),
    ],
    ids=[
        "Latin-1",
        "behind a mark",
        "half a character",
        "UTF-16 LE without mark",
        "UTF-16 BE without mark",
        "NUL",
        "a surrogate",
    ],
)
def test_another_encoding_is_told_with_its_line(content: bytes, said: str) -> None:
    """It could only be guessed."""
    with pytest.raises(UnreadableFileError) as raised:
        decode(content, called=".env")
    assert str(raised.value).startswith(said)
    assert str(raised.value).endswith("Save the file as UTF-8.")


def test_what_is_not_a_file_is_told(tmp_path: Path) -> None:
    """A directory, and a link in a circle."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UnreadableFileError, match=r"^\.env is a directory"):
        read_text(tmp_path, called=".env")
    with pytest.raises(UnreadableFileError, match=r"^\.env cannot be read"):
        read_text(loop, called=".env")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none", called=".env")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_lacking_permission_is_told(tmp_path: Path) -> None:
    """With what to do."""
    file = tmp_path / "file"
    file.touch(mode=0)
    with pytest.raises(UnreadableFileError, match="give yourself permission"):
        read_text(file, called=".env")
