"""What is measured on: labelled paragraphs and pages as arrays."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import text as text_module
from ..errors import DataError
from ..labels import ARTICLE, LABELS
from ..training import corpus
from .metrics import LEFT_OUT, OTHER

_GOLD = {**{label: i for i, label in enumerate(LABELS)}, "other": OTHER}
#: Filler text: a page with it tests nothing a reader would see.
_LOREM = re.compile(r"\blorem\s+ipsum\b", re.IGNORECASE)
TEXT_SUFFIXES = (".txt", ".md")


@dataclass(frozen=True)
class Dataset:
    """Paragraphs to measure on, all from pages (laid end to end, in order) or all single.

    unit : what the bootstrap draws, a number per paragraph: its page, or the batch it was written in.
    four : the gold is the four labels; else it is article against everything else.
    """

    name: str
    digest: str
    texts: list[str]
    gold: NDArray[np.int64]
    unit: NDArray[np.int64]
    units: int
    sizes: list[int]  # paragraphs of each page; empty where there are no pages
    lang: list[str]
    kind: list[str]
    four: bool
    authored: bool = False
    notes: tuple[str, ...] = ()
    #: SHA-256 of each file the dataset was read from.
    file_digests: frozenset[str] = frozenset()

    @property
    def paged(self) -> bool:
        """Whether the paragraphs stand in pages."""
        return bool(self.sizes)

    @property
    def chars(self) -> NDArray[np.float64]:
        """Characters of each paragraph."""
        return np.array([len(text) for text in self.texts], dtype=np.float64)

    def pages(self) -> list[list[str]]:
        """The paragraphs of each page."""
        ends = np.cumsum(self.sizes).tolist()
        return [self.texts[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 over files, their names and order included; of one file it is that of its bytes alone."""
    files = list(paths)
    whole = hashlib.sha256()
    for path in files:
        data = path.read_bytes()
        if len(files) > 1:
            whole.update(f"{path.parent.name}/{path.name}\0{len(data)}\0".encode())
        whole.update(data)
    return whole.hexdigest()


def load(paths: Sequence[str], skip_lorem: bool = False, labels: str | None = None) -> list[Dataset]:
    """Read the datasets named. A file is a dataset; of a folder, each file in it and each folder in it is
    one.

    Pages and single paragraphs of one dataset are parted, since only pages have a page stage. A text file is
    cut into paragraphs, whose labels stand one a line in the file ``labels``.

    Raises
    ------
    DataError
        What cannot be read, with file, line and remedy.
    """
    out: list[Dataset] = []
    for name in paths:
        path = Path(name)
        if path.suffix in TEXT_SUFFIXES:
            out.append(_from_text(path, labels))
            continue
        for part, files in _parts(path):
            read = corpus.read(files)
            digest = digest_of(files)
            here: list[Dataset] = []
            both = bool(read.pages) and bool(read.rows)
            if read.pages:
                pages, notes = _without_lorem(read.pages) if skip_lorem else (read.pages, ())
                if not pages:
                    raise DataError(f"{part}: every page has lorem-ipsum text; leave out --skip-lorem")
                here.append(from_pages(f"{part} (pages)" if both else part, digest, pages, notes))
            if read.rows:
                here.append(from_rows(f"{part} (paragraphs)" if both else part, digest, read.rows))
            skipped = tuple(f"{n} rows skipped: {why}" for why, n in sorted(read.skipped.items()))
            each = frozenset(digest_of([file]) for file in files)
            out += [replace(d, file_digests=each, notes=(*d.notes, *skipped)) for d in here]
    return out


def _parts(path: Path) -> list[tuple[str, list[Path]]]:
    if not path.is_dir():
        return [(str(path), corpus.find_files([path]))]
    found: dict[str, list[Path]] = {}
    for file in corpus.find_files([path]):
        inside = file.relative_to(path).parts
        found.setdefault(str(path / inside[0]), []).append(file)
    return list(found.items())


def _without_lorem(pages: Sequence[corpus.Page]) -> tuple[list[corpus.Page], tuple[str, ...]]:
    kept = [page for page in pages if not any(_LOREM.search(row.text) for row in page.rows)]
    gone = len(pages) - len(kept)
    return kept, (f"{gone} pages with lorem-ipsum text left out",) if gone else ()


def _gold(rows: Sequence[corpus.Row]) -> NDArray[np.int64]:
    return np.array([_GOLD.get(row.label, LEFT_OUT) for row in rows], dtype=np.int64)


def from_pages(name: str, digest: str, pages: Sequence[corpus.Page], notes: tuple[str, ...] = ()) -> Dataset:
    """A dataset of whole pages; the kind of a paragraph is that of its page."""
    rows = [row for page in pages for row in page.rows]
    sizes = [len(page.rows) for page in pages]
    gold = _gold(rows)
    return Dataset(
        name, digest, [row.text for row in rows], gold, np.repeat(np.arange(len(pages)), sizes), len(pages),
        sizes,
        [row.lang for row in rows], [page.kind for page in pages for _ in page.rows], OTHER not in gold,
        any(page.origin == "authored" for page in pages), notes,
    )  # fmt: skip


