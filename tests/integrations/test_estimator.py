"""The scikit-learn estimator, by scikit-learn's own checks as far as text input allows."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from conftest import ROWS
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_limits

from consentclf.features import FeatureSettings
from consentclf.training.estimator import ConsentClassifier

TEXTS = [text for texts in ROWS.values() for text in texts]
LABELS = [label for label, texts in ROWS.items() for _ in texts]
SMALL = FeatureSettings(bits=12)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small problems are slower with more threads, much slower where others want the processor too."""
    with threadpool_limits(1):
        yield


class OfNumbers(ConsentClassifier):
    """Takes rows of numbers and writes each as a text: scikit-learn's checks know no other input.

    A number becomes a word that says in which of sixteen steps it lies, repeated for its column.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = False
        tags.input_tags.one_d_array = False
        return tags

    def _write(self, rows: Any) -> list[str]:
        steps = np.clip(np.floor(np.asarray(rows, dtype=float) * 2), -8, 8).astype(int)
        letters = "abcdefghijklmnopqrstuvwxyz"
        return [
            " ".join(
                f"{letters[i % 26]}{letters[step + 8]}{letters[i // 26 % 26]}" for i, step in enumerate(row)
            )
            for row in steps.tolist()
        ]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> OfNumbers:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        X, y = validate_data(self, X, y, accept_sparse=False, multi_output=False)
        super().fit(self._write(X), y, sample_weight)
        return self

    def _transform(self, X: Any) -> Any:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "regression_")
        return super()._transform(self._write(validate_data(self, X, reset=False)))


#: Checks that do not hold, and why.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "idf counts texts, not their weights, as in scikit-learn's own TfidfVectorizer"
    )
}


def test_scikit_learn_knows_that_it_takes_text() -> None:
    with pytest.warns(match="Can't test estimator ConsentClassifier"):
        check_estimator(ConsentClassifier(), on_skip="warn", on_fail="raise")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [pytest.param(estimator, check, id=f"{i}-{getattr(check, 'func', check).__name__}")
     for i, (estimator, check) in enumerate(estimator_checks_generator(OfNumbers(settings=SMALL)))],
)  # fmt: skip
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    name = getattr(check, "func", check).__name__
    if name not in EXPECTED:
        check(estimator)
        return
    with pytest.raises(AssertionError):  # as soon as it holds, this says so
        check(estimator)


def test_it_learns_texts() -> None:
    estimator = ConsentClassifier(settings=SMALL).fit(TEXTS, LABELS)
    assert estimator.classes_.tolist() == sorted(ROWS)
    assert estimator.score(TEXTS, LABELS) > 0.95
    probabilities = estimator.predict_proba(TEXTS)
    assert probabilities.shape == (48, 4)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (estimator.classes_[probabilities.argmax(axis=1)] == estimator.predict(TEXTS)).all()
    again = pickle.loads(pickle.dumps(estimator))
    assert (again.predict_proba(TEXTS) == probabilities).all()


def test_cross_validation_and_search() -> None:
    folds = StratifiedKFold(3)
    scores = cross_val_score(ConsentClassifier(settings=SMALL), TEXTS, LABELS, cv=folds)
    assert scores.mean() > 0.4  # a quarter by chance
    search = GridSearchCV(ConsentClassifier(settings=SMALL), {"C": [0.1, 10.0]}, cv=folds).fit(TEXTS, LABELS)
    assert set(search.best_params_) == {"C"}
    assert clone(search.best_estimator_).get_params()["settings"] == SMALL


@pytest.mark.parametrize("container", [list, tuple, np.array, lambda x: np.array(x, dtype=object)])
def test_containers(container: Any) -> None:
    estimator = ConsentClassifier(settings=SMALL).fit(container(TEXTS), container(LABELS))
    assert estimator.predict(container(TEXTS[:2])).shape == (2,)


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        ("one string", ["a"], TypeError, "wrap it in a list"),
        ([], [], ValueError, "at least one text"),
        (["a", "b"], ["x", "x"], ValueError, "at least two classes"),
        (["a", "b"], ["x"], ValueError, "inconsistent numbers of samples"),
        (["a", 3], ["x", "y"], TypeError, r"texts\[1\] must be str, got int"),
        (np.array([["a"], ["b"]]), ["x", "y"], ValueError, "array of 2 dimensions"),
        (["a", "b"], None, ValueError, "y is None"),
        (["a", "b"], [0.5, 0.7], ValueError, "Unknown label type"),
    ],
)
def test_mistakes(texts: Sequence[Any], labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ConsentClassifier(settings=SMALL).fit(texts, labels)
