"""Checks of the authored corpus in ``data/``: format, counts, duplicates, and overlap with evaluation
files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..labels import ARTICLE, BANNER, CONSENT, LABELS, NAVIGATION
from ..training import corpus
from . import duplicates

KINDS: dict[str, tuple[str, ...]] = {
    ARTICLE: ("plain", "short", "privacy", "noisy", "voice", "comment", "pair"),
    CONSENT: (
        "notice", "nocookie", "title", "button", "category", "glued", "purpose", "vendor", "cookie-row",
        "embed", "legal", "policy", "pay-or-consent", "us-state", "implied", "pair",
    ),
    BANNER: (
        "newsletter", "paywall", "login", "app", "adblock", "ad-label", "donate", "follow", "push", "survey",
        "browser", "agegate", "promo", "quota",
    ),
    NAVIGATION: (
        "menu", "breadcrumb", "related", "tags", "share", "pagination", "form", "byline", "footer",
        "copyright", "languages", "player", "comments", "cart", "a11y", "template",
    ),
}  # fmt: skip

#: Languages that many readers of the corpus have, and what each asks for; see the datasheet.
LARGE = ("en", "fr", "de", "es", "it", "pl", "nl", "pt")
ASKED = {
    "large": 450,
    "other": 250,
    "privacy large": 80,
    "privacy other": 45,
    "pairs": 15,
    "pages": 250,
    "languages": 34,
}
#: Lengths that counts are given by.
_EDGES = (0, 20, 50, 100, 200, 400)
_ROW_FIELDS = ("id", "lang", "batch", "label", "kind", "text")
_PAGE_FIELDS = ("id", "lang", "batch", "kind", "paragraphs")
ALLOWED_FILE = "allowed_duplicates.json"
#: Stands in that file for whatever evaluation data a row overlaps: statutory wording, a software's own line.
AGAINST = "evaluation"


@dataclass(frozen=True)
class Item:
    """One paragraph of the corpus and where it stands. ``id`` of a page's paragraph is ``PAGE#NUMBER``, from
    1."""

    where: str
    id: str
    lang: str
    batch: str
    label: str
    kind: str
    text: str
    page: str = ""


@dataclass
class Authored:
    """The corpus as far as it is sound, and what is wrong with it."""

    folder: Path
    rows: list[Item] = field(default_factory=list)
    paragraphs: list[Item] = field(default_factory=list)  # of pages
    pages: Counter[str] = field(default_factory=Counter)  # language -> whole pages
    problems: list[str] = field(default_factory=list)
    files: int = 0


@dataclass(frozen=True)
class Pair:
    """Two paragraphs that are the same or nearly, and why that is right, if it is."""

    a: Item
    b: Item
    overlap: float
    reason: str

    def __str__(self) -> str:
        what = "the same text" if self.overlap == 1 else f"overlap {self.overlap:.2f}"
        return f"{self.a.where} {self.a.id} and {self.b.where} {self.b.id}: {what}: {_short(self.a.text)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def read(folder: Path) -> Authored:
    """Read ``folder/paragraphs/*.jsonl`` and ``folder/pages/*.jsonl``; what is wrong is listed, not raised.

    Raises
    ------
    DataError
        A folder without such files, or a file that is not JSON Lines in UTF-8.
    """
    out = Authored(folder)
    seen: dict[str, str] = {}
    for part in ("paragraphs", "pages"):
        for path in sorted((folder / part).glob("*.jsonl")):
            out.files += 1
            for number, record in corpus.records(path):
                where = f"{path}:{number}"
                _check_fields(
                    record, where, path.stem, _ROW_FIELDS if part == "paragraphs" else _PAGE_FIELDS, out
                )
                name = str(record.get("id"))
                if name in seen:
                    out.problems.append(
                        f'{where}: id "{name}" stands at {seen[name]} already; ids are unique'
                    )
                seen.setdefault(name, where)
                if part == "paragraphs":
                    _row(record, where, out)
                else:
                    _page(record, where, out)
    if not out.files:
        raise DataError(
            f"{folder}: no paragraphs/*.jsonl and no pages/*.jsonl; name the folder of the authored data"
        )
    return out


def _check_fields(
    record: Mapping[str, Any], where: str, lang: str, wanted: Sequence[str], out: Authored
) -> None:
    for name in wanted:
        if name == "paragraphs":
            continue
        value = record.get(name)
        if not isinstance(value, str) or not value.strip():
            out.problems.append(f'{where}: "{name}" is missing, empty or not a string')
    unknown = sorted(set(record) - set(wanted))
    if unknown:
        out.problems.append(f'{where}: unknown field "{unknown[0]}"; fields are {", ".join(wanted)}')
    if isinstance(record.get("lang"), str) and record["lang"] != lang:
        out.problems.append(f'{where}: lang is "{record["lang"]}" in the file of {lang}')


def _row(record: Mapping[str, Any], where: str, out: Authored) -> None:
    item = Item(where, *(str(record.get(name, "")) for name in _ROW_FIELDS))
    if item.label not in LABELS:
        out.problems.append(f'{where}: label "{item.label}" is none of {", ".join(LABELS)}')
    elif item.kind not in KINDS[item.label]:
        out.problems.append(
            f'{where}: kind "{item.kind}" is none of {item.label}: {" ".join(KINDS[item.label])}'
        )
    else:
        out.rows.append(item)


def _page(record: Mapping[str, Any], where: str, out: Authored) -> None:
    paragraphs = record.get("paragraphs")
    if not isinstance(paragraphs, list) or len(paragraphs) < 2:
        out.problems.append(f'{where}: "paragraphs" must be a list of two or more {{"text", "label"}}')
        return
    page, lang, batch, kind = (str(record.get(name, "")) for name in ("id", "lang", "batch", "kind"))
    out.pages[lang] += 1
    for k, paragraph in enumerate(paragraphs, 1):
        here = f"{where}: paragraph {k}"
        if not isinstance(paragraph, dict) or set(paragraph) != {"text", "label"}:
            out.problems.append(f'{here}: must be an object of "text" and "label"')
        elif not isinstance(paragraph["text"], str) or not paragraph["text"].strip():
            out.problems.append(f'{here}: "text" is empty or not a string')
        elif paragraph["label"] not in LABELS:
            out.problems.append(f'{here}: label "{paragraph["label"]}" is none of {", ".join(LABELS)}')
        else:
            item = Item(where, f"{page}#{k}", lang, batch, paragraph["label"], kind, paragraph["text"], page)
            out.paragraphs.append(item)


# -- duplicates --------------------------------------------------------------------------------------------


def allowed(data: Authored, report: bool = True) -> dict[frozenset[str], str]:
    """Pairs explained in ``allowed_duplicates.json``: ``[{"ids": [ID, ID], "reason": TEXT}, ...]``.

    The second id may be AGAINST.
    """
    path = data.folder / ALLOWED_FILE
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(frozenset(map(str, entry["ids"])), str(entry["reason"]).strip()) for entry in entries]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f'{path}: expected a JSON list of {{"ids": [A, B], "reason": TEXT}} ({error})'
        ) from None
    known = {item.id for item in (*data.rows, *data.paragraphs)}
    known.add(AGAINST)
    for ids, reason in pairs:
        if not report:
            break
        if len(ids) != 2 or not reason:
            data.problems.append(f"{path}: {sorted(ids)}: an entry has two different ids and a reason")
        for name in sorted(ids - known):
            data.problems.append(f'{path}: id "{name}" does not exist; take the entry out')
    return dict(pairs)


def find_duplicates(data: Authored) -> list[Pair]:
    """Pairs of rows that are the same or nearly, in one language or across languages, each with its reason or
    none.

    Compared are all single rows, and of pages what is long enough to be prose: short furniture recurs on
    pages as it does on real ones, and a paragraph may be repeated within its page.
    """
    explained = allowed(data)
    texts, items = [], []
    by_text: dict[str, list[Item]] = defaultdict(list)
    for item in (*data.rows, *data.paragraphs):
        text = duplicates.normal(item.text)
        if duplicates.size(text) >= duplicates.MIN_SIZE:
            texts.append(text)
            items.append(item)
        elif not item.page:
            by_text[text or item.text].append(item)
    pairs = [(items[i], items[j], overlap) for i, j, overlap in duplicates.near_pairs(texts)]
    for text, same in by_text.items():
        firsts: list[Item] = []
        for item in same:
            # One word written alike in two languages is no copy; the languages simply share it.
            shared = [a for a in firsts if a.lang == item.lang or " " in text]
            pairs += [(a, item, 1.0) for a in shared[:1]]
            firsts.append(item)
    out = []
    for a, b, overlap in pairs:
        if a.page and a.page == b.page:
            continue
        reason = explained.get(frozenset((a.id, b.id)), "")
        if not reason and {a.kind, b.kind} == {"pair"} and a.label != b.label:
            reason = "matched pair: an article row and a consent row that share their words on purpose"
        if not reason and (a.page or b.page) and a.label == b.label == NAVIGATION and overlap < 1:
            reason = "furniture: menus and footers of one language list the same links"
        out.append(Pair(a, b, overlap, reason))
    return out


def one_word_shared(data: Authored) -> int:
    """How many one-word rows stand in several languages: explained, see :func:`find_duplicates`."""
    langs: dict[str, set[str]] = defaultdict(set)
    for item in data.rows:
        langs[duplicates.normal(item.text)].add(item.lang)
    return sum(len(found) > 1 and " " not in text for text, found in langs.items())


def overlap_with(data: Authored, paths: Sequence[str]) -> list[tuple[Item, str, float]]:
    """Paragraphs of the corpus that nearly equal one of an evaluation file: (item, nearest text there,
    overlap).

    Those explained in ``allowed_duplicates.json`` are left out.

    Texts shorter than ``duplicates.MIN_SIZE`` are not compared: "Accept all" stands in every corpus.
    """
    ours = [(item, duplicates.normal(item.text)) for item in (*data.rows, *data.paragraphs)]
    ours = [(item, text) for item, text in ours if duplicates.size(text) >= duplicates.MIN_SIZE]
    theirs = []
    for path in paths:
        if Path(path).suffix in (".txt", ".md"):
            theirs += Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        else:
            found = corpus.read([path])
            theirs += [row.text for row in found.rows] + [
                row.text for page in found.pages for row in page.rows
            ]
    other = sorted(
        {text for text in map(duplicates.normal, theirs) if duplicates.size(text) >= duplicates.MIN_SIZE}
    )
    texts = [text for _, text in ours] + other
    explained = allowed(data, report=False)
    nearest: dict[int, tuple[float, str]] = {}
    for i, j, overlap in duplicates.near_pairs(texts, split=len(ours)):
        nearest[i] = max(nearest.get(i, (0.0, "")), (overlap, texts[j]))
    return [
        (ours[i][0], text, overlap)
        for i, (overlap, text) in sorted(nearest.items())
        if frozenset((ours[i][0].id, AGAINST)) not in explained
    ]


# -- counts ------------------------------------------------------------------------------------------------


def counts_by_language(data: Authored) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the per-language table: rows by label, those about privacy, pairs, batches, whole
    pages."""
    head = ["lang", "rows", *LABELS, "privacy", "pairs", "batches", "pages", "page paragraphs"]
    body = []
    langs = sorted({item.lang for item in data.rows} | set(data.pages))
    in_pages = Counter(item.lang for item in data.paragraphs)
    for lang in [*langs, "all"]:
        rows = [item for item in data.rows if lang in (item.lang, "all")]
        label = Counter(item.label for item in rows)
        kind = Counter((item.label, item.kind) for item in rows)
        numbers = [
            len(rows), *(label[name] for name in LABELS), kind[ARTICLE, "privacy"], _pairs(kind),
            len({item.batch for item in rows}),
            data.pages.total() if lang == "all" else data.pages[lang],
            in_pages.total() if lang == "all" else in_pages[lang],
        ]  # fmt: skip
        body.append([lang, *map(str, numbers)])
    return head, body


def _pairs(kind: Counter[tuple[str, str]]) -> int:
    return min(kind[ARTICLE, "pair"], kind[CONSENT, "pair"])


def counts_by_label(data: Authored) -> tuple[list[str], list[list[str]]]:
    """Head and rows of rows by label and length, with the share of all rows."""
    head = [
        "label",
        "rows",
        "share",
        *(f"{a}-{b - 1}" for a, b in pairwise(_EDGES)),
        f"{_EDGES[-1]}+",
    ]
    body = []
    for label in LABELS:
        lengths = [len(item.text) for item in data.rows if item.label == label]
        places = np.bincount(np.searchsorted(_EDGES, lengths, side="right") - 1, minlength=len(_EDGES))
        share = len(lengths) / max(1, len(data.rows))
        body.append([label, str(len(lengths)), f"{share:.1%}", *map(str, places.tolist())])
    return head, body


def counts_by_kind(data: Authored) -> tuple[list[str], list[list[str]]]:
    """Head and rows of rows by kind, with the number of languages and the median length."""
    found: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in data.rows:
        found[item.label, item.kind].append(item)
    body = [
        [f"{label}: {kind}", str(len(items)), str(len({i.lang for i in items})),
         f"{np.median([len(i.text) for i in items]):.0f}"]
        for label, kinds in KINDS.items() for kind in kinds if (items := found[label, kind])
    ]  # fmt: skip
    return ["kind", "rows", "languages", "median characters"], body


def shortfalls(data: Authored) -> list[str]:
    """Where the corpus has fewer than the project asked for."""
    head, body = counts_by_language(data)
    out = []
    for row in body[:-1]:
        count = dict(zip(head, row, strict=True))
        size = "large" if count["lang"] in LARGE else "other"
        for name, asked in (
            ("rows", ASKED[size]), ("privacy", ASKED[f"privacy {size}"]), ("pairs", ASKED["pairs"]),
        ):  # fmt: skip
            if int(count[name]) < asked:
                out.append(f"{count['lang']}: {count[name]} {name}, {asked} asked")
    if data.pages.total() < ASKED["pages"]:
        out.append(f"{data.pages.total()} whole pages, {ASKED['pages']} asked")
    if len(body) - 1 < ASKED["languages"]:
        out.append(f"{len(body) - 1} languages, {ASKED['languages']} asked")
    return out
