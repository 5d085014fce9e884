"""Runs a model over datasets and gathers its figures, for the first stage alone and with the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classifier import Classifier
from ..labels import CONSENT, LABELS
from . import metrics
from .datasets import Dataset, batches, slices

#: Paragraphs of one call to the page stage.
_CALL = 20_000
#: Figures printed and stored for every slice.
SLICE_FIGURES = (
    "paragraphs", "macro_f1", "accuracy", "article_precision", "article_recall", "article_f1", "main_f1",
    "consent_recall", "consent_leak", "article_loss_chars", "article_loss_paragraphs", "consent_support",
    "article_support",
)  # fmt: skip


@dataclass(frozen=True)
class Calls:
    """What a classifier called each paragraph: a column of LABELS or metrics.OTHER, and its scores if it has
    any."""

    called: NDArray[np.int64]
    scores: NDArray[np.float64] | None = None
    #: Labels it can say. Macro-F1 means nothing for a classifier that says only article or not.
    labels: tuple[str, ...] = LABELS


def run(classifier: Classifier, dataset: Dataset) -> dict[str, Calls]:
    """Calls of each stage: ``first`` always, ``page`` where the paragraphs stand in pages."""
    scores = classifier.predict_proba(dataset.texts)
    out = {"first": Calls(classifier._decide(scores)[0], scores)}
    if dataset.paged:
        pages = dataset.pages()
        called = np.empty(len(dataset.texts), dtype=np.int64)
        scores = np.empty((len(dataset.texts), len(LABELS)))
        at = 0
        for part in batches(dataset.sizes, _CALL):
            for page in classifier.predict_pages(pages[part]):
                for paragraph in page:
                    called[at] = LABELS.index(paragraph.label)
                    scores[at] = list(paragraph.scores.values())
                    at += 1
        out["page"] = Calls(called, scores)
    return out


def measure(dataset: Dataset, calls: Calls, resamples: int = 0) -> dict[str, Any]:
    """Every figure of one classifier on one dataset, as plain numbers; NaN where a figure is not defined."""
    four = dataset.four and calls.labels == LABELS
    chars = dataset.chars
    ones = np.ones(len(chars))
    unit, units = dataset.unit, dataset.units
    counts = metrics.tally(dataset.gold, calls.called, ones, unit, units)
    sums = metrics.tally(dataset.gold, calls.called, chars, unit, units)
    out: dict[str, Any] = {
        "figures": _plain(metrics.figures(counts, sums, four, dataset.paged), calls.labels)
    }
    out["confusion"] = counts.sum(axis=0).astype(int).tolist()
    if resamples:
        out["intervals"] = {
            name: interval
            for name, interval in metrics.bootstrap(counts, sums, four, dataset.paged, resamples).items()
            if not np.isnan(out["figures"][name])
        }
    if calls.scores is not None:
        out["calibration"] = metrics.calibration(calls.scores, dataset.gold, four)
    out["by"] = {}
    for name, keys in slices(dataset).items():
        found, number = np.unique(keys, return_inverse=True)
        counts = metrics.tally(dataset.gold, calls.called, ones, number, len(found))
        sums = metrics.tally(dataset.gold, calls.called, chars, number, len(found))
        out["by"][name] = {}
        for i, key in enumerate(found.tolist()):
            if counts[i].sum():
                got = _plain(metrics.figures(counts[i : i + 1], sums[i : i + 1], four, False), calls.labels)
                out["by"][name][key] = {k: got[k] for k in SLICE_FIGURES if k in got}
    return out


def _plain(figures: dict[str, NDArray[np.float64]], labels: tuple[str, ...]) -> dict[str, float]:
    """The point estimates as floats; recall of consent is not defined for one who cannot say consent."""
    out = {name: float(values[0]) for name, values in figures.items()}
    if CONSENT not in labels:
        out["consent_recall"] = out["article_called_consent"] = float("nan")
    return out


def report(dataset: Dataset, stages: dict[str, Calls], resamples: int = 0) -> dict[str, Any]:
    """Everything measured on one dataset, ready for JSON but for NaN."""
    return {
        "name": dataset.name,
        "sha256": dataset.digest,
        "pages": len(dataset.sizes),
        "paragraphs": len(dataset.texts),
        "not_measured": int((dataset.gold == metrics.LEFT_OUT).sum()),
        "gold": "four labels" if dataset.four else "article against everything else",
        "notes": list(dataset.notes),
        "stages": {name: measure(dataset, calls, resamples) for name, calls in stages.items()},
    }
