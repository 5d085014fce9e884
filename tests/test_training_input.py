"""Training from files: what is wrong with them is told with file, line and remedy, and no model is left."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
from click.testing import Result
from conftest import ROWS, corpus_lines

import consentclf
from consentclf import DataError
from consentclf.training import card, corpus, sampling

Run = Callable[..., Result]

GOOD = [json.dumps({"text": text, "label": label}) for label in ROWS for text in ROWS[label]]


def write(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n")
    return path


def row(**values: object) -> str:
    return json.dumps({"text": "A line.", "label": "article", **values})


def page(*paragraphs: object, **values: object) -> str:
    return json.dumps({"id": "p", "paragraphs": list(paragraphs), **values})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no json", r"not JSON \(Expecting value\); write one JSON object a line"),
        ('{"text": "cut', "not JSON"),
        ("[1, 2]", "expected a JSON object, got list"),
        ('"text"', "expected a JSON object, got str"),
        ("[" * 100_000, "JSON nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "not usable JSON"),
        ('{"label": "article"}', '"text" is missing or not a string'),
        (row(text=None), '"text" is missing or not a string'),
        (row(text=["a"]), '"text" is missing or not a string'),
        (row(text=" \n"), '"text" is empty; leave the row out'),
        ('{"text": "A line."}', '"label" is null; it must be one of article, banner, consent, navigation'),
        (row(label="menu"), '"label" is "menu"; it must be one of'),
        (row(label="other"), '"label" is "other"; it must be one of'),
        (row(label=["article"]), '"label" is .*; it must be one of'),
        (row(lang=["en"]), '"lang" must be a string, got list'),
        (row(source={}), '"source" must be a string, got dict'),
        (page(), '"paragraphs" must be a list of at least one'),
        (json.dumps({"id": "p", "paragraphs": "x"}), '"paragraphs" must be a list'),
        (page("x"), r"paragraphs\[0\]: expected an object, got str"),
        (page({"text": "a", "label": "article"}, {"text": "b"}), r'paragraphs\[1\]: "label" is null'),
        (page({"label": "article"}), r'paragraphs\[0\]: "text" is missing'),
        ("Café".encode("latin-1"), r"not UTF-8 \(byte 3 of the line: .*\); convert the file to UTF-8"),
        (row().encode("utf-16"), "not UTF-8"),
        (b"\x00\xff\x00", "not UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_the_remedy(tmp_path: Path, line: str | bytes, message: str) -> None:
    path = write(tmp_path / "rows.jsonl", GOOD[0], "", GOOD[1], line, GOOD[2])
    with pytest.raises(DataError, match=rf"rows\.jsonl:4: {message}") as caught:
        corpus.read([path])
    assert "\n" not in str(caught.value)


def test_encodings_mixed_far_into_a_file_are_told_with_the_right_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl", *[row(text=f"Zeile {i}") for i in range(3000)], "Café".encode("cp1252")
    )
    with pytest.raises(DataError, match=r"rows\.jsonl:3001: not UTF-8"):
        corpus.read([path])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_row_of_fifty_megabytes_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    with gzip.open(path, "wb", 1) if suffix else path.open("wb") as file:
        file.write(GOOD[0].encode() + b'\n{"label": "article", "text": "' + b"a" * 50_000_000 + b'"}\n')
    with pytest.raises(DataError, match=r":2: a line of more than 20 MB; write one paragraph or page a line"):
        corpus.read([path])


def test_a_broken_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(GOOD).encode())
    for name, data in [("cut", whole[:-20]), ("plain", b"not gzip"), ("turned", whole[:30] + whole[:30])]:
        path = tmp_path / f"{name}.jsonl.gz"
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"{name}\.jsonl\.gz: not a complete gzip file"):
            corpus.read([path])


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(GOOD).encode())
    assert len(corpus.read([path]).rows) == len(GOOD)


def test_folders_files_and_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "a.jsonl", *GOOD[:3])
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(GOOD[3])
    write(tmp_path / "notes.txt", "not data")
    assert len(corpus.read([tmp_path]).rows) == 4
    with pytest.raises(DataError, match="no such file or folder; check the path"):
        corpus.read([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no \.jsonl or \.jsonl\.gz file in this folder"):
        corpus.read([tmp_path / "empty"])
    with pytest.raises(DataError, match="no labelled paragraph found"):
        corpus.read([write(tmp_path / "blank.jsonl", "", " ")])


def test_one_text_under_two_labels_is_warned_of_with_both_places(tmp_path: Path) -> None:
    path = write(
        tmp_path / "rows.jsonl", *GOOD, row(text="OK", label="consent"), row(text="OK", label="article")
    )
    read = corpus.read([path])
    assert len(read.rows) == len(GOOD) + 2  # both are trained on
    assert read.warnings == [
        f"{path}:50: the same text is 'article' here and 'consent' at {path}:49; "
        "keep the right one, or give it as part of a page, where context decides"
    ]


def test_one_text_under_two_labels_on_pages_is_no_conflict(tmp_path: Path) -> None:
    ok = [page({"text": "OK", "label": label}) for label in ("consent", "article")]
    assert corpus.read([write(tmp_path / "rows.jsonl", *ok)]).warnings == []


def test_a_text_with_a_lone_surrogate_is_trained_on(tmp_path: Path, run: Run) -> None:
    odd = '{"text": "Odd \\ud800 line", "label": "article", "source": "x\\ud800", "lang": "\\udfff"}'
    path = write(tmp_path / "rows.jsonl", *GOOD, odd)
    result = run("train", path, "--out", tmp_path / "m", "--jobs", "1")
    assert result.exit_code == 0
    consentclf.load(tmp_path / "m")


# -- the command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([GOOD[0]], "every paragraph is labelled 'article'; training needs at least two labels"),
        (GOOD[:12], "every paragraph is labelled 'article'"),
        ([GOOD[0], GOOD[12]], "too few rows or sources"),
        ([row(source="x"), row(source="x", label="consent", text="Accept")] * 20, "too few rows or sources"),
        (
            [page({"text": "a", "label": "other"}, {"text": "b", "label": "unsure"})],
            "training needs at least two",
        ),
        ([*GOOD, "{"], "rows.jsonl:49: not JSON"),
    ],
)
def test_data_that_cannot_be_trained_on_leaves_no_model(
    run: Run, tmp_path: Path, lines: list[str], message: str
) -> None:
    path = write(tmp_path / "rows.jsonl", *lines)
    out = tmp_path / "out"
    out.mkdir()
    result = run("train", path, "--out", out / "m", "--save-pipeline", out / "p", "--jobs", "1")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "rows.jsonl" in result.stderr
    assert list(out.iterdir()) == []


def test_training_writes_model_pipeline_and_card_and_sums_up(
    run: Run, corpus_file: Path, tmp_path: Path
) -> None:
    out, pipeline, card_file = tmp_path / "m", tmp_path / "p.joblib", tmp_path / "card.md"
    result = run(
        "train", corpus_file, "--out", out, "--save-pipeline", pipeline, "--card", card_file, "--jobs", "1"
    )
    assert result.exit_code == 0
    assert result.stderr == ""  # no bar where there is no terminal
    assert "label       paragraphs  precision  recall" in result.stdout
    assert result.stdout.endswith(f"{out}: {out.stat().st_size:,} bytes\n")
    model = consentclf.load(out).model
    assert model.card["figures"]["alone"]["labels"]["consent"]["paragraphs"] >= 12
    assert "held out by source" in run("info", "--model", out).stdout
    assert model.digest in card_file.read_text(encoding="utf-8")
    assert joblib.load(pipeline).predict(["Accept all cookies"]).tolist() == ["consent"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.md", "m", "p.joblib"]
    first = out.read_bytes()
    run("train", corpus_file, "--out", out, "--jobs", "2")
    assert out.read_bytes() == first


@pytest.mark.parametrize("where", ["--out", "--save-pipeline", "--card"])
def test_an_unusable_place_is_told_before_the_data_is_read(
    run: Run, tmp_path: Path, corpus_file: Path, where: str
) -> None:
    others = [] if where == "--out" else ["--out", str(tmp_path / "m")]
    for place, message in [
        (tmp_path, "Is a directory; name a file"),
        (tmp_path / "absent" / "m", "No such file or directory; check the path"),
        (corpus_file, "named twice, or a file of the data"),
    ]:
        result = run("train", corpus_file, where, place, *others)
        assert result.exit_code == 2
        assert result.stderr == f"consentclf: {place}: {message}" + (
            "; name another file to write\n" if "twice" in message else "\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_to_is_told_in_one_line(
    run: Run, tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    really = os.open

    def refuse(path: str, flags: int, *args: int, **options: int) -> int:
        if flags & os.O_CREAT:  # even root, who may write anywhere, runs this test
            raise OSError(number, os.strerror(number), path)
        return really(path, flags, *args, **options)

    monkeypatch.setattr("os.open", refuse)
    result = run("train", corpus_file, "--out", tmp_path / "m")
    assert result.exit_code == 2
    assert result.stderr == (
        f"consentclf: {tmp_path / 'm'}: {os.strerror(number)}; choose a place you may write to\n"
    )


def test_a_disk_that_fills_up_leaves_the_old_model(
    run: Run, tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    out.write_bytes(b"old")
    dump = joblib.dump

    def full(value: object, file: object) -> None:
        dump(value, file)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("joblib.dump", full)
    result = run("train", corpus_file, "--out", out, "--save-pipeline", tmp_path / "p", "--jobs", "1")
    assert result.exit_code == 2
    assert result.stderr.endswith("p: No space left on device; free some space and run it again\n")
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, "consentclf: interrupted"), (signal.SIGTERM, 143, "consentclf: terminated")],
)
def test_a_signal_in_the_midst_of_training_leaves_no_file(
    corpus_file: Path, tmp_path: Path, number: signal.Signals, code: int, line: str
) -> None:
    hold = (
        "import sys, time, consentclf.training.fit as fit\n"
        "def train(*args):\n    print('training', flush=True)\n    time.sleep(60)\n"
        "fit.train = train\n"
        "from consentclf.cli import main\nmain()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, "train", str(corpus_file), "--out", str(tmp_path / "m")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        process.send_signal(number)
        _, complaint = process.communicate()
    assert process.returncode == code
    assert complaint.splitlines()[-1] == line
    assert list(tmp_path.iterdir()) == []


def test_sampling_settings_are_laid_over_and_checked(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine.ini", "[user]", "weight = 2")
    config = sampling.read_config(mine)
    assert config["user"]["weight"] == "2"
    assert config["user"]["page_weight"] == sampling.read_config()["user"]["page_weight"]
    for text, message in [
        ("[nothing]\nweight = 2", "no setting 'weight' in a section .nothing."),
        ("[user]\nwieght = 2", "no setting 'wieght'"),
        ("[user]\nweight = much", "must be a number, got 'much'"),
        ("weight = 2", "no section headers"),
        ("[user\n", "mine.ini"),
    ]:
        with pytest.raises(DataError, match=message) as caught:
            sampling.read_config(write(tmp_path / "mine.ini", text))
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="no such file"):
        sampling.read_config(tmp_path / "absent.ini")


# -- figures and card ---------------------------------------------------------------------------------------


def test_figures_are_counted_right_and_small_languages_pooled() -> None:
    held = [("en", "", "article", "article", "")] * 90 + [("en", "", "article", "consent", "article")] * 30
    held += [("fr", "", "consent", "consent", "")] * 5 + [("", "", "banner", "consent", "")] * 5
    found = card.figures(held)
    assert found["alone"]["labels"]["article"] == {
        "paragraphs": 120, "precision": 1.0, "recall": 0.75, "f1": 0.8571,
    }  # fmt: skip
    assert found["alone"]["labels"]["consent"]["precision"] == 0.125
    assert list(found["alone"]["languages"]) == ["en", "2 others", "all"]
    assert found["alone"]["languages"]["2 others"]["right"] == 0.5
    assert found["page"]["languages"] == {"en": {"paragraphs": 30, "right": 1.0, "macro_f1": 1.0}}
    assert card.figures([]) == {}


def test_the_card_as_markdown_has_no_gaps(small_model: Path) -> None:
    model = consentclf.load(small_model).model
    text = card.markdown(model.card, model.digest, 123_456)
    assert model.digest in text
    assert "123,456 bytes" in text
    assert "None" not in text
    assert "{" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith(" |") for line in rows)


def test_the_small_corpus_of_these_tests_is_read_in_full(corpus_file: Path) -> None:
    read = corpus.read([corpus_file])
    assert len(read.rows) + len(read.pages) == len(corpus_lines())
    assert read.warnings == []
