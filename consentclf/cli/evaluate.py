"""`consentclf evaluate`: figures of a model on labelled pages and paragraphs, beside baselines, or by
folds."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..classifier import MODES, Classifier, load, shipped_data
from ..errors import DataError
from ..evaluation import datasets, measure, tables
from ..files import replacing, unreadable
from ..training import corpus

#: A dataset, what each classifier called its paragraphs, and the report on it.
Entry = tuple[datasets.Dataset, dict[str, measure.Calls], dict[str, Any]]


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(), metavar="DATA...")
@click.option(
    "--model",
    "model_path",
    type=click.Path(),
    metavar="FILE",
    help="Model file; without it, the one shipped.",
)
@click.option("--mode", type=click.Choice(MODES), default="balanced", show_default=True)
@click.option(
    "--labels", type=click.Path(), metavar="FILE", help="Labels of a text file among DATA, one a line."
)
@click.option("--skip-lorem", is_flag=True, help="Leave out pages with lorem-ipsum text.")
@click.option(
    "--extracted",
    type=click.IntRange(0),
    metavar="N",
    help="Cut each page down to its main text and at most N other paragraphs.",
)
@click.option("--seed", default=1, show_default=True, help="For --extracted and for folds.")
@click.option(
    "--bootstrap",
    "resamples",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Resamples by page (single paragraphs: by batch) for 95% intervals; 1000 is usual.",
)
@click.option(
    "--baselines",
    "with_baselines",
    is_flag=True,
    help="Also C4's line filter, jusText, fastText and scikit-learn, on the same paragraphs.",
)
@click.option(
    "--train",
    "train_on",
    multiple=True,
    type=click.Path(),
    metavar="DATA",
    help="What the trained baselines learn from; without it, the project's data.",
)
@click.option(
    "--cross-validate",
    is_flag=True,
    help="Retrain the first stage without each fold of DATA's batches, and score that fold.",
)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option(
    "--with",
    "always",
    multiple=True,
    type=click.Path(),
    metavar="CORPUS",
    help="In every training part of --cross-validate.",
)
@click.option(
    "--learning-curve",
    is_flag=True,
    help="With --cross-validate: a quarter, half, three quarters and all of the training batches.",
)
@click.option(
    "--json", "json_path", type=click.Path(), metavar="FILE", help="Write everything measured to this file."
)
@click.option(
    "--html", "html_path", type=click.Path(), metavar="FILE", help="Write everything as one HTML page."
)
@click.option(
    "--curve",
    "curve_path",
    type=click.Path(),
    metavar="FILE",
    help="For --html: a learning curve to show, the --json of a run with --learning-curve.",
)
def evaluate(
    data: tuple[str, ...],
    model_path: str | None,
    mode: str,
    labels: str | None,
    skip_lorem: bool,
    extracted: int | None,
    seed: int,
    resamples: int,
    with_baselines: bool,
    train_on: tuple[str, ...],
    cross_validate: bool,
    folds: int,
    always: tuple[str, ...],
    learning_curve: bool,
    json_path: str | None,
    html_path: str | None,
    curve_path: str | None,
) -> None:
    """Measure a model on labelled DATA: files or folders of JSON Lines.

    Each file is reported for itself, and each folder inside a folder; the first stage (each paragraph alone)
    and the page stage stand side by side. Pages give main text by characters; where the labels are the four,
    macro-F1 too. Paragraphs labelled ambiguous or unsure are part of their page but not measured.
    """
    for path in (json_path, html_path):
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise DataError(f"{path}: its folder does not exist; make it, or name another place")
    if curve_path is not None and html_path is None:
        raise click.UsageError("--curve goes with --html.")
    learned = read_curve(curve_path) if curve_path is not None else None
    classifier = None
    if cross_validate:
        if with_baselines or extracted is not None or model_path is not None:
            raise click.UsageError(
                "--cross-validate trains its own models: no --model, --baselines or --extracted."
            )
        result, entries = _cross_validate(data, always, folds, seed, learning_curve, resamples)
        about = f"{folds} folds of {', '.join(data)}: no paragraph was scored by a model that saw its batch"
        unexplained = "The models of the folds are not kept, so these errors come without their reasons."
        if learning_curve:
            learned = result["by_share_of_batches"]
    else:
        if learning_curve or always:
            raise click.UsageError("--learning-curve and --with go with --cross-validate.")
        if train_on and not with_baselines:
            raise click.UsageError("--train goes with --baselines.")
        classifier = load(model_path).with_mode(mode)
        found = datasets.load(data, skip_lorem, labels)
        if extracted is not None:
            found = [datasets.extracted(d, extracted, seed) for d in found if d.paged]
            if not found:
                raise DataError("--extracted cuts pages down, and there is no page in the data named")
        result, entries = _evaluate(classifier, found, resamples, train_on if with_baselines else None)
        about = f"consentclf {__version__}, model {classifier.model.digest[:16]}, mode {mode}"
        unexplained = ""
    if json_path is not None:
        write_json(json_path, result)
    if html_path is not None:
        from ..evaluation import html

        page = html.page(
            [html.Entry(*entry) for entry in entries], classifier, about, learned, explained=unexplained
        )
        with replacing(html_path, "w", encoding="utf-8") as file:
            file.write(page)


def _evaluate(
    classifier: Classifier, found: Sequence[datasets.Dataset], resamples: int, train_on: Sequence[str] | None
) -> tuple[dict[str, Any], list[Entry]]:
    reports = []
    entries: list[Entry] = []
    rivals = []
    trained_files: set[Path] = set()
    if train_on is not None:
        from ..evaluation import baselines

        paths = list(train_on) or [str(shipped_data())]
        trained_files = {path.resolve() for path in corpus.find_files(paths)}
        rows = baselines.training_rows(corpus.read(paths))
        progress(f"training baselines on {len(rows):,} paragraphs of {', '.join(paths)}")
        rivals = baselines.build(rows, progress)
    digests = {datasets.digest_of([path]) for path in trained_files}
    own = {
        source.get("source")
        for source in classifier.model.card.get("sources", [])
        if isinstance(source, dict)
    }
    for dataset in found:
        stages = measure.run(classifier, dataset)
        notes = []
        if dataset.authored and "authored" in own:
            notes.append("the model was trained on authored data, perhaps on this: see --cross-validate")
        if digests.intersection(dataset.file_digests):
            notes.append(
                "fastText and char TF-IDF were trained on these very paragraphs: their figures mean nothing"
            )
        for rival in rivals:
            stages[rival.name] = rival.call(dataset)
            notes += [f"{rival.name}: {note}" for note in rival.notes]
        report = measure.report(dataset, stages, resamples)
        report["notes"] += notes
        reports.append(report)
        entries.append((dataset, stages, report))
        click.echo(tables.dataset_tables(report) + "\n")
    return {
        "consentclf": __version__,
        "model": {"path": classifier.path, "digest": classifier.model.digest},
        "mode": classifier.mode,
        "datasets": reports,
    }, entries


def _cross_validate(
    data: Sequence[str], always: Sequence[str], folds: int, seed: int, curve: bool, resamples: int
) -> tuple[dict[str, Any], list[Entry]]:
    from ..evaluation import crossval

    authored = corpus.read(data)
    result = crossval.cross_validate(
        authored,
        corpus.read(always) if always else None,
        folds=folds,
        fractions=crossval.FRACTIONS if curve else (1.0,),
        seed=seed,
        progress=progress,
    )
    reports = {str(fraction): result.figures(fraction, resamples) for fraction in result.scores}
    click.echo(tables.crossval_tables(reports, result.dataset, folds, list(data), list(always)))
    scores = result.scores[1.0]
    calls = measure.Calls(scores.argmax(axis=1), scores)
    entry = (result.dataset, {"first": calls}, measure.report(result.dataset, {"first": calls}, resamples))
    return {
        "consentclf": __version__,
        "data": list(data),
        "sha256": datasets.digest_of(corpus.find_files(data)),
        "with": list(always),
        "folds": folds,
        "seed": seed,
        "by_share_of_batches": reports,
    }, [entry]


def read_curve(path: str) -> dict[str, Any]:
    """The learning curve in a file that ``--learning-curve --json`` wrote."""
    try:
        curve = json.loads(Path(path).read_text(encoding="utf-8"))["by_share_of_batches"]
        if not all(isinstance(report["figures"]["macro_f1"], float) for report in curve.values()):
            raise TypeError
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path}: no learning curve; write one with --learning-curve --json") from None
    return dict(curve)


def progress(message: str) -> None:
    """Say on stderr what is being done."""
    click.echo(message, err=True)


def write_json(path: str, result: Any) -> None:
    """Write figures as JSON, whole or not at all."""
    with replacing(path, "w", encoding="utf-8") as file:
        json.dump(finite(result), file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")


def finite(value: Any) -> Any:
    """JSON has no NaN: a figure that is not defined becomes null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
