"""Fits both stages and makes the model.

First stage: hashed TF-IDF and logistic regression, one label against the rest, by stochastic gradient descent on
single paragraphs. Page stage: a small logistic regression over out-of-fold first-stage logits of the paragraph
and its neighbours, in passes.
"""

from __future__ import annotations

import configparser
import platform
import random
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import scipy.sparse as sp
import sklearn
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline

from .. import __version__, context, features
from .. import model as model_file
from ..errors import DataError
from ..labels import LABELS
from . import sampling
from .corpus import Corpus, Page
from .vectorizer import HashedTfidf, count_matrix

_ARTICLE, _BANNER, _CONSENT, _NAVIGATION = range(len(LABELS))

Progress = Callable[[str], None]


@dataclass
class Settings:
    """What training may vary. Defaults are what the shipped model uses; docs/experiments.md says why."""

    features: features.FeatureSettings = field(default_factory=features.FeatureSettings)
    C: float = 8.0
    #: Passes of the first stage at the most; half a million rows need but eight.
    epochs: int = 20
    dense_scale: float = 0.3
    folds: int = 3
    context_C: float = 1.0
    context_passes: int = 2
    seed: int = 1
    jobs: int = 2


@dataclass
class Result:
    """A trained model and what was measured on the way, all on paragraphs held out by group."""

    model: model_file.Model
    pipeline: Pipeline
    held_out: list[
        tuple[str, str, str, str, str]
    ]  # (lang, kind, true label, first-stage label, page label or "")
    skipped: Counter[str]


def fold_of(group: str, folds: int) -> int:
    """The fold a group belongs to: the same in every run and on every machine."""
    return zlib.crc32(group.encode()) % folds


def deal(sample: sampling.Sample, folds: int) -> dict[str, int]:
    """Groups of authored and user rows -> fold, so that every fold has its share of every language.

    A batch may hold several languages and a language only two batches: by chance a fold would take them all.
    Largest batch first, each goes where its languages have the fewest rows so far.
    """
    sizes: dict[str, Counter[str]] = {}
    for kind, group, lang in zip(sample.kind, sample.group, sample.lang, strict=True):
        if kind.startswith(("authored", "user")):
            sizes.setdefault(group, Counter())[lang] += 1
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    out = {}
    for group in sorted(sizes, key=lambda g: (-sizes[g].total(), g)):
        fold = min(range(folds), key=lambda k: (sum(held[k][lang] for lang in sizes[group]), k))
        held[fold].update(sizes[group])
        out[group] = fold
    return out


