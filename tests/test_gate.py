"""The gate: what lets it pass, what fails it, and what moves a floor."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import consentclf
from consentclf.errors import DataError
from consentclf.evaluation import gate

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "paragraphs").mkdir(parents=True)
    (folder / "paragraphs" / "en.jsonl").write_text('{"text": "x", "label": "article"}\n', encoding="utf-8")
    return folder


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the evaluation on data/ gives, to be changed by the test."""
    found = {"macro_f1": 0.9, "consent_leak": 0.02}
    monkeypatch.setattr(gate, "cross_validated", lambda data: dict(found))
    return found


@pytest.fixture
def guard(run: Run, data: Path, figures: dict[str, float], tmp_path: Path, small_model: Path) -> Run:
    """The gate command on the test's own data, floors and model, with no shared folder."""

    def call(*args: str) -> Result:
        return run(
            "gate", "--data", data, "--floors", tmp_path / "floors.json", "--shared", tmp_path / "none",
            "--model", small_model, *args,
        )  # fmt: skip

    return call


def floors(tmp_path: Path) -> dict[str, Any]:
    (entry,) = json.loads((tmp_path / "floors.json").read_text(encoding="utf-8")).values()
    return dict(entry["figures"])


def test_a_figure_without_a_floor_fails_until_one_is_set(guard: Run, tmp_path: Path) -> None:
    assert guard().exit_code == 1
    assert guard("--update").exit_code == 0
    assert guard().exit_code == 0
    assert floors(tmp_path) == {"macro_f1": 0.9, "consent_leak": 0.02}


@pytest.mark.parametrize(("figure", "worse"), [("macro_f1", 0.89), ("consent_leak", 0.03)])
def test_a_worse_figure_fails_and_only_allow_regression_lowers_its_floor(
    guard: Run, figures: dict[str, float], tmp_path: Path, figure: str, worse: float
) -> None:
    guard("--update")
    before = floors(tmp_path)
    figures[figure] = worse
    result = guard()
    assert result.exit_code == 1
    assert "WORSE" in result.stdout
    assert guard("--update").exit_code == 1
    assert floors(tmp_path) == before
    assert guard("--update", "--allow-regression").exit_code == 0
    assert floors(tmp_path)[figure] == worse


@pytest.mark.parametrize(("figure", "better"), [("macro_f1", 0.95), ("consent_leak", 0.01)])
def test_a_better_figure_passes_and_update_makes_it_the_floor(
    guard: Run, figures: dict[str, float], tmp_path: Path, figure: str, better: float
) -> None:
    guard("--update")
    figures[figure] = better
    assert guard().exit_code == 0
    assert guard("--update").exit_code == 0
    assert floors(tmp_path)[figure] == better


def test_a_loss_within_the_tolerance_passes_and_does_not_lower_the_floor(
    guard: Run, figures: dict[str, float], tmp_path: Path
) -> None:
    guard("--update")
    figures["macro_f1"] -= gate.TOLERANCE["data"] / 2
    assert guard("--update").exit_code == 0
    assert floors(tmp_path)["macro_f1"] == 0.9


def test_changed_data_fails_even_where_no_figure_fell(guard: Run, data: Path) -> None:
    guard("--update")
    (data / "paragraphs" / "fr.jsonl").write_text('{"text": "y", "label": "article"}\n', encoding="utf-8")
    result = guard()
    assert result.exit_code == 1
    assert "DATA CHANGED" in result.stdout
    assert guard("--update").exit_code == 0
    assert guard().exit_code == 0


def test_changed_data_is_no_way_around_a_worse_figure(
    guard: Run, data: Path, figures: dict[str, float]
) -> None:
    guard("--update")
    (data / "paragraphs" / "fr.jsonl").write_text('{"text": "y", "label": "article"}\n', encoding="utf-8")
    figures["macro_f1"] = 0.5
    assert guard("--update").exit_code == 1
    assert guard("--update", "--allow-regression").exit_code == 0


def test_a_figure_no_longer_given_fails(guard: Run, figures: dict[str, float]) -> None:
    guard("--update")
    del figures["consent_leak"]
    result = guard()
    assert result.exit_code == 1
    assert "GONE" in result.stdout


def test_floors_of_an_evaluation_no_longer_run_fail_until_dropped(guard: Run, tmp_path: Path) -> None:
    guard("--update")
    path = tmp_path / "floors.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["eval/renamed"] = {"data": "0", "figures": {"macro_f1": 1.0}}
    path.write_text(json.dumps(found), encoding="utf-8")
    assert guard().exit_code == 1
    assert guard("--update", "--allow-regression").exit_code == 0
    assert guard().exit_code == 0


def test_evaluations_whose_data_is_absent_are_said_loudly_and_keep_their_floors(
    guard: Run, tmp_path: Path
) -> None:
    guard("--update")
    path = tmp_path / "floors.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["eval/gold_pages"] = {"data": "0", "figures": {"macro_f1": 0.8}}
    path.write_text(json.dumps(found), encoding="utf-8")
    result = guard("--update")
    assert result.exit_code == 0
    assert "NOT RUN: eval/gold_pages" in result.stderr
    assert "eval/gold_pages" in json.loads(path.read_text(encoding="utf-8"))


def test_allow_regression_alone_is_a_mistake(guard: Run) -> None:
    assert guard("--allow-regression").exit_code == 2


def test_a_broken_floors_file_is_refused_with_the_remedy(guard: Run, tmp_path: Path) -> None:
    (tmp_path / "floors.json").write_text('{"x": 1}', encoding="utf-8")
    result = guard()
    assert result.exit_code == 2
    assert "restore it from version control" in result.stderr


def test_figures_the_trainer_held_out_are_taken_from_the_model_card(
    classifier: consentclf.Classifier, data: Path, tmp_path: Path
) -> None:
    card = {**classifier.model.card, "held_out": {"macro_f1": 0.93}}
    model = replace(classifier, model=replace(classifier.model, card=card))
    first = gate.evaluations(model, data, tmp_path, tmp_path)[0]
    assert first.name == "data/held-out-by-trainer"
    assert first.run() == {"macro_f1": 0.93}


def test_the_digest_sees_contents_and_names(data: Path) -> None:
    found = gate.Evaluation("data/x", (data,), dict)
    before = found.digest
    (data / "paragraphs" / "en.jsonl").write_text('{"text": "z", "label": "article"}\n', encoding="utf-8")
    changed = found.digest
    (data / "paragraphs" / "fr.jsonl").write_text("{}\n", encoding="utf-8")
    with_more = found.digest
    (data / "paragraphs" / "fr.jsonl").rename(data / "paragraphs" / "de.jsonl")
    assert len({before, changed, with_more, found.digest}) == 4


def test_floors_are_read_as_written(tmp_path: Path) -> None:
    assert gate.read_floors(tmp_path / "none.json") == {}
    path = tmp_path / "floors.json"
    path.write_text('{"eval/x": {"data": "ab", "figures": {"macro_f1": 1}}}', encoding="utf-8")
    assert gate.read_floors(path) == {"eval/x": {"data": "ab", "figures": {"macro_f1": 1.0}}}
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError):
        gate.read_floors(path)
