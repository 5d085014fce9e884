"""Draws and weights training rows. The choices and their reasons stand in ``sampling.ini`` beside this."""

from __future__ import annotations

import configparser
import html
import os
import random
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from ..errors import DataError
from ..files import unreadable
from ..labels import LABELS
from .corpus import WEAK, Corpus, Page, Row

#: Class of a row whose label is only known not to be article.
UNKNOWN = -1
#: Share of a paragraph's text in links above which the markup hints at navigation.
_MOSTLY_LINKS = 0.6
_COLUMN = {label: i for i, label in enumerate(LABELS)}


def read_config(path: str | os.PathLike[str] | None = None) -> configparser.ConfigParser:
    """The sampling settings: those shipped, or a file laid over it; raises DataError if that is wrong."""
    config = configparser.ConfigParser(inline_comment_prefixes=None)
    config.read_string(resources.files(__package__).joinpath("sampling.ini").read_text(encoding="utf-8"))
    if path is None:
        return config
    mine = configparser.ConfigParser(inline_comment_prefixes=None)
    try:
        with open(path, encoding="utf-8") as file:
            mine.read_file(file)
        for section in mine.sections():
            for key, value in mine[section].items():
                _check_setting(config, section, key, value)
                config[section][key] = value
    except OSError as error:
        raise unreadable(str(path), error) from None
    except (configparser.Error, UnicodeDecodeError, DataError) as error:
        raise DataError(f"{path}: {' '.join(str(error).split())}; see training/sampling.ini") from None
    return config


def _check_setting(config: configparser.ConfigParser, section: str, key: str, value: str) -> None:
    if section not in config or key not in config[section]:
        raise DataError(f"there is no setting {key!r} in a section [{section}]")
    for number in (int, float):  # where the setting shipped is one, so must this be
        try:
            number(config[section][key])
        except ValueError:
            continue
        try:
            number(value)
        except ValueError:
            if number is int:
                continue
            raise DataError(f"[{section}] {key} must be a number, got {value!r}") from None
        return


@dataclass
class Sample:
    """Training rows of the first stage, column by column. ``target`` is a column of LABELS or UNKNOWN."""

    texts: list[str] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    lang: list[str] = field(default_factory=list)
    #: For rows of unknown class: the column of the label their page's markup hints at, or UNKNOWN.
    hint: list[int] = field(default_factory=list)

    def add(self, row: Row, weight: float, kind: str, group: str = "", text: str = "") -> None:
        """Append one row."""
        self.texts.append(text or row.text)
        self.target.append(_COLUMN.get(row.label, UNKNOWN))
        self.weight.append(weight)
        self.group.append(group or row.group)
        self.kind.append(kind)
        self.lang.append(row.lang)
        self.hint.append(hinted(row))

    def __len__(self) -> int:
        return len(self.texts)


def draw(corpus: Corpus, config: configparser.ConfigParser, seed: int) -> Sample:
    """Draw the first stage's training rows from a corpus, the same ones for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - sampling, not secrets
    sample = Sample()
    by_origin: dict[str, list[Row]] = defaultdict(list)
    for row in corpus.rows:
        by_origin[row.origin if row.origin in ("strings", "prose", "authored") else "user"].append(row)
    for origin in ("authored", "user"):
        for row in by_origin[origin]:
            sample.add(row, config.getfloat(origin, "weight"), f"{origin}/{row.kind}")
    _draw_pages(corpus.pages, config, rng, sample)
    _draw_strings(by_origin["strings"], config, rng, sample)
    _draw_prose(by_origin["prose"], config, rng, sample)
    _add_noise(sample, config, rng)
    return sample


def hinted(row: Row) -> int:
    """The column of the label that class names and links of the page's markup hint at, or UNKNOWN."""
    hint = row.hints.get("hint")
    if hint == "banner":
        return _COLUMN["banner"]
    if hint in ("nav", "share") or row.hints.get("link_density", 0) > _MOSTLY_LINKS:
        return _COLUMN["navigation"]
    return UNKNOWN


def is_weak(page: Page) -> bool:
    """Whether a page's labels come from a published main text, not from reading with the four labels."""
    return any(row.label in WEAK or row.hints for row in page.rows)


def _draw_pages(
    pages: list[Page], config: configparser.ConfigParser, rng: random.Random, sample: Sample
) -> None:
    seen: set[tuple[str, str]] = set()
    markdown = config.getfloat("noise", "markdown")
    article, other, consent = config["page.article"], config["page.other"], config["page.consent"]
    for page in pages:
        if not is_weak(page):
            section = "authored" if page.origin == "authored" else "user"
            for row in page.rows:
                if row.label in _COLUMN:
                    sample.add(row, config.getfloat(section, "page_weight"), f"{section}-page")
            continue
        left = {"article": int(article["cap"]), "other": int(other["cap"])}
        order = list(range(len(page.rows)))
        rng.shuffle(order)
        for i in order:
            row = page.rows[i]
            key = (row.text, row.label)
            if key in seen or left.get(row.label, 1) <= 0:
                continue
            seen.add(key)
            density = row.hints.get("link_density", 0)
            text = as_links(row.text, rng) if density > 0.9 and rng.random() < markdown else ""
            if row.label == "article":
                sample.add(row, float(article["weight"]), "page/article", text=text)
            elif row.label == "consent":
                sample.add(row, float(consent["weight"]), "page/consent", text=text)
            elif row.label == "other" and not row.hints.get("prose"):
                sample.add(row, float(other["weight"]), "page/other", text=text)
            else:
                continue
            if row.label in left:
                left[row.label] -= 1


