"""``consentclf report``: how pages are labelled, as one HTML page."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from .. import report as _report
from ..classifier import MODES, Classifier
from ..errors import DataError
from ..files import check_encoding, check_writable, replacing
from . import common


@click.command(short_help="Show pages, labelled, as one HTML page.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--out", "-o", metavar="PAGE", help="Where to write it; without it, or with -, standard output."
)
@click.option(
    "--limit",
    default=_report.MAX_PARAGRAPHS,
    show_default=True,
    type=click.IntRange(1),
    help="Paragraphs shown at the most.",
)
@click.option("--no-reasons", is_flag=True, help="Leave the reasons out: a file of a fifth of the size.")
@common.model_option
@click.option("--mode", type=click.Choice(MODES), default="balanced", show_default=True)
@click.option(
    "--threshold", multiple=True, metavar="[LABEL=]NUMBER", help="As for predict; the sliders start there."
)
@click.option("--encoding", default="utf-8", show_default=True)
def report(
    files: tuple[str, ...],
    out: str | None,
    limit: int,
    no_reasons: bool,
    model: str | None,
    mode: str,
    threshold: tuple[str, ...],
    encoding: str,
) -> None:
    """Write one HTML page that shows how FILEs are labelled; - is standard input.

    \b
        consentclf report page.txt -o page.html
        curl -s https://example.org/page.md | consentclf report - -o page.html
        consentclf report crawl/*.txt -o crawl.html --no-reasons

    Open it in any browser: paragraphs tinted by label with their scores, a filter per label, sliders that
    show at once what a threshold would keep, the kept text to copy, and for each paragraph the words that
    spoke for its label. The file carries everything it needs and asks the network for nothing.

    Exit code 2 when a file could not be read; the others are still shown.
    """
    check_encoding(encoding)
    if out not in (None, "-"):
        check_writable(str(out))
    classifier = common.open_model(model).with_mode(mode, common.parse_thresholds(threshold))
    data, failed = render(classifier, files, encoding, limit, not no_reasons)
    if out in (None, "-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        with replacing(str(out)) as file:
            file.write(data)
        click.echo(f"{out}: {len(data):,} bytes", err=True)
    if failed:
        raise click.exceptions.Exit(2)


def render(
    classifier: Classifier,
    files: tuple[str, ...],
    encoding: str,
    limit: int = _report.MAX_PARAGRAPHS,
    reasons: bool = True,
    strict: bool = False,
) -> tuple[bytes, bool]:
    """The page's bytes, and whether a file could not be read; raises DataError where it was the only one."""
    failed: list[DataError] = []

    def texts() -> Iterator[tuple[str, str]]:
        for name in files:
            try:
                text = common.read_text(name, encoding, strict)
            except DataError as error:
                if len(files) == 1:
                    raise
                common.complain(str(error))
                failed.append(error)
            else:
                yield name, text

    data = _report.page(texts(), classifier, limit, reasons).encode("utf-8", "replace")
    return data, bool(failed)
