"""Figures of merit, all computed from per-unit tables of gold class against called class.

A *unit* is what the bootstrap draws: a page, or the batch a single paragraph was written in. Because every
figure is a function of summed tables, the point estimate and its interval come from one definition, and a
thousand resamples cost one matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import ARTICLE, CONSENT, LABELS

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Class after the four labels. As gold: known only not to be article. As called: dropped, class not said.
OTHER = len(LABELS)
#: Gold of a paragraph that is part of its page but not measured.
LEFT_OUT = -1
CLASSES: tuple[str, ...] = (*LABELS, "other")
#: Figures that count the data and say nothing of a classifier.
_COUNTS = ("paragraphs", "pages_with_main_text", "main_f1_if_all_kept")
_ARTICLE, _CONSENT = LABELS.index(ARTICLE), LABELS.index(CONSENT)


def tally(gold: I64, called: I64, weight: F64, unit: I64, units: int) -> F64:
    """Sum weights into one table per unit: float64 (units, gold class, called class); LEFT_OUT is skipped."""
    k = len(CLASSES)
    chosen = gold != LEFT_OUT
    flat = (unit[chosen] * k + gold[chosen]) * k + called[chosen]
    sums = np.bincount(flat, weights=weight[chosen], minlength=units * k * k)
    return np.asarray(sums, dtype=np.float64).reshape(units, k, k)


def ratio(part: F64, whole: F64) -> F64:
    """``part / whole``, NaN where there is nothing to divide by: such a figure is not defined, it is not
    zero."""
    out: F64 = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def f1_of(right: F64, true: F64, called: F64) -> F64:
    """F1, NaN where the class does not occur in the gold labels."""
    return np.where(true > 0, ratio(2 * right, true + called), np.nan)


def figures(
    counts: F64, chars: F64, four: bool = True, paged: bool = True, draws: F64 | None = None
) -> dict[str, F64]:
    """All figures from tables of paragraphs and of characters, each (units, 5, 5).

    four : the gold labels are the four; else only article against everything else is known, so macro-F1 and
        the other labels are left out.
    paged : units are pages, so means over pages exist.
    draws : (B, units), how often each resample drew each unit; without it each unit counts once and B is 1.

    Returns figure name -> float64 (B,). Precision, recall, F1 and macro-F1 are those of scikit-learn;
    macro-F1 is over the labels that occur in the gold. Means over pages leave out pages without main text; a
    page of which nothing was called article has precision, recall and F1 of 0.
    """
    units = len(counts)
    weights = np.ones((1, units)) if draws is None else draws
    k = len(CLASSES)
    n = (weights @ counts.reshape(units, k * k)).reshape(-1, k, k)
    c = (weights @ chars.reshape(units, k * k)).reshape(-1, k, k)
    true, called = n.sum(axis=2), n.sum(axis=1)
    right = np.diagonal(n, axis1=1, axis2=2)
    out: dict[str, F64] = {"paragraphs": n.sum(axis=(1, 2))}
    for i, label in enumerate(LABELS):
        if four or i == _ARTICLE:
            out[f"{label}_precision"] = ratio(right[:, i], called[:, i])
            out[f"{label}_recall"] = ratio(right[:, i], true[:, i])
            out[f"{label}_f1"] = f1_of(right[:, i], true[:, i], called[:, i])
        out[f"{label}_support"] = true[:, i]
    if four:
        f1 = np.stack([out[f"{label}_f1"] for label in LABELS], axis=1)
        present = ~np.isnan(f1)
        out["macro_f1"] = ratio(np.where(present, f1, 0.0).sum(axis=1), present.sum(axis=1).astype(float))
        out["accuracy"] = ratio(right.sum(axis=1), n.sum(axis=(1, 2)))
    # Main text: what was called article against what is article, by characters.
    out["main_precision"] = ratio(c[:, _ARTICLE, _ARTICLE], c[:, :, _ARTICLE].sum(axis=1))
    out["main_recall"] = ratio(c[:, _ARTICLE, _ARTICLE], c[:, _ARTICLE].sum(axis=1))
    out["main_f1"] = f1_of(
        c[:, _ARTICLE, _ARTICLE], c[:, _ARTICLE].sum(axis=1), c[:, :, _ARTICLE].sum(axis=1)
    )
    if paged:
        held = chars[:, _ARTICLE].sum(axis=1)
        got = chars[:, :, _ARTICLE].sum(axis=1)
        hit = chars[:, _ARTICLE, _ARTICLE]
        usable = held > 0
        total = weights @ usable.astype(float)
        for name, value in (
            ("precision", np.nan_to_num(ratio(hit, got))),
            ("recall", np.nan_to_num(ratio(hit, held))),
            ("f1", np.nan_to_num(f1_of(hit, held, got))),
        ):
            out[f"page_mean_{name}"] = ratio(weights @ np.where(usable, value, 0.0), total)
        out["pages_with_main_text"] = total
    out["consent_recall"] = ratio(right[:, _CONSENT], true[:, _CONSENT])
    out["consent_leak"] = ratio(n[:, _CONSENT, _ARTICLE], true[:, _CONSENT])
    out["article_loss_chars"] = 1 - out["main_recall"]
    out["article_loss_paragraphs"] = 1 - ratio(right[:, _ARTICLE], true[:, _ARTICLE])
    out["article_called_consent"] = ratio(n[:, _ARTICLE, _CONSENT], true[:, _ARTICLE])
    rest = true.sum(axis=1) - true[:, _ARTICLE]
    out["others_dropped"] = ratio(rest - (called[:, _ARTICLE] - right[:, _ARTICLE]), rest)
    # F1 of keeping everything: what a filter behind an extractor must not fall below.
    everything = c.sum(axis=(1, 2))
    out["main_f1_if_all_kept"] = f1_of(c[:, _ARTICLE].sum(axis=1), c[:, _ARTICLE].sum(axis=1), everything)
    return out


def bootstrap(
    counts: F64, chars: F64, four: bool, paged: bool, resamples: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals (Efron 1979), units drawn with replacement; figure name -> (low, high)."""
    units = len(counts)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(units, np.full(units, 1 / units), size=resamples).astype(float)
    out = {}
    for name, values in figures(counts, chars, four, paged, draws).items():
        known = values[~np.isnan(values)]
        if len(known) and name not in _COUNTS and not name.endswith("_support"):
            low, high = np.quantile(known, (0.025, 0.975))
            out[name] = (float(low), float(high))
    return out