def as_links(text: str, rng: random.Random) -> str:
    """Show a paragraph that is all links the way Markdown extractors write it."""
    path = "/" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz-/", k=rng.randint(3, 18)))
    words = text.split(" ")
    if len(words) < 4 or rng.random() < 0.5:
        return f"[{text}]({path})"
    cut = rng.randint(1, len(words) - 1)
    return f"[{' '.join(words[:cut])}]({path}) [{' '.join(words[cut:])}]({path}{cut})"


def _draw_strings(
    rows: list[Row], config: configparser.ConfigParser, rng: random.Random, sample: Sample
) -> None:
    rows = list(rows)
    rng.shuffle(rows)
    admin = set(config["string.navigation"]["admin_sources"].split())
    seen: set[tuple[str, str]] = set()
    count: Counter[tuple[str, str, str]] = Counter()
    short: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        name = f"string.{row.label}"
        if name not in config or (row.text, row.label) in seen:
            continue
        section = config[name]
        seen.add((row.text, row.label))
        source = row.hints.get("source", "")
        key = (source, row.lang, row.label)
        count[key] += 1
        if count[key] > int(section["admin_cap" if source in admin and "admin_cap" in section else "cap"]):
            continue
        sample.add(row, float(section["weight"]), f"string/{row.label}")
        if len(row.text) < 40:
            short[key].append(row)
    joined = config["string.joined"]
    for (source, _lang, label), found in short.items():
        if label == "banner" or len(found) < 6:
            continue
        for _ in range(min(int(joined["cap"]), int(len(found) * float(joined["share"])))):
            size = rng.randint(2, 9 if label == "navigation" else 4)
            picked = rng.sample(found, min(size, len(found)))
            separator = rng.choice((" ", " | ", " · ", "", " / ", " "))
            text = separator.join(row.text for row in picked)
            sample.add(picked[0], float(joined["weight"]), "string/joined", f"{source}:{label}", text=text)


def _draw_prose(
    rows: list[Row], config: configparser.ConfigParser, rng: random.Random, sample: Sample
) -> None:
    rows = list(rows)
    rng.shuffle(rows)
    prose = config["prose"]
    narrow = prose["narrow_genres"].split()
    count: Counter[tuple[str, str]] = Counter()
    for row in rows:
        genre = row.hints.get("genre", "")
        count[(row.lang, genre)] += 1
        cap = int(prose["narrow_cap" if any(word in genre for word in narrow) else "cap"])
        if count[(row.lang, genre)] <= cap:
            sample.add(row, float(prose["weight"]), "prose")


# -- noise --------------------------------------------------------------------------------------------------


def strip_marks(text: str) -> str:
    """Drop accents and other combining marks, as careless typists and old systems do."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def glue(text: str, rng: random.Random) -> str:
    """Lose about one space in eight, as extractors do at inline elements."""
    return "".join(c for c in text if c != " " or rng.random() > 0.125)


def truncate(text: str, rng: random.Random) -> str:
    """Cut a text short, with or without an ellipsis."""
    if len(text) < 30:
        return text
    return text[: rng.randint(20, len(text) - 1)].rstrip() + rng.choice(("", "…", "..."))


def _add_noise(sample: Sample, config: configparser.ConfigParser, rng: random.Random) -> None:
    noise = config["noise"]
    ways: list[tuple[float, Any]] = [
        (float(noise["upper"]), lambda t: t.upper()),
        (float(noise["no_marks"]), strip_marks),
        (float(noise["glued"]), lambda t: glue(t, rng)),
        (float(noise["truncated"]), lambda t: truncate(t, rng)),
        (float(noise["entities"]), lambda t: html.escape(t).replace("'", "&#39;").replace("’", "&rsquo;")),
    ]
    for i in range(len(sample)):
        dice = rng.random()
        for share, way in ways:
            if dice < share:
                damaged = way(sample.texts[i])
                if damaged != sample.texts[i] and damaged.strip():
                    sample.weight[i] /= 2
                    sample.texts.append(damaged)
                    columns: tuple[list[Any], ...] = (sample.target, sample.weight, sample.group, sample.kind)
                    for column in (*columns, sample.lang, sample.hint):
                        column.append(column[i])
                break
            dice -= share
