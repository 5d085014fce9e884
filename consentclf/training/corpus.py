"""Reads labelled paragraphs and pages from JSON Lines.

One object a line, in files ending ``.jsonl`` or ``.jsonl.gz``, or folders of them:

- a paragraph ``{"text", "label", "lang"?, "source"?, "kind"?, "batch"?}``;
- a page ``{"id", "lang"?, "source"?, "host"?, "batch"?, "paragraphs": [{"text", "label"}, ...]}``.

Beside the four labels a paragraph of a page may be ``other`` (not in the main text, class unknown),
``ambiguous`` or ``unsure`` (not trained on, not measured, but part of the page). A line with ``genre`` and no
label is article prose. Rows marked ``nc`` (non-commercial licence) are left out and counted.
"""

from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..errors import DataError
from ..files import unreadable
from ..labels import ARTICLE, LABELS

#: Labels of page paragraphs that name no class.
WEAK = ("other", "ambiguous", "unsure")
#: A row longer than this is refused: it is a file that lost its line breaks, not a paragraph.
MAX_ROW_BYTES = 20_000_000


@dataclass
class Row:
    """One labelled paragraph. ``group`` is never split between folds; ``origin`` names its corpus."""

    text: str
    label: str
    lang: str = ""
    group: str = ""
    origin: str = ""
    kind: str = ""
    hints: dict[str, Any] = field(default_factory=dict)


@dataclass
class Page:
    """The paragraphs of one page in order, with the same ``group``, ``origin`` and ``lang`` throughout."""

    id: str
    rows: list[Row]
    lang: str = ""
    group: str = ""
    origin: str = ""
    kind: str = ""


@dataclass
class Corpus:
    """What was read: single paragraphs, whole pages, and what was left out and why."""

    rows: list[Row] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    #: (origin, licence, version) -> paragraphs read, for the model card.
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    #: Lines on what was read and looks wrong but can be trained on, each with file, line and remedy.
    warnings: list[str] = field(default_factory=list)


def open_binary(path: str | os.PathLike[str]) -> IO[bytes] | gzip.GzipFile:
    """Open a plain or gzipped file for reading bytes."""
    return gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")


def find_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The ``.jsonl`` and ``.jsonl.gz`` files named, or below the folders named, in a fixed order."""
    out: list[Path] = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.name.endswith((".jsonl", ".jsonl.gz")))
            if not found:
                raise DataError(
                    f"{path}: no .jsonl or .jsonl.gz file in this folder; name a folder with labelled data"
                )
            out += found
        elif path.exists():
            out.append(path)
        else:
            raise DataError(f"{path}: no such file or folder; check the path")
    return out


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number, object)``; raises DataError naming file, line and remedy."""
    try:
        with open_binary(path) as file:
            lines = iter(lambda: file.readline(MAX_ROW_BYTES + 1), b"")
            for number, line in enumerate(lines, 1):
                where = f"{path}:{number}"
                if len(line) > MAX_ROW_BYTES:
                    raise DataError(
                        f"{where}: a line of more than {MAX_ROW_BYTES // 1_000_000} MB; "
                        "write one paragraph or page a line"
                    )
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    yield number, _record(line, where)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a complete gzip file ({error}); compress it again") from None
    except OSError as error:
        raise unreadable(str(path), error) from None


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: not UTF-8 (byte {error.start} of the line: {error.reason}); convert the file to UTF-8"
        ) from None
    except RecursionError:
        raise DataError(f"{where}: JSON nested too deeply; write one flat object a line") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg}); write one JSON object a line") from None
    except ValueError:  # a number of thousands of digits
        raise DataError(f"{where}: not usable JSON; write one flat object a line") from None
    if not isinstance(record, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(record).__name__}")
    return record


def _text(record: dict[str, Any], where: str) -> str:
    text = record.get("text")
    if not isinstance(text, str):
        raise DataError(f'{where}: "text" is missing or not a string; every paragraph needs one')
    if not text.strip():
        raise DataError(f'{where}: "text" is empty; leave the row out')
    return text