def train(
    corpus: Corpus,
    settings: Settings | None = None,
    config: configparser.ConfigParser | None = None,
    progress: Progress = lambda message: None,
) -> Result:
    """Train a model on a corpus.

    Raises
    ------
    DataError
        Fewer than two labels, or a label with fewer rows than there are folds.
    """
    settings = settings or Settings()
    config = config or sampling.read_config()
    progress("drawing rows")
    sample = sampling.draw(corpus, config, settings.seed)
    target = np.array(sample.target)
    _check(target, sample.group, settings.folds)
    weight = np.array(sample.weight)
    dealt = deal(sample, settings.folds)
    folds = np.array([dealt.get(group, fold_of(group, settings.folds)) for group in sample.group])

    progress("hashing n-grams")
    alphabet = features.build_alphabet()
    counts, dense = count_matrix(sample.texts, settings.features, alphabet)
    hasher = HashedTfidf(settings.features, settings.dense_scale)
    hasher.settings_, hasher.alphabet_ = settings.features, alphabet
    matrix = hasher.fit_counts(counts).weigh(counts, dense)
    del counts, dense

    unknown = target == sampling.UNKNOWN
    if unknown.any():
        progress("labelling paragraphs known only as not article")
        target, weight = _label_unknown(
            matrix, target, weight, np.array(sample.hint), settings, config["page.other"]
        )

    progress("first stage")
    fits = joblib.Parallel(n_jobs=settings.jobs)(
        joblib.delayed(_fit_first)(matrix, target, weight, settings, None if k < 0 else folds != k)
        for k in range(-1, settings.folds)
    )
    progress("scoring held-out paragraphs")
    rows = np.array(
        [i for i, kind in enumerate(sample.kind) if kind.startswith(("authored/", "user/"))], dtype=int
    )
    held_logits = np.zeros((len(rows), len(LABELS)))
    for k in range(settings.folds):
        chosen = folds[rows] == k
        if chosen.any():
            held_logits[chosen] = matrix[rows[chosen]] @ fits[k + 1][0].T + fits[k + 1][1]
    single = _calibrate(held_logits, target[rows], np.ones(len(rows)))
    # The temperature goes into the weights: the page stage sees logits of one size whatever C was.
    temperature = np.float32(single["scale"])
    single = {**single, "scale": 1.0}
    held_logits = held_logits * temperature + np.array(single["bias"])
    fits = [(coef * temperature, bias * temperature) for coef, bias in fits]
    # The model proper is rounded to the steps of its file; the folds' models need not be.
    coef, bias = fits[0]
    table, scales, coef = _quantise(coef, hasher)
    bias = bias - bias[_ARTICLE]
    del matrix

    pages = [page for page in corpus.pages if len(page.rows) > 1]
    progress("page stage")
    stage = _PageStage(pages, config, settings, hasher, fits[1:], dealt)
    context_weights, context_bias, page_calibration = stage.fit()
    model = model_file.Model(
        settings=settings.features,
        alphabet=alphabet,
        table=table,
        scales=scales,
        dense_weights=np.ascontiguousarray(
            (coef[:, len(table) :] * settings.dense_scale).T, dtype=np.float32
        ),
        bias=bias.astype(np.float32),
        context_weights=context_weights,
        context_bias=context_bias,
        calibration={
            "paragraph": single,
            "page": page_calibration,
        },
        thresholds={
            "precision": {"article": 0.8},
            "balanced": {},
            "recall": {"banner": 0.8, "consent": 0.8, "navigation": 0.8},
        },
        card=_card(corpus, sample, settings),
    )
    held_out = [
        (sample.lang[i], sample.kind[i].partition("/")[2], LABELS[target[i]], LABELS[int(z.argmax())], "")
        for i, z in zip(rows, held_logits, strict=True)
    ]
    held_out += stage.held_out
    classifier = LogisticRegression(C=settings.C)
    classifier.classes_ = np.array(LABELS)
    classifier.coef_, classifier.intercept_ = coef, bias
    classifier.n_features_in_ = coef.shape[1]
    return Result(model, Pipeline([("tfidf", hasher), ("classifier", classifier)]), held_out, corpus.skipped)


def _check(target: NDArray[np.int64], groups: Sequence[str], folds: int) -> None:
    known = Counter(LABELS[t] for t in target if t >= 0)
    if len(known) < 2:
        raise DataError(
            f"every paragraph is labelled {next(iter(known), 'unknown')!r}; training needs at least two labels"
        )
    fold = np.array([fold_of(group, folds) for group in groups])
    if any(len(set(target[(fold != k) & (target >= 0)])) < 2 for k in range(folds)):
        raise DataError(
            "too few rows or sources: without one of them a single label is left to learn from; "
            "add rows of other sources"
        )


# -- first stage --------------------------------------------------------------------------------------------


