"""What the formats of ``consentclf filter`` share: records in chunks, and bytes packed and unpacked.

A format is a class for one input file. It cuts the file into numbered chunks that depend on nothing but the
file, so that any worker can do any chunk and a run that was killed can go on where it stopped.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..classifier import Paragraph
from . import need

#: A longer record is refused: it is a file that lost its line breaks, not a page.
MAX_RECORD_BYTES = 256 << 20
#: Compressed bytes unpacked at a time. Small, because a hostile stream may swell ten thousandfold.
_PACKED = 8 << 10
_READ = 256 << 10

#: Suffixes of compressed files.
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class Options:
    """What decides the output; a run is only resumed with the same."""

    field: str = "text"
    annotate: bool = False
    keep: tuple[str, ...] = ("article",)
    encoding: str = "utf-8"
    extractor: str = "trafilatura"


@dataclass
class Record:
    """One record. ``text`` is what to clean, None for a record that goes through as it is."""

    place: dict[str, Any]  # where it stands in its file
    text: str | None
    body: Any = None  # what the format needs to write it


@dataclass
class Reject:
    """A malformed record, or the rest of a damaged file."""

    place: dict[str, Any]
    reason: str
    excerpt: str = ""


@dataclass
class Chunk:
    """Part of a file. ``last`` and ``position`` hold once ``records`` were all read."""

    records: Iterator[Record | Reject]
    last: bool = False
    position: int = 0  # bytes of the file up to the end of this chunk
    lines: int = 0  # in the chunk, where the format counts lines


class Format(Protocol):
    """One input file of some format."""

    def chunks_at_least(self) -> int:
        """How many chunks the file surely has, without reading it."""

    def chunk(self, number: int) -> Chunk | None:
        """A chunk, None past the end; chunk 0 is always there."""

    def write(self, records: Sequence[tuple[Record, str, list[Paragraph]]], folder: Path) -> None:
        """Write records with their new text and their paragraphs to ``part*`` files in ``folder``."""

    def close(self) -> None:
        """Close the file."""


def annotation(paragraphs: Sequence[Paragraph]) -> list[dict[str, Any]]:
    """Paragraphs as the ``consentclf`` field has them: offsets, label and scores, no text."""
    return [
        {
            "start": p.start,
            "end": p.end,
            "label": p.label,
            "score": round(p.score, 4),
            "scores": {label: round(score, 4) for label, score in p.scores.items()},
        }
        for p in paragraphs
    ]


def dump(value: Any) -> bytes:
    """JSON as UTF-8; escaped where it cannot be UTF-8, as lone surrogates cannot."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def encode(text: str) -> bytes:
    """Text as UTF-8; lone surrogates, which have none, become question marks."""
    return text.encode("utf-8", "replace")


def sha1(data: bytes) -> str:
    """A digest as WARC headers have it."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def compression(name: str) -> str:
    """The suffix of a compressed file, or an empty string."""
    return next((suffix for suffix in COMPRESSED if name.lower().endswith(suffix)), "")


def pack(data: bytes, suffix: str) -> bytes:
    """Compress: packed pieces laid end to end unpack to the pieces end to end, in all of these formats."""
    if suffix == ".gz":
        return gzip.compress(data, 6, mtime=0)
    if suffix == ".bz2":
        return bz2.compress(data)
    if suffix == ".xz":
        return lzma.compress(data)
    if suffix == ".zst":
        packed: bytes = _zstandard().ZstdCompressor(level=3).compress(data)
        return packed
    return data


def _zstandard() -> Any:
    return need("zstandard", "zstandard", ".zst files", "zstd")


_UNPACKERS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(31),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lzma.LZMADecompressor,
    ".zst": lambda: _zstandard().ZstdDecompressor().decompressobj(),
}


@dataclass
class Unpacked:
    """A file read forward, unpacked on the way.

    Unpacking goes in steps that depend on the file alone, so that a damaged file gives the same bytes up to
    the damage however it is read. ``damage`` then says what is wrong.
    """

    path: Path
    position: int = 0  # of the next byte, unpacked
    damage: str = ""
    _held: bytes = b""
    _at: int = 0  # in _held
    _ended: bool = False
    _unpacker: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._suffix = compression(self.path.name)
        if self._suffix == ".zst":
            _zstandard()
        self._file = open(self.path, "rb")  # noqa: SIM115 - closed by close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def packed_position(self) -> int:
        """Bytes of the file read so far."""
        return self._file.tell()

    def at_end(self) -> bool:
        """Whether nothing follows."""
        return not self._more()

    def _more(self) -> bool:
        while self._at >= len(self._held):
            if self._ended:
                return False
            self._held, self._at = self._next(), 0
        return True

    def _next(self) -> bytes:
        if not self._suffix:
            data = self._file.read(_READ)
            self._ended = not data
            return data
        packed = self._file.read(_PACKED)
        try:
            if not packed:
                self._ended = True
                if self._unpacker is not None:
                    self.damage = "the compressed file ends early"
                return b""
            out = []
            while packed:
                if self._unpacker is None:
                    packed = packed.lstrip(b"\0")  # padding between or after streams
                    if not packed:
                        break
                    self._unpacker = _UNPACKERS[self._suffix]()
                out.append(self._unpacker.decompress(packed))
                packed = b""
                if self._unpacker.eof:
                    packed = self._unpacker.unused_data
                    self._unpacker = None
            return b"".join(out)
        except Exception as error:  # zlib.error, OSError, LZMAError, ZstdError: one per library
            self._ended = True
            self.damage = f"the compressed file is damaged ({error})"
            return b""

    def skip_to(self, position: int) -> None:
        """Go forward to a place; stops at the end."""
        if not self._suffix and position - self.position > len(self._held) - self._at:
            self._file.seek(position)
            self._held, self._at, self.position, self._ended = b"", 0, position, False
            return
        while self.position < position and self._more():
            step = min(position - self.position, len(self._held) - self._at)
            self._at += step
            self.position += step

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; empty at the end."""
        if not self._more():
            return b""
        end = len(self._held) if size < 0 else min(len(self._held), self._at + size)
        data = self._held[self._at : end]
        self._at = end
        self.position += len(data)
        return data

    def readline(self, limit: int) -> bytes:
        """A line with its end, at most ``limit`` bytes of it; empty at the end."""
        pieces = []
        while limit > 0 and self._more():
            end = self._held.find(b"\n", self._at) + 1 or len(self._held)
            piece = self._held[self._at : min(end, self._at + limit)]
            self._at += len(piece)
            self.position += len(piece)
            limit -= len(piece)
            pieces.append(piece)
            if piece.endswith(b"\n"):
                break
        return b"".join(pieces)

    def peek(self, size: int) -> bytes:
        """The next bytes, without going forward; fewer only at the end."""
        while len(self._held) - self._at < size and not self._ended:
            self._held, self._at = self._held[self._at :] + self._next(), 0
        return self._held[self._at : self._at + size]

    def rest_of_line(self) -> None:
        """Go to the beginning of the next line."""
        while (piece := self.readline(_READ)) and not piece.endswith(b"\n"):
            pass

    def read_all(self, limit: int) -> bytes:
        """All that follows, but no more than ``limit`` bytes."""
        pieces = []
        while limit > 0 and (piece := self.read(limit)):
            pieces.append(piece)
            limit -= len(piece)
        return b"".join(pieces)
