"""Text files that people write, with whatever editor they have."""

import codecs
from typing import Final, Protocol

from clerksync.errors import UnreadableFileError

_SAVE_AS: Final = "Save the file as UTF-8."
# By its byte order mark; UTF-32's begins like UTF-16's.
_ENCODINGS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class File(Protocol):
    """A path, or a resource of a package."""

    def read_bytes(self) -> bytes: ...


def read_text(file: File, *, called: str) -> str:
    """Return the text of a file, as `decode` does.

    Raises FileNotFoundError, and UnreadableFileError with what to do.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        message = f"{called} is a directory, but must be a file. Move or rename it."
        raise UnreadableFileError(message) from None
    except PermissionError:
        message = f"{called} cannot be read: give yourself permission to read it."
        raise UnreadableFileError(message) from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UnreadableFileError(f"{called} cannot be read: {said}.") from None
    return decode(content, called=called)


def decode(content: bytes, *, called: str) -> str:
    """Return the text: UTF-8, or what a byte order mark says.

    Raises UnreadableFileError with the line and what to do. Any other encoding could
    only be guessed.
    """
    content = content.removeprefix(codecs.BOM_UTF8)
    encoding = next((e for mark, e in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        read = content[: error.start].decode(encoding, "ignore")
        message = f"{called}, line {_line(read)}: not {encoding.upper()}. {_SAVE_AS}"
        raise UnreadableFileError(message) from None
    before, nul, _ = text.partition("\0")
    if nul:
        message = (
            f"{called}, line {_line(before)}: a NUL character. The file may be UTF-16 "
            f"without a byte order mark. {_SAVE_AS}"
        )
        raise UnreadableFileError(message)
    return text


def _line(read: str) -> int:
    return read.count("\n") + 1