def calibration(scores: F64, gold: I64, four: bool = True, bins: int = 10) -> dict[str, Any]:
    """Reliability table and expected calibration error of the most probable label (Guo et al., ICML 2017).

    scores : (n, 4). gold : (n,). Where gold says only article or not, the scores are taken together likewise.
    The error is the mean over equal-width bins of |accuracy - mean score|, weighted by paragraphs.
    """
    chosen = gold != LEFT_OUT
    scores, gold = scores[chosen], gold[chosen]
    if not four:
        article = scores[:, _ARTICLE]
        scores = np.stack([article, 1 - article], axis=1)
        gold = (gold != _ARTICLE).astype(np.int64)
    top = scores.argmax(axis=1)
    confidence = scores.max(axis=1) if len(scores) else np.zeros(0)
    correct = (top == gold).astype(float)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    size = np.bincount(place, minlength=bins).astype(float)
    said, was = (
        ratio(np.asarray(np.bincount(place, weights=what, minlength=bins), dtype=np.float64), size)
        for what in (confidence, correct)
    )
    gap = np.nan_to_num(np.abs(said - was))
    table = [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "paragraphs": int(size[b]),
            "score": said[b],
            "right": was[b],
        }
        for b in range(bins)
        if size[b]
    ]
    return {"ece": float((gap * size).sum() / size.sum()) if size.sum() else float("nan"), "table": table}
