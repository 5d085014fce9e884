"""The gate: figures that may rise and may not fall.

``models/floors.json`` holds, for each evaluation, the SHA-256 of its data and the figures reached on it. A
figure worse than its floor fails, and so does data other than that the floor was set on: the numbers would
not compare.

Two kinds of evaluation:

- ``data/...`` needs nothing beside the repository. The shipped model was trained on all of ``data/``, so
  measuring that model on it would be cheating. Where the trainer left figures of held-out paragraphs in the
  model card (``card["held_out"]``: figure -> number), they are taken. Else the first stage is cross-validated
  here in five folds by batch: what is gated then is the recipe together with the data, on paragraphs that no
  model saw the batch of. The shipped file itself is gated by the other kind.
- ``eval/...`` measures the shipped model on the files of ``../shared/eval``, where that folder is present.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..classifier import Classifier
from ..errors import DataError
from ..training import corpus
from . import crossval, datasets, measure

#: Figures where less is better; their floor is a ceiling.
LOWER_IS_BETTER = frozenset(
    ("article_loss_chars", "consent_leak", "hard_article_called_consent", "article_called_consent", "ece")
)
#: A figure may be this much worse: prediction repeats to the last digit or two on other machines, a training
#: run repeats to about this.
TOLERANCE = {"eval": 0.0005, "data": 0.004}

_HELD_OUT = ("macro_f1", "hard_article_called_consent", "consent_leak", "article_loss_chars", "ece")
Figures = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of the gate: its name, the files it reads, and how it gets its figures."""

    name: str
    files: tuple[Path, ...]
    run: Callable[[], Figures]

    @property
    def present(self) -> bool:
        """Whether all its files are here."""
        return all(path.exists() for path in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of what it reads."""
        return datasets.digest_of(corpus.find_files(self.files) if self.files[0].is_dir() else self.files)


@dataclass(frozen=True)
class Finding:
    """What the gate has to say about one figure."""

    evaluation: str
    figure: str
    value: float
    floor: float | None
    verdict: str  # ok, better, WORSE, NEW, GONE, DATA CHANGED

    @property
    def passed(self) -> bool:
        """Whether it does not fail the gate."""
        return self.verdict in ("ok", "better")


def evaluations(classifier: Classifier, data: Path, shared: Path, labels: Path) -> list[Evaluation]:
    """Every evaluation there is, whether its data is here or not.

    labels : labels of the founding example's paragraphs, one a line.
    """
    held = classifier.model.card.get("held_out")
    out = [
        Evaluation("data/held-out-by-trainer", (data,), lambda: {k: float(v) for k, v in held.items()})
        if isinstance(held, dict) and held
        else Evaluation("data/five-folds-by-batch", (data,), lambda: cross_validated(data))
    ]
    folder = shared / "eval"

    def pages(name: str, *figures: str, skip_lorem: bool = False, others: int | None = None) -> None:
        file = folder / f"{name}.jsonl.gz"

        def run() -> Figures:
            dataset = datasets.load([str(file)], skip_lorem)[0]
            if others is not None:
                dataset = datasets.extracted(dataset, others, seed=1)
            return _page_figures(classifier, dataset, figures)

        out.append(
            Evaluation(f"eval/{name}" + ("" if others is None else f"-extracted-{others}"), (file,), run)
        )

    pages("gold_pages", "macro_f1", "article_loss_chars", "main_f1", "consent_recall", "ece")
    pages("pages_wcxb_test", "main_f1", "page_mean_f1", "article_loss_chars")
    pages("pages_mozilla", "main_f1", "page_mean_f1", "article_loss_chars", skip_lorem=True)
    for name in ("pages_wcxb_test", "pages_mozilla"):
        pages(name, "article_loss_chars", "others_dropped", skip_lorem=True, others=5)
    seed = folder / "seed_rt_fr.txt"
    out.append(
        Evaluation(
            "eval/seed_rt_fr",
            (seed, labels),
            lambda: _page_figures(
                classifier, datasets.load([str(seed)], labels=str(labels))[0], ("accuracy",)
            ),
        )
    )
    return out


def _page_figures(classifier: Classifier, dataset: datasets.Dataset, names: tuple[str, ...]) -> Figures:
    got = measure.measure(dataset, measure.run(classifier, dataset)["page"])
    return {name: got["calibration"]["ece"] if name == "ece" else got["figures"][name] for name in names}


def cross_validated(data: Path) -> Figures:
    """Cross-validate the first stage; see the module's docstring."""
    result = crossval.cross_validate(corpus.read([data]))
    got = result.figures()
    return {name: got["calibration"]["ece"] if name == "ece" else got["figures"][name] for name in _HELD_OUT}


# -- floors ------------------------------------------------------------------------------------------------


def read_floors(path: Path) -> dict[str, Any]:
    """The floors file: evaluation -> {"data": SHA-256, "figures": {figure: floor}}; empty where there is none
    yet."""
    if not path.exists():
        return {}
    try:
        floors = json.loads(path.read_text(encoding="utf-8"))
        for entry in floors.values():
            if not isinstance(entry["data"], str):
                raise TypeError("data is no digest")
            entry["figures"] = {str(name): float(value) for name, value in entry["figures"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: no floors file ({error}); restore it from version control") from None
    return dict(floors)


def compare(name: str, figures: Figures, digest: str, floor: dict[str, Any] | None) -> list[Finding]:
    """One finding for each figure, now or then."""
    then: Figures = floor["figures"] if floor else {}
    same = floor is not None and floor["data"] == digest
    tolerance = TOLERANCE[name.partition("/")[0]]
    out = []
    for figure in sorted({*figures, *then}):
        value, old = figures.get(figure, math.nan), then.get(figure)
        if old is None:
            verdict = "NEW"
        elif math.isnan(value):
            verdict = "GONE"
        elif not same:
            verdict = "DATA CHANGED"
        else:
            gain = (old - value) if figure in LOWER_IS_BETTER else (value - old)
            verdict = "WORSE" if gain < -tolerance else "better" if gain > 1e-5 else "ok"
        out.append(Finding(name, figure, value, old, verdict))
    return out


def updated(
    floors: dict[str, Any], name: str, digest: str, findings: list[Finding], allow_regression: bool
) -> tuple[dict[str, Any], list[Finding]]:
    """Floors raised to the figures found, and the findings that forbid it.

    On the same data a figure that fell, even within the tolerance, keeps its floor, or creeping loss would
    pass. On changed data the figures do not compare, but one that is worse than the floor beyond the
    tolerance still needs ``allow_regression``: else editing the data would be a way around the gate.
    """
    figures: Figures = {}
    refused = []
    tolerance = TOLERANCE[name.partition("/")[0]]
    for found in findings:
        if found.floor is None:
            figures[found.figure] = found.value
            continue
        gone = math.isnan(found.value)
        sign = -1 if found.figure in LOWER_IS_BETTER else 1
        gain = -math.inf if gone else sign * (found.value - found.floor)
        if gain < -tolerance and not allow_regression:
            refused.append(found)
            figures[found.figure] = found.floor
        elif not gone:
            keep = -tolerance <= gain < 0 and not allow_regression and found.verdict != "DATA CHANGED"
            figures[found.figure] = found.floor if keep else found.value
    if refused:
        return floors, refused
    entry = {
        "data": digest,
        "figures": {k: round(v, 6) for k, v in sorted(figures.items()) if not math.isnan(v)},
    }
    return {**floors, name: entry}, []
