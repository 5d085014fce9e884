"""Page-level features of the second stage: what the neighbours say.

Whole batches of pages are done at once. Sums over windows are differences of prefix sums in fixed point, so a
page's features do not depend on which other pages shared its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
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
_LENGTHS = (4, 15, 30, 60, 120, 250)
_SHIFTS = (-2, -1, 1, 2)
_NEAR = WINDOWS.index(4)
#: Columns of the shape whose means over windows are features: full stops at the end, digits, links.
_AVERAGED = (0, 3, 8)
#: Features a window and side: voices, then the shape of the run, such as a list of teasers of like length.
_VOICES, _RUN = 9, len(_AVERAGED) + 4
_GATES = 7
#: Columns that depend on the logits: own, neighbours', windows', the page's and where in its article.
_BY_LOGITS = 8 + 4 + 8 * len(_SHIFTS) + 8 + 2 * _VOICES * (len(WINDOWS) - 1) + 9 + 7
#: Columns of one matrix product: so few that no library spreads it over threads, which would cost more.
_AT_ONCE = 256
#: Paragraphs whose features are held at once: what the L2 cache takes. A longer page is held whole.
GROUP = 1024


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


class PageBatch:
    """The page features of many pages laid end to end: page ``p`` is rows ``bounds[p]`` to ``bounds[p + 1]``.

    What does not depend on the logits is worked out once, for every pass.

    chars : lengths in characters, (n,).
    shape : (n, k), per paragraph, from the dense features and from repetition.
    bounds : (pages + 1,).
    """

    def __init__(self, chars: F64, shape: F64, bounds: I64) -> None:
        n, k = len(chars), shape.shape[1]
        sizes = np.diff(bounds)
        self._page = page = np.arange(len(sizes)).repeat(sizes)
        self._bounds, self._sizes = bounds, sizes
        self._start, self._stop = start, stop = bounds[:-1].repeat(sizes), bounds[1:].repeat(sizes)
        self._at = at = np.arange(n)
        self._low, self._high = np.maximum(at - _REACH, start), np.minimum(at + 1 + _REACH, stop)
        # What a window counts at least: pages have edges.
        self._before = np.maximum(at - self._low, 1).astype(np.float32)
        self._after = np.maximum(self._high - at - 1, 1).astype(np.float32)
        self._count = np.stack([self._before, self._after], axis=1)
        # Whether the paragraph so many further on is of the same page.
        self._same = {d: (at + d >= start) & (at + d < stop) for d in _SHIFTS}
        # By characters, clipped: one long paragraph is one voice.
        self._weight = np.minimum(chars, 400) / 100
        self._length = length = np.log1p(np.minimum(chars, 1500)) / 4
        self._plain = np.zeros((_plain_size(k), n), dtype=np.float32)
        self._inner = np.empty((5 + k, n), dtype=np.float32)
        self._inner[4], self._inner[5:] = length, shape.T
        on_grid(self._inner[4:])

        fixed = self._plain[_BY_LOGITS:]
        fixed[0], fixed[1 : 1 + k] = length, shape.T
        rows = iter(fixed[1 + k :])
        for least in _LENGTHS:
            np.greater_equal(chars, least, out=next(rows), casting="unsafe")
        np.equal(at, start, out=next(rows), casting="unsafe")
        np.equal(at, stop - 1, out=next(rows), casting="unsafe")
        for shift in _SHIFTS:
            _shifted(fixed[:1], shift, self._same[shift], next(rows)[None])
        next(rows)[:] = (np.log1p(sizes) / 5)[page]
        position = (at - start + 0.5) / np.maximum(sizes[page], 1)
        next(rows)[:] = position
        np.multiply(position, position, out=next(rows))
        # The shape of the run of paragraphs before and after: ends, digits, links, how long and how alike.
        counted = np.concatenate([shape.T[list(_AVERAGED)], length[None], (length * length)[None]])
        prefix = _prefix(counted)
        for window in range(1, len(WINDOWS)):
            for total, count in (
                (prefix[:, :-1] - prefix.take(self._low[window], axis=1), self._before[window]),
                (prefix.take(self._high[window], axis=1) - prefix[:, 1:], self._after[window]),
            ):
                total /= count * np.float32(_FIXED)
                mean, spread = total[-2], total[-1] - total[-2] * total[-2]
                for values in (
                    *total[:-1],
                    np.sqrt(np.maximum(spread, 0)),
                    length - mean,
                    np.abs(length - mean),
                ):
                    next(rows)[:] = values
        on_grid(fixed)

    def _fill(self, logits: F64) -> F32:
        """Fill in what depends on the logits, (n, 4); return the gates, (gates, n)."""
        n = len(self._at)
        start, stop, page, sizes = self._start, self._stop, self._page, self._sizes
        turned = np.ascontiguousarray(logits.T)
        centred = turned - (turned[0] + turned[1] + turned[2] + turned[3]) / 4
        np.clip(centred, -12, 12, out=centred)
        # Probabilities by count; by characters; and the characters.
        voices = np.empty((_VOICES, n))
        p = voices[:4]
        np.exp(centred - centred.max(axis=0), out=p)
        p /= p[0] + p[1] + p[2] + p[3]
        np.multiply(p, self._weight, out=voices[4:8])
        voices[8] = self._weight
        plain, used = self._plain[:_BY_LOGITS], 0

        def rows(count: int) -> F32:
            """The next ``count`` columns, to be filled."""
            nonlocal used
            used += count
            return plain[used - count : used]

        own = rows(8)
        np.divide(centred, 4, out=own[:4], casting="unsafe")
        self._inner[:4] = own[:4]
        on_grid(self._inner[:4])
        own[4:8] = p
        np.multiply(own[4:8], self._length, out=rows(4), casting="unsafe")
        for shift in _SHIFTS:
            _shifted(own, shift, self._same[shift], rows(8))

        prefix = _prefix(voices)
        low, high = prefix.take(self._low, axis=1), prefix.take(self._high, axis=1)
        side = np.empty((_VOICES, len(WINDOWS), 2, n), dtype=np.float32)  # before and after
        np.subtract(prefix[:, None, :-1], low, out=side[:, :, 0], casting="unsafe")
        np.subtract(high, prefix[:, None, 1:], out=side[:, :, 1], casting="unsafe")
        side *= np.float32(1 / _FIXED)
        near = (high[:, _NEAR] - low[:, _NEAR]) / _FIXED
        count = self._count
        # Of the window of one paragraph only its probabilities: the rest would repeat them.
        np.divide(side[:4, 0], count[0], out=rows(8).reshape(2, 4, n).transpose(1, 0, 2))
        out = rows(2 * _VOICES * (len(WINDOWS) - 1)).reshape(-1, 2, _VOICES, n).transpose(2, 0, 1, 3)
        np.divide(side[:4, 1:], count[1:], out=out[:4])
        np.divide(side[4:8, 1:], np.maximum(side[8, 1:], 0.5), out=out[4:8])
        np.log1p(side[4, 1:], out=out[8])

        # The page as a whole, computed once a page.
        sums = (prefix[:, self._bounds[1:]] - prefix[:, self._bounds[:-1]]) / _FIXED
        whole = np.empty((9, len(sizes)))
        whole[:4] = sums[:4] / np.maximum(sizes, 1)
        whole[4:8] = sums[4:8] / np.maximum(sums[8], 0.05)
        whole[8] = np.log1p(sums[4]) / 4
        here = rows(9)
        here[:] = whole.astype(np.float32)[:, page]

        where = rows(7)
        total = np.maximum(sums[4], 0.05)[page] * _FIXED
        article = prefix[4]
        np.divide(article[:-1] - article[start], total, out=where[0], casting="unsafe")
        np.divide(article[stop] - article[1:], total, out=where[1], casting="unsafe")
        np.minimum(where[0], where[1], out=where[2])
        np.less(where[:2], np.float32(0.01), out=where[3::2], casting="unsafe")
        np.less(where[:2], np.float32(0.1), out=where[4::2], casting="unsafe")

        # Gates: how far the neighbourhood and the kind of page change what the paragraph's own words mean.
        gates = np.empty((_GATES, n), dtype=np.float32)
        near_chars = np.maximum(near[8], 0.05)
        gates[0] = near[4] / near_chars
        gates[1] = near[6] / near_chars
        gates[2] = near[3] / np.maximum(near[0] + near[1] + near[2] + near[3], 1)
        gates[3] = here[4]
        gates[4] = here[3]
        gates[5] = where[2] * 2
        gates[6] = self._length
        on_grid(plain)
        return gates

    def features(self, logits: F64) -> F32:
        """Features of every paragraph, float32 of shape (n, columns), given logits (n, 4). For training.

        The first are the centred logits, divided by 4. :meth:`score` multiplies the same features by weights
        without writing all of them out.
        """
        gated = self._fill(logits)[:, None] * self._inner
        out: F32 = np.concatenate([self._plain, gated.reshape(-1, len(self._at))]).T
        return out

    def score(self, logits: F64, weights: F64, bias: F32, first: F64 | None = None) -> F64:
        """``features(logits) @ weights + bias``, float64 (n, 4), for ``weights`` as :func:`rounded` gives them.

        ``first``, (n, 4), are four more columns at the end.
        """
        gates = self._fill(logits)
        labels, inner, plain = len(weights), len(self._inner), len(self._plain)
        split = plain + _GATES * inner
        out = product(weights[:, :plain], self._plain)
        # A gate is one number a paragraph: it multiplies what its weights make of the columns, not the columns.
        by_gate = weights[:, plain:split].reshape(labels * _GATES, inner)
        gated = product(by_gate, self._inner).reshape(labels, _GATES, len(self._at))
        gated *= gates
        for i in range(_GATES):
            out += gated[:, i]
        if first is not None:
            out += product(weights[:, split:], on_grid(first.T.astype(np.float32), 14))
        out += bias[:, None]
        rows: F64 = out.T
        return rows


def _prefix(values: F64) -> F64:
    """Prefix sums of rows of values in fixed point: exact, so that a window does not depend on what was before."""
    out = np.zeros((len(values), values.shape[1] + 1))
    np.add.accumulate(np.rint(values * _FIXED), axis=1, out=out[:, 1:])
    return out


def _shifted(values: F32, shift: int, same: NDArray[np.bool_], out: F32) -> None:
    """The values of the paragraph so many further on; ``out`` stays zero where that is not of the same page."""
    if shift < 0:
        np.multiply(values[:, :shift], same[-shift:], out=out[:, -shift:])
    else:
        np.multiply(values[:, shift:], same[:-shift], out=out[:, :-shift])


@lru_cache
def _plain_size(shape_columns: int) -> int:
    fixed = 1 + shape_columns + len(_LENGTHS) + 2 + len(_SHIFTS) + 3 + 2 * _RUN * (len(WINDOWS) - 1)
    return _BY_LOGITS + fixed


def features_size(shape_columns: int) -> int:
    """Number of page features for a shape of so many columns."""
    return _plain_size(shape_columns) + _GATES * (5 + shape_columns)


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
