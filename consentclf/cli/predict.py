"""``consentclf predict``: label the paragraphs of text files."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import click

from ..classifier import MODES, Classifier, Paragraph
from ..errors import DataError
from ..files import TextReader, check_encoding
from ..labels import ARTICLE, LABELS
from . import common

#: What a table's row holds beside the text.
_MARGIN = len("navigation") + 2 + len("0.00") + 2


@click.command(short_help="Label the paragraphs of text or Markdown files.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--format", "form", type=click.Choice(["table", "jsonl", "text", "html"]), default="table")
@common.model_option
@click.option(
    "--keep",
    multiple=True,
    metavar="LABEL",
    help="With --format text: a label to keep, article without this. May be repeated, or a comma list.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="[LABEL=]NUMBER",
    help="Least score for a label, or for all but article. Below it a paragraph counts as article.",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="balanced",
    show_default=True,
    help="precision keeps only what is surely article, recall drops only what surely is not.",
)
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    help="Of the files; a byte-order mark in a file comes first.",
)
@click.option("--strict", is_flag=True, help="Refuse a file with bytes that do not decode.")
def predict(
    files: tuple[str, ...],
    form: str,
    model: str | None,
    keep: tuple[str, ...],
    threshold: tuple[str, ...],
    mode: str,
    encoding: str,
    strict: bool,
) -> None:
    """Label the paragraphs of FILEs; - is standard input. A file is one page.

    --format table (the default) is for reading. jsonl prints one object a paragraph: file, index, start, end,
    label, score, scores, text, and raw_label where a threshold or mode changed the label. start and end count
    characters of the file decoded as utf-8-sig, newlines as they are: text is source[start:end]. text prints
    the paragraphs to keep, unchanged, with the white space between them; a blank line parts two files. html
    prints the page that consentclf report writes.

    Of HTML, WARC and WET files the main text is taken by an extractor (pip install "consentclf[html,warc]"),
    and offsets are those in its text.

    Exit code 2 when a file could not be read; the others are still done.
    """
    if keep and form != "text":
        raise click.UsageError(
            f"--keep says what --format text prints; it does nothing with --format {form}."
        )
    wanted = common.parse_labels(keep, LABELS, "--keep") or (ARTICLE,)
    thresholds = common.parse_thresholds(threshold)
    check_encoding(encoding)
    classifier = common.open_model(model).with_mode(mode, thresholds)
    if form == "html":
        from . import report

        data, failed = report.render(classifier, files, encoding, strict=strict)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if failed:
            raise click.exceptions.Exit(2)
        return
    render: Callable[[Classifier, TextReader | _Page], Iterator[str]]
    if form == "jsonl":
        render = _jsonl
    elif form == "text":
        render = _Text(wanted)
    else:
        render = _Table(headings=len(files) > 1)
    out: BinaryIO = sys.stdout.buffer
    charset = (sys.stdout.encoding or "utf-8") if form == "table" else "utf-8"
    # A lone surrogate cannot be UTF-8. Written \udcxx it is JSON's own escape.
    errors = "backslashreplace" if form == "jsonl" else "replace"
    live = sys.stdout.isatty()
    failed = False
    for name in files:
        try:
            for reader in _pages(name, encoding, strict):
                for line in render(classifier, reader):
                    out.write(line.encode(charset, errors))
                    if live:
                        out.flush()
                if complaint := reader.complaint():
                    out.flush()
                    common.complain(complaint)
        except DataError as error:
            out.flush()
            common.complain(str(error))
            failed = True
    out.flush()
    if failed:
        raise click.exceptions.Exit(2)


class _Page(io.StringIO):
    """The text of one page out of an HTML or WARC file."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text, newline="")
        self.name = name

    def complaint(self) -> None:
        """Nothing to report: the extractor decoded the page."""


def _pages(name: str, encoding: str, strict: bool) -> Iterator[TextReader | _Page]:
    """The pages of a file: one of a text file, those an extractor finds in HTML, WARC and WET files."""
    if re.search(r"\.(x?html?|warc|wet)(\.|$)", name.lower()):
        from ..integrations import pages  # and with it all that unpacks: nothing plain text should wait for

        if pages.holds_pages(name):
            for title, text in pages.read_pages(Path(name)):
                yield _Page(title, text)
            return
    with common.open_text(name, encoding, strict) as reader:
        yield reader


def _jsonl(classifier: Classifier, reader: TextReader | _Page) -> Iterator[str]:
    """One JSON object a paragraph, put together by hand: json.dumps took as long as labelling."""
    quote = json.JSONEncoder(ensure_ascii=False).encode
    file = quote(reader.name)
    for index, p in enumerate(classifier.predict_stream(reader)):
        scores = ", ".join([f'"{label}": {score:.6f}' for label, score in p.scores.items()])
        raw = f', "raw_label": "{p.raw_label}"' if p.raw_label != p.label else ""
        yield (
            f'{{"file": {file}, "index": {index}, "start": {p.start}, "end": {p.end}, "label": "{p.label}", '
            f'"score": {p.score:.6f}, "scores": {{{scores}}}, "text": {quote(p.text)}{raw}}}\n'
        )


class _Text:
    """What is kept of each file, the files parted by a blank line."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        self.keep = keep
        self.begun = False

    def __call__(self, classifier: Classifier, reader: TextReader | _Page) -> Iterator[str]:
        empty = True
        for piece in classifier.clean_stream(reader, self.keep):
            if empty and self.begun:
                yield "\n"
            empty = False
            yield piece
        if not empty:
            yield "\n"
            self.begun = True


class _Table:
    """One line a paragraph: label, score, and as much of the text as fits."""

    def __init__(self, headings: bool) -> None:
        self.headings = headings
        self.begun = False
        self.colour = common.colourful()
        self.width = max(20, common.columns() - _MARGIN)

    def __call__(self, classifier: Classifier, reader: TextReader | _Page) -> Iterator[str]:
        if self.headings:
            gap = "\n" if self.begun else ""
            yield f"{gap}{self._style(common.printable(reader.name), bold=True)}\n"
            self.begun = True
        for p in classifier.predict_stream(reader):
            yield self._row(p)

    def _row(self, p: Paragraph) -> str:
        # The text is a stranger's: nothing in it may steer the terminal.
        text = common.printable(" ".join(p.text[: 4 * self.width].split()))
        if p.raw_label != p.label:
            text = f"(not {p.raw_label}: {p.scores[p.raw_label]:.2f}) {text}"
        shown = common.fit(text, self.width, cut=len(p.text) > 4 * self.width)
        label = self._style(p.label.ljust(len("navigation")), fg=common.COLOURS[p.label])
        return f"{label}  {p.score:.2f}  {shown}\n"

    def _style(self, text: str, fg: str | None = None, bold: bool | None = None) -> str:
        return click.style(text, fg=fg, bold=bold) if self.colour else text
