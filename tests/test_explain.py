"""Explanations: exact sums, spans where they say they are, and the command."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

import consentclf
from consentclf import Classifier, explain, features
from consentclf.labels import LABELS
from consentclf.model import Model

Run = Callable[..., Result]

TEXTS = [
    "",
    " ",
    "x",
    "\u200b",
    "\0",
    "OK",
    "We use cookies.\u00ad We   share\tthem.",
    "# Heading with a [link](https://example.org/a_b_c?d=e) and **bold** words",
    "- [![image](i.png)](https://example.org) [menu](/) | [more](/more)",
    "> `code` and __more__ ** not bold **",
    "ใช้คุกกี้เพื่อปรับปรุงประสบการณ์ของคุณบนเว็บไซต์นี้",
    "我们使用 Cookie 来改善您的体验。",
    "كوكيز ملفات تعريف الارتباط",
    "İstanbul’da çerez kullanıyoruz; e\u0301te\u0301",
    "emoji 🍪🍪 cookie 𝒞𝑜𝑜𝓀𝒾𝑒",
    "a lone \udcff surrogate",
    "word " * 4000,
    "Ünbroken" * 3000,
]


def every_part(found: explain.Explanation, label: str) -> float:
    return (
        sum(span.weights[label] for span in found.spans)
        + sum(weights[label] for weights in found.shape.values())
        + found.bias[label]
        + found.unplaced[label]
        + found.second_look[label]
        + found.page[label]
    )


def check(found: explain.Explanation) -> None:
    for label in LABELS:
        assert every_part(found, label) == pytest.approx(found.logits[label], abs=1e-6)
        shown = found.top(label, 3)
        rest = found.parts(label, shown)
        total = sum(span.weights[label] for span in shown) + sum(rest.values())
        assert total == pytest.approx(found.logits[label], abs=1e-6)
        assert explain.probabilities(found)[label] == pytest.approx(found.scores[label], abs=1e-6)
    ends = [0, *(span.end for span in found.spans)]
    for before, span in zip(ends, found.spans, strict=False):
        assert before <= span.start < span.end
        assert found.text[span.start : span.end] == span.text
        assert span.text.strip()


@pytest.mark.parametrize("text", TEXTS, ids=lambda t: ascii(t[:20]))
def test_shown_and_rest_are_the_logit(classifier: Classifier, text: str) -> None:
    found = classifier.explain(text)
    check(found)
    assert list(found.scores.values()) == classifier.predict_proba([text])[0].tolist()
    assert found.label == classifier.predict([text])[0]
    logits = classifier.model.first_stage([text])[0][0]
    calibration = classifier.model.calibration["paragraph"]
    expected = logits * calibration["scale"] + np.asarray(calibration["bias"])
    assert list(found.logits.values()) == pytest.approx((expected - expected.mean()).tolist(), abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("ab Zé.\n\t\u200b[]()!*_`#>-1我กุ\u0301🍪"), max_size=60))
def test_any_text_adds_up_and_is_stripped_as_prediction_strips_it(classifier: Classifier, text: str) -> None:
    check(classifier.explain(text))
    clean, places = explain.stripped(text)
    assert clean == features._prepare([text])[0][0]
    assert [text[i] for i in places] == list(clean)


def test_a_long_text_is_clipped_as_prediction_clips_it() -> None:
    text = "ab" * features.HEAD_CHARS
    clean, places = explain.stripped(text)
    assert clean == features._prepare([text])[0][0]
    assert len(places) == len(clean)
    assert (np.diff(places) > 0).all()


def test_every_family_of_ngrams_finds_its_characters(classifier: Classifier) -> None:
    """Weights for one family at a time: whatever has weight must lie on characters that family reads."""
    rng = np.random.default_rng(0)
    for family in features.FAMILIES:
        chosen = features.FeatureSettings(families=(family,), bits=12)
        table = rng.integers(0, 256, (1 << 12, 4), dtype=np.uint8)
        model: Model = dataclasses.replace(classifier.model, settings=chosen, table=table)
        for text in TEXTS:
            found = consentclf.Classifier(model).explain(text)
            check(found)
        found = consentclf.Classifier(model).explain("We use cookies here. They are ours.")
        assert found.spans, family
        if family not in ("char1", "word1", "sent"):  # those read a space or an end of the text by itself
            assert max(map(abs, found.unplaced.values())) < 1e-9, family
        if family == "sent":
            # The first sentence opens with the paragraph: its pad stands for it, not its first word.
            assert {span.text for span in found.spans} == {"They"}
        if family == "open":
            assert found.spans[-1].end <= len("We use cookies")


def test_marks_fall_on_the_words_that_were_read(classifier: Classifier) -> None:
    text = "**Accept** [all](https://example.org/cookies) cookies"
    found = classifier.explain(text)
    characters, _, _ = explain.attribute(classifier.model, text)
    read = {i for i in range(len(text)) if characters[i].any()}
    link = text.index("https")
    assert not read & set(range(link, link + len("https://example.org/cookies")))
    assert {text[i] for i in read} <= set("Accept all cookies")
    assert found.top(found.label, 1)


def test_what_the_page_added_is_what_the_page_changed(classifier: Classifier, texts: list[str]) -> None:
    page = ["Accept all", *texts[:6], "OK", "Accept all"]
    found = classifier.explain_page(page)
    for one, paragraph in zip(found, classifier.predict_page(page), strict=True):
        check(one)
        assert (one.label, one.raw_label, one.scores) == (
            paragraph.label,
            paragraph.raw_label,
            paragraph.scores,
        )
    (single,) = classifier.explain_page(["OK"])
    check(single)
    assert max(map(abs, single.page.values())) < 1e-9
    assert classifier.explain_page([]) == []


def test_modes_and_thresholds_change_the_label_not_the_reasons(classifier: Classifier) -> None:
    strict = classifier.with_mode(thresholds={"consent": 1.0})
    found = strict.explain("Accept all cookies")
    assert (found.label, found.raw_label) == ("article", "consent")
    assert found.spans == classifier.explain("Accept all cookies").spans


def test_only_a_string_is_explained(classifier: Classifier) -> None:
    with pytest.raises(TypeError):
        classifier.explain(b"bytes")  # type: ignore[arg-type]


# -- the command --------------------------------------------------------------------------------------------


def test_the_sum_that_is_printed_is_right(run: Run, page_text: str, small_model: Path) -> None:
    result = run("explain", "-", "--model", small_model, input=page_text)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    blocks = result.stdout.split("\n\n")
    assert len(blocks) == len(consentclf.load(small_model).predict_text(page_text))
    for block in blocks:
        logit, _, terms = block.strip().splitlines()[-1].removeprefix("logit:").partition("=")
        numbers = [float(term.rsplit(" ", 1)[1]) for term in terms.split(",")]
        assert float(logit.rpartition(" ")[0].split()[-1]) == pytest.approx(sum(numbers), abs=0.04)


def test_paragraphs_are_chosen_by_number_text_label_and_doubt(
    run: Run, page_text: str, small_model: Path
) -> None:
    def count(*options: str) -> int:
        result = run("explain", "-", "--model", small_model, *options, input=page_text)
        return result.stdout.count("logit:")

    everything = count()
    assert count("-p", "2,4-5", "-p", "2") == 3
    assert count("--grep", "FERRY") == 1
    assert sum(count("--label", label) for label in LABELS) == everything
    assert count("--doubtful", "0") == 0
    assert count("--alone") == everything


def test_bad_numbers_are_told(run: Run) -> None:
    assert "99" in run("explain", "-", "-p", "99", input="One.").stderr
    for bad in ("0", "x", "3-2", "-1"):
        assert run("explain", "-", f"--paragraph={bad}", input="One.").exit_code == 2


def test_jsonl_carries_every_part(run: Run, small_model: Path) -> None:
    result = run(
        "explain", "-", "--format", "jsonl", "--model", small_model, input=b"Accept all\n\nNot \xff UTF-8."
    )
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    for row in rows:
        for label in LABELS:
            total = sum(span["weights"][label] for span in row["spans"])
            total += sum(weights[label] for weights in row["shape"].values())
            total += sum(row[name][label] for name in ("bias", "unplaced", "second_look", "page"))
            assert total == pytest.approx(row["logits"][label], abs=1e-6)


def test_nothing_in_a_text_steers_the_terminal(run: Run) -> None:
    result = run("explain", "-", input="Accept \x1b[31mall\x07 \u202ecookies\u202c now")
    assert not set("\x1b\x07\u202e\u202c") & set(result.stdout)


def on_a_terminal(small_model: Path, **environment: str) -> str:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "consentclf", "explain", "-", "--model", str(small_model)]
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"} | environment
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=slave, env=env) as process:
        os.close(slave)
        process.communicate(b"Accept all cookies", timeout=60)
    out = b""
    try:
        while chunk := os.read(master, 65536):
            out += chunk
    except OSError:  # Linux says end of terminal so
        pass
    os.close(master)
    return out.decode()


def test_colours_on_a_terminal_and_none_with_no_color(small_model: Path) -> None:
    assert "\x1b[" in on_a_terminal(small_model)
    plain = on_a_terminal(small_model, NO_COLOR="1")
    assert "logit:" in plain
    assert "\x1b" not in plain
