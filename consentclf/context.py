"""Page-level features of the second stage: what the neighbours say.

Whole batches of pages are done at once. Sums over windows are differences of prefix sums in fixed point, so a
page's features do not depend on which other pages shared its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_FIXED = 1 << 20
#: Half-widths, in paragraphs, of the windows summed on either side.
WINDOWS = (1, 2, 4, 8, 16, 40)
_LENGTHS = (4.0, 15.0, 30.0, 60.0, 120.0, 250.0)


@dataclass(frozen=True)
class PageBatch:
    """Many pages laid end to end: page ``p`` is rows ``bounds[p]`` to ``bounds[p + 1]``."""

    logits: F64  # (n, 4), first stage
    chars: F64  # (n,)
    shape: F64  # (n, k), per paragraph, from the dense features and from repetition
    bounds: I64  # (pages + 1,)


def repeats(paragraphs: Sequence[str]) -> list[float]:
    """How often each paragraph's text occurs elsewhere on the same page, 0 to 1 (3 times or more)."""
    counts: dict[str, int] = {}
    for text in paragraphs:
        counts[text] = counts.get(text, 0) + 1
    if len(counts) == len(paragraphs):
        return [0.0] * len(paragraphs)
    return [min(counts[text] - 1, 3) / 3 for text in paragraphs]


def softmax(logits: F64) -> F64:
    """Probabilities of rows of logits."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def features(batch: PageBatch) -> F64:
    """Features of every paragraph of a batch of pages, float64 of shape (n, FEATURES)."""
    n = len(batch.chars)
    bounds = batch.bounds
    sizes = np.diff(bounds)
    page = np.repeat(np.arange(len(sizes)), sizes)
    start, stop = bounds[page], bounds[page + 1]
    at = np.arange(n)
    centred = batch.logits - batch.logits.mean(axis=1, keepdims=True)
    centred = np.clip(centred, -12, 12)
    p = softmax(centred)
    chars = batch.chars
    length = np.log1p(np.minimum(chars, 1500)) / 4

    # Fixed-point prefix sums: probabilities by count, and by characters (clipped: one long paragraph is one voice).
    weight = np.minimum(chars, 400) / 100
    columns = np.concatenate([p, p * weight[:, None], weight[:, None]], axis=1)
    prefix = np.zeros((n + 1, columns.shape[1]), dtype=np.int64)
    np.cumsum(np.rint(columns * _FIXED).astype(np.int64), axis=0, out=prefix[1:])

    def window(lo: I64, hi: I64) -> F64:
        lo, hi = np.maximum(lo, start), np.minimum(hi, stop)
        hi = np.maximum(hi, lo)
        return (prefix[hi] - prefix[lo]) / _FIXED

    out: list[F64] = [centred / 4, p, length[:, None], batch.shape]
    out.append((chars[:, None] >= np.array(_LENGTHS)).astype(np.float64))
    out.append(p * length[:, None])
    first, last = at == start, at == stop - 1
    out.append(np.stack([first, last], axis=1).astype(np.float64))
    for shift in (-2, -1, 1, 2):
        other = at + shift
        inside = (other >= start) & (other < stop)
        other = np.clip(other, 0, max(n - 1, 0))
        out.append(np.where(inside[:, None], centred[other] / 4, 0))
        out.append(np.where(inside[:, None], p[other], 0))
        out.append(np.where(inside, length[other], 0)[:, None])
    before_after = []
    for k in WINDOWS:
        before, after = window(at - k, at), window(at + 1, at + k + 1)
        for side, name in ((before, "b"), (after, "a")):
            count = side[:, :4].sum(axis=1, keepdims=True)
            out.append(side[:, :4] / np.maximum(count, 1))
            if k > 1:
                out.append(side[:, 4:8] / np.maximum(side[:, 8:9], 0.5))
                out.append(np.log1p(side[:, 4:5]))
            before_after.append((name, side))
    whole = window(start, stop)
    ahead, behind = window(start, at), window(at + 1, stop)
    total = np.maximum(whole[:, 4:5], 0.05)
    f_before, f_after = ahead[:, 4:5] / total, behind[:, 4:5] / total
    share_count = whole[:, :4] / np.maximum(sizes[page], 1)[:, None]
    share_chars = whole[:, 4:8] / np.maximum(whole[:, 8:9], 0.05)
    pages = np.concatenate([share_count, share_chars, np.log1p(sizes[page])[:, None] / 5,
                            np.log1p(whole[:, 4:5]) / 4], axis=1)  # fmt: skip
    out.append(pages)
    position = ((at - start + 0.5) / np.maximum(sizes[page], 1))[:, None]
    out += [position, position**2, f_before, f_after, np.minimum(f_before, f_after),
            (f_before < 0.01), (f_before < 0.1), (f_after < 0.01), (f_after < 0.1)]  # fmt: skip
    near = window(at - 4, at + 5)
    near_article = near[:, 4:5] / np.maximum(near[:, 8:9], 0.05)
    near_consent = near[:, 6:7] / np.maximum(near[:, 8:9], 0.05)
    near_nav = near[:, 3:4] / np.maximum(near[:, :4].sum(axis=1, keepdims=True), 1)
    article_share = share_chars[:, :1]
    nav_share = share_count[:, 3:4]
    # Products: how far the neighbourhood and the kind of page change what the paragraph's own words mean.
    for gate in (near_article, near_consent, near_nav, article_share, nav_share, np.minimum(f_before, f_after) * 2,
                 length[:, None]):  # fmt: skip
        out.append(centred / 4 * gate)
        out.append(length[:, None] * gate)
        out.append(batch.shape * gate)
    return np.concatenate([np.asarray(x, dtype=np.float64) for x in out], axis=1)


def features_size(shape_columns: int) -> int:
    """Number of page features for a shape of so many columns."""
    empty = PageBatch(np.zeros((1, 4)), np.ones(1), np.zeros((1, shape_columns)), np.array([0, 1]))
    return int(features(empty).shape[1])
