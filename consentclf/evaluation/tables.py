"""Aligned tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..labels import LABELS
from .datasets import Dataset


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first to the left, the others to the right.

    A heading ``group|name`` is shown as two lines, each group once over its columns.
    """
    pairs = [title.rpartition("|") for title in head]
    groups = [group for group, _, _ in pairs]
    names = [name for _, _, name in pairs]
    widths = [max(len(row[j]) for row in [names, *rows]) for j in range(len(names))]
    spans: list[tuple[str, int]] = []  # group, columns
    for j, group in enumerate(groups):
        if spans and group and groups[j - 1] == group:
            spans[-1] = (group, spans[-1][1] + 1)
        else:
            spans.append((group, 1))
    over = []
    at = 0
    for group, columns in spans:
        room = sum(widths[at : at + columns]) + 2 * (columns - 1)
        widths[at] += max(0, len(group) - room)
        over.append(group.rjust(max(room, len(group))))
        at += columns
    lines = []
    for row in [names, *rows]:
        cells = [row[0].ljust(widths[0])] + [
            cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    if any(groups):
        lines.insert(0, "  ".join(over).rstrip())
    return "\n".join(lines)


def number(value: float | None, digits: int = 3) -> str:
    """A share to three digits, `-` where it is not defined."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share in per cent, for figures that should be near nought."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}%"


#: Names of the model's own stages among what was measured.
STAGES = ("first", "page")
#: What is printed of a whole dataset: figure, heading, how.
_FIGURES = (
    ("accuracy", "paragraphs right", number),
    ("macro_f1", "macro-F1", number),
    ("main_precision", "main text, precision by characters, pooled", number),
    ("main_recall", "main text, recall by characters, pooled", number),
    ("main_f1", "main text, F1 by characters, pooled", number),
    ("page_mean_precision", "main text, precision, mean over pages", number),
    ("page_mean_recall", "main text, recall, mean over pages", number),
    ("page_mean_f1", "main text, F1, mean over pages", number),
    ("main_f1_if_all_kept", "main text, F1 if nothing were dropped", number),
    ("article_loss_chars", "article loss by characters", percent),
    ("article_loss_paragraphs", "article loss by paragraphs", percent),
    ("article_called_consent", "article called consent", percent),
    ("consent_recall", "consent recall", number),
    ("consent_leak", "consent leak (called article)", percent),
    ("others_dropped", "other paragraphs dropped", percent),
)


def dataset_tables(report: Mapping[str, Any]) -> str:
    """Everything printed of one dataset."""
    stages: Mapping[str, Any] = report["stages"]
    names = list(stages)
    pages = f"{report['pages']} pages, " if report["pages"] else ""
    of_labels = names if report["gold"].startswith("four") else [name for name in names if name in STAGES]
    parts = [
        f"== {report['name']}: {pages}{report['paragraphs']} paragraphs, "
        f"{report['not_measured']} not measured; gold: {report['gold']}"
        + "".join(f"\n   note: {note}" for note in report["notes"]),
        _overall(stages, names),
        _labels(stages, of_labels),
    ]
    own = [name for name in names if name in STAGES]  # the baselines' slices are in the JSON
    for name, by in stages[own[0]]["by"].items():
        if len(by) > 1:
            parts.append(_slice(name, stages, own))
    parts += [_calibration(stages[name]["calibration"], name) for name in own]
    return "\n\n".join(parts)


def crossval_tables(
    reports: Mapping[str, Any], dataset: Dataset, folds: int, data: Sequence[str], always: Sequence[str]
) -> str:
    """Everything printed of a cross-validation; ``reports`` by the share of the training batches."""
    beside = f", always with {', '.join(always)}" if always else ""
    shares = {share: f"{float(share):.0%}" for share in reports}
    trained = [f"{reports[share]['figures']['trained_on']:,.0f}" for share in reports]
    rows = [
        [heading, *(show(reports[share]["figures"].get(figure)) for share in reports)]
        for figure, heading, show in (
            ("macro_f1", "macro-F1", number),
            *((f"{label}_f1", f"{label} F1", number) for label in LABELS),
            ("hard_article_called_consent", "articles about privacy and of pairs, called consent", percent),
            ("privacy_article_called_consent", "  about privacy", percent),
            ("pair_article_called_consent", "  of pairs", percent),
            ("article_called_consent", "all articles, called consent", percent),
            ("consent_leak", "consent, called article", percent),
            ("article_loss_paragraphs", "article loss by paragraphs", percent),
        )
    ]
    rows.insert(0, ["training rows, mean over folds", *trained])
    rows.append(["expected calibration error", *(number(reports[s]["calibration"]["ece"]) for s in reports)])
    last = list(reports)[-1]
    stages = {"first": reports[last]}
    parts = [
        f"== {', '.join(data)}: {folds} folds by batch, first stage retrained{beside}; "
        f"{len(dataset.texts)} single paragraphs in {dataset.units} batches",
        table(["share of the training batches", *shares.values()], rows),
        _overall(stages, ["first"]),
        _labels(stages, ["first"]),
        *(_slice(name, stages, ["first"]) for name in reports[last]["by"]),
        _calibration(reports[last]["calibration"], "first"),
    ]
    return "\n\n".join(parts)


def _overall(stages: Mapping[str, Any], names: Sequence[str]) -> str:
    rows = []
    for figure, heading, show in _FIGURES:
        values = [stages[name]["figures"].get(figure, math.nan) for name in names]
        if all(math.isnan(value) for value in values):
            continue
        row = [heading]
        for name, value in zip(names, values, strict=True):
            interval = stages[name].get("intervals", {}).get(figure)
            row.append(show(value) + (f" [{show(interval[0])}, {show(interval[1])}]" if interval else ""))
        rows.append(row)
    errors = [
        number(stages[name]["calibration"]["ece"]) if "calibration" in stages[name] else "-" for name in names
    ]
    rows.append(["expected calibration error", *errors])
    return table(["", *names], rows)


def _labels(stages: Mapping[str, Any], names: Sequence[str]) -> str:
    head = ["label", "gold", *(f"{name}|{what}" for name in names for what in ("P", "R", "F1"))]
    rows = []
    for label in LABELS:
        figures = [stages[name]["figures"] for name in names]
        if not any(f"{label}_f1" in f for f in figures):
            continue
        row = [label, f"{figures[0][f'{label}_support']:.0f}"]
        for f in figures:
            row += [number(f.get(f"{label}_{what}")) for what in ("precision", "recall", "f1")]
        rows.append(row)
    return table(head, rows)


def _slice(title: str, stages: Mapping[str, Any], names: Sequence[str]) -> str:
    columns: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
        ("macro_f1", "macro-F1", number), ("accuracy", "right", number), ("main_f1", "main F1", number),
        ("article_loss_chars", "loss", percent), ("consent_recall", "consent R", number),
        ("consent_leak", "leak", percent),
    )  # fmt: skip
    first = stages[names[0]]["by"][title]
    chosen = [
        column
        for column in columns
        if any(
            not math.isnan(row.get(column[0], math.nan))
            for name in names
            for row in stages[name]["by"][title].values()
        )
    ]
    if title.startswith("kind"):
        chosen = [column for column in chosen if column[0] != "macro_f1"] or chosen
    head = [title, "n", *(f"{short}|{name}" for _, short, _ in chosen for name in names)]
    rows = []
    order = list(first) if title == "length" else sorted(first, key=lambda key: -first[key]["paragraphs"])
    if title == "length":
        order.sort(key=lambda key: int(key.rstrip("+").split("-")[0]))
    for key in order:
        row = [key, f"{first[key]['paragraphs']:.0f}"]
        for figure, _, show in chosen:
            row += [show(stages[name]["by"][title][key].get(figure)) for name in names]
        rows.append(row)
    return table(head, rows)


def _calibration(calibration: Mapping[str, Any], name: str) -> str:
    rows = [
        [f"{b['from']:.1f}-{b['to']:.1f}", str(b["paragraphs"]), number(b["score"]), number(b["right"])]
        for b in calibration["table"]
    ]
    head = [f"{name}: score of the label given", "paragraphs", "mean score", "share right"]
    return table(head, rows) + f"\nexpected calibration error {number(calibration['ece'], 4)}"
