"""``consentclf train``: make a model from labelled paragraphs and pages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from ..classifier import shipped_data
from ..errors import DataError
from ..files import check_writable, replacing
from ..model import from_bytes
from . import common
from .info import figure_lines

#: Stages that training reports, for the bar: one missed or added makes it jump, no more.
_STAGES = 7
#: Warnings printed one by one; the rest are counted.
_MAX_WARNINGS = 20


@click.command(short_help="Train a model on labelled paragraphs and pages.")
@click.argument("data", nargs=-1, metavar="[DATA]...")
@click.option("--out", required=True, metavar="MODEL", help="Where to write the model.")
@click.option("--with-shipped", is_flag=True, help="Train on the project's own data beside DATA.")
@click.option(
    "--save-pipeline", metavar="FILE", help="Also write the first stage as a scikit-learn Pipeline."
)
@click.option("--card", "card_path", metavar="FILE", help="Also write the model's card as Markdown.")
@click.option("--config", metavar="FILE", help="Sampling settings, laid over those of training/sampling.ini.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1), help="Processes for the folds; without it, one a processor.")
def train(
    data: tuple[str, ...],
    out: str,
    with_shipped: bool,
    save_pipeline: str | None,
    card_path: str | None,
    config: str | None,
    seed: int,
    jobs: int | None,
) -> None:
    """Train a model on DATA: files of JSON Lines, plain or .gz, and folders of them.

    Without DATA it trains on the project's own data. DATA named is all that is used, unless --with-shipped
    adds the project's. One paragraph a line {"text", "label", "lang"?, "source"?}, or one page a line {"id",
    "lang"?, "source"?, "paragraphs": [{"text", "label"}]}. What comes from one source is never split between
    training and measuring.

    Texts that occur under two labels outside pages are named in a warning, and trained on as they are.
    """
    common.require("training", {"sklearn": "scikit-learn", "joblib": "joblib"})
    from ..training import card, corpus, sampling

    paths = [*data, str(shipped_data())] if with_shipped or not data else list(data)
    _check_outputs([path for path in (out, save_pipeline, card_path) if path], corpus.find_files(paths))
    settings = sampling.read_config(config)
    with _progress() as progress:
        progress("reading data")
        read = corpus.read(paths)
        for warning in read.warnings[:_MAX_WARNINGS]:
            common.complain(f"warning: {warning}")
        if len(read.warnings) > _MAX_WARNINGS:
            common.complain(f"warning: and {len(read.warnings) - _MAX_WARNINGS} more such texts")

        from ..training import fit  # scikit-learn: a second that a mistake in the data need not cost

        try:
            options = fit.Settings(seed=seed, jobs=jobs or os.cpu_count() or 1)
            result = fit.train(read, options, settings, progress)
        except DataError as error:
            raise DataError(f"{', '.join(paths)}: {error}") from None
    figures = card.figures(result.held_out)
    result.model.card["figures"] = figures
    with contextlib.ExitStack() as files:
        # The model is renamed into place last: what stands there is whole, and so are its companions.
        body = result.model.to_bytes()
        made = from_bytes(body)  # as others will read it: a model that would not load is not written
        files.enter_context(replacing(out)).write(body)
        if card_path:
            text = card.markdown(made.card, made.digest, len(body))
            files.enter_context(replacing(card_path)).write(text.encode())
        if save_pipeline:
            import joblib

            joblib.dump(result.pipeline, files.enter_context(replacing(save_pipeline)))
    for stage, title in (("alone", "each paragraph alone"), ("page", "with its page")):
        if stage in figures:
            click.echo(f"Held out by source, {title}:\n")
            click.echo("\n".join(figure_lines(figures[stage])) + "\n")
    for reason, count in sorted(result.skipped.items()):
        click.echo(f"left out: {count:,} rows ({reason})")
    click.echo(f"{out}: {os.path.getsize(out):,} bytes")


def _check_outputs(outputs: Sequence[str], inputs: Sequence[Path]) -> None:
    """Before hours of work: every output can be written, and none is another's place or an input."""
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise DataError(f"{path}: named twice, or a file of the data; name another file to write")
        taken.add(os.path.realpath(path))
        check_writable(path)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A bar over the stages of training, on a terminal; elsewhere silence."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    with click.progressbar(length=_STAGES, file=sys.stderr, item_show_func=lambda stage: stage) as bar:
        # The bar shows stages done, beside the one at work.
        started = False

        def progress(stage: str) -> None:
            nonlocal started
            bar.update(int(started and bar.pos < _STAGES - 1), stage)
            started = True

        yield progress
        bar.update(_STAGES - bar.pos, "done")