def _fit_first(
    matrix: sp.csr_matrix,
    target: NDArray[np.int64],
    weight: NDArray[np.float64],
    settings: Settings,
    chosen: NDArray[np.bool_] | None,
    epochs: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logistic regression by stochastic gradient descent, one label against the rest.

    L-BFGS needs some 300 passes to do as well as SGD does in 15 (docs/experiments.md). Returns coefficients
    (4, features) and intercepts (4,), float32.
    """
    rows = np.flatnonzero(target >= 0 if chosen is None else (target >= 0) & chosen)
    classifier = SGDClassifier(
        loss="log_loss",
        alpha=1 / (settings.C * len(rows)),
        max_iter=epochs or min(settings.epochs, max(8, 5_000_000 // len(rows))),
        tol=None,
        random_state=settings.seed,
    )
    part = matrix if len(rows) == matrix.shape[0] else matrix[rows]
    classifier.fit(part, target[rows], sample_weight=weight[rows] / weight[rows].mean())
    return _all_classes(classifier)


def _all_classes(classifier: LogisticRegression) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients for all four labels; one that training did not see gets an intercept out of reach."""
    seen = classifier.classes_.astype(int)
    coef, bias = classifier.coef_, classifier.intercept_
    if len(seen) == 2:
        coef, bias = np.concatenate([-coef, coef]) / 2, np.concatenate([-bias, bias]) / 2
    full = np.zeros((len(LABELS), coef.shape[1]), dtype=np.float32)
    intercept = np.full(len(LABELS), -30.0, dtype=np.float32)
    full[seen], intercept[seen] = coef, bias
    return full, intercept


def _label_unknown(
    matrix: sp.csr_matrix,
    target: NDArray[np.int64],
    weight: NDArray[np.float64],
    hint: NDArray[np.int64],
    settings: Settings,
    section: configparser.SectionProxy,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give rows that are only known not to be article the likeliest other class, weighted by its probability.

    Self-training with what is known as a constraint. The first round takes those that the markup calls
    navigation as just that.
    """
    unknown = np.flatnonzero(target == sampling.UNKNOWN)
    rng = np.random.default_rng(settings.seed)
    known = np.flatnonzero(target >= 0)
    surest = unknown[hint[unknown] == _NAVIGATION]
    picked = rng.permutation(surest)[: len(known) // 4]
    known = rng.permutation(known)[:200_000] if len(known) > 250_000 else known
    first = target.copy()
    first[picked] = _NAVIGATION
    use = np.zeros(len(target), dtype=bool)
    use[known] = use[picked] = True
    coef, intercept = _fit_first(matrix, first, weight, settings, use, epochs=6)
    logits = matrix[unknown] @ coef.T + intercept
    target, weight = target.copy(), weight.copy()
    target[unknown], sure = _likeliest(logits.astype(np.float64), hint[unknown], weight[unknown], section)
    weight[unknown] *= sure
    return target, weight


def _likeliest(
    logits: NDArray[np.float64],
    hint: NDArray[np.int64],
    weight: NDArray[np.float64],
    section: configparser.SectionProxy,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The likeliest label but article of rows, and its probability, where the labels' shares are known.

    Biases are moved until the mean probabilities are those shares (Saerens, Latinne and Decaestecker,
    Neural Computation 14, 2002).
    """
    scores = logits.copy()
    scores[:, _ARTICLE] = -1e9
    hinted = np.flatnonzero(hint >= 0)
    scores[hinted, hint[hinted]] += float(section["hint_bias"])
    share = weight / weight.sum()
    wanted = {_BANNER: float(section["banner_share"]), _CONSENT: float(section["consent_share"])}
    for _ in range(30):
        mean = share @ context.softmax(scores)
        for label, asked in wanted.items():
            scores[:, label] += 0.7 * np.log(asked / max(mean[label], 1e-6))
    p = context.softmax(scores)
    chosen: NDArray[np.int64] = p.argmax(axis=1)
    return chosen, p.max(axis=1)


def _quantise(
    coef: NDArray[np.float32], hasher: HashedTfidf
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Round to what the model file stores: the table, its steps, and the coefficients they stand for."""
    slots = len(hasher.idf2_)
    idf = hasher.idf_.astype(np.float64)
    relative = (coef - coef[_ARTICLE]).astype(np.float64)
    product = relative[1:, :slots] * idf
    table = np.empty((slots, 4), dtype=np.uint8)
    scales = np.empty(4, dtype=np.float32)
    for k in range(3):
        # The few largest weights are clipped: a finer step for all the others is worth more.
        top = np.quantile(np.abs(product[k][product[k] != 0]), 0.9999) if product[k].any() else 1.0
        scales[k] = max(top, 1e-6) / 127
        rounded = np.clip(np.rint(product[k] / scales[k]), -127, 127)
        table[:, k] = rounded + 128
        relative[k + 1, :slots] = rounded * scales[k] / idf
    table[:, 3] = hasher.idf2_
    scales[3] = hasher.idf2_step_
    return table, scales, relative.astype(np.float32)


def _calibrate(
    logits: NDArray[np.float64], target: NDArray[np.int64], weight: NDArray[np.float64]
) -> dict[str, Any]:
    """One temperature (Guo et al., ICML 2017) and one bias a label, by the log loss of held-out logits."""
    identity = {"scale": 1.0, "bias": [0.0] * len(LABELS)}
    if len(target) < 50 or len(set(target.tolist())) < len(LABELS):
        return identity
    onehot = np.eye(len(LABELS))[target]
    share = (weight / weight.sum())[:, None]

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = context.softmax(logits * parameters[0] + parameters[1:])
        value = -float((share * onehot * np.log(np.maximum(p, 1e-12))).sum())
        slope = (p - onehot) * share
        return value, np.concatenate(([float((slope * logits).sum())], slope.sum(axis=0)))

    found = minimize(
        loss, np.array([1.0, 0, 0, 0, 0]), jac=True, method="L-BFGS-B", bounds=[(0.1, 10)] + [(-8, 8)] * 4
    )
    bias = found.x[1:] - found.x[1]
    return {"scale": round(float(found.x[0]), 4), "bias": [round(float(b), 4) for b in bias]}


# -- page stage ---------------------------------------------------------------------------------------------


def _draw_by_weight(weight: NDArray[np.float64], rows: int, seed: int) -> NDArray[np.float64]:
    """Weights of about so many rows drawn by weight, zero for the rest: their sums stay what they were."""
    if np.count_nonzero(weight) <= rows:
        return weight
    factor = rows / weight.sum()
    for _ in range(20):  # a row is drawn once at the most
        factor *= rows / np.minimum(1, weight * factor).sum()
    chance = np.minimum(1, weight * factor)
    drawn = np.random.default_rng(seed).random(len(weight)) < chance
    return np.where(drawn, weight / np.maximum(chance, 1e-12), 0.0)


class _PageStage:
    """Trains the passes of the page stage on out-of-fold first-stage logits."""

    def __init__(
        self,
        pages: Sequence[Page],
        config: configparser.ConfigParser,
        settings: Settings,
        hasher: HashedTfidf,
        fits: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
        dealt: dict[str, int],
    ) -> None:
        self.dealt = dealt
        self.settings, self.config, self.hasher, self.fits = settings, config, hasher, fits
        rng = random.Random(settings.seed)  # noqa: S311
        weak = [page for page in pages if sampling.is_weak(page)]
        kept = set(map(id, rng.sample(weak, min(len(weak), config.getint("context", "weak_pages")))))
        pages = [page for page in pages if not sampling.is_weak(page) or id(page) in kept]
        versions = [
            (version, sampling.is_weak(page)) for page in pages for version in self._versions(page, rng)
        ]
        self.pages = [page for page, _ in versions]
        # Of the whole page: a copy cut down to its main text has no weak label left, and is weak all the same.
        self.weak = [weak for _, weak in versions]
        self.held_out: list[tuple[str, str, str, str, str]] = []

    def _versions(self, page: Page, rng: random.Random) -> list[Page]:
        """The page, and copies cut down as extractors leave it: the main text and a few other paragraphs."""
        out = [page]
        main = [row.label == LABELS[_ARTICLE] for row in page.rows]
        if not any(main):
            return out
        for _ in range(self.config.getint("context", "extracted")):
            others = [i for i, is_main in enumerate(main) if not is_main]
            kept = set(
                rng.sample(
                    others,
                    min(len(others), rng.randint(0, self.config.getint("context", "extracted_others"))),
                )
            )
            rows = [row for i, row in enumerate(page.rows) if main[i] or i in kept]
            if len(rows) < len(page.rows):
                out.append(Page(page.id, rows, page.lang, page.group, page.origin, "extracted"))
        return out

    def _fold(self, page: Page) -> int:
        return self.dealt.get(page.group, fold_of(page.group, self.settings.folds))

    def _first_stage(self) -> tuple[NDArray[np.float64], ...]:
        """Out-of-fold logits, lengths and shape of every paragraph, in page order."""
        n = sum(len(page.rows) for page in self.pages)
        logits = np.empty((n, len(LABELS)))
        chars = np.empty(n)
        shape = np.zeros((n, model_file.shape_size()))
        columns = [features.DENSE_NAMES.index(name) for name in model_file.CONTEXT_SHAPE]
        at = 0
        step = 200
        for begin in range(0, len(self.pages), step):
            part = self.pages[begin : begin + step]
            texts = [row.text for page in part for row in page.rows]
            counts, dense = count_matrix(texts, self.hasher.settings_, self.hasher.alphabet_)
            matrix = self.hasher.weigh(counts, dense)
            end = at + len(texts)
            sizes = [len(page.rows) for page in part]
            folds = np.repeat([self._fold(page) for page in part], sizes)
            for k, (coef, bias) in enumerate(self.fits):
                mine = np.flatnonzero(folds == k)
                if len(mine):
                    scores = matrix[mine] @ coef.T + bias
                    logits[at + mine] = scores
            logits[at:end] -= logits[at:end, :1]  # as the rounded model has it: against article
            chars[at:end] = [len(text) for text in texts]
            shape[at:end, :-1] = dense[:, columns]
            shape[at:end, -1] = np.concatenate([context.repeats([row.text for row in p.rows]) for p in part])
            at = end
        return logits, chars, shape

    def _targets(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Target (UNKNOWN where only known not to be article), weight and hint of every paragraph."""
        section = self.config["context"]
        old = section["old_origins"].split()
        target: list[int] = []
        weight: list[float] = []
        hint: list[int] = []
        for page, weak in zip(self.pages, self.weak, strict=True):
            begin = len(weight)
            for row in page.rows:
                hint.append(sampling.hinted(row))
                if row.label in LABELS:
                    target.append(LABELS.index(row.label))
                    weight.append(1.0)
                elif row.label == "other":
                    target.append(sampling.UNKNOWN)
                    comment = row.hints.get("hint") == "comment"
                    prose = bool(row.hints.get("prose"))
                    weight.append(
                        0.0 if comment and prose else float(section["prose_other"]) if prose else 0.8
                    )
                else:
                    target.append(_ARTICLE)
                    weight.append(0.0)
            total = sum(weight[begin:])
            factor = min(1.0, float(section["page_paragraphs"]) / total) if total else 0.0
            if not weak:
                factor *= float(section["authored"])
            elif page.origin in old:
                factor *= float(section["old"])
            weight[begin:] = [w * factor for w in weight[begin:]]
        return np.array(target), np.array(weight), np.array(hint)

    def fit(
        self,
    ) -> tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...], dict[str, Any]]:
        """Weights and biases of each pass, and the calibration of the last."""
        if not self.pages:
            return self._without_pages()
        first, chars, shape = self._first_stage()
        known, weight, hint = self._targets()
        unknown = np.flatnonzero(known == sampling.UNKNOWN)

        def named(logits: NDArray[np.float64]) -> NDArray[np.int64]:
            """The targets, those unknown taken from logits."""
            target: NDArray[np.int64] = known.copy()
            if len(unknown) and weight[unknown].any():
                target[unknown], _ = _likeliest(
                    logits[unknown], hint[unknown], weight[unknown], self.config["page.other"]
                )
            else:
                target[unknown] = _NAVIGATION
            return target

        target = named(first)
        bounds = np.concatenate(([0], np.cumsum([len(page.rows) for page in self.pages])))
        folds = np.repeat([self._fold(p) for p in self.pages], np.diff(bounds))
        drawn = _draw_by_weight(weight, self.config.getint("context", "fit_rows"), self.settings.seed)
        logits = first
        weights, biases = [], []
        for number in range(self.settings.context_passes):
            seen = self._features(logits, chars, shape, bounds, first if number else None)
            mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-3
            seen -= mean
            seen /= scale
            # Every pass gets logits its own model did not learn from, as it will in use.
            held = self._held(seen, target, drawn, folds)
            if number == 0 and len(unknown):
                # The page tells a box from a menu better than the words alone: once more with its help.
                target = named(held)
                held = self._held(seen, target, drawn, folds)
            coef, bias = self._fit(seen, target, drawn, drawn > 0)
            weights.append((coef / scale).T.astype(np.float32))
            biases.append((bias - (coef / scale) @ mean).astype(np.float32))
            logits = held
        chosen = weight > 0
        calibration = _calibrate(logits[chosen], target[chosen], weight[chosen])
        # Articles first: the fourth decimal is what the file keeps of a bias.
        favour = self.config.getfloat("context", "article_bias")
        calibration["bias"] = [round(b - favour * (k > 0), 4) for k, b in enumerate(calibration["bias"])]
        self._keep_held_out(logits * calibration["scale"] + np.array(calibration["bias"]), first, bounds)
        return tuple(weights), tuple(biases), calibration

    def _held(
        self,
        seen: NDArray[np.float32],
        target: NDArray[np.int64],
        weight: NDArray[np.float64],
        folds: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Logits of every paragraph by a model that did not see its fold."""
        held = np.empty((len(seen), len(LABELS)))
        for k in range(self.settings.folds):
            mine = folds == k
            coef, bias = self._fit(seen, target, weight, (weight > 0) & ~mine)
            held[mine] = seen[mine] @ coef.T + bias
        return held

    def _keep_held_out(
        self,
        logits: NDArray[np.float64],
        first: NDArray[np.float64],
        bounds: NDArray[np.int64],
    ) -> None:
        """Remember what each paragraph of a page read with the four labels was called, held out by group."""
        for i, page in enumerate(self.pages):
            if self.weak[i] or page.kind == "extracted":
                continue
            for j, row in enumerate(page.rows, int(bounds[i])):
                if row.label in LABELS:
                    called = LABELS[int(logits[j].argmax())]
                    self.held_out.append(
                        (page.lang, page.kind, row.label, LABELS[int(first[j].argmax())], called)
                    )

    def _features(
        self,
        logits: NDArray[np.float64],
        chars: NDArray[np.float64],
        shape: NDArray[np.float64],
        bounds: NDArray[np.int64],
        first: NDArray[np.float64] | None,
    ) -> NDArray[np.float32]:
        parts = []
        step = 300
        for page in range(0, len(bounds) - 1, step):
            part = bounds[page : page + step + 1]
            rows = slice(part[0], part[-1])
            seen = context.PageBatch(chars[rows], shape[rows], part - part[0]).features(logits[rows])
            if first is not None:
                seen = np.concatenate([seen, first[rows]], axis=1)
            parts.append(seen.astype(np.float32))
        return np.concatenate(parts)

    def _fit(
        self,
        seen: NDArray[np.float32],
        target: NDArray[np.int64],
        weight: NDArray[np.float64],
        chosen: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = np.flatnonzero(chosen)
        classifier = LogisticRegression(C=self.settings.context_C, max_iter=80, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(seen[rows], target[rows], sample_weight=weight[rows] / weight[rows].mean())
        return _all_classes(classifier)

    def _without_pages(
        self,
    ) -> tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...], dict[str, Any]]:
        """No page to learn from: the page stage hands the first stage's logits on."""
        size = context.features_size(model_file.shape_size())
        weights = np.zeros((size, len(LABELS)), dtype=np.float32)
        weights[: len(LABELS), :] = 4 * np.eye(len(LABELS))  # the features start with the centred logits / 4
        return (
            (weights,),
            (np.zeros(len(LABELS), dtype=np.float32),),
            {"scale": 1.0, "bias": [0.0] * len(LABELS)},
        )


def _card(corpus: Corpus, sample: sampling.Sample, settings: Settings) -> dict[str, Any]:
    return {
        "name": "consentclf",
        "code_version": __version__,
        "trained_with": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "scipy": __import__("scipy").__version__,
        },
        "settings": {
            "C": settings.C, "epochs": settings.epochs, "dense_scale": settings.dense_scale,
            "folds": settings.folds, "context_C": settings.context_C, "seed": settings.seed,
        },
        "rows": dict(sorted(Counter(sample.kind).items())),
        "pages": dict(sorted(Counter(page.origin for page in corpus.pages).items())),
        "languages": dict(sorted(Counter(lang or "und" for lang in sample.lang).items())),
        "sources": [
            {"source": source, "licence": licence, "version": version, "paragraphs": count}
            for (source, licence, version), count in sorted(corpus.sources.items())
        ],
    }  # fmt: skip
