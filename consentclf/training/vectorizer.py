"""The scikit-learn side of :mod:`consentclf.features`: the same hashes as a sparse TF-IDF matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .. import features
from ..model import QUANTA


def count_matrix(
    texts: Sequence[str], settings: features.FeatureSettings, alphabet: NDArray[np.uint32]
) -> tuple[sp.csr_matrix, NDArray[np.float32]]:
    """Hash texts into a CSR matrix of counts, float32 (n, slots), and dense features (n, k)."""
    indices: list[NDArray[np.int32]] = []
    data: list[NDArray[np.float32]] = []
    sizes: list[NDArray[np.int64]] = []
    dense: list[NDArray[np.float32]] = []
    for block in features.blocks(texts, limit=1 << 18):
        hashed = features.hash_block(texts[block], settings, alphabet)
        n = len(hashed.dense)
        dense.append(hashed.dense)
        counts = [end - begin for _, begin, end in hashed.ngrams]
        total = np.sum(counts, axis=0)
        flat = np.empty(int(total.sum()), dtype=np.int32)
        place = np.cumsum(total) - total
        for (slots, begin, _), count in zip(hashed.ngrams, counts, strict=True):
            within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            flat[np.repeat(place, count) + within] = slots[np.repeat(begin, count) + within]
            place = place + count
        pointer = np.concatenate(([0], np.cumsum(total)))
        rows = sp.csr_matrix(
            (np.ones(len(flat), dtype=np.float32), flat, pointer), shape=(n, 1 << settings.bits)
        )
        rows.sum_duplicates()
        indices.append(rows.indices.astype(np.int32))
        data.append(rows.data)
        sizes.append(np.diff(rows.indptr))
    pointer = (
        np.concatenate(([0], np.cumsum(np.concatenate(sizes)))) if sizes else np.zeros(1, dtype=np.int64)
    )
    if pointer[-1] < 2**31:
        pointer = pointer.astype(np.int32)
    matrix = sp.csr_matrix(
        (
            np.concatenate(data) if data else np.zeros(0, dtype=np.float32),
            np.concatenate(indices) if indices else np.zeros(0, dtype=np.int32),
            pointer,
        ),
        shape=(len(texts), 1 << settings.bits),
    )
    k = len(features.DENSE_NAMES)
    return matrix, np.concatenate(dense) if dense else np.zeros((0, k), dtype=np.float32)


def quantised_idf2(counts: sp.csr_matrix) -> tuple[NDArray[np.uint8], float]:
    """Squared idf of every slot in steps, as the model file stores it: uint8 (slots,) and the step.

    idf is ``ln((1 + n) / (1 + df)) + 1``, smooth, as scikit-learn's TfidfTransformer has it.
    """
    df = np.bincount(counts.indices, minlength=counts.shape[1])
    idf2 = (np.log((1 + counts.shape[0]) / (1 + df)) + 1) ** 2
    step = float(np.float32(idf2.max() / QUANTA))
    return np.clip(np.rint(idf2 / step), 1, QUANTA).astype(np.uint8), step


class HashedTfidf(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Texts to hashed TF-IDF n-grams and dense features, as :class:`consentclf.Classifier` computes them.

    A paragraph's vector is divided by ``sqrt(sum of idf**2 over its n-gram occurrences)``, which needs one pass,
    where L2 needs the counts; then dense features times ``dense_scale`` are appended.
    """

    def __init__(self, settings: features.FeatureSettings | None = None, dense_scale: float = 0.3) -> None:
        self.settings = settings
        self.dense_scale = dense_scale

    def fit(self, X: Sequence[str], y: Any = None) -> HashedTfidf:
        """Count in how many texts each slot occurs."""
        self.settings_ = self.settings or features.FeatureSettings()
        self.alphabet_ = features.build_alphabet()
        return self.fit_counts(count_matrix(features.check_texts(X), self.settings_, self.alphabet_)[0])

    def fit_counts(self, counts: sp.csr_matrix) -> HashedTfidf:
        """Fit from a matrix of counts made by :func:`count_matrix`."""
        self.idf2_, self.idf2_step_ = quantised_idf2(counts)
        return self

    @property
    def idf_(self) -> NDArray[np.float32]:
        """idf of every slot, float32 (slots,), as rounded for the model file."""
        check_is_fitted(self, "idf2_")
        return np.sqrt(self.idf2_.astype(np.float64) * self.idf2_step_).astype(np.float32)

    def transform(self, X: Sequence[str]) -> sp.csr_matrix:
        """Sparse float32 matrix (n, slots + dense features)."""
        check_is_fitted(self, "idf2_")
        counts, dense = count_matrix(features.check_texts(X), self.settings_, self.alphabet_)
        return self.weigh(counts, dense)

    def weigh(self, counts: sp.csr_matrix, dense: NDArray[np.float32]) -> sp.csr_matrix:
        """Apply idf and normalisation to counts, and append the dense features. ``counts`` is left as it is."""
        idf = self.idf_
        norm = np.sqrt(np.maximum(counts @ (idf.astype(np.float64) ** 2), 1e-9))
        data = counts.data * idf[counts.indices]
        data /= np.repeat(norm, np.diff(counts.indptr)).astype(np.float32)
        tfidf = sp.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)
        return sp.hstack(
            [tfidf, sp.csr_matrix(dense * np.float32(self.dense_scale))], format="csr", dtype=np.float32
        )
