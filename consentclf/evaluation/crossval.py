"""Cross-validation of the first stage by batch: rows written together never stand on both sides."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from .. import context, features
from ..errors import DataError
from ..labels import ARTICLE, CONSENT, LABELS
from ..training import fit, sampling
from ..training.corpus import Corpus, Page, Row
from ..training.vectorizer import HashedTfidf, count_matrix
from .datasets import Dataset, Progress, from_rows
from .measure import Calls, measure

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

FRACTIONS = (0.25, 0.5, 0.75, 1.0)
#: Kinds of article written to be mistaken for consent.
HARD_KINDS = ("privacy", "pair")
_ARTICLE, _CONSENT = LABELS.index(ARTICLE), LABELS.index(CONSENT)


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold scores of the authored rows, for each share of the training batches."""

    dataset: Dataset
    rows: list[Row]
    scores: dict[float, F64]  # share of the training batches -> (n, 4)
    #: Rows the first stage was trained on, mean over folds.
    trained_on: dict[float, int]

    def figures(self, fraction: float = 1.0, resamples: int = 0) -> dict[str, Any]:
        """What :func:`consentclf.evaluation.measure.measure` gives, and the figures of the hard kinds."""
        scores = self.scores[fraction]
        called = scores.argmax(axis=1)
        out = measure(self.dataset, Calls(called, scores), resamples)
        out["figures"].update(hard_figures(self.dataset, called))
        out["figures"]["trained_on"] = float(self.trained_on[fraction])
        return out


def calibrated(logits: F64, gold: I64, part: I64) -> F64:
    """Probabilities from out-of-fold logits, each part calibrated on the others as training does it."""
    out = np.zeros_like(logits)
    for k in np.unique(part):
        here = part == k
        found = fit._calibrate(logits[~here], gold[~here], np.ones(int((~here).sum())))
        out[here] = context.softmax(logits[here] * found["scale"] + np.asarray(found["bias"]))
    return out


def hard_figures(dataset: Dataset, called: I64) -> dict[str, float]:
    """How often articles about privacy, and those of matched pairs, were called consent."""
    kinds = np.array(dataset.kind)
    article = dataset.gold == _ARTICLE
    out = {}
    for name, chosen in (
        ("hard_article_called_consent", article & np.isin(kinds, HARD_KINDS)),
        *((f"{kind}_article_called_consent", article & (kinds == kind)) for kind in HARD_KINDS),
    ):
        out[name] = float((called[chosen] == _CONSENT).mean()) if chosen.any() else float("nan")
    return out


def folds_of(batches: dict[str, str], folds: int, seed: int = 0) -> dict[str, int]:
    """Batch -> fold, from batch -> language (see :func:`homes`).

    Each language's batches are dealt out in turn: a language of two batches or more is in every training
    part.
    """
    out = {}
    for lang, groups in _in_turn(batches, f"{seed}:fold").items():
        first = zlib.crc32(f"{seed}:{lang}".encode())
        for i, group in enumerate(groups):
            out[group] = (first + i) % folds
    return out


def homes(members: Iterable[Row | Page]) -> dict[str, str]:
    """Batch -> language; a batch of several languages goes by the first of them in the alphabet."""
    out: dict[str, str] = {}
    for member in members:
        out[member.group] = min(out.get(member.group, member.lang), member.lang)
    return out


def _in_turn(batches: dict[str, str], salt: str) -> dict[str, list[str]]:
    """Language -> its batches in an order of their own, the same in every run and whatever else is there."""
    out: dict[str, list[str]] = defaultdict(list)
    for group in sorted(batches, key=lambda g: (zlib.crc32(f"{salt}:{g}".encode()), g)):
        out[batches[group]].append(group)
    return dict(sorted(out.items()))


def kept(batches: dict[str, str], fraction: float, seed: int = 0) -> set[str]:
    """About ``fraction`` of the batches of every language; a larger fraction keeps all that a smaller one
    keeps.

    A start of its own for each language makes the expected share right where its batches are too few to split
    evenly.
    """
    out = set()
    for lang, found in _in_turn(batches, f"{seed}:curve").items():
        start = zlib.crc32(f"{seed}:start:{lang}".encode()) / 2**32
        out |= {
            group for i, group in enumerate(found) if (i + start) / len(found) < fraction or fraction >= 1
        }
    return out


