"""The page stage: its features, and how it learns from pages whose labels are only half known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from consentclf import context
from consentclf.labels import LABELS
from consentclf.training import corpus, fit, sampling

ARTICLE, BANNER, CONSENT, NAVIGATION = range(len(LABELS))
SHAPE = 12
SIZES = (1, 3, 40, 120)


@pytest.fixture
def pages() -> tuple[NDArray[np.float64], ...]:
    """Logits, lengths, shapes and bounds of four pages."""
    rng = np.random.default_rng(5)
    n = sum(SIZES)
    shape = (rng.random((n, SHAPE)) < 0.3).astype(np.float64)
    bounds = np.concatenate(([0], np.cumsum(SIZES)))
    return rng.normal(0, 3, (n, 4)), rng.integers(1, 900, n).astype(np.float64), shape, bounds


def weights_for(columns: int) -> NDArray[np.float64]:
    return context.rounded(np.random.default_rng(6).normal(0, 0.1, (columns, 4)))


def test_the_features_have_the_size_that_model_files_are_checked_by(
    pages: tuple[NDArray[np.float64], ...],
) -> None:
    logits, chars, shape, bounds = pages
    found = context.PageBatch(chars, shape, bounds).features(logits)
    assert found.shape == (sum(SIZES), context.features_size(SHAPE))
    assert np.isfinite(found).all()


def test_scores_are_the_features_times_the_weights(pages: tuple[NDArray[np.float64], ...]) -> None:
    logits, chars, shape, bounds = pages
    batch = context.PageBatch(chars, shape, bounds)
    weights, bias = weights_for(context.features_size(SHAPE)), np.array([1, 2, 3, 4], dtype=np.float32)
    plain = batch.features(logits) @ weights.T + bias
    np.testing.assert_allclose(batch.score(logits, weights, bias), plain, atol=1e-5)


def test_a_pass_leaves_nothing_behind_for_the_next(pages: tuple[NDArray[np.float64], ...]) -> None:
    logits, chars, shape, bounds = pages
    used, fresh = context.PageBatch(chars, shape, bounds), context.PageBatch(chars, shape, bounds)
    used.features(-logits)
    np.testing.assert_array_equal(used.features(logits), fresh.features(logits))


def test_a_page_has_the_same_features_whatever_stands_beside_it(
    pages: tuple[NDArray[np.float64], ...],
) -> None:
    logits, chars, shape, bounds = pages
    together = context.PageBatch(chars, shape, bounds).features(logits)
    for begin, end in pairwise(bounds.tolist()):
        rows = slice(begin, end)
        alone = context.PageBatch(chars[rows], shape[rows], np.array([0, end - begin]))
        np.testing.assert_array_equal(alone.features(logits[rows]), together[rows])


# -- pages of which only the main text is known -------------------------------------------------------------


def section(banner: float, consent: float, hint: float = 1.0) -> dict[str, str]:
    return {"banner_share": str(banner), "consent_share": str(consent), "hint_bias": str(hint)}


def shares(chosen: NDArray[np.int64]) -> list[float]:
    return [float((chosen == k).mean()) for k in range(len(LABELS))]


def test_unknown_paragraphs_are_named_in_the_shares_asked_for() -> None:
    logits = np.random.default_rng(7).normal(
        0, 8, (5000, 4)
    )  # a model that is sure of itself, and often wrong
    for banner, consent in ((0.05, 0.02), (0.2, 0.1)):
        chosen, _ = fit._likeliest(logits, np.full(5000, -1), np.ones(5000), section(banner, consent))
        assert shares(chosen)[ARTICLE] == 0
        assert shares(chosen)[BANNER] == pytest.approx(banner, rel=0.25)
        assert shares(chosen)[CONSENT] == pytest.approx(consent, rel=0.25)


def test_what_is_known_not_to_be_article_never_becomes_article() -> None:
    logits = np.tile([50.0, 0.0, 0.0, 1.0], (10, 1))
    chosen, sure = fit._likeliest(logits, np.full(10, -1), np.ones(10), section(0.01, 0.01))
    assert set(chosen.tolist()) == {NAVIGATION}
    assert (sure > 0.9).all()


def test_a_hint_of_the_markup_tips_the_scales() -> None:
    logits = np.random.default_rng(8).normal(0, 1, (4000, 4))
    hint = np.where(np.arange(4000) < 400, BANNER, -1)
    chosen, _ = fit._likeliest(logits, hint, np.ones(4000), section(0.2, 0.05, hint=3.0))
    assert (chosen[hint == BANNER] == BANNER).mean() > 2 * (chosen[hint < 0] == BANNER).mean()


@pytest.mark.parametrize(
    ("hints", "label"),
    [
        ({"hint": "banner"}, BANNER),
        ({"hint": "nav"}, NAVIGATION),
        ({"hint": "share"}, NAVIGATION),
        ({"link_density": 0.9}, NAVIGATION),
        ({"link_density": 0.2}, sampling.UNKNOWN),
        ({"hint": "comment"}, sampling.UNKNOWN),
        ({}, sampling.UNKNOWN),
    ],
)
def test_hints_of_the_markup_are_read(hints: dict[str, object], label: int) -> None:
    row = corpus.Row("text", "other", hints=hints)
    assert sampling.hinted(row) == label


def test_rows_drawn_by_weight_stand_for_all_of_them() -> None:
    weight = np.random.default_rng(9).random(50_000) ** 3
    drawn = fit._draw_by_weight(weight, 10_000, seed=1)
    assert np.count_nonzero(drawn) == pytest.approx(10_000, rel=0.05)
    assert drawn.sum() == pytest.approx(weight.sum(), rel=0.03)
    assert (drawn[drawn > 0] >= weight[drawn > 0]).all()
    np.testing.assert_array_equal(fit._draw_by_weight(weight, 60_000, seed=1), weight)
