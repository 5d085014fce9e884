"""Correcting labels in the terminal: keys, order, undo, and a file that is always whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import consentclf
from consentclf.cli import label as command

Run = Callable[..., Result]


@pytest.fixture
def page(tmp_path: Path, page_text: str) -> Path:
    path = tmp_path / "page.txt"
    path.write_bytes(page_text.encode())
    return path


@pytest.fixture
def ask(run: Run, page: Path, tmp_path: Path, small_model: Path) -> Callable[..., Result]:
    def call(keys: str, *options: str) -> Result:
        return run("label", page, "-o", tmp_path / "rows.jsonl", "--model", small_model, *options, input=keys)

    return call


def rows(tmp_path: Path) -> list[dict[str, Any]]:
    path = tmp_path / "rows.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def unsure(small_model: Path, text: str) -> list[consentclf.Paragraph]:
    found: dict[str, consentclf.Paragraph] = {}
    for p in sorted(consentclf.load(small_model).predict_text(text), key=lambda p: p.score):
        found.setdefault(p.text, p)
    return list(found.values())


def test_one_key_a_label_the_least_sure_first(
    ask: Run, tmp_path: Path, page_text: str, small_model: Path
) -> None:
    result = ask("abcn\rq", "--lang", "en")
    assert result.exit_code == 0
    expected = unsure(small_model, page_text)[:5]
    labels = ["article", "banner", "consent", "navigation", expected[4].label]
    assert rows(tmp_path) == [
        {"text": p.text, "label": label, "source": "page.txt", "lang": "en"}
        for p, label in zip(expected, labels, strict=True)
    ]
    assert "5 rows more, 5 in all" in result.stdout


def test_undo_takes_back_rows_and_skips(ask: Run, tmp_path: Path, page_text: str, small_model: Path) -> None:
    ask("asbuuucq")
    first = unsure(small_model, page_text)[0]
    assert rows(tmp_path) == [{"text": first.text, "label": "consent", "source": "page.txt"}]
    assert "nothing to take back" in ask("uq").stdout


def test_a_second_run_goes_on_where_the_first_ended(ask: Run, tmp_path: Path, page_text: str) -> None:
    ask("aaq")
    before = rows(tmp_path)
    ask("b")  # the input ends: so do the questions
    after = rows(tmp_path)
    assert after[:2] == before
    assert len({row["text"] for row in after}) == len(after) == 3
    ask("\r" * 50)
    assert "Nothing to ask" in ask("").stdout


def test_other_keys_write_nothing_and_tell_the_keys(ask: Run, tmp_path: Path) -> None:
    result = ask("xyz1\x1bq")
    assert rows(tmp_path) == []
    assert result.stdout.count("u undo") > 1


def test_the_file_is_whole_after_every_key(ask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, data: bytes) -> None:
        raise OSError(28, "No space left on device", path)

    ask("aaq")
    before = (tmp_path / "rows.jsonl").read_bytes()
    monkeypatch.setattr(command, "write_atomic", full)
    result = ask("bq")
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_rows_of_others_are_kept_and_a_missing_line_end_is_mended(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "Mine.", "label": "article"}')
    ask("aq")
    assert len(rows(tmp_path)) == 2
    assert rows(tmp_path)[0]["text"] == "Mine."


def test_a_file_that_is_no_rows_is_not_touched(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "Mine."}\n{"half')
    result = ask("aq")
    assert result.exit_code == 2
    assert "rows.jsonl:2" in result.stderr
    assert (tmp_path / "rows.jsonl").read_text().endswith('{"half')


def test_two_at_work_on_one_file_do_not_lose_rows(tmp_path: Path) -> None:
    path = str(tmp_path / "rows.jsonl")
    mine, theirs = command.Rows(path), command.Rows(path)
    theirs.append({"text": "Theirs.", "label": "article"})
    with pytest.raises(consentclf.DataError, match="something else has written"):
        mine.append({"text": "Mine.", "label": "article"})
    assert [row["text"] for row in rows(tmp_path)] == ["Theirs."]


def test_a_text_that_is_not_utf8_is_stored_as_escapes(tmp_path: Path) -> None:
    command.Rows(str(tmp_path / "rows.jsonl")).append({"text": "a\udcff", "label": "article"})
    assert rows(tmp_path)[0]["text"] == "a\udcff"


def test_standard_input_is_for_answers(run: Run) -> None:
    result = run("label", "-", input="a")
    assert result.exit_code == 2
    assert "answers" in result.stderr


def test_trained_on_and_compared(
    ask: Run, run: Run, tmp_path: Path, corpus_file: Path, small_model: Path
) -> None:
    ask("cccccq")
    made = tmp_path / "mine.safetensors"
    result = run("train", corpus_file, tmp_path / "rows.jsonl", "--out", made)
    assert result.exit_code == 0, result.stderr
    result = run("label", "--compare", made, "--model", small_model, tmp_path / "rows.jsonl")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["label", "paragraphs", "right", "before", "right", "after"]
    assert lines[2].split()[:2] == ["consent", "5"]
    assert "mended" in result.stdout
    assert "trained on rows of these sources" in result.stdout
