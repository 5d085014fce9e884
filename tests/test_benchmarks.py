"""The benchmarks run, at a size where their figures mean nothing, and write what the docs are made from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import report

PARTS = ("speed", "single", "long", "growth", "profile")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Path:
    place = tmp_path_factory.mktemp("benchmarks")
    (place / "performance.md").write_text(
        f"Before.\n\n{report.BEGIN}\nstale figures\n{report.END}\n\nAfter.\n"
    )
    arguments = ["--model", str(small_model), "--scale", "0.004", "--rounds", "1"]
    for part in PARTS:
        arguments += ["--only", part]
    arguments += ["--json", str(place / "b.json"), "--svg", str(place / "b.svg")]
    done = CliRunner().invoke(command.main, [*arguments, "--docs", str(place / "performance.md")])
    assert done.exit_code == 0, done.output
    return place


def test_the_json_has_the_rows(written: Path) -> None:
    found = json.loads((written / "b.json").read_text(encoding="utf-8"))
    names = {(row["section"], row["name"]) for row in found["rows"]}
    for name in ("paragraph mode", "page mode", "page mode, page by page"):
        assert ("speed", name) in names
    assert ("asked", "one short paragraph through predict") in names
    assert ("asked", "page mode beside paragraph mode") in names
    assert {row["section"] for row in found["rows"]} >= {"batches", "long paragraph", "growth", "profile"}
    assert all(row["value"] >= 0 for row in found["rows"])
    assert found["machine"]["numpy"]


def test_the_docs_block_is_replaced_and_the_rest_stays(written: Path) -> None:
    text = (written / "performance.md").read_text(encoding="utf-8")
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "| paragraph mode |" in text
    assert "stale figures" not in text


def test_a_file_without_the_block_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("nothing here")
    with pytest.raises(ValueError, match="has no lines"):
        report.insert(file, "x")


def test_the_plot_is_svg(written: Path) -> None:
    text = (written / "b.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "page mode" in text