def cross_validate(
    authored: Corpus,
    always: Corpus | None = None,
    settings: fit.Settings | None = None,
    folds: int = 5,
    fractions: Sequence[float] = (1.0,),
    seed: int = 1,
    progress: Progress = lambda message: None,
) -> CrossValidation:
    """Score every single row of ``authored`` by a first stage that saw nothing of its batch.

    Whole pages of ``authored`` are trained on, never scored; a page has a batch of its own. ``always`` is in
    every training part. Rows are drawn, weighted and damaged for training as `consentclf train` does; the
    rows scored are the undamaged ones. Everything is hashed once, and folds are slices.
    """
    settings = settings or fit.Settings()
    rows = [row for row in authored.rows if row.label in LABELS]
    in_rows = homes(rows)
    if len(in_rows) < folds:
        raise DataError(
            f"{len(in_rows)} batches of single paragraphs cannot make {folds} folds; "
            f'give rows with "batch", from {folds} batches or more'
        )
    # Pages are dealt out apart: they are only trained on, and must not upset the balance of the rows.
    in_pages = {group: lang for group, lang in homes(authored.pages).items() if group not in in_rows}
    fold = {**folds_of(in_pages, folds, seed), **folds_of(in_rows, folds, seed)}

    together = Corpus(
        [*rows, *(always.rows if always else [])], [*authored.pages, *(always.pages if always else [])]
    )
    progress("drawing rows")
    config = sampling.read_config()
    sample = sampling.draw(together, config, settings.seed)
    target, weight, hint = np.array(sample.target), np.array(sample.weight), np.array(sample.hint)
    part = np.array([fold.get(group, -1) for group in sample.group])
    progress(f"hashing {len(sample):,} training rows")
    alphabet = features.build_alphabet()
    counts, dense = count_matrix(sample.texts, settings.features, alphabet)
    test_counts, test_dense = count_matrix([row.text for row in rows], settings.features, alphabet)
    test_part = np.array([fold[row.group] for row in rows])

    def run(fraction: float, k: int) -> tuple[float, I64, int, F64]:
        allowed = kept(in_rows, fraction, seed) | kept(in_pages, fraction, seed)
        there = np.array([group in allowed or group not in fold for group in sample.group])
        use = np.flatnonzero((part != k) & there)
        test = np.flatnonzero(test_part == k)
        hasher = HashedTfidf(settings.features, settings.dense_scale)
        hasher.settings_, hasher.alphabet_ = settings.features, alphabet
        matrix = hasher.fit_counts(counts[use]).weigh(counts[use], dense[use])
        goal, force = target[use], weight[use]
        if (goal == sampling.UNKNOWN).any():
            goal, force = fit._label_unknown(matrix, goal, force, hint[use], settings, config["page.other"])
        coef, intercept = fit._fit_first(matrix, goal, force, settings, None)
        logits = hasher.weigh(test_counts[test], test_dense[test]) @ coef.T + intercept
        return fraction, test, len(use), logits.astype(np.float64)

    progress(f"{len(fractions) * folds} training runs")
    scores = {fraction: np.zeros((len(rows), len(LABELS))) for fraction in fractions}
    trained: dict[float, list[int]] = {fraction: [] for fraction in fractions}
    jobs = [(fraction, k) for fraction in fractions for k in range(folds)]
    # Threads: the matrix of counts is shared, and the solver spends its time outside the interpreter's lock.
    results = Parallel(n_jobs=settings.jobs, prefer="threads", return_as="generator")(
        delayed(run)(fraction, k) for fraction, k in jobs
    )
    for done, (fraction, test, size, logits) in enumerate(results, 1):
        scores[fraction][test] = logits
        trained[fraction].append(size)
        progress(f"{done} of {len(jobs)} training runs")
    data = from_rows("cross-validation", "", rows)
    scores = {fraction: calibrated(logits, data.gold, test_part) for fraction, logits in scores.items()}
    return CrossValidation(data, rows, scores, {f: int(np.mean(n)) for f, n in trained.items()})
