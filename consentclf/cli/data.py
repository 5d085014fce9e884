"""`consentclf data`: checks and counts of the authored corpus."""

from __future__ import annotations

from pathlib import Path

import click

from ..classifier import shipped_data
from ..errors import DataError
from ..evaluation import authored, tables
from ..labels import LABELS

#: A row to whose own label a model that did not see its batch gives less is worth a second look.
IMPOSSIBLE = 0.02


@click.group()
def data() -> None:
    """Check and count the authored corpus."""


def _folder(given: str | None) -> Path:
    return Path(given) if given is not None else shipped_data()


@data.command()
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
@click.option(
    "--against",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="List rows that overlap this evaluation file. Repeatable.",
)
@click.option(
    "--impossible",
    is_flag=True,
    help="List rows to whose label a model that did not see their batch gives under 2%. Takes minutes.",
)
@click.option("--explained", is_flag=True, help="List the explained pairs too.")
def check(folder: str | None, against: tuple[str, ...], impossible: bool, explained: bool) -> None:
    """Check the format of DIR (without it, the project's own data), its counts and near-duplicates.

    What is wrong is listed with file and line, and the exit code is 2. Near-duplicates are pairs whose sets
    of four-character n-grams overlap (Jaccard) by 0.6 or more, whatever their languages; a pair is explained
    by allowed_duplicates.json in DIR ([{"ids": [A, B], "reason": TEXT}], B being "evaluation" for --against),
    by being a matched pair, or by being page furniture. Under 30 characters only the same text counts, and
    one word that several languages share does not.
    """
    found = authored.read(_folder(folder))
    for table in (authored.counts_by_language, authored.counts_by_label, authored.counts_by_kind):
        click.echo(tables.table(*table(found)) + "\n")
    for line in authored.shortfalls(found):
        click.echo(f"fewer than asked: {line}")
    pairs = authored.find_duplicates(found)
    open_pairs = [pair for pair in pairs if not pair.reason]
    for pair in pairs if explained else open_pairs:
        click.echo(f"near-duplicate: {pair}" + (f" [{pair.reason}]" if pair.reason else ""))
    overlaps = authored.overlap_with(found, against) if against else []
    for item, text, overlap in overlaps:
        click.echo(
            f"overlaps the evaluation data: {item.where} {item.id}: overlap {overlap:.2f}: {text[:60]}"
        )
    for problem in found.problems:
        click.echo(problem)
    if impossible:
        _impossible(found)
    click.echo(
        f"{len(found.rows)} rows, {found.pages.total()} pages, {found.files} files; "
        f"{len(found.problems)} errors; "
        f"near-duplicates: {len(open_pairs)} unexplained, {len(pairs) - len(open_pairs)} explained; "
        f"{authored.one_word_shared(found)} one-word texts that languages share"
        + (f"; {len(overlaps)} rows overlap the evaluation data" if against else "")
    )
    wrong = len(found.problems) + len(open_pairs) + len(overlaps)
    if wrong:
        first = found.problems[0] if found.problems else "mend or explain what is listed above"
        raise DataError(f"{found.folder}: {wrong} things to mend; {first}")


def _impossible(found: authored.Authored) -> None:
    """Not errors: the model is mistaken more often than the label, so a reader has to look."""
    from ..evaluation import crossval
    from ..training import corpus
    from .evaluate import progress

    places = {(item.lang, item.batch, item.text): item for item in found.rows}
    result = crossval.cross_validate(corpus.read([found.folder]), progress=progress)
    doubtful = []
    for row, p in zip(result.rows, result.scores[1.0], strict=True):
        own = float(p[LABELS.index(row.label)])
        item = places.get((row.lang, row.group, row.text))
        if own < IMPOSSIBLE and item is not None:
            doubtful.append((own, item, LABELS[int(p.argmax())]))
    for own, item, said in sorted(doubtful, key=lambda found: found[0]):
        text = " ".join(item.text.split())
        click.echo(
            f"second look: {item.where} {item.id} {item.label}/{item.kind} {own:.2%}, "
            f"model says {said}: {text[:100]}"
        )
    click.echo(f"{len(doubtful)} rows for a second look")


@data.command()
@click.argument("folder", required=False, type=click.Path(), metavar="[DIR]")
def counts(folder: str | None) -> None:
    """Print the per-language table of the datasheet as Markdown."""
    head, body = authored.counts_by_language(authored.read(_folder(folder)))
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    click.echo("\n".join(f"| {' | '.join(line)} |" for line in lines))
