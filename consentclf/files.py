"""Reading text of unknown quality; writing files whole or not at all."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from .errors import DataError

_CHUNK = 1 << 16
#: Longest first: UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Without a mark these two mean little-endian, as the WHATWG Encoding Standard has it; Python would refuse.
_UNMARKED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}


def check_encoding(name: str) -> str:
    """Python's name of a text encoding; raises DataError for one that does not exist."""
    try:
        codec = codecs.lookup(name)
        usable = codec._is_text_encoding and codec.incrementaldecoder is not None
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        usable = False
    if not usable:
        raise DataError(
            f"unknown encoding {name!r}; name one such as utf-8, utf-16, latin-1, cp1252 or shift_jis"
        )
    return _UNMARKED.get(codec.name, codec.name)


class TextReader:
    """A text read piece by piece from a binary file, newlines untranslated.

    A byte-order mark decides the encoding, whatever ``encoding`` says, and is not part of the text: offsets
    are those of Python's ``utf-8-sig``. Bytes that do not decode become U+FFFD, and ``first_error`` holds the
    byte offset in the file and the reason for the first of them; with ``strict`` they raise DataError.
    """

    def __init__(self, file: BinaryIO, name: str, encoding: str = "utf-8", strict: bool = False) -> None:
        self.name = name
        self.strict = strict
        self.first_error: tuple[int, str] | None = None
        self.encoding = check_encoding(encoding)
        self._file = file
        self._ended = False
        self._decoded = ""
        self._at = 0
        self._bytes = 0  # handed to the decoder so far
        self._decoder: codecs.IncrementalDecoder | None = None

    def read(self, size: int, /) -> str:
        """At most ``size`` characters, as many as are at hand; an empty string at the end."""
        while self._at >= len(self._decoded):
            if self._ended:
                return ""
            self._decoded, self._at = self._next(), 0
        piece = self._decoded[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def complaint(self) -> str:
        """One line on the first bytes that did not decode, with the remedy; empty where all did."""
        if self.first_error is None:
            return ""
        offset, reason = self.first_error
        done = "" if self.strict else "shown as U+FFFD, as are any after it; "
        return (
            f"{self.name}: byte {offset} is not {self.encoding} ({reason}); {done}name the right --encoding"
        )

    def _next(self) -> str:
        try:
            data = self._file.read(_CHUNK) or b""
        except OSError as error:
            raise unreadable(self.name, error) from None
        self._ended = not data
        if self._decoder is None:
            for mark, encoding in _MARKS:
                if data.startswith(mark):
                    self.encoding = encoding
                    self._bytes = len(mark)
                    data = data[len(mark) :]
                    break
            self._decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        decoder = self._decoder
        state = decoder.getstate()
        try:
            text = decoder.decode(data, self._ended)
        except UnicodeError as error:
            start = getattr(error, "start", 0)  # idna and its like name no place
            reason = getattr(error, "reason", str(error))
            self.first_error = self.first_error or (self._bytes - len(state[0]) + start, reason)
            if self.strict:
                raise DataError(self.complaint()) from None
            decoder = self._decoder = codecs.getincrementaldecoder(self.encoding)("replace")
            decoder.setstate(state)
            try:
                text = decoder.decode(data, self._ended)
            except UnicodeError:
                raise DataError(f"{self.name}: not {self.encoding}; name the right --encoding") from None
        self._bytes += len(data)
        return text


def unreadable(name: str, error: OSError) -> DataError:
    """What to tell someone whose file could not be opened or read: the file, the cause and the remedy."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: no such file; check the path")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name}: this is a folder; name the files in it")
    if isinstance(error, PermissionError):
        return DataError(f"{name}: not allowed to read it; change its permissions, or run as another user")
    return DataError(f"{name}: cannot be read ({error.strerror or error}); check the file and the disk")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError now if a file could not be written at ``path`` later, before work is spent on it."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    handle, name = _beside(target)
    os.close(handle)
    os.unlink(name)


def _beside(target: Path) -> tuple[int, str]:
    """Create a file of a new name in the target's folder, with the permissions that a new file gets there."""
    name = str(target.parent / f".{target.name[:40]}.{os.urandom(6).hex()}.part")
    try:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), name
    except OSError as error:
        error.filename = str(target)  # the name a user knows
        raise


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """Open a file beside ``path``; on success it is synced and renamed over ``path``, on any error removed.

    A symbolic link is followed, an existing file's permissions are kept.
    """
    target = Path(os.path.realpath(path))
    handle, name = _beside(target)
    try:
        with os.fdopen(handle, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.filename in (None, name):
            error.filename, error.filename2 = str(target), None
        raise
    with contextlib.suppress(OSError):  # make the rename itself durable where the system allows it
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path``: afterwards the old file or the whole new one stands there."""
    with replacing(path) as file:
        file.write(data)
