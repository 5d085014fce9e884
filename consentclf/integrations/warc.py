"""WARC and WET files for ``consentclf filter``: a chunk is the records that begin in two mebibytes.

Records are framed here, because FastWARC passes over a cut or garbled record without a word; the HTTP
messages inside responses are left to it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..classifier import Paragraph
from . import need
from .html import extract_text
from .records import (
    MAX_RECORD_BYTES,
    Chunk,
    Options,
    Record,
    Reject,
    Unpacked,
    annotation,
    compression,
    encode,
    pack,
    sha1,
)

CHUNK_BYTES = 2 << 20
_MAX_HEADER_LINES = 1000
_MAX_HEADER_LINE = 64 << 10
_HTML = ("text/html", "application/xhtml+xml")


class _Head(NamedTuple):
    """A record's header. Where it is malformed ``error`` is set and the source stands at the next one."""

    start: int
    version: str
    fields: list[tuple[str, str]]
    length: int
    error: str = ""

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name), "")


class _Entry(NamedTuple):
    """What the writer needs of a record."""

    version: str
    fields: list[tuple[str, str]]
    block: bytes
    extracted: bool = False  # the text is not the block, but was extracted from it


class Warc:
    """One WARC or WET file, compressed or not."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.options = path, options
        self.suffix = compression(path.name)
        self.size = path.stat().st_size
        self._source: Unpacked | None = None
        self._head: _Head | None = None  # read already: the record it heads comes next
        self._next = 0  # chunk that it begins, or one after that

    def chunks_at_least(self) -> int:
        """How many chunks the file surely has."""
        return max(1, self.size // CHUNK_BYTES)

    def close(self) -> None:
        """Close the file."""
        if self._source:
            self._source.close()
            self._source = self._head = None
            self._next = 0

    def chunk(self, number: int) -> Chunk | None:
        """The records that begin in this chunk's bytes."""
        begin = number * CHUNK_BYTES
        source = self._source
        if source is None or number < self._next:
            self.close()
            source = self._source = Unpacked(self.path)
        head = self._head or self._read_head(source)
        while head and head.start < begin:
            if not head.error:
                source.skip_to(source.position + head.length)
                self._ends_well(source)
            head = self._read_head(source)
        self._head, self._next = head, number + 1
        if number and head is None:
            return None
        chunk = Chunk(iter(()))
        chunk.records = self._records(source, begin + CHUNK_BYTES, chunk)
        return chunk

    def _records(self, source: Unpacked, end: int, chunk: Chunk) -> Iterator[Record | Reject]:
        while (head := self._head) and head.start < end:
            self._head = None
            yield self._record(source, head)
            self._head = self._read_head(source)
        chunk.last = self._head is None
        chunk.position = self.size if chunk.last else source.packed_position()
        if chunk.last and source.damage:
            yield Reject({"byte": source.position}, f"{source.damage}; lost from here on")

    def _read_head(self, source: Unpacked) -> _Head | None:
        """The next record's header, None at the end."""
        line = b"\r\n"
        while line in (b"\r\n", b"\n"):
            start = source.position
            line = source.readline(_MAX_HEADER_LINE)
        if not line:
            return None
        fields: list[tuple[str, str]] = []
        if not line.startswith(b"WARC/"):
            return self._resynchronise(source, start, "no WARC header")
        version = line.decode("utf-8", "replace").strip()
        for _ in range(_MAX_HEADER_LINES):
            line = source.readline(_MAX_HEADER_LINE)
            text = line.decode("utf-8", "replace")
            if not text.strip():
                break
            if text[0] in " \t" and fields:
                fields[-1] = (fields[-1][0], f"{fields[-1][1]} {text.strip()}")
            elif ":" in text:
                key, _, value = text.partition(":")
                fields.append((key.strip(), value.strip()))
            else:
                return self._resynchronise(source, start, "a line of the WARC header has no colon")
        length = _Head(start, version, fields, 0).get("content-length")
        if not line:
            return _Head(start, version, fields, 0, "the file ends in a WARC header")
        if not (length.isascii() and length.isdecimal() and len(length) < 16):
            return self._resynchronise(source, start, "the WARC header has no usable Content-Length")
        return _Head(start, version, fields, int(length))

    def _resynchronise(self, source: Unpacked, start: int, error: str) -> _Head:
        """Go on to the next line that begins a WARC header, by reading up to it."""
        while not source.at_end() and not source.peek(5).startswith(b"WARC/"):
            source.rest_of_line()
        return _Head(start, "", [], 0, error)

    def _ends_well(self, source: Unpacked) -> bool:
        """Whether a blank line follows the block, as it must; if not, go on to the next header."""
        if source.at_end() or source.peek(2) in (b"\r\n", b"\n\n", b"\n"):
            return True
        self._resynchronise(source, source.position, "")
        return False

    def _record(self, source: Unpacked, head: _Head) -> Record | Reject:
        place: dict[str, Any] = {"byte": head.start}
        if identifier := head.get("warc-record-id"):
            place["id"] = identifier
        if address := head.get("warc-target-uri"):
            place["url"] = address
        if head.error:
            return Reject(place, head.error)
        if head.length > MAX_RECORD_BYTES:
            source.skip_to(source.position + head.length)
            self._ends_well(source)
            return Reject(place, f"a record of more than {MAX_RECORD_BYTES:,} bytes")
        block = source.read_all(head.length)
        if len(block) < head.length:
            return Reject(place, f"the record is cut: {len(block):,} of {head.length:,} bytes are there")
        if not self._ends_well(source):
            return Reject(place, "no blank line after the record: its Content-Length is wrong")
        entry = _Entry(head.version, head.fields, block)
        kind = head.get("warc-type").lower()
        if kind == "conversion" and head.get("content-type").partition(";")[0].strip() in ("text/plain", ""):
            try:
                return Record(place, block.decode(), entry)
            except UnicodeDecodeError as error:
                return Reject(place, f"not UTF-8 at byte {error.start} of the record")
        if kind == "response" and head.get("content-type").lower().startswith("application/http"):
            try:
                page = _page(entry)
                if page is not None:
                    text = extract_text(page, self.options.extractor)
                    return Record(place, text, entry._replace(extracted=True))
            except (ValueError, OSError, RecursionError) as error:
                return Reject(place, str(error) or type(error).__name__)
        return Record(place, None, entry)

    def write(self, records: Sequence[tuple[Record, str, list[Paragraph]]], folder: Path) -> None:
        """Write a piece of the output file, each record packed on its own as WARC wants it.

        A response becomes the conversion record of its text, as in WET files. Annotated, a record is followed
        by a metadata record with the labels.
        """
        with open(folder / "part", "wb") as out:
            for record, text, paragraphs in records:
                for version, fields, block in self._written(record, text, paragraphs):
                    head = "".join(f"{key}: {value}\r\n" for key, value in fields)
                    data = b"".join((encode(f"{version}\r\n{head}\r\n"), block, b"\r\n\r\n"))
                    out.write(pack(data, self.suffix))

    def _written(
        self, record: Record, text: str, paragraphs: list[Paragraph]
    ) -> Iterator[tuple[str, list[tuple[str, str]], bytes]]:
        entry: _Entry = record.body
        version, fields, block = entry.version, entry.fields, entry.block
        if record.text is None or (not entry.extracted and text == record.text and not self.options.annotate):
            yield version, fields, block
            return
        content = encode(text)
        if entry.extracted:
            if self.options.annotate:
                yield version, fields, block
            fields = _derived(fields, "conversion", "text/plain", content)
            yield version, fields, content
        elif self.options.annotate:
            yield version, fields, block
        else:
            yield version, _resized(fields, content), content
        if self.options.annotate:
            labels = json.dumps({"consentclf": annotation(paragraphs)}).encode()
            yield version, _derived(fields, "metadata", "application/json", labels), labels


