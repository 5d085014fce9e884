"""Text, Markdown and HTML files for ``consentclf filter``: a file is a record, a group of files one chunk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..classifier import Paragraph
from ..errors import DataError
from ..files import TextReader
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
    dump,
    encode,
    pack,
)

HTML_SUFFIXES = (".html", ".htm", ".xhtml")


class TextFiles:
    """A group of text or HTML files. Output ``part-N`` is that of the Nth, ``part-N.json`` its labels."""

    def __init__(self, paths: Sequence[Path], options: Options, html: bool = False) -> None:
        self.paths, self.options, self.html = paths, options, html
        self.size = sum(path.stat().st_size for path in paths)

    def chunks_at_least(self) -> int:
        """Always one."""
        return 1

    def close(self) -> None:
        """Nothing stays open."""

    def chunk(self, number: int) -> Chunk | None:
        """All of the files."""
        return None if number else Chunk(self._records(), last=True, position=self.size)

    def _records(self) -> Iterator[Record | Reject]:
        for i, path in enumerate(self.paths):
            place = {"file": str(path)}
            try:
                yield Record(place, self._text(path), i)
            except OSError as error:
                yield Reject(place, f"cannot be read ({error.strerror or error})")
            except (ValueError, RecursionError) as error:
                yield Reject(place, str(error).removeprefix(f"{path}: ") or type(error).__name__)

    def _text(self, path: Path) -> str:
        source = Unpacked(path)
        try:
            data = source.read_all(MAX_RECORD_BYTES + 1)
        finally:
            source.close()
        if source.damage:
            raise DataError(source.damage)
        if len(data) > MAX_RECORD_BYTES:
            raise DataError(f"more than {MAX_RECORD_BYTES:,} bytes")
        if self.html:
            return extract_text(data, self.options.extractor)
        reader = TextReader(io.BytesIO(data), str(path), self.options.encoding, strict=True)
        pieces = []
        while piece := reader.read(1 << 20):
            pieces.append(piece)
        return "".join(pieces)

    def write(self, records: Sequence[tuple[Record, str, list[Paragraph]]], folder: Path) -> None:
        """Write one file a record, as UTF-8."""
        for record, text, paragraphs in records:
            suffix = compression(self.paths[record.body].name)
            (folder / f"part-{record.body}").write_bytes(pack(encode(text), suffix))
            if self.options.annotate:
                labels = {"file": self.paths[record.body].name, "consentclf": annotation(paragraphs)}
                (folder / f"part-{record.body}.json").write_bytes(dump(labels) + b"\n")
