"""``consentclf info``: the model's card in the terminal."""

from __future__ import annotations

import os
from typing import Any

import click

from ..classifier import shipped_model
from ..model import FORMAT_NUMBER
from . import common


@click.command(short_help="Show the model's card.")
@common.model_option
def info(model: str | None) -> None:
    """Show what the model is: its format, features, languages, sources, figures and thresholds."""
    classifier = common.open_model(model)
    path = model or str(shipped_model())
    click.echo(
        "\n".join(card_lines(classifier.model.card, classifier.model.digest, path, os.path.getsize(path)))
    )


def card_lines(card: dict[str, Any], digest: str, path: str, size: int) -> list[str]:
    """The card as lines of text. Only what it holds is shown: other models may know less of themselves."""
    calibration = card.get("calibration", {})
    facts = [
        ("name", str(card.get("name", "unnamed"))),
        ("file", path),
        ("size", f"{size / 1e6:.2f} MB"),
        ("format", f"{FORMAT_NUMBER} (safetensors)"),
        ("digest", digest),
        ("labels", ", ".join(card["labels"])),
        ("n-grams", f"{', '.join(card['families'])} in {1 << card['bits']:,} slots"),
        ("page stage", f"{card['passes']} pass{'es' if card['passes'] > 1 else ''}"),
        ("calibration", ", ".join(f"{stage} x{c['scale']:g}" for stage, c in sorted(calibration.items()))),
        ("trained with", ", ".join(f"{k} {v}" for k, v in sorted(_dict(card, "trained_with").items()))),
        ("code version", str(card.get("code_version", ""))),
        ("settings", ", ".join(f"{k} {v}" for k, v in sorted(_dict(card, "settings").items()))),
        ("languages", _counts(_dict(card, "languages"))),
        ("rows", _counts(_groups(_dict(card, "rows")))),
        ("pages", _counts(_dict(card, "pages"))),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f"{name:<{width}}  {value}" for name, value in facts if value]
    lines += [
        "",
        "modes: the score a label needs; below it the paragraph becomes article, or article's next best",
    ]
    for mode, asked in sorted(card["thresholds"].items()):
        lines.append(f"  {mode:<10} {', '.join(f'{k} {v:g}' for k, v in sorted(asked.items())) or 'none'}")
    figures = _dict(card, "figures")
    for stage, title in (("alone", "each paragraph alone"), ("page", "with its page")):
        if stage in figures:
            lines += ["", f"measured in training on paragraphs held out by source, {title}:"]
            lines += ["  " + line for line in figure_lines(figures[stage])]
    sources = card.get("sources", [])
    if sources:
        lines += ["", "sources:"]
        rows = [
            [s["source"], s["licence"] or "not stated", s["version"] or "-", f"{s['paragraphs']:,}"]
            for s in sorted(sources, key=lambda s: (-s["paragraphs"], s["source"]))
        ]
        lines += ["  " + line for line in common.table(rows, ["source", "licence", "version", "paragraphs"])]
    return lines


def figure_lines(figures: dict[str, Any]) -> list[str]:
    """Precision, recall and F1 per label and language as lines of a table."""
    rows = [
        [name, f"{v['paragraphs']:,}", f"{v['precision']:.3f}", f"{v['recall']:.3f}", f"{v['f1']:.3f}"]
        for name, v in figures["labels"].items()
    ]
    lines = common.table(rows, ["label", "paragraphs", "precision", "recall", "F1"])
    rows = [
        [name, f"{v['paragraphs']:,}", f"{v['right']:.3f}", f"{v['macro_f1']:.3f}"]
        for name, v in figures["languages"].items()
    ]
    return [*lines, "", *common.table(rows, ["language", "paragraphs", "right", "macro-F1"])]


def _dict(card: dict[str, Any], name: str) -> dict[str, Any]:
    value = card.get(name)
    return value if isinstance(value, dict) else {}


def _groups(rows: dict[str, int]) -> dict[str, int]:
    """Rows by the part of their kind before the slash: the kinds themselves are many."""
    out: dict[str, int] = {}
    for kind, count in rows.items():
        out[kind.partition("/")[0]] = out.get(kind.partition("/")[0], 0) + count
    return out


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
