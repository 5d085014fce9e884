"""What several commands share: options, messages and colours."""

from __future__ import annotations

import importlib.util
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from ..classifier import Classifier, load, shipped_model
from ..errors import DataError
from ..files import TextReader, unreadable
from ..labels import ARTICLE, BANNER, CONSENT, LABELS, NAVIGATION

F = TypeVar("F", bound=Callable[..., Any])

#: Colours readable on dark and on light ground.
COLOURS = {ARTICLE: "green", BANNER: "yellow", CONSENT: "magenta", NAVIGATION: "cyan"}


class MissingPackageError(ImportError):
    """A package that one command needs and the rest does not is not installed."""


def complain(message: str) -> None:
    """One line on stderr. File names may hold anything, so what would break the line is shown escaped."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
    click.echo(f"consentclf: {line}", err=True)


def require(task: str, packages: dict[str, str]) -> None:
    """Raise MissingPackageError unless every module (module -> what pip calls it) can be imported."""
    if any(importlib.util.find_spec(module) is None for module in packages):
        names = list(packages.values())
        raise MissingPackageError(f"{task} needs {' and '.join(names)}: pip install {' '.join(names)}")


def model_option(command: F) -> F:
    """Add ``--model FILE``; :func:`open_model` takes its value."""
    return click.option(
        "--model", metavar="FILE", type=click.Path(), help="Model file; without it, the one shipped."
    )(command)


def open_model(path: str | None) -> Classifier:
    """Load the model named, or the one shipped; raises DataError or ModelError."""
    try:
        return load(path)
    except OSError as error:
        raise unreadable(path or str(shipped_model()), error) from None


@contextmanager
def open_text(name: str, encoding: str = "utf-8", strict: bool = False) -> Iterator[TextReader]:
    """Open a file, or stdin for ``-``; raises DataError if it cannot be read.

    Where ``strict`` and the file can be rewound it is decoded once beforehand: a file is refused whole.
    """
    if name == "-":
        yield TextReader(sys.stdin.buffer, "-", encoding, strict)
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below; here only its opening is guarded
    except OSError as error:
        raise unreadable(name, error) from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{name}: {error}; check the path") from None
    with file:
        if strict and file.seekable():
            trial = TextReader(file, name, encoding, strict)
            while trial.read(1 << 20):
                pass
            file.seek(0)
        yield TextReader(file, name, encoding, strict)


def colourful() -> bool:
    """Whether stdout is a terminal that should get colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def parse_labels(values: Iterable[str], known: Iterable[str], option: str) -> tuple[str, ...]:
    """Labels given as repeated options or comma lists, checked against those known; raises BadParameter."""
    known = tuple(known)
    out = tuple(label.strip() for value in values for label in value.split(",") if label.strip())
    for label in out:
        if label not in known:
            raise click.BadParameter(
                f"{label!r} is no label; labels are {', '.join(known)}.", param_hint=option
            )
    return out


def parse_thresholds(values: Iterable[str]) -> dict[str, float]:
    """``0.9`` (every label but article) and ``consent=0.9``, later ones over earlier; raises BadParameter."""
    out: dict[str, float] = {}
    for value in values:
        label, equals, number = value.rpartition("=")
        try:
            threshold = float(number)
        except ValueError:
            threshold = -1.0
        if not 0 <= threshold <= 1:
            raise click.BadParameter(
                f"{value!r} is neither a number from 0 to 1 nor LABEL=NUMBER.", param_hint="--threshold"
            )
        labels = parse_labels([label], LABELS, "--threshold") if equals else LABELS[1:]
        if not labels:
            raise click.BadParameter(f"{value!r} names no label.", param_hint="--threshold")
        out.update(dict.fromkeys(labels, threshold))
    return out


def table(rows: list[list[str]], head: list[str]) -> list[str]:
    """Lines of a plain table: the first column to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return lines


def read_text(name: str, encoding: str = "utf-8", strict: bool = False) -> str:
    """All of a file, or of stdin for ``-``; raises DataError if it cannot be read."""
    with open_text(name, encoding, strict) as reader:
        pieces = list(iter(lambda: reader.read(1 << 20), ""))
        if complaint := reader.complaint():
            complain(complaint)
    return "".join(pieces)


def columns() -> int:
    """Columns of the terminal; of a pipe, what COLUMNS says or 110."""
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 110
    except (OSError, ValueError):
        return 110


def printable(text: str) -> str:
    """The text without control characters, bidirectional overrides and lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else "\ufffd" if c < " " else "" for c in text)


def fit(text: str, width: int, cut: bool) -> str:
    """Cut a line to so many columns, an ellipsis at the end where something was lost."""
    if text.isascii() and len(text) <= width and not cut:
        return text
    used = 0
    for i, char in enumerate(text):
        columns = 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used + columns > width - 1 and (used + columns > width or i + 1 < len(text) or cut):
            return text[:i] + "…"
        used += columns
    return text + ("…" if cut else "")
