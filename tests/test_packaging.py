"""The wheel: built, installed in fresh environments, used from an empty folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, Environment, make_environment, modules_of

import consentclf

PAGE = "The ferry was cancelled on Tuesday because of high wind.\n\nWe use cookies.\nAccept all cookies\n"


def test_the_wheel_carries_model_data_licence_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {
        f"consentclf/shipped/data/{p.relative_to(ROOT / 'data')}" for p in (ROOT / "data").rglob("*.jsonl")
    }
    assert {"consentclf/shipped/consentclf.safetensors", "consentclf/py.typed"} <= names
    assert data <= names
    assert "consentclf/training/sampling.ini" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "test" in name or name.endswith(".pyc")]


def test_the_sdist_carries_what_the_wheel_is_made_of(wheel: Path) -> None:
    assert len(list(wheel.parent.glob("*.tar.gz"))) == 1  # the wheel was built from it


def test_with_numpy_and_click_alone_it_predicts(slim: Environment, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text(PAGE)
    done = slim.run("consentclf", "predict", "--format", "jsonl", "page.txt", cwd=tmp_path)
    assert done.stderr == ""
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == [line for line in PAGE.splitlines() if line]
    expected = consentclf.load().predict_text(PAGE)
    assert [row["label"] for row in rows] == [p.label for p in expected]
    info = slim.run("consentclf", "info", cwd=tmp_path)
    assert str(slim.site_packages) in info.stdout
    assert (
        slim.run("consentclf", "--version", cwd=tmp_path).stdout == f"consentclf {consentclf.__version__}\n"
    )


def test_with_numpy_and_click_alone_training_says_what_to_install(slim: Environment, tmp_path: Path) -> None:
    done = slim.run("consentclf", "train", "--out", "m", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "consentclf: training needs scikit-learn and joblib: pip install scikit-learn joblib\n"
    )
    assert list(tmp_path.iterdir()) == []
    assert "train" in slim.run("consentclf", "--help", cwd=tmp_path).stdout


def test_no_python_file_of_ours_needs_more_than_it_says_to_be_imported(
    slim: Environment, tmp_path: Path
) -> None:
    code = "import sys, consentclf.cli.predict; print(sorted({m.split('.')[0] for m in sys.modules}))"
    done = slim.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sklearn" not in done.stdout


def test_with_everything_installed_it_trains(wheel: Path, corpus_file: Path, tmp_path: Path) -> None:
    packages = modules_of("numpy", "click", "scikit-learn", "joblib")
    environment = make_environment(tmp_path / "env", wheel, packages)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = environment.run("consentclf", "train", str(corpus_file), "--out", "m", "--jobs", "1", cwd=empty)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in empty.iterdir()] == ["m"]
    (empty / "page.txt").write_text(PAGE)
    assert environment.run("consentclf", "predict", "--model", "m", "page.txt", cwd=empty).returncode == 0


def test_the_shipped_data_is_where_training_looks_for_it(slim: Environment, tmp_path: Path) -> None:
    code = "from consentclf.classifier import shipped_data; print(shipped_data())"
    place = Path(slim.run("python", "-c", code, cwd=tmp_path).stdout.strip())
    assert place == slim.site_packages / "consentclf" / "shipped" / "data"
    assert list(place.rglob("*.jsonl"))


@pytest.mark.parametrize("name", ["shipped_model", "shipped_data"])
def test_in_a_checkout_model_and_data_are_those_of_the_tree(name: str) -> None:
    place: Path = getattr(consentclf.classifier, name)()
    assert place.exists()
