"""Why a paragraph got its label: every n-gram's weight mapped back to the characters it was read from.

A logistic regression's logit is a sum, so its reasons can be listed without estimating anything. Only the
positions take work: clipping, Markdown stripping, ignored characters and collapsed white space all shorten
the text before it is hashed. This module follows each character through those steps, spreads the weight of
an n-gram evenly over the characters it covers, and adds them up to words.

Weights are in calibrated logits, centred so that the four of them sum to nought: positive speaks for the
label, negative against it. The softmax of all parts added up is the score that ``predict`` gives.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import context, features
from .labels import LABELS
from .model import _ZERO, Model

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: A word whose strongest push is below this share of the strongest word's is not joined with its neighbours.
_FAINT = 0.15
#: Words joined to one span at the most: longer ones would say "the whole paragraph".
_MAX_WORDS = 5
#: A run without spaces is cut after this many characters: addresses are not, Thai sentences are.
_MAX_RUN, _MAX_SOUTHEAST_RUN = 200, 12
_SOUTHEAST = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"[{_IDEOGRAPHS}]|[^\\s{_IDEOGRAPHS}]+")


@dataclass(frozen=True)
class Span:
    """A piece of the paragraph, ``text[start:end]``, and what its n-grams add to each label's logit."""

    start: int
    end: int
    text: str
    weights: dict[str, float]

    @property
    def towards(self) -> str:
        """The label it speaks for most."""
        return max(self.weights, key=lambda label: self.weights[label])


