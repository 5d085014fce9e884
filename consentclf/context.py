"""Page-level features of the second stage: what the neighbours say.

Whole batches of pages are done at once. Sums over windows are differences of prefix sums in fixed point, so a
page's features do not depend on which other pages shared its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

_FIXED = 1 << 20
#: Half-widths, in paragraphs, of the windows summed on either side.
WINDOWS = (1, 4, 16)
_REACH = np.array(WINDOWS, dtype=np.int64)[:, None]
_LENGTHS = np.array([4, 15, 30, 60, 120, 250], dtype=np.float64)[:, None]
_SHIFTS = (-2, -1, 1, 2)
_NEAR = WINDOWS.index(4)
#: Columns of the shape whose means over windows are features: full stops at the end, digits, links.
_AVERAGED = (0, 3, 8)
#: Features a window and side: voices, then the shape of the run, such as a list of teasers of like length.
_VOICES, _RUN = 9, len(_AVERAGED) + 4
#: Columns of one matrix product: so few that no library spreads it over threads, which would cost more.
_AT_ONCE = 256
#: Paragraphs whose features are held at once: what the L2 cache takes. A longer page is held whole.
GROUP = 1024


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
    shifted: F64 = np.exp(logits - logits.max(axis=1, keepdims=True))
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def rounded(weights: NDArray[np.floating[Any]]) -> F64:
    """Weights for :func:`product`: rounded to 20 binary places and turned, float64 (labels, columns)."""
    turned: F64 = np.ascontiguousarray(weights.T, dtype=np.float64)
    out: F64 = np.rint(turned * (1 << 20)) / (1 << 20)
    return out


def on_grid(columns: F32, places: int = 18) -> F32:
    """Round to so many binary places, in place. None is below ``-2 ** (22 - places)``.

    Added to such a number a float32 has no more places. Larger ones have fewer, which is as well.
    """
    number = np.float32(1.5 * 2 ** (23 - places))
    columns += number
    columns -= number
    return columns


def product(weights: F64, columns: F32) -> F64:
    """``weights @ columns``, float64, for weights and columns rounded as above.

    With 20 places each all products and sums are exact below 2**13. So it does not matter in which order a
    library for matrix products adds, which depends on shapes: results do not depend on the batch.
    """
    n = columns.shape[1]
    if n <= _AT_ONCE:
        few: F64 = np.matmul(weights, columns.astype(np.float64))
        return few
    out = np.empty((len(weights), n))
    for begin in range(0, n, _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        np.matmul(weights, columns[:, part].astype(np.float64), out=out[:, part])
    return out


@dataclass(frozen=True)
class _Columns:
    """The features by columns. Every gate times every inner column is one too, though never written out."""

    plain: F32  # (columns, n)
    inner: F32  # (columns, n)
    gates: F32  # (gates, n)


def _columns(batch: PageBatch) -> _Columns:
    n = len(batch.chars)
    bounds = batch.bounds
    sizes = np.diff(bounds)
    page = np.arange(len(sizes)).repeat(sizes)
    start, stop = bounds[:-1].repeat(sizes), bounds[1:].repeat(sizes)
    at = np.arange(n)
    logits = np.ascontiguousarray(batch.logits.T)
    shape = batch.shape.T
    k = len(shape)
    centred = logits - (logits[0] + logits[1] + logits[2] + logits[3]) / 4
    np.clip(centred, -12, 12, out=centred)
    # Probabilities by count; by characters (clipped: one long paragraph is one voice); and the characters.
    voices = np.empty((_VOICES + len(_AVERAGED) + 2, n))
    p, weight = voices[:4], voices[8]
    np.exp(centred - centred.max(axis=0), out=p)
    p /= p[0] + p[1] + p[2] + p[3]
    np.minimum(batch.chars, 400, out=weight)
    weight /= 100
    np.multiply(p, weight, out=voices[4:8])
    length = np.log1p(np.minimum(batch.chars, 1500)) / 4
    voices[9:-2] = shape[list(_AVERAGED)]
    voices[-2] = length
    np.multiply(length, length, out=voices[-1])

    inner = np.empty((5 + k, n), dtype=np.float32)
    np.divide(centred, 4, out=inner[:4], casting="unsafe")
    inner[4] = length
    inner[5:] = shape
    on_grid(inner)

    plain = np.zeros((_plain_size(k), n), dtype=np.float32)
    used = 0

    def rows(count: int) -> F32:
        """The next ``count`` columns, to be filled."""
        nonlocal used
        used += count
        return plain[used - count : used]

    own = rows(9)
    own[:4], own[4:8], own[8] = inner[:4], p, length
    rows(k)[:] = shape
    np.greater_equal(batch.chars, _LENGTHS, out=rows(len(_LENGTHS)), casting="unsafe")
    np.multiply(own[4:8], own[8], out=rows(4))
    ends = rows(2)
    np.equal(at, start, out=ends[0], casting="unsafe")
    np.equal(at, stop - 1, out=ends[1], casting="unsafe")
    for shift in _SHIFTS:  # zero where that neighbour is on another page
        out = rows(9)
        if shift < 0:
            np.multiply(own[:, :shift], at[-shift:] + shift >= start[-shift:], out=out[:, -shift:])
        else:
            np.multiply(own[:, shift:], at[:-shift] + shift < stop[:-shift], out=out[:, :-shift])

    # Prefix sums of whole numbers: exact, so that a window's sum does not depend on what came before it.
    prefix = np.zeros((len(voices), n + 1))
    voices *= _FIXED
    np.rint(voices, out=voices)
    np.add.accumulate(voices, axis=1, out=prefix[:, 1:])
    lo = prefix.take(np.maximum(at - _REACH, start), axis=1)
    hi = prefix.take(np.minimum(at + 1 + _REACH, stop), axis=1)
    side = np.empty((len(voices), len(WINDOWS), 2, n), dtype=np.float32)  # before and after
    np.subtract(prefix[:, None, :-1], lo, out=side[:, :, 0], casting="unsafe")
    np.subtract(hi, prefix[:, None, 1:], out=side[:, :, 1], casting="unsafe")
    side *= np.float32(1 / _FIXED)
    near = (hi[:, _NEAR] - lo[:, _NEAR]) / _FIXED
    count = side[0] + side[1] + side[2] + side[3]
    np.maximum(count, 1, out=count)
    # Of the window of one paragraph only its probabilities: the rest would repeat them.
    np.divide(side[:4, 0], count[0], out=rows(8).reshape(2, 4, n).transpose(1, 0, 2))
    out = rows(2 * _VOICES * (len(WINDOWS) - 1)).reshape(-1, 2, _VOICES, n).transpose(2, 0, 1, 3)
    np.divide(side[:4, 1:], count[1:], out=out[:4])
    np.divide(side[4:8, 1:], np.maximum(side[8, 1:], 0.5), out=out[4:8])
    np.log1p(side[4, 1:], out=out[8])
    out = rows(2 * _RUN * (len(WINDOWS) - 1)).reshape(-1, 2, _RUN, n).transpose(2, 0, 1, 3)
    np.divide(side[9:-1, 1:], count[1:], out=out[:-3])
    mean, spread = out[-4], out[-3]
    np.divide(side[-1, 1:], count[1:], out=spread)
    spread -= mean * mean
    np.sqrt(np.maximum(spread, 0), out=spread)
    np.subtract(own[8], mean, out=out[-2])
    np.abs(out[-2], out=out[-1])

    # The page as a whole, computed once a page.
    sums = (prefix[:, bounds[1:]] - prefix[:, bounds[:-1]]) / _FIXED
    whole = np.empty((10, len(sizes)))
    whole[:4] = sums[:4] / np.maximum(sizes, 1)
    whole[4:8] = sums[4:8] / np.maximum(sums[8], 0.05)
    whole[8] = np.log1p(sizes) / 5
    whole[9] = np.log1p(sums[4]) / 4
    whole = whole.astype(np.float32)
    here = rows(10)
    here[:] = whole[:, page]

    where = rows(9)
    position = (at - start + 0.5) / np.maximum(sizes[page], 1)
    where[0] = position
    where[1] = position * position
    total = np.maximum(sums[4], 0.05)[page] * _FIXED
    article = prefix[4]
    np.divide(article[:-1] - article[start], total, out=where[2], casting="unsafe")
    np.divide(article[stop] - article[1:], total, out=where[3], casting="unsafe")
    np.minimum(where[2], where[3], out=where[4])
    np.less(where[2:4], np.float32(0.01), out=where[5::2], casting="unsafe")
    np.less(where[2:4], np.float32(0.1), out=where[6::2], casting="unsafe")

    # Gates: how far the neighbourhood and the kind of page change what the paragraph's own words mean.
    gates = np.empty((7, n), dtype=np.float32)
    near_chars = np.maximum(near[8], 0.05)
    gates[0] = near[4] / near_chars
    gates[1] = near[6] / near_chars
    gates[2] = near[3] / np.maximum(near[0] + near[1] + near[2] + near[3], 1)
    gates[3] = here[4]
    gates[4] = here[3]
    gates[5] = where[4] * 2
    gates[6] = length
    return _Columns(on_grid(plain), inner, gates)


@lru_cache
def _plain_size(shape_columns: int) -> int:
    return (
        9
        + shape_columns
        + len(_LENGTHS)
        + 4
        + 2
        + 9 * len(_SHIFTS)
        + 8
        + 2 * (_VOICES + _RUN) * (len(WINDOWS) - 1)
        + 10
        + 9
    )


def features(batch: PageBatch) -> F32:
    """Features of every paragraph of a batch of pages, float32 of shape (n, columns). For training.

    :func:`score` multiplies the same features by weights without writing all of them out.
    """
    n = len(batch.chars)
    found = _columns(batch)
    gated = found.gates[:, None] * found.inner
    out: F32 = np.concatenate([found.plain, gated.reshape(-1, n)]).T
    return out


def features_size(shape_columns: int) -> int:
    """Number of page features for a shape of so many columns."""
    return _plain_size(shape_columns) + 7 * (5 + shape_columns)


def score(batch: PageBatch, weights: F64, bias: F32, first: F64 | None = None) -> F64:
    """``features(batch) @ weights + bias``, float64 (n, 4), for ``weights`` as :func:`rounded` gives them.

    ``first``, (n, 4), are four more columns at the end.
    """
    n = len(batch.chars)
    found = _columns(batch)
    labels, inner, gates = len(weights), len(found.inner), len(found.gates)
    plain = len(found.plain)
    split = plain + gates * inner
    out = product(weights[:, :plain], found.plain)
    # A gate is one number a paragraph: it multiplies what its weights make of the columns, not the columns.
    by_gate = weights[:, plain:split].reshape(labels * gates, inner)
    gated = product(by_gate, found.inner).reshape(labels, gates, n)
    gated *= found.gates
    for i in range(gates):
        out += gated[:, i]
    if first is not None:
        out += product(weights[:, split:], on_grid(first.T.astype(np.float32), 14))
    out += bias[:, None]
    rows: F64 = out.T
    return rows


def groups(bounds: I64, rows: int = GROUP) -> list[slice]:
    """Runs of whole pages of about ``rows`` paragraphs, as slices of pages."""
    out = []
    begin, pages = 0, len(bounds) - 1
    while begin < pages:
        end = max(begin + 1, int(bounds.searchsorted(bounds[begin] + rows, side="right")) - 1)
        end = min(end, pages)
        out.append(slice(begin, end))
        begin = end
    return out
