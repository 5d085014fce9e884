"""The model's card: figures of what was held out, and the card as Markdown. Needs no scikit-learn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ..labels import LABELS, MEANING

#: Languages with fewer held-out paragraphs are pooled: their figures would be noise.
MIN_PARAGRAPHS = 100

#: Of a held-out paragraph: language, kind, true label, the first stage's label, the page stage's or "".
HeldOut = tuple[str, str, str, str, str]


def figures(held_out: Iterable[HeldOut]) -> dict[str, Any]:
    """Figures for the card: ``alone`` (first stage) and ``page``, each per label and per language.

    A stage without any held-out paragraph is left out.
    """
    stages: dict[str, list[tuple[str, str, str]]] = {"alone": [], "page": []}
    for lang, _, true, alone, page in held_out:
        if alone:
            stages["alone"].append((lang or "und", true, alone))
        if page:
            stages["page"].append((lang or "und", true, page))
    return {
        stage: {"labels": _per_label(rows), "languages": _per_language(rows)}
        for stage, rows in stages.items()
        if rows
    }


def _per_label(rows: list[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
    pairs = Counter((true, given) for _, true, given in rows)
    out = {}
    for label in LABELS:
        right = pairs[label, label]
        true = sum(count for (t, _), count in pairs.items() if t == label)
        given = sum(count for (_, g), count in pairs.items() if g == label)
        out[label] = {
            "paragraphs": true,
            "precision": round(right / given, 4) if given else 0.0,
            "recall": round(right / true, 4) if true else 0.0,
            "f1": round(2 * right / (true + given), 4) if true + given else 0.0,
        }
    return out


def _per_language(rows: list[tuple[str, str, str]]) -> dict[str, dict[str, Any]]:
    by_language: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows:
        by_language[row[0]].append(row)
    small = [lang for lang, found in by_language.items() if len(found) < MIN_PARAGRAPHS]
    pooled = [row for lang in small for row in by_language.pop(lang)]
    out = {lang: _summary(found) for lang, found in sorted(by_language.items())}
    if pooled:
        out[small[0] if len(small) == 1 else f"{len(small)} others"] = _summary(pooled)
    if len(out) > 1:
        out["all"] = _summary(rows)
    return out


def _summary(rows: list[tuple[str, str, str]]) -> dict[str, Any]:
    labels = [v["f1"] for v in _per_label(rows).values() if v["paragraphs"]]
    return {
        "paragraphs": len(rows),
        "right": round(sum(true == given for _, true, given in rows) / len(rows), 4),
        "macro_f1": round(sum(labels) / len(labels), 4),
    }


# -- Markdown -----------------------------------------------------------------------------------------------


def markdown(card: Mapping[str, Any], digest: str, size: int) -> str:
    """The card as Markdown. Every figure is the card's; a part that the card lacks is left out."""
    parts = [
        f"# Model card: {card['name']}",
        "Written by `consentclf train`; do not edit. `consentclf info` prints the same in the terminal.",
        "Labels each paragraph of a crawled page, alone or with its page. Two stages: hashed TF-IDF of "
        "character and word n-grams with logistic regression, one label against the rest, then a small logistic "
        "regression over the scores of a paragraph's neighbours.",
        _table(["label", "meaning"], [[f"`{label}`", MEANING[label]] for label in card["labels"]]),
        "## Facts",
        _table(["", ""], [[name, value] for name, value in _facts(card, digest, size) if value]),
        "## Intended use",
        "Cleaning crawled text: dropping consent notices, banners and navigation, keeping articles, those "
        "about cookies and privacy included. Not a judge of whether a notice is lawful, or what a text is "
        "worth. It sees words and their neighbours, not meaning: expect errors on very short lines without a "
        "page, on genres and languages that the tables below lack, and on text that imitates another label.",
    ]
    stages = card.get("figures") or {}
    if stages:
        parts += ["## Figures", "From training, on paragraphs held out by source, never by single paragraph."]
    for stage, title in (("alone", "Each paragraph alone"), ("page", "With its page")):
        if stage in stages:
            parts += [f"### {title}", *_figures(stages[stage])]
    parts += [
        "## Modes",
        "The score a label needs. A paragraph below it becomes `article`, or, when it was `article`, its "
        "next best label.",
        _table(
            ["mode", *card["labels"]],
            [[mode, *(f"{t[k]:g}" if k in t else "–" for k in card["labels"])]
             for mode, t in sorted(card["thresholds"].items())],
        ),
        "## Training data",
    ]  # fmt: skip
    for name, title in (("rows", "kind of row"), ("pages", "pages from"), ("languages", "language")):
        if card.get(name):
            rows = [[str(key), f"{count:,}"] for key, count in card[name].items()]
            parts.append(_table([title, "rows" if name != "pages" else "pages"], rows))
    if card.get("sources"):
        rows = [
            [s["source"], s["licence"] or "not stated", s["version"] or "–", f"{s['paragraphs']:,}"]
            for s in card["sources"]
        ]
        parts += ["### Sources", _table(["source", "licence", "version", "paragraphs"], rows)]
    parts += [
        "## Train it again",
        "`python train.py ../shared/corpus` trains on `data/` and the folder named and writes the model and "
        "this card; the same data, seed and library versions give the same bytes.",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(card: Mapping[str, Any], digest: str, size: int) -> list[tuple[str, str]]:
    return [
        ("size", f"{size:,} bytes"),
        ("digest", f"`{digest}`"),
        ("n-grams", f"{', '.join(card['families'])} in {1 << card['bits']:,} slots"),
        ("passes of the page stage", str(card["passes"])),
        ("trained with", ", ".join(f"{k} {v}" for k, v in sorted((card.get("trained_with") or {}).items()))),
        ("consentclf", str(card.get("code_version", ""))),
        ("settings", ", ".join(f"{k} {v}" for k, v in sorted((card.get("settings") or {}).items()))),
        ("calibration", ", ".join(f"{k} {v['scale']:g}" for k, v in sorted(card["calibration"].items()))),
    ]


def _figures(stage: Mapping[str, Any]) -> list[str]:
    labels = [
        [name, f"{v['paragraphs']:,}", f"{v['precision']:.3f}", f"{v['recall']:.3f}", f"{v['f1']:.3f}"]
        for name, v in stage["labels"].items()
    ]
    languages = [
        [name, f"{v['paragraphs']:,}", f"{v['right']:.3f}", f"{v['macro_f1']:.3f}"]
        for name, v in stage["languages"].items()
    ]
    return [
        _table(["label", "paragraphs", "precision", "recall", "F1"], labels),
        _table(["language", "paragraphs", "right", "macro-F1"], languages),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