def _page(entry: _Entry) -> str | bytes | None:
    """The HTML page in a response record, None where there is none."""
    warc = need("fastwarc.warc", "fastwarc", "WARC responses", "warc")
    head = "".join(f"{key}: {value}\r\n" for key, value in entry.fields)
    raw = encode(f"{entry.version}\r\n{head}\r\n") + entry.block + b"\r\n\r\n"
    record = warc.WarcRecord.from_bytes(raw)
    record.parse_http(auto_decode="all")
    if (record.http_content_type or "").lower() not in _HTML:
        return None
    page: bytes = record.reader.read()
    if record.http_charset:
        try:
            return page.decode(record.http_charset, "replace")
        except LookupError:
            pass
    return page


def _resized(fields: list[tuple[str, str]], content: bytes) -> list[tuple[str, str]]:
    """A record's header for another block."""
    new = {
        "content-length": str(len(content)),
        "warc-block-digest": sha1(content),
        "warc-payload-digest": sha1(content),
    }
    return [(key, new.get(key.lower(), value)) for key, value in fields]


def _derived(
    fields: list[tuple[str, str]], kind: str, content_type: str, content: bytes
) -> list[tuple[str, str]]:
    """The header of a record made from another."""
    have = {key.lower(): value for key, value in fields}
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"consentclf {kind} {have.get('warc-record-id', '')}")
    wanted = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{identifier}>",
        "WARC-Date": have.get("warc-date", ""),
        "WARC-Target-URI": have.get("warc-target-uri", ""),
        "WARC-Refers-To": have.get("warc-record-id", ""),
        "WARC-Block-Digest": sha1(content),
        "Content-Type": content_type,
        "Content-Length": str(len(content)),
    }
    return [(key, value) for key, value in wanted.items() if value]
