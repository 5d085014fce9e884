"""Pairs of texts that are nearly the same, found exactly by an inverted index over rare n-grams."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

I64 = NDArray[np.int64]

#: Characters of an n-gram. Of four, two words in common say little, a phrase in common says much.
_N = 4
#: Overlap (Jaccard) of the n-gram sets from which two texts count as nearly the same. Texts written apart on
#: one subject stay under 0.3; one with a name, number or clause changed stays above 0.6.
THRESHOLD = 0.6
#: A shorter text is compared as a whole: of few n-grams, one ending more or less decides. Ideographs and kana
#: count double, for what they say.
MIN_SIZE = 30
_ROWS = 2048


def normal(text: str) -> str:
    """Text without case, punctuation and white space runs; digits become 0."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(
        "0" if c.isdigit() else c if c.isalnum() or unicodedata.combining(c) else " " for c in folded
    )
    return " ".join(kept.split())


def size(text: str) -> int:
    """Length of a normalised text, ideographs and kana twice."""
    return len(text) + sum("\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" for c in text)


def shingles(texts: Sequence[str]) -> sp.csr_matrix:
    """Sets of character n-grams: 0/1 matrix (n, distinct n-grams), columns from the rarest to the
    commonest."""
    pad = "\0"
    joined = pad + "".join(f" {text} {pad}" for text in texts)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    row = np.cumsum(codes == 0) - 1
    count = max(len(codes) - _N + 1, 0)
    # A Unicode code point has 21 bits: three fit a word as they are, the fourth is mixed in.
    mixed = codes[:count] * np.uint64(0x9E3779B97F4A7C15)
    for k in range(1, _N):
        mixed = (mixed ^ codes[k : k + count]) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    whole = row[:count] == row[_N - 1 : _N - 1 + count]
    whole &= codes[:count] != 0
    _, column = np.unique(mixed[whole], return_inverse=True)
    vocabulary = int(column.max()) + 1 if len(column) else 1
    key = np.unique(row[:count][whole].astype(np.int64) * vocabulary + column)
    rows, column = key // vocabulary, key % vocabulary
    frequency = np.bincount(column, minlength=vocabulary)
    rank = np.empty(vocabulary, dtype=np.int64)
    rank[np.argsort(frequency, kind="stable")] = np.arange(vocabulary)
    key = np.sort(rows * vocabulary + rank[column])
    pointer = np.concatenate(([0], np.cumsum(np.bincount(key // vocabulary, minlength=len(texts)))))
    return sp.csr_matrix(
        (np.ones(len(key), dtype=np.int32), key % vocabulary, pointer), shape=(len(texts), vocabulary)
    )


def near_pairs(
    texts: Sequence[str], threshold: float = THRESHOLD, split: int | None = None
) -> list[tuple[int, int, float]]:
    """All pairs (i, j, overlap) of normalised texts with i < j and overlap of at least ``threshold``.

    split : only pairs of one text before and one from that position on.

    Prefix filtering (Chaudhuri et al., ICDE 2006; Bayardo et al., WWW 2007): two sets whose overlap reaches t
    share one of the ``size - ceil(t * size) + 1`` rarest members of each. So an index of those alone misses
    nothing, and rare members have short lists. Candidates are then compared in full.
    """
    if not len(texts):
        return []
    full = shingles(texts)
    sizes = np.diff(full.indptr)
    prefix = sizes - np.ceil(threshold * sizes - 1e-9).astype(np.int64) + 1
    prefix[sizes == 0] = 0
    place = np.arange(len(full.indices)) - np.repeat(full.indptr[:-1], sizes)
    chosen = place < np.repeat(prefix, sizes)
    pointer = np.concatenate(([0], np.cumsum(prefix)))
    rare = sp.csr_matrix((full.data[chosen], full.indices[chosen], pointer), shape=full.shape)
    index = rare.T.tocsr()
    out: list[tuple[int, int, float]] = []
    for begin in range(0, len(texts) if split is None else split, _ROWS):
        end = min(begin + _ROWS, len(texts) if split is None else split)
        found = (rare[begin:end] @ index).tocoo()
        i, j = found.row.astype(np.int64) + begin, found.col.astype(np.int64)
        keep = (i < j) if split is None else (j >= split)
        keep &= np.minimum(sizes[i], sizes[j]) >= threshold * np.maximum(sizes[i], sizes[j])
        i, j = i[keep], j[keep]
        for at in range(0, len(i), 20_000):
            a, b = i[at : at + 20_000], j[at : at + 20_000]
            shared = np.asarray(full[a].multiply(full[b]).sum(axis=1)).ravel()
            overlap = shared / (sizes[a] + sizes[b] - shared)
            hit = overlap >= threshold
            out += zip(a[hit].tolist(), b[hit].tolist(), overlap[hit].tolist(), strict=True)
    return out
