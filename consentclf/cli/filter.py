"""``consentclf filter``: clean whole crawls, with several processes, resumable."""

from __future__ import annotations

import sys
import time

import click

from ..classifier import MODES
from ..files import check_encoding
from ..integrations import batch
from ..integrations.html import EXTRACTORS
from ..integrations.records import Options
from ..labels import ARTICLE, LABELS
from . import common


@click.command(name="filter", short_help="Clean or annotate whole crawls; resumable.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT…", type=click.Path())
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(),
    help="Folder to write to: a new one, or of a run to go on with.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(batch.FORMATS),
    help="What the input is, where its suffix does not say.",
)
@click.option("--field", default="text", show_default=True, help="Field or column that holds the text.")
@click.option(
    "--annotate", is_flag=True, help="Leave the text as it is and add a field consentclf with the labels."
)
@click.option(
    "--keep",
    multiple=True,
    metavar="LABEL",
    help="Labels to keep, article without it; repeat it, or use commas.",
)
@click.option(
    "--dropped", metavar="FILE", type=click.Path(), help="Write the paragraphs dropped here, as JSON Lines."
)
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(),
    help="Where malformed records are listed; rejects.jsonl in DIR without it.",
)
@common.model_option
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="balanced",
    show_default=True,
    help="precision keeps only what is surely article, recall drops only what surely is not.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="[LABEL=]NUMBER",
    help="Least score for a label, or for all labels but article; below it a paragraph stays article.",
)
@click.option(
    "--encoding", default="utf-8", show_default=True, help="Of text files; a byte-order mark overrides it."
)
@click.option(
    "--extractor",
    type=click.Choice(EXTRACTORS),
    default=EXTRACTORS[0],
    show_default=True,
    help="What takes the main text out of HTML files and WARC responses.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--strict", is_flag=True, help="Stop at the first malformed record.")
def filter_(
    inputs: tuple[str, ...],
    out: str,
    kind: str | None,
    field: str,
    annotate: bool,
    keep: tuple[str, ...],
    dropped: str | None,
    rejects: str | None,
    model: str | None,
    mode: str,
    threshold: tuple[str, ...],
    encoding: str,
    extractor: str,
    workers: int,
    strict: bool,
) -> None:
    """Write the records of INPUT to DIR in the same format, their text cleaned.

    Reads JSON Lines, Parquet, text and Markdown, HTML, WARC and WET files, or folders of them; all but
    Parquet may be compressed (.gz, .bz2, .xz, .zst).

    Killed at any moment and started again with the same command, it goes on and ends with exactly the output
    of a run that was not interrupted.
    """
    if annotate and dropped:
        raise click.UsageError("--dropped goes with cleaned text; --annotate drops nothing.")
    if annotate and keep:
        raise click.UsageError("--keep goes with cleaned text; --annotate drops nothing.")
    wanted = common.parse_labels(keep, LABELS, "--keep") or (ARTICLE,)
    options = Options(field, annotate, tuple(sorted(set(wanted))), check_encoding(encoding), extractor)
    classifier = common.open_model(model).with_mode(mode, common.parse_thresholds(threshold))
    meter = _Meter() if sys.stderr.isatty() else None
    job = batch.Job(out, options, dropped or "", classifier, strict)
    try:
        summary = batch.run(
            inputs, job, rejects=rejects, kind=kind, workers=workers, progress=meter.show if meter else None
        )
    except ImportError as error:
        raise click.ClickException(str(error)) from None
    finally:
        if meter:
            meter.clear()
    for line in describe(summary, options):
        click.echo(line, err=True)


class _Meter:
    """A line on the terminal: how far, how fast, how long still."""

    def __init__(self) -> None:
        self.last = 0.0

    def show(self, p: batch.Progress) -> None:
        """Draw the line anew, a few times a second at the most."""
        now = time.monotonic()
        if now - self.last < 0.2:
            return
        self.last = now
        share = p.bytes_done / p.bytes_total if p.bytes_total else 1.0
        bar = ("#" * int(20 * share)).ljust(20, ".")
        line = f"[{bar}] {share:4.0%}  {p.records:,} records"
        moved = p.bytes_done - p.bytes_before
        if p.seconds > 0 and moved:
            left = (p.bytes_total - p.bytes_done) * p.seconds / moved
            rate = (p.records - p.records_before) / p.seconds
            line += f"  {rate:,.0f}/s  {duration(left)} left"
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    def clear(self) -> None:
        """Remove the line."""
        click.echo("\r\x1b[K", nl=False, err=True)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def describe(summary: batch.Summary, options: Options) -> list[str]:
    """The summary, line by line."""
    lines = []
    if summary.already_finished:
        lines.append("finished before; nothing was left to do")
    rejected = f", {summary.rejected:,} of them malformed" if summary.rejected else ""
    lines.append(f"{summary.records:,} records{rejected}, {sum(summary.paragraphs.values()):,} paragraphs")
    rows = [
        [
            label,
            f"{summary.paragraphs[label]:,}",
            f"{summary.characters[label]:,}",
            "annotated" if options.annotate else "kept" if label in options.keep else "dropped",
        ]
        for label in LABELS
    ]
    lines += common.table(rows, ["label", "paragraphs", "characters", ""])
    kept = sum(summary.characters[label] for label in options.keep)
    total = sum(summary.characters.values())
    if not options.annotate and total:
        lines.append(f"characters kept {kept:,} ({kept / total:.1%}), dropped {total - kept:,}")
    if summary.skipped_files:
        lines.append(f"{summary.skipped_files:,} files of no known kind were passed over")
    if summary.records_now and summary.seconds > 0:
        rate = summary.records_now / summary.seconds
        lines.append(f"{rate:,.0f} records a second, {duration(summary.seconds)} in all")
    return lines