def _label(record: dict[str, Any], where: str, weak: bool) -> str:
    label = record.get("label")
    allowed = LABELS + WEAK if weak else LABELS
    if label not in allowed:
        known = ", ".join(allowed)
        raise DataError(
            f'{where}: "label" is {json.dumps(label, ensure_ascii=False)}; it must be one of {known}'
        )
    return str(label)


def _field(record: dict[str, Any], name: str, where: str) -> str:
    value = record.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, (str, int)):
        raise DataError(f'{where}: "{name}" must be a string, got {type(value).__name__}')
    return str(value).encode("utf-8", "replace").decode()  # a lone surrogate could not be written to the card


_HINTS = ("hint", "link_density", "prose", "gold")


def read(paths: Iterable[str | os.PathLike[str]]) -> Corpus:
    """Read every file named, or below a folder named.

    Raises
    ------
    DataError
        A file that is missing or cannot be read, a line that is not JSON, a row without text or with a label
        that is not known: the message names file, line and remedy.
    """
    corpus = Corpus()
    first: dict[str, tuple[str, str]] = {}  # text of an authored or user's row -> its label and place
    for path in find_files(paths):
        name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        for number, record in records(path):
            where = f"{path}:{number}"
            if record.get("nc"):
                corpus.skipped["non-commercial licence"] += 1
                continue
            lang = _field(record, "lang", where)
            source = _field(record, "source", where)
            batch = _field(record, "batch", where)
            kind = _field(record, "kind", where)
            if "paragraphs" in record:
                page = _page(record, where, lang, kind)
                page.origin = "authored" if batch else source or name
                page.group = batch or _field(record, "host", where) or f"{source}/{page.id}"
                for row in page.rows:
                    row.group, row.origin = page.group, page.origin
                corpus.pages.append(page)
                count = len(page.rows)
            else:
                text = _text(record, where)
                if "label" not in record and "genre" in record:
                    label, kind = ARTICLE, "prose"
                    group = f"{source}/{_field(record, 'doc', where)}"
                    origin = "prose"
                elif "key" in record:
                    label = _label(record, where, weak=False)
                    group = f"{source}#{_field(record, 'key', where)}"
                    origin, kind = "strings", f"string-{kind}"
                else:
                    label = _label(record, where, weak=False)
                    group = batch or source or f"{name}:{number}"
                    origin = "authored" if batch else source or name
                    before, there = first.setdefault(text, (label, where))
                    if before != label:
                        # Both are trained on: some words are in truth either, and the model then says so.
                        corpus.warnings.append(
                            f"{where}: the same text is {label!r} here and {before!r} at {there}; "
                            "keep the right one, or give it as part of a page, where context decides"
                        )
                row = Row(text, label, lang, group, origin, kind)
                if "genre" in record:
                    row.hints["genre"] = _field(record, "genre", where)
                if "key" in record:
                    row.hints["source"] = source
                corpus.rows.append(row)
                count = 1
            licence, version = _field(record, "licence", where), _field(record, "version", where)
            corpus.sources[(source or ("authored" if batch else name), licence, version)] += count
    if not corpus.rows and not corpus.pages:
        raise DataError("no labelled paragraph found in the data named; see the README for the format")
    return corpus


def _page(record: dict[str, Any], where: str, lang: str, kind: str) -> Page:
    paragraphs = record["paragraphs"]
    if not isinstance(paragraphs, list) or not paragraphs:
        raise DataError(f'{where}: "paragraphs" must be a list of at least one {{"text", "label"}}')
    rows = []
    for k, item in enumerate(paragraphs):
        here = f"{where}: paragraphs[{k}]"
        if not isinstance(item, dict):
            raise DataError(f"{here}: expected an object, got {type(item).__name__}")
        row = Row(_text(item, here), _label(item, here, weak=True), lang)
        row.hints = {name: item[name] for name in _HINTS if name in item}
        rows.append(row)
    return Page(str(record.get("id", where)), rows, lang, kind=kind)
