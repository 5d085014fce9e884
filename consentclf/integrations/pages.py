"""The texts in HTML and WARC files, one page after another, for ``consentclf predict``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .records import Options, Record, compression
from .textfiles import HTML_SUFFIXES, TextFiles
from .warc import Warc

_WARC_SUFFIXES = (".warc", ".wet")


def holds_pages(name: str) -> bool:
    """Whether a file is one that :func:`read_pages` reads, by its suffix."""
    plain = name.lower()[: len(name) - len(compression(name))]
    return plain.endswith((*HTML_SUFFIXES, *_WARC_SUFFIXES))


def read_pages(path: Path, extractor: str = "trafilatura") -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every page in an HTML file, WARC or WET file; offsets are those in this text.

    Raises
    ------
    DataError
        The file is damaged, or a record in it malformed; pages before it were yielded.
    ImportError
        The extractor is not installed.
    """
    plain = path.name.lower()[: len(path.name) - len(compression(path.name))]
    options = Options(extractor=extractor)
    if plain.endswith(HTML_SUFFIXES):
        reader: TextFiles | Warc = TextFiles([path], options, html=True)
    else:
        reader = Warc(path, options)
    number = 0
    try:
        while chunk := reader.chunk(number):
            for item in chunk.records:
                if not isinstance(item, Record):
                    raise DataError(f"{path}: byte {item.place.get('byte', 0)}: {item.reason}")
                if item.text is not None:
                    yield item.place.get("url") or str(path), item.text
            if chunk.last:
                break
            number += 1
    finally:
        reader.close()
