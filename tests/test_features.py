"""One definition of the features: the training pipeline and the predictor agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import ROWS, corpus_lines, train_small

from consentclf import Classifier
from consentclf.features import FeatureSettings, blocks, visible
from consentclf.training import corpus, fit

ODD = [
    "",
    " ",
    "OK",
    "a",
    "漢字とかな",
    "[menu](/a) [more](/b)",
    "x" * 40_000,
    "\u0301\u0302",
    "no‑break\u00a0space",
]


def test_the_pipeline_of_training_and_the_predictor_agree(
    classifier: Classifier, trained: fit.Result, texts: list[str]
) -> None:
    batch = texts + ODD
    logits = trained.pipeline.decision_function(batch)
    calibration = trained.model.calibration["paragraph"]
    p = np.exp(logits * calibration["scale"] + np.array(calibration["bias"]))
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(batch), p, atol=1e-5)


def test_the_pipeline_saved_gives_the_same_after_loading(
    trained: fit.Result, texts: list[str], tmp_path: Path
) -> None:
    joblib.dump(trained.pipeline, tmp_path / "p.joblib")
    again = joblib.load(tmp_path / "p.joblib")
    assert (again.predict_proba(texts) == trained.pipeline.predict_proba(texts)).all()
    assert again.predict(texts).tolist() == trained.pipeline.predict(texts).tolist()


def test_training_twice_gives_the_same_bytes(trained: fit.Result, corpus_file: Path) -> None:
    assert train_small(corpus_file).model.to_bytes() == trained.model.to_bytes()


def test_the_number_of_processes_changes_no_byte(trained: fit.Result, corpus_file: Path) -> None:
    settings = fit.Settings(features=FeatureSettings(bits=12), jobs=2)
    assert fit.train(corpus.read([corpus_file]), settings).model.to_bytes() == trained.model.to_bytes()


def test_hashing_does_not_depend_on_pythons_hash_seed(small_model: Path, texts: list[str]) -> None:
    code = (
        "import sys, json, consentclf;"
        "print(consentclf.load(sys.argv[1]).predict_proba(json.loads(sys.argv[2])).tobytes().hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(small_model), json.dumps(texts)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_a_model_of_rows_without_pages_hands_the_first_stage_on(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join(line for line in corpus_lines() if '"paragraphs"' not in line), encoding="utf-8"
    )
    found = Classifier(train_small(path).model)
    assert [p.label for p in found.predict_page(texts)] == found.predict(texts).tolist()


def test_two_labels_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [line for line in corpus_lines() if '"paragraphs"' not in line]
    path.write_text("\n".join(x for x in lines if json.loads(x)["label"] in ("article", "consent")))
    found = Classifier(train_small(path).model)
    assert set(found.predict(ROWS["article"])) == {"article"}
    assert set(found.predict(ROWS["consent"])) == {"consent"}


def test_blocks_cover_all_texts_in_order(texts: list[str]) -> None:
    found = blocks(texts, limit=100)
    assert [i for block in found for i in range(len(texts))[block]] == list(range(len(texts)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("[Home](/) | [News](/n)", "Home | News"), ("## Title", "Title"), ("**bold** text", "bold text")],
)
def test_markdown_is_seen_as_a_reader_sees_it(text: str, shown: str) -> None:
    assert visible(text)[0] == shown


@pytest.mark.parametrize(
    "wrong",
    [{"families": ("char9",)}, {"families": ()}, {"families": ("word1",) * 2}, {"bits": 3}, {"bits": 30}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        FeatureSettings(**wrong)  # type: ignore[arg-type]
