"""The contract of the Classifier."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import train_small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import consentclf
from consentclf import Classifier, ModelError, Paragraph
from consentclf.model import Model
from consentclf.training import fit

SHARED_FIXTURES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANY_TEXT = st.text(max_size=60)


def test_classes_are_the_four_labels_in_column_order(classifier: Classifier) -> None:
    assert classifier.classes_ == ["article", "banner", "consent", "navigation"]
    assert list(consentclf.LABELS) == classifier.classes_


def test_predict_proba_gives_one_row_of_probabilities_a_text(
    classifier: Classifier, texts: list[str]
) -> None:
    p = classifier.predict_proba(texts)
    assert p.shape == (len(texts), 4)
    assert p.dtype == np.float64
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_predict_gives_an_array_of_labels_that_match_the_probabilities(
    classifier: Classifier, texts: list[str]
) -> None:
    labels = classifier.predict(texts)
    assert labels.shape == (len(texts),)
    assert labels.dtype.kind == "U"
    assert labels.tolist() == [classifier.classes_[k] for k in classifier.predict_proba(texts).argmax(axis=1)]


def test_the_small_model_learned_its_own_rows(classifier: Classifier, trained: fit.Result) -> None:
    right = classifier.predict(["Accept all cookies", "Subscribe to our newsletter", "Home | News | Sport"])
    assert right.tolist() == ["consent", "banner", "navigation"]


def test_an_empty_list_gives_empty_results(classifier: Classifier) -> None:
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba([]).shape == (0, 4)
    assert classifier.predict_page([]) == []
    assert classifier.predict_pages([]) == []
    assert classifier.predict_pages([[], []]) == [[], []]


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "\u200b", "\x00", "\ud800", "a", "\U0001f600" * 3, "\u0301" * 500]
)
def test_odd_texts_get_a_label_and_finite_scores(classifier: Classifier, text: str) -> None:
    p = classifier.predict_proba([text])
    assert np.isfinite(p).all()
    assert classifier.predict([text])[0] in classifier.classes_
    assert [paragraph.text for paragraph in classifier.predict_page([text])] == [text]
    assert all(text[p.start : p.end] == p.text for p in classifier.predict_text(text))


@pytest.mark.parametrize("wrong", ["a text", b"bytes"])
def test_a_lone_text_where_a_list_is_wanted_is_refused(classifier: Classifier, wrong: object) -> None:
    with pytest.raises(TypeError, match="sequence of texts"):
        classifier.predict(wrong)  # type: ignore[arg-type]


def test_an_item_that_is_no_text_is_named(classifier: Classifier) -> None:
    with pytest.raises(TypeError, match=r"texts\[1\] must be str, got int"):
        classifier.predict_proba(["a", 3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="expected str, got bytes"):
        classifier.predict_text(b"a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected str, got int"):
        classifier.clean(3)  # type: ignore[arg-type]


@SHARED_FIXTURES
@given(batch=st.lists(ANY_TEXT, min_size=1, max_size=12), seed=st.integers(0, 1000))
def test_predictions_do_not_depend_on_order_or_batch_size(
    classifier: Classifier, batch: list[str], seed: int
) -> None:
    whole = classifier.predict_proba(batch)
    one_by_one = np.concatenate([classifier.predict_proba([text]) for text in batch])
    np.testing.assert_allclose(one_by_one, whole, atol=1e-12)
    order = np.random.default_rng(seed).permutation(len(batch))
    np.testing.assert_allclose(classifier.predict_proba([batch[i] for i in order]), whole[order], atol=1e-12)


@SHARED_FIXTURES
@given(pages=st.lists(st.lists(ANY_TEXT, max_size=6), max_size=5))
def test_pages_labelled_together_are_as_labelled_alone(
    classifier: Classifier, pages: list[list[str]]
) -> None:
    together = classifier.predict_pages(pages)
    assert len(together) == len(pages)
    for page, labelled in zip(pages, together, strict=True):
        alone = classifier.predict_page(page)
        assert [p.text for p in labelled] == page
        for a, b in zip(alone, labelled, strict=True):
            np.testing.assert_allclose(list(a.scores.values()), list(b.scores.values()), atol=1e-12)


def test_predict_page_knows_no_offsets(classifier: Classifier, texts: list[str]) -> None:
    for text, paragraph in zip(texts, classifier.predict_page(texts), strict=True):
        assert (paragraph.text, paragraph.start, paragraph.end) == (text, None, None)
        assert list(paragraph.scores) == classifier.classes_
        assert paragraph.score == paragraph.scores[paragraph.label]


def test_a_paragraph_cannot_be_changed(classifier: Classifier) -> None:
    paragraph = classifier.predict_page(["a"])[0]
    with pytest.raises(AttributeError):
        paragraph.label = "consent"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        classifier.mode = "recall"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        classifier.model.table[0, 0] = 1


@SHARED_FIXTURES
@given(text=st.text(alphabet=st.sampled_from("ab .,\n\r\t\u200b\u3000é漢#*[]()"), max_size=200))
def test_offsets_point_into_the_text_and_lose_only_white_space(classifier: Classifier, text: str) -> None:
    paragraphs = classifier.predict_text(text)
    end = 0
    for p in paragraphs:
        assert p.start is not None
        assert p.end is not None
        assert p.start >= end
        assert text[p.start : p.end] == p.text
        assert not text[end : p.start].strip(" \n\r\t\u200b\u3000")
        end = p.end
    assert not text[end:].strip(" \n\r\t\u200b\u3000")


def test_a_stream_gives_what_the_text_gives(classifier: Classifier, page_text: str) -> None:
    assert list(classifier.predict_stream(io.StringIO(page_text, newline=""))) == classifier.predict_text(
        page_text
    )


def test_clean_keeps_chosen_labels_and_the_widest_white_space_between(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_word(
        self: Classifier, texts: list[str], spans: list[tuple[int, int]], p: object
    ) -> list[Paragraph]:
        label = {text: "consent" if "cookies" in text else "article" for text in texts}
        return [
            Paragraph(t, *span, label[t], 1.0, {}, label[t]) for t, span in zip(texts, spans, strict=True)
        ]

    monkeypatch.setattr(Classifier, "_paragraphs", by_word)
    article, consent = "The ferry was cancelled because of high wind.", "Accept all cookies"
    text = f"\n {article}\n{consent}\r\n\r\n\r\n{article}  \n"
    assert classifier.clean(text) == f"{article}\r\n\r\n\r\n{article}"
    assert classifier.clean(text, keep="consent") == consent
    assert classifier.clean(text, keep=classifier.classes_) == text.strip()
    assert classifier.clean(text, keep=[]) == ""


@SHARED_FIXTURES
@given(text=st.text(alphabet=st.sampled_from("ab Cookies.\n\r"), max_size=200))
def test_cleaning_is_streamed_alike_and_keeping_all_changes_nothing(
    classifier: Classifier, text: str
) -> None:
    assert "".join(classifier.clean_stream(io.StringIO(text, newline=""))) == classifier.clean(text)
    paragraphs = classifier.predict_text(text)
    begin, end = (paragraphs[0].start, paragraphs[-1].end) if paragraphs else (0, 0)
    assert classifier.clean(text, keep=classifier.classes_) == text[begin:end]


def test_an_unknown_label_to_keep_is_named(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="'menu' in keep; labels are article, banner, consent, navigation"):
        classifier.clean("a", keep=["menu"])


def test_a_threshold_sends_a_doubtful_label_back_to_article(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = np.array([[0.3, 0.1, 0.55, 0.05]])
    monkeypatch.setattr(Model, "probabilities", lambda self, logits, stage: given)

    def labelled(**thresholds: float) -> tuple[str, str, float]:
        paragraph = classifier.with_mode(thresholds=thresholds).predict_page(["any"])[0]
        return paragraph.label, paragraph.raw_label, paragraph.score

    assert labelled() == ("consent", "consent", 0.55)
    assert labelled(consent=0.5, article=0.9) == ("consent", "consent", 0.55)
    assert labelled(consent=0.6) == ("article", "consent", 0.3)
    given[0] = [0.55, 0.1, 0.3, 0.05]
    assert labelled(article=0.6) == ("consent", "article", 0.3)  # an article in doubt is its next best


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "best"}, "mode must be one of precision, balanced, recall, got 'best'"),
        ({"thresholds": {"menu": 0.5}}, "unknown label 'menu'"),
        ({"thresholds": {"consent": 1.5}}, "between 0 and 1, got 1.5"),
        ({"thresholds": {"consent": float("nan")}}, "between 0 and 1, got nan"),
    ],
)
def test_wrong_modes_and_thresholds_are_refused(
    classifier: Classifier, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier.with_mode(**arguments)  # type: ignore[arg-type]


def test_it_pickles_small_as_a_path_and_a_digest(classifier: Classifier, texts: list[str]) -> None:
    chosen = classifier.with_mode("recall", {"banner": 0.7})
    data = pickle.dumps(chosen)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert (again.mode, again.thresholds) == ("recall", {"banner": 0.7})
    assert (again.predict_proba(texts) == classifier.predict_proba(texts)).all()


def test_a_pickle_refuses_another_model_in_the_same_place(
    classifier: Classifier, trained: fit.Result, corpus_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    trained.model.save(path)
    data = pickle.dumps(consentclf.load(path))
    train_small(corpus_file, seed=2).model.save(path)
    with pytest.raises(ModelError, match="another model stands here"):
        pickle.loads(data)


def test_a_model_in_memory_says_why_it_does_not_pickle(trained: fit.Result) -> None:
    with pytest.raises(TypeError, match="save its model and load the file"):
        pickle.dumps(Classifier(trained.model))


def test_eight_threads_give_what_one_gives(classifier: Classifier, page_text: str) -> None:
    expected = classifier.predict_text(page_text)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(classifier.predict_text, [page_text] * 40))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_pool_of_processes_gives_what_one_gives(
    classifier: Classifier, page_text: str, method: str
) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"NOT TESTED: this system cannot {method}")
    expected = classifier.predict_text(page_text)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert all(found == expected for found in pool.map(classifier.predict_text, [page_text] * 4))


def test_a_text_of_very_many_lines_is_labelled_in_pages_of_bounded_size(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentclf.classifier.MAX_PAGE", 10)
    text = "\n\n".join(f"Line {i}." for i in range(35))
    paragraphs = classifier.predict_text(text)
    assert len(paragraphs) == 35
    assert all(text[p.start : p.end] == p.text for p in paragraphs)


def test_load_takes_files_only(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        consentclf.load("https://example.org/model.safetensors")
    with pytest.raises(OSError):  # noqa: PT011 - the message is the system's
        consentclf.load(tmp_path)


def test_the_shipped_model_loads_and_labels() -> None:
    story = ["The minister resigned on Tuesday.", "She gave no reason, and left by the back door."]
    notice = ["We use cookies. Accept all?", "Accept all"]
    labels = [p.label for p in consentclf.load().predict_page([*story, *notice])]
    assert labels == ["article", "article", "consent", "consent"]


@pytest.mark.xfail(strict=True, reason="known: a page of two lines tells the shipped model too little")
def test_a_button_after_a_lone_line_of_notice_is_consent() -> None:
    labels = [p.label for p in consentclf.load().predict_page(["We use cookies. Accept all?", "Accept all"])]
    assert labels == ["consent", "consent"]


def test_the_founding_page_is_labelled(shared_seed: Path) -> None:
    paragraphs = consentclf.load().predict_text(shared_seed.read_text(encoding="utf-8"))
    assert paragraphs[0].label == "article"
    assert any(p.label == "consent" for p in paragraphs)