@dataclass(frozen=True)
class Explanation:
    """The parts of a paragraph's logits. Each part is label -> weight; they add up to ``logits``.

    text : the paragraph. label, score, scores, raw_label : as in :class:`consentclf.Paragraph`.
    spans : pieces of the text in order, with the weights of the n-grams read from them.
    shape : dense features (length, punctuation, capitals, links) that are not nought, name -> weights.
    bias : what the model starts from, before it has seen anything, calibration included.
    unplaced : n-grams that cover no visible character, such as those of an empty text.
    second_look : what the page stage makes of the paragraph's own scores, as if it were a page by itself.
    page : what the page around it added.
    logits : of each label, their sum nought; their softmax is ``scores``.

    The last two parts are nought where the paragraph was explained alone.
    """

    text: str
    label: str
    score: float
    scores: dict[str, float]
    raw_label: str
    spans: tuple[Span, ...]
    shape: dict[str, dict[str, float]]
    bias: dict[str, float]
    unplaced: dict[str, float]
    second_look: dict[str, float]
    page: dict[str, float]
    logits: dict[str, float]

    def top(self, label: str, n: int = 5) -> list[Span]:
        """The ``n`` spans that speak for a label most, strongest first; none that speaks against it."""
        found = [span for span in self.spans if span.weights[label] > 0]
        return sorted(found, key=lambda span: -span.weights[label])[:n]

    def against(self, label: str, n: int = 5) -> list[Span]:
        """The ``n`` spans that speak against a label most, strongest first."""
        found = [span for span in self.spans if span.weights[label] < 0]
        return sorted(found, key=lambda span: span.weights[label])[:n]

    def parts(self, label: str, shown: Sequence[Span] = ()) -> dict[str, float]:
        """What makes up a label's logit beside the spans already ``shown``; with them it is the logit."""
        seen = {span.start for span in shown}
        hidden = [span for span in self.spans if span.start not in seen]
        return {
            "other words": sum(span.weights[label] for span in hidden) + self.unplaced[label],
            "shape": sum(weights[label] for weights in self.shape.values()),
            "start": self.bias[label],
            "second look": self.second_look[label],
            "page": self.page[label],
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return {
            "text": self.text,
            "label": self.label,
            "score": self.score,
            "scores": self.scores,
            "raw_label": self.raw_label,
            "logits": self.logits,
            "spans": [{"start": s.start, "end": s.end, "weights": s.weights} for s in self.spans],
            "shape": self.shape,
            "bias": self.bias,
            "unplaced": self.unplaced,
            "second_look": self.second_look,
            "page": self.page,
        }


@dataclass(frozen=True)
class Decided:
    """What a classifier decided of one paragraph."""

    label: str
    raw_label: str
    scores: dict[str, float]


def explain(model: Model, texts: Sequence[str], decided: Sequence[Decided], page: bool) -> list[Explanation]:
    """Explain paragraphs, each alone or, where ``page``, as the paragraphs of one page in order."""
    alone = _calibrated(model, model.first_stage(texts)[0], "paragraph")
    zero = np.zeros_like(alone)
    second = around = zero
    if page:
        single = _calibrated(model, model.page_stage([[text] for text in texts]), "page")
        second = single - alone
        around = _calibrated(model, model.page_stage([texts]), "page") - single
    return [
        _explain(model, text, decided[i], second[i], around[i], alone[i] + second[i] + around[i])
        for i, text in enumerate(texts)
    ]


def _explain(model: Model, text: str, decided: Decided, second: F64, around: F64, logits: F64) -> Explanation:
    calibration = model.calibration["paragraph"]
    scale = calibration["scale"]
    characters, unplaced, shape = attribute(model, text)
    return Explanation(
        text=text,
        label=decided.label,
        score=decided.scores[decided.label],
        scores=decided.scores,
        raw_label=decided.raw_label,
        spans=tuple(_spans(text, characters * scale)),
        shape={
            name: _named(row * scale)
            for name, row in zip(features.DENSE_NAMES, shape, strict=True)
            if row.any()
        },
        bias=_named(_centred(model.bias.astype(np.float64) * scale + np.asarray(calibration["bias"]))),
        unplaced=_named(unplaced * scale),
        second_look=_named(second),
        page=_named(around),
        logits=_named(logits),
    )


def _calibrated(model: Model, logits: F64, stage: str) -> F64:
    calibration = model.calibration[stage]
    return _centred(logits * calibration["scale"] + np.asarray(calibration["bias"]))


def _centred(rows: F64) -> F64:
    centred: F64 = rows - rows.mean(axis=-1, keepdims=True)
    return centred


def _named(weights: F64) -> dict[str, float]:
    return dict(zip(LABELS, weights.tolist(), strict=True))


# ---------------------------------------------------------------------------------------------------------
# From n-grams to characters.


def attribute(model: Model, text: str) -> tuple[F64, F64, F64]:
    """What each character of a paragraph adds to the first stage's logits, uncalibrated and centred.

    Returns (len(text), 4) by character, (4,) of n-grams that cover none, and (dense features, 4).
    """
    (clean,), shares = features._prepare([text])
    buffer = features.encode([clean], model.alphabet)
    found = features.words(buffer)
    ngrams = features.ngram_slots(buffer, model.settings, found)

    squares = sum(int(model.table[slots[b[0] : e[0]], 3].sum(dtype=np.int64)) for slots, b, e in ngrams)
    scales = model.scales.astype(np.float64)
    norm = np.sqrt(max(squares * scales[3], 1e-9))

    place = _places(buffer, clean, text, model)
    # Numbered without spaces: a space gets no weight, or every gap between words would look like a reason.
    solid = buffer.kinds != features._SPACE
    solid[: buffer.start[0]] = solid[buffer.end[0] :] = False
    number = np.concatenate(([0], np.cumsum(solid)))
    steps = np.zeros((len(place) + 1, len(LABELS)))
    unplaced = np.zeros(len(LABELS))
    for name, (slots, begin, end) in zip(model.settings.families, ngrams, strict=True):
        chosen = slots[begin[0] : end[0]]
        weights = np.zeros((len(chosen), len(LABELS)))
        weights[:, 1:] = (model.table[chosen, :3].astype(np.float64) - _ZERO) * scales[:3]
        weights = _centred(weights / norm)
        ranges = covers(name, buffer, found, int(begin[0]), int(end[0]))
        low = [number[np.clip(first, 0, len(solid))] for first, _ in ranges]
        high = [number[np.clip(last, 0, len(solid))] for _, last in ranges]
        size = np.sum([h - lo for lo, h in zip(low, high, strict=True)], axis=0)
        nowhere = size <= 0
        unplaced += weights[nowhere].sum(axis=0)
        share = np.where(nowhere[:, None], 0.0, weights / np.maximum(size, 1)[:, None])
        for lo, h in zip(low, high, strict=True):
            np.add.at(steps, lo, share)
            np.subtract.at(steps, h, share)
    characters = np.zeros((len(text), len(LABELS)))
    characters[place] = np.cumsum(steps, axis=0)[:-1]
    # Rounded as the model rounds them, so that sums agree to the last digits.
    dense = context.on_grid(features.dense(buffer, found, shares).T.copy(), 20)
    shape = _centred((context.rounded(model.dense_weights) * dense[:, 0]).T)
    return characters, unplaced, shape


def covers(
    family: str, buffer: features.Buffer, found: features.Words, begin: int, end: int
) -> list[tuple[I64, I64]]:
    """Where the n-grams ``begin`` to ``end`` of a family stand in the buffer.

    A list of ``(first, last)``, half-open ranges of buffer positions with one item per n-gram; an n-gram of
    two parts has two. Pads are in the ranges: they cover no text.
    """
    at = np.arange(begin, end)
    if family.startswith("char"):
        return [(at, at + int(family[-1]))]
    if family == "sent":  # the words that open sentences, found by handing in their numbers as their hashes
        numbered = replace(found, hashes=np.arange(len(found.hashes), dtype=np.uint64))
        at = features._sentence_openings(buffer, numbered)[0][begin:end].astype(np.int64)
        return [(found.first[at], found.last[at] + 1)]
    if family == "open":
        at = found.begin[begin:end] + 1
        return [(found.first[at], found.last[at + 1] + 1)]
    if family == "skip2":
        return [(found.first[at], found.last[at] + 1), (found.first[at + 2], found.last[at + 2] + 1)]
    return [(found.first[at], found.last[at + int(family[-1]) - 1] + 1)]


def _places(buffer: features.Buffer, clean: str, text: str, model: Model) -> I64:
    """Position in ``text`` of each character of the buffer that is not white space, in order."""
    codes = np.frombuffer(clean.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = model.alphabet.take(np.minimum(codes, np.uint32(0xFFFF))) >> np.uint32(16)
    # What folding leaves out is white space and ignored characters only, so the rest are the same in both.
    visible = np.flatnonzero((kinds != features._SPACE) & (kinds != features._IGNORE))
    return stripped(text)[1][visible]


def stripped(text: str) -> tuple[str, I64]:
    """The text as :func:`consentclf.features.hash_block` reads it, and where each of its characters stood."""
    at = np.arange(len(text))
    head, tail = features.HEAD_CHARS, features.TAIL_CHARS
    if len(text) > head + tail:
        # The space between the two halves is none of the text's; it stands for the first character left out.
        at = np.concatenate((at[: head + 1], at[-tail:]))
        text = text[:head] + " " + text[-tail:]
    if not text or not (text[0] in features._FIRST or features._MARKED.search(text)):
        return text, at
    if "](" in text:
        for _ in range(2):
            before = text
            text, at = _keep(features._LINK, 1, text, at)
            if text == before:
                break
    marker = features._MARKER.match(text)
    if marker:
        text, at = text[marker.end() :], at[marker.end() :]
    return _keep(features._EMPHASIS, 2, text, at)


def _keep(pattern: re.Pattern[str], group: int, text: str, at: I64) -> tuple[str, I64]:
    """Put every match's group in its place."""
    keep = np.ones(len(text), dtype=bool)
    for match in pattern.finditer(text):
        keep[match.start() : match.start(group)] = False
        keep[match.end(group) : match.end()] = False
    return "".join(np.array(list(text), dtype=object)[keep]) if not keep.all() else text, at[keep]


# ---------------------------------------------------------------------------------------------------------
# From characters to words and phrases.


def _spans(text: str, characters: F64) -> list[Span]:
    """Sum characters over words, and join neighbouring words that clearly push the same way."""
    pieces = _words(text)
    weights = [characters[start:end].sum(axis=0) for start, end in pieces]
    if not pieces:
        return []
    faint = _FAINT * max(float(w.max()) for w in weights)
    out: list[Span] = []
    begin = 0
    for i in range(1, len(pieces) + 1):
        joins = (
            i < len(pieces)
            and i - begin < _MAX_WORDS
            and weights[i].argmax() == weights[begin].argmax()
            and float(weights[i].max()) >= faint
            and float(weights[i - 1].max()) >= faint
        )
        if not joins:
            start, end = pieces[begin][0], pieces[i - 1][1]
            total = np.sum(weights[begin:i], axis=0)
            if total.any():
                out.append(Span(start, end, text[start:end], _named(total)))
            begin = i
    return out


def _words(text: str) -> list[tuple[int, int]]:
    """Cut at white space, between ideographs, and long runs into pieces that begin with no combining mark."""
    out = []
    for match in _RUN.finditer(text):
        start, stop = match.span()
        limit = _MAX_SOUTHEAST_RUN if _SOUTHEAST.search(match[0]) else _MAX_RUN
        while start < stop:
            end = min(start + limit, stop)
            if stop - end < 4:
                end = stop
            while end < stop and unicodedata.category(text[end])[0] == "M":
                end += 1
            out.append((start, end))
            start = end
    return out


def probabilities(explanation: Explanation) -> dict[str, float]:
    """Softmax of an explanation's logits: the scores, computed from the parts alone."""
    row = np.array([[explanation.logits[label] for label in LABELS]])
    return _named(context.softmax(row)[0])
