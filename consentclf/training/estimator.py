"""The first stage as a scikit-learn classifier, to cross-validate and tune as people are used to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from .. import features
from .vectorizer import HashedTfidf


class ConsentClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Hashed TF-IDF n-grams and logistic regression over single texts, with whatever labels ``y`` has.

    Parameters
    ----------
    C : inverse strength of regularisation.
    class_weight : as in scikit-learn's LogisticRegression.
    dense_scale : weight of the features that are not n-grams.
    max_iter, tol : when the fit stops.
    settings : n-gram families and table size; None is what the shipped model uses.

    Attributes
    ----------
    classes_ : labels in column order. coef_, intercept_ : of the regression.
    vectorizer_, regression_ : the two fitted parts. n_iter_ : iterations taken.
    """

    def __init__(
        self,
        C: float = 10.0,
        class_weight: dict[Any, float] | str | None = None,
        dense_scale: float = 0.3,
        max_iter: int = 200,
        tol: float = 1e-4,
        settings: features.FeatureSettings | None = None,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.dense_scale = dense_scale
        self.max_iter = max_iter
        self.tol = tol
        self.settings = settings

    def fit(
        self,
        X: Sequence[str],
        y: Sequence[Any],
        sample_weight: Sequence[float] | None = None,
    ) -> ConsentClassifier:
        """Fit to texts and their labels."""
        texts = _texts(X)
        if y is None:
            raise ValueError("ConsentClassifier requires y to be passed, but the target y is None")
        target = column_or_1d(y, warn=True)
        check_classification_targets(target)
        check_consistent_length(texts, target)
        labels = np.unique(target)
        if len(labels) < 2:
            raise ValueError(f"training needs at least two classes, the data has one class: {labels[0]!r}")
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, texts)
        vectorizer = HashedTfidf(self.settings, self.dense_scale)
        matrix = vectorizer.fit(texts).transform(texts)
        regression = LogisticRegression(
            C=self.C, class_weight=self.class_weight, max_iter=self.max_iter, tol=self.tol
        )
        regression.fit(matrix, target, weight)
        self.vectorizer_, self.regression_ = vectorizer, regression
        self.classes_ = regression.classes_
        self.coef_, self.intercept_, self.n_iter_ = (
            regression.coef_,
            regression.intercept_,
            regression.n_iter_,
        )
        return self

    def _transform(self, X: Sequence[str]) -> Any:
        check_is_fitted(self, "regression_")
        return self.vectorizer_.transform(_texts(X))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """Most probable label of each text."""
        matrix = self._transform(X)
        return np.asarray(self.regression_.predict(matrix))

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities, of shape (n, classes), columns as in ``classes_``."""
        matrix = self._transform(X)
        return np.asarray(self.regression_.predict_proba(matrix))

    def decision_function(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Log odds, of shape (n, classes); (n,) where there are two."""
        matrix = self._transform(X)
        return np.asarray(self.regression_.decision_function(matrix))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        return tags


def _texts(given: Any) -> list[str]:
    """A list of texts from a list, an array or a column of a data frame; raises TypeError or ValueError."""
    if isinstance(given, np.ndarray) and given.ndim != 1:
        raise ValueError(f"expected a list of texts, got an array of {given.ndim} dimensions")
    if isinstance(given, np.ndarray):
        given = given.tolist()
    texts = features.check_texts(given)
    if not texts:
        raise ValueError("expected at least one text, got none")
    return texts
