"""Figures against values worked out by hand and against scikit-learn's, datasets, baselines, folds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from sklearn import metrics as reference

import consentclf
from consentclf.errors import DataError
from consentclf.evaluation import baselines, crossval, datasets, measure, metrics, tables
from consentclf.features import FeatureSettings
from consentclf.labels import LABELS
from consentclf.training import corpus, fit

Run = Callable[..., Result]
A, B, C, N = range(4)
OTHER = metrics.OTHER


def figures(
    gold: Sequence[int],
    called: Sequence[int],
    chars: Sequence[float] | None = None,
    unit: Sequence[int] | None = None,
    four: bool = True,
) -> dict[str, float]:
    units = np.zeros(len(gold), dtype=np.int64) if unit is None else np.array(unit)
    count = int(units.max()) + 1
    weights = np.ones(len(gold)) if chars is None else np.array(chars, dtype=float)
    tallies = [
        metrics.tally(np.array(gold), np.array(called), w, units, count)
        for w in (np.ones(len(gold)), weights)
    ]
    return {name: float(v[0]) for name, v in metrics.figures(tallies[0], tallies[1], four).items()}


def page(name: str, rows: Sequence[tuple[str, str]], **more: str) -> dict[str, Any]:
    return {"id": name, **more, "paragraphs": [{"label": label, "text": text} for label, text in rows]}


def write(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


@pytest.fixture
def gold_file(tmp_path: Path) -> Path:
    body = "The council approved the new bridge over the river on Tuesday evening."
    return write(
        tmp_path / "gold.jsonl",
        [
            page(
                "a", [("navigation", "Home"), ("article", body), ("consent", "Accept all cookies")], lang="en"
            ),
            page("b", [("article", body * 2), ("unsure", "???"), ("banner", "Subscribe now")], lang="fr"),
        ],
    )


@pytest.fixture
def weak_file(tmp_path: Path) -> Path:
    others = [("other", f"Menu {i}") for i in range(9)]
    rows = [
        *others,
        ("article", "Rain is expected in the north."),
        ("ambiguous", "Rain"),
        ("consent", "Accept"),
    ]
    return write(tmp_path / "weak.jsonl", [page("w", rows), page("empty", others)])


# -- figures -----------------------------------------------------------------------------------------------


def test_precision_recall_and_macro_f1_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    gold, called = rng.integers(0, 4, 500), rng.integers(0, 4, 500)
    got = figures(gold.tolist(), called.tolist())
    p, r, f, _ = reference.precision_recall_fscore_support(gold, called, labels=range(4))
    for i, label in enumerate(LABELS):
        assert got[f"{label}_precision"] == pytest.approx(p[i])
        assert got[f"{label}_recall"] == pytest.approx(r[i])
        assert got[f"{label}_f1"] == pytest.approx(f[i])
    assert got["macro_f1"] == pytest.approx(reference.f1_score(gold, called, average="macro"))
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(gold, called))


def test_main_text_is_measured_by_characters_and_is_that_of_weighted_scikit_learn() -> None:
    gold, called, chars = [A, A, N, C, B], [A, N, A, C, A], [100, 50, 20, 30, 5]
    got = figures(gold, called, chars)
    assert got["main_precision"] == pytest.approx(100 / 125)
    assert got["main_recall"] == pytest.approx(100 / 150)
    expected = reference.f1_score(
        np.array(gold) == A, np.array(called) == A, sample_weight=np.array(chars, dtype=float)
    )
    assert got["main_f1"] == pytest.approx(expected)
    assert got["article_loss_chars"] == pytest.approx(50 / 150)
    assert got["article_loss_paragraphs"] == pytest.approx(1 / 2)


def test_mean_over_pages_leaves_out_pages_without_main_text_and_counts_an_empty_answer_as_nought() -> None:
    # Page 0: all right. Page 1: main text lost altogether. Page 2: no main text.
    got = figures([A, N, A, N], [A, N, N, A], [10, 10, 10, 10], unit=[0, 0, 1, 2])
    assert got["pages_with_main_text"] == 2
    assert got["page_mean_f1"] == pytest.approx((1 + 0) / 2)
    assert got["page_mean_precision"] == pytest.approx((1 + 0) / 2)
    assert got["main_precision"] == pytest.approx(10 / 20)  # pooled: page 2's mistake counts


def test_consent_leak_and_recall_are_shares_of_the_consent_paragraphs() -> None:
    got = figures([C, C, C, C, A], [C, A, N, C, C])
    assert got["consent_recall"] == pytest.approx(2 / 4)
    assert got["consent_leak"] == pytest.approx(1 / 4)
    assert got["article_called_consent"] == 1


def test_paragraphs_left_out_of_the_measure_change_nothing() -> None:
    gold, called = [A, C, N], [A, A, N]
    assert figures([*gold, metrics.LEFT_OUT], [*called, A]) == pytest.approx(
        figures(gold, called), nan_ok=True
    )


def test_a_figure_with_nothing_to_measure_is_undefined_not_nought() -> None:
    got = figures([A, A], [A, A])
    assert np.isnan(got["consent_recall"])
    assert np.isnan(got["banner_f1"])
    assert got["macro_f1"] == 1  # over the labels that occur


def test_without_the_four_labels_only_article_is_measured() -> None:
    got = figures([A, OTHER, OTHER, C], [A, A, N, B], four=False)
    assert "macro_f1" not in got
    assert "navigation_f1" not in got
    assert got["article_precision"] == pytest.approx(1 / 2)
    assert got["others_dropped"] == pytest.approx(2 / 3)


def test_what_keeping_everything_would_score_is_given_to_compare_with() -> None:
    got = figures([A, N], [A, N], [90, 10])
    assert got["main_f1_if_all_kept"] == pytest.approx(2 * 0.9 / 1.9)


def test_intervals_are_repeatable_hold_the_estimate_and_vanish_where_all_pages_are_alike() -> None:
    rng = np.random.default_rng(0)
    gold, unit = rng.integers(0, 4, 400), np.repeat(np.arange(40), 10)
    called = np.where(rng.random(400) < 0.7, gold, rng.integers(0, 4, 400))
    tally = metrics.tally(gold, called, np.ones(400), unit, 40)
    low, high = metrics.bootstrap(tally, tally, True, True, 500)["macro_f1"]
    point = float(metrics.figures(tally, tally)["macro_f1"][0])
    assert low < point < high
    assert (low, high) == metrics.bootstrap(tally, tally, True, True, 500)["macro_f1"]
    alike = np.repeat(tally[:1], 5, axis=0)
    low, high = metrics.bootstrap(alike, alike, True, True, 200)["accuracy"]
    assert low == pytest.approx(high)


def test_intervals_come_from_whole_pages() -> None:
    # Two pages, one all right and one all wrong: a resample gives 0, 1/2 or 1 and nothing between.
    gold, called = np.array([A] * 10 + [N] * 10), np.array([A] * 10 + [A] * 10)
    tally = metrics.tally(gold, called, np.ones(20), np.repeat([0, 1], 10), 2)
    assert metrics.bootstrap(tally, tally, True, True, 400)["accuracy"] == (0.0, 1.0)


def test_calibration_error_is_the_gap_between_score_and_share_right() -> None:
    scores = np.array([[0.95, 0.05, 0, 0]] * 10 + [[0.55, 0.45, 0, 0]] * 10)
    gold = np.array([A] * 9 + [B] + [A] * 5 + [B] * 5)
    got = metrics.calibration(scores, gold)
    assert got["ece"] == pytest.approx(0.5 * abs(0.95 - 0.9) + 0.5 * abs(0.55 - 0.5))
    assert [b["paragraphs"] for b in got["table"]] == [10, 10]
    assert got["table"][1]["right"] == pytest.approx(0.9)


def test_calibration_takes_the_other_labels_together_where_gold_says_only_article_or_not() -> None:
    scores = np.array([[0.4, 0.3, 0.2, 0.1]])
    got = metrics.calibration(scores, np.array([OTHER]), four=False)
    assert got["table"] == [
        {"from": 0.5, "to": 0.6, "paragraphs": 1, "score": pytest.approx(0.6), "right": 1.0}
    ]


# -- datasets ----------------------------------------------------------------------------------------------


def test_pages_with_the_four_labels_and_weak_pages_are_told_apart(gold_file: Path, weak_file: Path) -> None:
    gold, weak = datasets.load([str(gold_file), str(weak_file)])
    assert gold.four
    assert not weak.four
    assert gold.gold.tolist() == [N, A, C, A, metrics.LEFT_OUT, B]
    assert weak.gold.tolist().count(metrics.LEFT_OUT) == 1


def test_a_folder_is_read_file_by_file_and_its_folders_as_one(tmp_path: Path) -> None:
    row = {"text": "Accept", "label": "consent", "lang": "en", "batch": "b"}
    write(tmp_path / "one.jsonl", [row])
    for name in ("x", "y"):
        write(tmp_path / "deep" / f"{name}.jsonl", [row])
    names = {Path(d.name).name: len(d.texts) for d in datasets.load([str(tmp_path)])}
    assert names == {"one.jsonl": 1, "deep": 2}


def test_pages_with_filler_text_are_left_out_on_request(tmp_path: Path) -> None:
    pages = [page("l", [("article", "Lorem  ipsum dolor")]), page("k", [("article", "Rain in the north.")])]
    path = write(tmp_path / "p.jsonl", pages)
    (dataset,) = datasets.load([str(path)], skip_lorem=True)
    assert dataset.texts == ["Rain in the north."]
    assert "1 pages with lorem-ipsum" in dataset.notes[0]


def test_cutting_down_keeps_the_main_text_and_at_most_so_many_others_in_page_order(weak_file: Path) -> None:
    (whole,) = datasets.load([str(weak_file)])
    cut = datasets.extracted(whole, 5, seed=1)
    assert cut.sizes == [6]  # the page without main text is gone, and so is what is ambiguous
    assert cut.gold.tolist().count(A) == 1
    order = [whole.texts.index(text) for text in cut.texts]
    assert order == sorted(order)
    assert cut.texts == datasets.extracted(whole, 5, seed=1).texts
    assert any(cut.texts != datasets.extracted(whole, 5, seed=s).texts for s in range(2, 9))


def test_a_text_is_measured_with_labels_from_a_file(tmp_path: Path) -> None:
    text = tmp_path / "page.txt"
    text.write_text("Rain in the north.\n\nAccept all\n", encoding="utf-8")
    labels = tmp_path / "labels"
    labels.write_text("article\nconsent\n", encoding="utf-8")
    (dataset,) = datasets.load([str(text)], labels=str(labels))
    assert dataset.gold.tolist() == [A, C]
    labels.write_text("article\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2 paragraphs, .* 1 labels"):
        datasets.load([str(text)], labels=str(labels))


def test_the_page_stage_sees_pages_whole_however_they_are_batched(
    classifier: consentclf.Classifier, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = next(d for d in datasets.load([str(corpus_file)]) if d.paged)
    whole = measure.run(classifier, pages)["page"]
    monkeypatch.setattr(measure, "_CALL", 5)
    assert (measure.run(classifier, pages)["page"].called == whole.called).all()
    alone = [p.label for page in pages.pages() for p in classifier.predict_page(page)]
    assert [LABELS[k] for k in whole.called] == alone


def test_a_mode_changes_labels_and_not_scores(classifier: consentclf.Classifier, corpus_file: Path) -> None:
    rows = next(d for d in datasets.load([str(corpus_file)]) if not d.paged)
    sure = classifier.with_mode("balanced", dict.fromkeys(LABELS[1:], 1.0))
    plain, strict = measure.run(classifier, rows)["first"], measure.run(sure, rows)["first"]
    assert (strict.called == A).sum() > (plain.called == A).sum()
    np.testing.assert_array_equal(plain.scores, strict.scores)


# -- the command -------------------------------------------------------------------------------------------


def test_both_stages_stand_side_by_side_and_json_has_the_same_figures(
    run: Run, small_model: Path, gold_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    result = run("evaluate", gold_file, "--model", small_model, "--bootstrap", "50", "--json", out)
    assert result.exit_code == 0, result.output
    assert "main text, F1 by characters, pooled" in result.output
    assert "expected calibration error" in result.output
    (got,) = json.loads(out.read_text(encoding="utf-8"))["datasets"]
    assert set(got["stages"]) == {"first", "page"}
    assert got["not_measured"] == 1
    for stage in got["stages"].values():
        assert stage["figures"]["paragraphs"] == 5
        assert set(stage["by"]) >= {"language", "length"}
        assert "macro_f1" in stage["intervals"]
    assert f"{got['stages']['page']['figures']['macro_f1']:.3f}" in result.output


def test_single_paragraphs_have_no_page_stage(run: Run, small_model: Path, tmp_path: Path) -> None:
    row = {"id": "1", "text": "Accept all", "label": "consent", "kind": "button", "lang": "en", "batch": "b"}
    result = run("evaluate", write(tmp_path / "r.jsonl", [row]), "--model", small_model)
    assert result.exit_code == 0
    assert "page" not in result.output.split("\n\n")[1]


def test_unusable_input_is_one_line_with_the_file_and_exit_code_two(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "x", "label": "nonsense"}\n', encoding="utf-8")
    for args in ([bad], [tmp_path / "absent.jsonl"], [bad, "--learning-curve"]):
        result = run("evaluate", *args)
        assert result.exit_code == 2
    assert "bad.jsonl:1" in run("evaluate", bad).stderr


def test_results_are_not_lost_to_a_folder_that_does_not_exist(
    run: Run, gold_file: Path, tmp_path: Path
) -> None:
    result = run("evaluate", gold_file, "--json", tmp_path / "no" / "out.json")
    assert result.exit_code == 2
    assert result.stdout == ""


# -- baselines ---------------------------------------------------------------------------------------------


def one_page(rows: Sequence[tuple[str, str, str]]) -> datasets.Dataset:
    made = [corpus.Row(text, label, lang) for label, lang, text in rows]
    return datasets.from_pages("made", "", [corpus.Page("p", made)])


def test_the_six_substrings_are_dropped_in_any_case_and_all_else_is_kept() -> None:
    texts = ["See our Privacy Policy.", "TERMS OF USE", "We set cookies.", "This site uses cookies", "Hello"]
    calls = baselines.c4_lines(one_page([("article", "en", t) for t in texts]))
    assert calls.called.tolist() == [C, C, A, C, A]
    assert len(baselines.C4_SUBSTRINGS) == 6


def test_justext_keeps_running_text_and_says_which_languages_it_lacks() -> None:
    pytest.importorskip("justext", reason="NOT TESTED: jusText is not installed")
    (found,) = [b for b in baselines.build(ROWS, lambda m: None) if b.name == "jusText"]
    prose = "It was not until the end of the day that they had all of the food which they were to take. "
    calls = found.call(
        one_page([("article", "en", prose * 3), ("navigation", "en", "Home News"), ("article", "xx", prose)])
    )
    assert calls.called.tolist() == [A, OTHER, OTHER]
    assert found.notes == ["no stop list for xx (1 paragraphs): there nothing is called article"]


#: Two labels that any text classifier tells apart.
ROWS = [corpus.Row(f"the river rose in the night {i}", "article", "en") for i in range(30)] + [
    corpus.Row(f"Accept all cookies {i}", "consent", "en") for i in range(30)
]


@pytest.mark.parametrize("name", ["fastText", "char TF-IDF"])
def test_a_trained_baseline_learns_its_rows_and_gives_probabilities(name: str) -> None:
    if name == "fastText":
        pytest.importorskip("fasttext", reason="NOT TESTED: fastText is not installed")
    found = {b.name: b for b in baselines.build(ROWS, lambda m: None)}[name]
    calls = found.call(
        one_page([("article", "en", "the river rose"), ("consent", "en", "Accept all cookies now")])
    )
    assert calls.called.tolist() == [A, C]
    assert calls.scores is not None
    # fastText 0.9.3, asked for a list of texts, gives every label of a text the first one's score.
    np.testing.assert_allclose(calls.scores.sum(axis=1), 1, atol=0.01)


def test_a_missing_library_is_said_in_one_line_and_the_rest_still_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("consentclf.evaluation.baselines.importlib.import_module", refuse)
    said: list[str] = []
    names = [b.name for b in baselines.build(ROWS, said.append)]
    assert names == ["C4 lines", "char TF-IDF"]
    assert len(said) == 2
    assert all("pip install" in line and "\n" not in line for line in said)


def test_a_baseline_measured_on_its_own_training_rows_is_called_out(
    run: Run, small_model: Path, corpus_file: Path
) -> None:
    result = run("evaluate", corpus_file, "--model", small_model, "--baselines", "--train", corpus_file)
    assert result.exit_code == 0, result.output
    assert "trained on these very paragraphs" in result.stdout
    assert "char TF-IDF" in result.stdout


# -- cross-validation --------------------------------------------------------------------------------------


def authored(batches: int = 6) -> list[dict[str, Any]]:
    """Small authored rows: each batch of each of two languages has four rows of every label."""
    words = {
        ("article", "privacy"): "the river rose in the night and took the bridge",
        ("banner", "newsletter"): "subscribe to our newsletter today",
        ("consent", "button"): "accept all cookies",
        ("navigation", "menu"): "home news sport contact",
    }
    return [
        {"id": f"{lang}-{b}-{label}-{i}", "lang": lang, "batch": f"{lang}-{b}", "label": label, "kind": kind,
         "text": f"{text} {lang} {b} {i}"}
        for lang in ("en", "fr") for b in range(batches) for (label, kind), text in words.items()
        for i in range(4)
    ]  # fmt: skip


def test_a_batch_is_in_one_fold_and_a_fold_never_has_all_of_a_language(tmp_path: Path) -> None:
    rows = corpus.read([write(tmp_path / "r.jsonl", authored(3))]).rows
    homes = crossval.homes(rows)
    fold = crossval.folds_of(homes, 5)
    for lang in ("en", "fr"):
        assert len({fold[group] for group, home in homes.items() if home == lang}) == 3
    assert fold == crossval.folds_of(dict(reversed(homes.items())), 5)


def test_a_batch_of_several_languages_is_not_split() -> None:
    rows = [corpus.Row("x", "article", lang, "w1-b1") for lang in ("fr", "en", "mt")]
    assert crossval.homes(rows) == {"w1-b1": "en"}


def test_a_larger_share_of_the_batches_holds_the_smaller() -> None:
    groups = {f"{lang}{i}": lang for lang in ("en", "fr", "de", "mt") for i in range(8)}
    kept = [crossval.kept(groups, fraction) for fraction in crossval.FRACTIONS]
    assert all(small <= large for small, large in pairwise(kept))
    assert [len(k) for k in kept] == [8, 16, 24, 32]


def test_scored_rows_were_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    real = crossval.count_matrix

    def spy(texts: Sequence[str], *args: Any) -> Any:
        seen.append(set(texts))
        return real(texts, *args)

    used: list[int] = []
    train = fit._fit_first

    def fitted(matrix: Any, *args: Any) -> Any:
        used.append(matrix.shape[0])
        return train(matrix, *args)

    monkeypatch.setattr(crossval, "count_matrix", spy)
    monkeypatch.setattr(fit, "_fit_first", fitted)
    data = corpus.read([write(tmp_path / "r.jsonl", authored())])
    settings = fit.Settings(features=FeatureSettings(bits=12), jobs=1)
    result = crossval.cross_validate(data, settings=settings, folds=3)
    assert seen[1] == {row.text for row in data.rows}  # undamaged, each once
    assert len(result.rows) == len(data.rows)
    # Each of three folds leaves out a third of the batches, damaged copies of its rows included.
    assert all(len(data.rows) * 0.6 < count < len(data.rows) * 0.8 for count in used)


def test_cross_validation_prints_hard_articles_and_the_learning_curve(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", authored())
    out = tmp_path / "cv.json"
    result = run("evaluate", "--cross-validate", path, "--folds", "3", "--learning-curve", "--json", out)
    assert result.exit_code == 0, result.output
    assert "articles about privacy and of pairs, called consent" in result.stdout
    got = json.loads(out.read_text(encoding="utf-8"))["by_share_of_batches"]
    assert list(got) == ["0.25", "0.5", "0.75", "1.0"]
    sizes = [share["figures"]["trained_on"] for share in got.values()]
    assert sizes == sorted(sizes)
    assert got["1.0"]["figures"]["hard_article_called_consent"] == 0
    assert set(got["1.0"]["by"]["kind"]) == {
        "article: privacy", "banner: newsletter", "consent: button", "navigation: menu"
    }  # fmt: skip


def test_a_corpus_given_with_it_is_in_every_training_part(tmp_path: Path) -> None:
    settings = fit.Settings(features=FeatureSettings(bits=12), jobs=1)
    data = corpus.read([write(tmp_path / "r.jsonl", authored())])
    more = corpus.read([write(tmp_path / "m.jsonl", [
        {"text": f"more text {i}", "label": "article", "source": f"s{i}"} for i in range(50)
    ])])  # fmt: skip
    alone = crossval.cross_validate(data, settings=settings, folds=3).trained_on[1.0]
    both = crossval.cross_validate(data, more, settings=settings, folds=3)
    assert both.trained_on[1.0] - alone >= 45
    assert len(both.rows) == len(data.rows)


def test_too_few_batches_are_refused_with_the_remedy(run: Run, tmp_path: Path) -> None:
    result = run("evaluate", "--cross-validate", write(tmp_path / "r.jsonl", authored(1)))
    assert result.exit_code == 2
    assert "2 batches of single paragraphs cannot make 5 folds" in result.stderr


# -- tables ------------------------------------------------------------------------------------------------


def test_columns_are_aligned_under_their_group() -> None:
    lines = tables.table(["x", "macro-F1|a", "macro-F1|b"], [["row", "1.0", "0.5"]]).split("\n")
    assert lines == ["     macro-F1", "x      a    b", "---  ---  ---", "row  1.0  0.5"]
