"""JSON Lines for ``consentclf filter``: a chunk is the lines that begin in one mebibyte of unpacked text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..classifier import Paragraph
from .records import (
    MAX_RECORD_BYTES,
    Chunk,
    Options,
    Record,
    Reject,
    Unpacked,
    annotation,
    compression,
    dump,
    pack,
)

CHUNK_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


class JsonLines:
    """One ``.jsonl`` file, compressed or not."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.options = path, options
        self.suffix = compression(path.name)
        self.size = path.stat().st_size
        self._source: Unpacked | None = None
        self._next = 0  # chunk that the source stands at, or one after that

    def chunks_at_least(self) -> int:
        """How many chunks the file surely has; but for compressed files of little text it is a good guess."""
        return max(1, self.size * (2 if self.suffix else 1) // CHUNK_BYTES)

    def close(self) -> None:
        """Close the file."""
        if self._source:
            self._source.close()
            self._source = None
            self._next = 0

    def chunk(self, number: int) -> Chunk | None:
        """The lines that begin in this chunk's bytes."""
        begin = number * CHUNK_BYTES
        source = self._at(begin, number)
        self._next = number + 1
        if number and source.at_end():
            return None
        chunk = Chunk(iter(()))
        chunk.records = self._records(source, begin + CHUNK_BYTES, chunk)
        return chunk

    def _at(self, begin: int, number: int) -> Unpacked:
        """The source at the first line that begins at or after ``begin``."""
        source = self._source
        if source is None or number < self._next:
            self.close()
            source = self._source = Unpacked(self.path)
        if source.position < begin:
            source.skip_to(begin - 1)
            source.rest_of_line()
        return source

    def _records(self, source: Unpacked, end: int, chunk: Chunk) -> Iterator[Record | Reject]:
        told = False
        while source.position < end:
            start = source.position
            line = source.readline(MAX_RECORD_BYTES)
            if not line:
                break
            chunk.lines += 1
            place = {"byte": start, "line": chunk.lines}
            if not line.endswith(b"\n"):
                if not source.at_end():
                    source.rest_of_line()
                    yield Reject(place, f"a line of more than {MAX_RECORD_BYTES:,} bytes", _excerpt(line))
                    continue
                if source.damage:
                    yield Reject(place, f"{source.damage}; lost from here on", _excerpt(line))
                    told = True
                    break
            if start == 0:
                line = line.removeprefix(_BOM)
            if line.strip():
                yield self._parse(line, place)
        chunk.last = source.at_end()
        if chunk.last and source.damage and not told:
            yield Reject(
                {"byte": source.position, "line": chunk.lines + 1}, f"{source.damage}; lost from here on"
            )
        chunk.position = (
            self.size if chunk.last else source.packed_position() if self.suffix else source.position
        )

    def _parse(self, line: bytes, place: dict[str, Any]) -> Record | Reject:
        name = self.options.field
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 at byte {place['byte'] + error.start}"
        except json.JSONDecodeError as error:
            reason = f"not JSON ({error.msg} at column {error.colno})"
        except (ValueError, RecursionError) as error:  # numbers of too many digits; nested too deeply
            reason = f"not usable JSON ({type(error).__name__})"
        else:
            if not isinstance(record, dict):
                reason = f"expected an object, got {type(record).__name__}"
            elif name not in record:
                reason = f'no field "{name}"'
            elif not isinstance(record[name], str):
                reason = f'field "{name}" must be a string, got {type(record[name]).__name__}'
            else:
                if isinstance(record.get("id"), (str, int)):
                    place["id"] = record["id"]
                return Record(place, record[name], (line, record))
        return Reject(place, reason, _excerpt(line))

    def write(self, records: Sequence[tuple[Record, str, list[Paragraph]]], folder: Path) -> None:
        """Write one packed piece of the output file."""
        out = []
        for record, text, paragraphs in records:
            line, body = record.body
            if self.options.annotate:
                out.append(dump({**body, "consentclf": annotation(paragraphs)}))
            elif text == record.text:
                out.append(line.rstrip(b"\r\n"))
            else:
                body[self.options.field] = text
                out.append(dump(body))
        data = b"\n".join(out) + b"\n" if out else b""
        (folder / "part").write_bytes(pack(data, self.suffix))


def _excerpt(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace").strip()