def from_rows(name: str, digest: str, rows: Sequence[corpus.Row]) -> Dataset:
    """A dataset of single paragraphs, drawn by the group they were written in."""
    number: dict[str, int] = {}
    unit = np.array([number.setdefault(row.group, len(number)) for row in rows], dtype=np.int64)
    return Dataset(
        name, digest, [row.text for row in rows], _gold(rows), unit, len(number), [],
        [row.lang for row in rows], [row.kind for row in rows], True,
        any(row.origin == "authored" for row in rows),
    )  # fmt: skip


def _from_text(path: Path, labels: str | None) -> Dataset:
    if labels is None:
        raise DataError(f"{path}: a text file has no labels; name a file with one label a line by --labels")
    try:
        text = path.read_text(encoding="utf-8")
        given = Path(labels).read_text(encoding="utf-8").split()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} or {labels}: not UTF-8 ({error.reason}); convert the file to UTF-8"
        ) from None
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None
    texts = [text[start:end] for start, end in text_module.split(text)]
    if len(texts) != len(given):
        raise DataError(
            f"{path} has {len(texts)} paragraphs, {labels} has {len(given)} labels; give one a paragraph"
        )
    unknown = sorted(set(given) - set(LABELS) - set(corpus.WEAK))
    if unknown:
        raise DataError(f"{labels}: unknown label {unknown[0]!r}; labels are {', '.join(LABELS)}")
    page = corpus.Page(path.name, [corpus.Row(t, label) for t, label in zip(texts, given, strict=True)])
    return from_pages(str(path), digest_of([path]), [page])


def extracted(dataset: Dataset, others: int, seed: int) -> Dataset:
    """Cut each page down as an extractor leaves it: the main text and at most ``others`` other paragraphs.

    The others are drawn at random, for each page by the seed and the page's own text, so that a page is cut
    alike whatever stands beside it. Paragraphs left out of the measure go; so do pages without main text.
    """
    article = LABELS.index(ARTICLE)
    keep: list[int] = []
    sizes = []
    begin = 0
    for size in dataset.sizes:
        here = range(begin, begin + size)
        begin += size
        main = [i for i in here if dataset.gold[i] == article]
        rest = [i for i in here if dataset.gold[i] not in (article, LEFT_OUT)]
        if not main:
            continue
        name = hashlib.sha256(
            "\n".join(dataset.texts[i] for i in here).encode("utf-8", "surrogatepass")
        ).hexdigest()
        rng = random.Random(f"{seed}:{name}")  # noqa: S311 - sampling, not secrets
        chosen = sorted([*main, *rng.sample(rest, min(others, len(rest)))])
        keep += chosen
        sizes.append(len(chosen))
    if not sizes:
        raise DataError(
            f"{dataset.name}: --extracted needs pages with article paragraphs, and there are none"
        )
    gone = len(dataset.sizes) - len(sizes)
    notes = (*dataset.notes, f"{gone} pages without main text left out") if gone else dataset.notes
    return Dataset(
        f"{dataset.name} [main text and {others} others, seed {seed}]", dataset.digest,
        [dataset.texts[i] for i in keep], dataset.gold[keep], np.repeat(np.arange(len(sizes)), sizes),
        len(sizes), sizes, [dataset.lang[i] for i in keep], [dataset.kind[i] for i in keep], dataset.four,
        dataset.authored, notes, dataset.file_digests,
    )  # fmt: skip


#: Least number of measured paragraphs for a language or kind to stand for itself.
SMALL = 100
_EDGES = (0, 20, 50, 100, 200, 400)


def slices(dataset: Dataset) -> dict[str, NDArray[np.str_]]:
    """The name of the slice each paragraph falls in, by language, length and, where the data says it,
    kind."""
    lengths = np.searchsorted(_EDGES, dataset.chars, side="right") - 1
    names = [f"{low}-{high - 1}" for low, high in pairwise(_EDGES)] + [f"{_EDGES[-1]}+"]
    out = {
        "language": _pooled(dataset, dataset.lang, "und"),
        "length": np.array(names)[lengths],
    }
    if any(dataset.kind):
        kinds = [kind or "none" for kind in dataset.kind]
        if not dataset.paged:  # a kind belongs to one label; `pair` to two
            kinds = [f"{LABELS[g]}: {kind}" for g, kind in zip(dataset.gold.tolist(), kinds, strict=True)]
        out["kind"] = _pooled(dataset, kinds, "none", SMALL if dataset.paged else 1)
    return out


def _pooled(dataset: Dataset, given: Sequence[str], unknown: str, small: int = SMALL) -> NDArray[np.str_]:
    names = np.array([name or unknown for name in given])
    found, number = np.unique(names, return_inverse=True)
    counts = np.bincount(number[dataset.gold != LEFT_OUT], minlength=len(found))
    if len(found) > 1:
        found = np.where(counts < small, "other", found)
    return np.asarray(found[number])


def batches(sizes: Sequence[int], limit: int) -> list[slice]:
    """Cut pages into runs of about ``limit`` paragraphs: one call for each, in bounded memory."""
    out: list[slice] = []
    begin = total = 0
    for i, size in enumerate(sizes):
        total += size
        if total >= limit or i == len(sizes) - 1:
            out.append(slice(begin, i + 1))
            begin, total = i + 1, 0
    return out


Progress = Callable[[str], None]
