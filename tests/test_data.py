"""The check of the authored corpus: what it refuses, what it lists, and that data/ passes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from consentclf.classifier import shipped_data
from consentclf.errors import DataError
from consentclf.evaluation import authored, crossval, duplicates
from consentclf.labels import LABELS

Run = Callable[..., Result]

SENTENCE = "The harbour master closed the northern quay after the crane had dropped a container on Sunday."
REWRITTEN = "The harbour master closed the southern quay after the crane had dropped a container on Monday."
OTHER = "Volunteers counted four hundred storks in the marsh, more than in any spring since the war."


def row(
    name: str, text: str, label: str = "article", kind: str = "plain", lang: str = "en"
) -> dict[str, Any]:
    return {"id": name, "lang": lang, "batch": f"{lang}-b1", "label": label, "kind": kind, "text": text}


def page(name: str, texts: Sequence[tuple[str, str]], lang: str = "en") -> dict[str, Any]:
    paragraphs = [{"label": label, "text": text} for label, text in texts]
    return {"id": name, "lang": lang, "batch": f"{lang}-p1", "kind": "news", "paragraphs": paragraphs}


def write(folder: Path, part: str, records: Sequence[Mapping[str, Any]], lang: str = "en") -> Path:
    path = folder / part / f"{lang}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return folder


def open_pairs(folder: Path) -> list[set[str]]:
    found = authored.read(folder)
    return [{pair.a.id, pair.b.id} for pair in authored.find_duplicates(found) if not pair.reason]


# -- format ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "advert"}, 'label "advert" is none of'),
        ({"kind": "button"}, 'kind "button" is none of article'),
        ({"text": "  "}, '"text" is missing, empty'),
        ({"batch": None}, '"batch" is missing, empty'),
        ({"lang": "fr"}, 'lang is "fr" in the file of en'),
        ({"note": "x"}, 'unknown field "note"'),
    ],
)
def test_a_row_out_of_format_is_named_by_file_and_line(
    run: Run, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE), {**row("b", OTHER), **change}])
    result = run("data", "check", tmp_path)
    assert result.exit_code == 2
    assert f"en.jsonl:2: {message}" in result.stdout
    assert "1 things to mend" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paragraphs": []}, '"paragraphs" must be a list'),
        (
            {"paragraphs": [{"text": "a", "label": "article"}, {"text": "b", "label": "other"}]},
            "paragraph 2: label",
        ),
        (
            {"paragraphs": [{"text": "", "label": "article"}, {"text": "b", "label": "article"}]},
            "paragraph 1: ",
        ),
        ({"kind": ""}, '"kind" is missing'),
    ],
)
def test_a_page_out_of_format_is_named_by_file_and_line(
    run: Run, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    good = page("p", [("article", SENTENCE), ("navigation", "Home")])
    result = run("data", "check", write(tmp_path, "pages", [{**good, **change}]))
    assert result.exit_code == 2
    assert "en.jsonl:1" in result.stdout
    assert message in result.stdout


def test_an_id_used_twice_is_refused_across_files(tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE)])
    write(tmp_path, "pages", [page("a", [("article", OTHER), ("navigation", "Home")])])
    (problem,) = authored.read(tmp_path).problems
    assert 'id "a" stands at' in problem
    assert "pages/en.jsonl:1" in problem.replace("\\", "/")


def test_a_folder_without_the_corpus_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("data", "check", tmp_path)
    assert result.exit_code == 2
    assert "no paragraphs/*.jsonl" in result.stderr


def test_a_sound_corpus_passes(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE), row("b", OTHER), row("c", "OK", "consent", "button")])
    result = run("data", "check", tmp_path)
    assert result.exit_code == 0, result.output
    assert "0 errors; near-duplicates: 0 unexplained" in result.stdout


# -- duplicates --------------------------------------------------------------------------------------------


def test_a_rewritten_sentence_is_a_near_duplicate_and_another_is_not(tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE), row("b", REWRITTEN), row("c", OTHER)])
    assert open_pairs(tmp_path) == [{"a", "b"}]


def test_near_duplicates_are_found_across_languages_and_against_prose_of_pages(tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE)])
    write(tmp_path, "paragraphs", [row("b", REWRITTEN.upper(), lang="sv")], "sv")
    write(
        tmp_path, "pages", [page("p", [("navigation", "Home"), ("article", SENTENCE), ("article", SENTENCE)])]
    )
    assert {frozenset(ids) for ids in open_pairs(tmp_path)} == {
        frozenset(ids) for ids in ({"a", "b"}, {"a", "p#2"}, {"a", "p#3"}, {"b", "p#2"}, {"b", "p#3"})
    }  # and not the page's own repetition


def test_short_texts_count_only_when_they_are_the_same(tmp_path: Path) -> None:
    rows = [("a", "Accept all"), ("b", "accept all!"), ("c", "Accept any")]
    write(tmp_path, "paragraphs", [row(name, text, "consent", "button") for name, text in rows])
    assert open_pairs(tmp_path) == [{"a", "b"}]


def test_one_word_that_two_languages_share_is_no_copy_but_twice_in_one_language_is(tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", "OK", "consent", "button"), row("b", "OK", "consent", "button")])
    write(tmp_path, "paragraphs", [row("c", "OK", "consent", "button", "fr")], "fr")
    assert open_pairs(tmp_path) == [{"a", "b"}]


def test_a_matched_pair_shares_its_words_on_purpose(tmp_path: Path) -> None:
    pair = [row("a", SENTENCE, "article", "pair"), row("b", REWRITTEN, "consent", "pair")]
    assert open_pairs(write(tmp_path, "paragraphs", pair)) == []
    both = [row("a", SENTENCE, "article", "pair"), row("b", REWRITTEN, "article", "pair")]
    assert open_pairs(write(tmp_path, "paragraphs", both)) == [{"a", "b"}]


def test_a_pair_may_be_explained_and_an_explanation_of_nothing_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE), row("b", REWRITTEN)])
    allowed = tmp_path / authored.ALLOWED_FILE
    allowed.write_text(json.dumps([{"ids": ["b", "a"], "reason": "the law's own words"}]), encoding="utf-8")
    assert open_pairs(tmp_path) == []
    allowed.write_text(json.dumps([{"ids": ["a", "gone"], "reason": "x"}]), encoding="utf-8")
    found = authored.read(tmp_path)
    authored.find_duplicates(found)
    assert any('id "gone" does not exist' in problem for problem in found.problems)
    allowed.write_text("{}", encoding="utf-8")
    assert open_pairs(tmp_path) == [{"a", "b"}]
    allowed.write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="expected a JSON list"):
        open_pairs(tmp_path)


def test_the_index_finds_exactly_what_comparing_all_with_all_finds() -> None:
    rng = np.random.default_rng(5)
    words = [
        "river",
        "bridge",
        "council",
        "cookies",
        "the",
        "a",
        "of",
        "closed",
        "on",
        "Sunday",
        "принять",
        "同意",
    ]
    texts = [" ".join(rng.choice(words, size=rng.integers(4, 12))) for _ in range(150)]

    def grams(text: str) -> set[str]:
        padded = f" {text} "
        return {padded[i : i + 4] for i in range(len(padded) - 3)}

    expected = {}
    for j, b in enumerate(texts):
        for i, a in enumerate(texts[:j]):
            overlap = len(grams(a) & grams(b)) / len(grams(a) | grams(b))
            if overlap >= 0.5:
                expected[i, j] = overlap
    got = {(i, j): overlap for i, j, overlap in duplicates.near_pairs(texts, 0.5)}
    assert got == pytest.approx(expected)
    assert len(got) > 20
    across = {(i, j) for i, j, _ in duplicates.near_pairs(texts, 0.5, split=60)}
    assert across == {(i, j) for i, j in expected if i < 60 <= j}


def test_nothing_to_compare_is_no_error() -> None:
    assert duplicates.near_pairs([]) == []
    assert duplicates.near_pairs(["", "a"]) == []


# -- evaluation data ---------------------------------------------------------------------------------------


def test_a_row_that_stands_in_the_evaluation_data_is_listed(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "data", "paragraphs", [row("a", SENTENCE), row("b", OTHER), row("c", "Accept all")])
    measured = tmp_path / "eval.jsonl"
    texts = [("other", "Accept all"), ("article", REWRITTEN)]
    measured.write_text(json.dumps(page("e", texts)) + "\n", encoding="utf-8")
    result = run("data", "check", tmp_path / "data", "--against", measured)
    assert result.exit_code == 2
    assert "overlaps the evaluation data" in result.stdout
    assert "1 rows overlap" in result.stdout
    reason = [{"ids": ["a", authored.AGAINST], "reason": "wording of a law"}]
    (tmp_path / "data" / authored.ALLOWED_FILE).write_text(json.dumps(reason), encoding="utf-8")
    assert run("data", "check", tmp_path / "data", "--against", measured).exit_code == 0


def test_rows_a_model_finds_impossible_are_listed_and_are_no_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE), row("b", OTHER)])

    def validated(data: Any, **more: Any) -> Any:
        scores = np.full((2, len(LABELS)), 0.25)
        scores[1] = [0.01, 0.01, 0.97, 0.01]
        return crossval.CrossValidation(None, data.rows, {1.0: scores}, {})  # type: ignore[arg-type]

    monkeypatch.setattr(crossval, "cross_validate", validated)
    result = run("data", "check", tmp_path, "--impossible")
    assert result.exit_code == 0, result.output
    assert "en.jsonl:2 b article/plain 1.00%, model says consent" in result.stdout
    assert "1 rows for a second look" in result.stdout


# -- counts ------------------------------------------------------------------------------------------------


def test_counts_are_a_markdown_table_that_adds_up(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "paragraphs", [row("a", SENTENCE, kind="privacy"), row("b", "OK", "consent", "button")])
    write(tmp_path, "paragraphs", [row("c", OTHER, lang="fr")], "fr")
    write(tmp_path, "pages", [page("p", [("article", "x"), ("article", "y")])])
    lines = run("data", "counts", tmp_path).stdout.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:2] == ["lang", "rows"]
    assert {line[0] for line in cells[2:]} == {"en", "fr", "all"}
    total = dict(zip(cells[0], cells[-1], strict=True))
    assert (total["rows"], total["article"], total["consent"], total["privacy"]) == ("3", "2", "1", "1")
    assert (total["pages"], total["page paragraphs"]) == ("1", "2")


def test_what_is_missing_of_the_counts_asked_for_is_said(run: Run, tmp_path: Path) -> None:
    result = run("data", "check", write(tmp_path, "paragraphs", [row("a", SENTENCE)]))
    assert "fewer than asked: en: 1 rows, 450 asked" in result.stdout
    assert result.exit_code == 0


# -- the corpus itself -------------------------------------------------------------------------------------


def test_the_projects_own_corpus_is_sound_and_every_near_duplicate_is_explained() -> None:
    found = authored.read(shipped_data())
    pairs = authored.find_duplicates(found)
    assert found.problems == []
    assert [str(pair) for pair in pairs if not pair.reason] == []
    assert {item.label for item in found.rows} == set(LABELS)
