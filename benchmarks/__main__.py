"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from consentclf import load
from consentclf.classifier import shipped_model

from . import measures, report
from .corpus import build

PLACE = click.Path(dir_okay=False, path_type=Path)

SECTIONS: dict[str, Callable[[measures.Bench, bool], None]] = {
    "speed": lambda bench, full: measures.speed(bench),
    "single": lambda bench, full: measures.single(bench),
    "long": lambda bench, full: measures.long_paragraph(bench),
    "growth": measures.growth,
    "parallel": lambda bench, full: measures.parallel(bench),
    "cold": measures.cold,
    "profile": lambda bench, full: measures.profile(bench),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model", type=click.Path(exists=True, dir_okay=False), help="Model file; the shipped one without."
)
@click.option("--rounds", default=9, show_default=True, help="Interleaved rounds.")
@click.option("--scale", default=1.0, show_default=True, help="Share of the usual amount of work.")
@click.option("--full", is_flag=True, help="Streams up to 1 GB: some minutes more.")
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)), help="A part; may be repeated.")
@click.option("--json", "json_file", type=PLACE, help="Write the rows as JSON.")
@click.option("--svg", "svg_file", type=PLACE, help="Write a plot of the rates.")
@click.option("--docs", "docs_file", type=PLACE, help="Replace the generated block of this Markdown file.")
def main(
    model: str | None,
    rounds: int,
    scale: float,
    full: bool,
    only: tuple[str, ...],
    json_file: Path | None,
    svg_file: Path | None,
    docs_file: Path | None,
) -> None:
    """Measure speed and memory beside what others use."""
    with tempfile.TemporaryDirectory() as place:
        # A copy: the children load it too, and training may put another one there meanwhile.
        copy = Path(place) / "model.safetensors"
        shutil.copyfile(model or shipped_model(), copy)
        classifier = load(copy)
        material = build(max(200, int(20_000 * scale)), max(20, int(400 * scale)))
        bench = measures.Bench(classifier, material, rounds, scale, lambda line: click.echo(line, err=True))
        for name in only or SECTIONS:
            click.echo(f"measuring: {name}", err=True)
            SECTIONS[name](bench, full)
    rows = bench.rows
    click.echo(report.table(rows), nl=False)
    settings = classifier.model.settings
    about = {"families": list(settings.families), "bits": settings.bits, "digest": classifier.model.digest}
    if json_file:
        json_file.write_text(report.as_json(rows, about), encoding="utf-8")
    if svg_file and any(row.section == "speed" for row in rows):
        svg_file.write_text(report.svg(rows), encoding="utf-8")
    if docs_file:
        command = (
            "python -m benchmarks"
            + (" --full" if full else "")
            + (f" --scale {scale:g}" if scale != 1 else "")
        )
        report.insert(docs_file, report.markdown(rows, about, command))


if __name__ == "__main__":
    main()
