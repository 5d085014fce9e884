"""`consentclf gate`: fails when a figure falls."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..classifier import load, shipped_data, shipped_model
from ..errors import DataError
from ..evaluation import gate as gates
from ..evaluation import tables
from ..files import replacing


@click.command()
@click.option("--update", is_flag=True, help="Raise floors to the figures found, and take over changed data.")
@click.option("--allow-regression", is_flag=True, help="With --update: lower floors too.")
@click.option(
    "--shared",
    type=click.Path(),
    metavar="DIR",
    help="Folder of the evaluation data; without it, ../shared beside the repository.",
)
@click.option(
    "--model",
    "model_path",
    type=click.Path(),
    metavar="FILE",
    help="Model file; without it, the one shipped.",
)
@click.option(
    "--data", "data_path", type=click.Path(), metavar="DIR", help="Authored data; without it, the project's."
)
@click.option(
    "--floors",
    "floors_path",
    type=click.Path(),
    metavar="FILE",
    help="Floors file; without it, floors.json beside the shipped model.",
)
@click.option("--only", metavar="TEXT", default="", help="Only the evaluations whose name contains TEXT.")
@click.pass_context
def gate(
    context: click.Context,
    update: bool,
    allow_regression: bool,
    shared: str | None,
    model_path: str | None,
    data_path: str | None,
    floors_path: str | None,
    only: str,
) -> None:
    """Compare the model's figures with their floors; exit code 1 when one fell or the data changed."""
    if allow_regression and not update:
        raise click.UsageError("--allow-regression goes with --update.")
    root = shipped_model().parent.parent
    floors_file = Path(floors_path) if floors_path else shipped_model().parent / "floors.json"
    folder = Path(shared) if shared else root.parent / "shared"
    data = Path(data_path) if data_path else shipped_data()
    labels = shipped_model().parent / "seed_rt_fr.labels"
    floors = gates.read_floors(floors_file)
    found = gates.evaluations(load(model_path), data, folder, labels)
    known = {evaluation.name for evaluation in found}
    chosen = [evaluation for evaluation in found if only in evaluation.name]
    if not chosen:
        raise DataError(f"no evaluation is named like {only!r}; there are {', '.join(sorted(known))}")
    findings: list[gates.Finding] = []
    failures = []
    for evaluation in chosen:
        if not evaluation.present:
            missing = next(path for path in evaluation.files if not path.exists())
            click.echo(
                f"NOT RUN: {evaluation.name}: {missing} is not here, its floors are unguarded", err=True
            )
            continue
        click.echo(f"measuring {evaluation.name}", err=True)
        digest = evaluation.digest
        compared = gates.compare(evaluation.name, evaluation.run(), digest, floors.get(evaluation.name))
        findings += compared
        if update:
            floors, refused = gates.updated(floors, evaluation.name, digest, compared, allow_regression)
            failures += refused
        else:
            failures += [finding for finding in compared if not finding.passed]
    stale = sorted(name for name in set(floors) - known if only in name)
    if update:
        floors = {name: entry for name, entry in floors.items() if name not in stale or not allow_regression}
    rows = [
        [f.evaluation, f.figure, tables.number(f.value, 4), tables.number(f.floor, 4), f.verdict]
        for f in findings
    ]
    if rows:
        click.echo(tables.table(["evaluation", "figure", "now", "floor", ""], rows))
    for name in stale:
        click.echo(
            f"floors for {name!r}, which is no longer measured; --update --allow-regression drops them",
            err=True,
        )
    if update:
        with replacing(floors_file, "w", encoding="utf-8") as file:
            json.dump(floors, file, indent=1, sort_keys=True)
            file.write("\n")
    if failures or (stale and not (update and allow_regression)):
        remedy = (
            "--allow-regression lowers them" if update else "--update takes over new data and better figures"
        )
        click.echo(f"gate: {len(failures) + len(stale)} failed; {remedy}", err=True)
        context.exit(1)
