"""The command: what it prints, how it fails, how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

import consentclf
from consentclf.cli import COMMANDS
from consentclf.model import Model

Run = Callable[..., Result]
COMMAND = [sys.executable, "-m", "consentclf"]
ESCAPE = "\x1b["


@pytest.fixture
def page(tmp_path: Path, page_text: str) -> Path:
    path = tmp_path / "page.txt"
    path.write_bytes(page_text.encode())
    return path


def start(*args: str | Path, **options: object) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [*COMMAND, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@contextlib.contextmanager
def feeding(process: subprocess.Popen[bytes], data: bytes) -> Iterator[None]:
    """Write to a process's stdin beside the test, and leave it open."""
    stdin, process.stdin = process.stdin, None
    assert stdin is not None

    def write() -> None:
        with contextlib.suppress(OSError):  # it may end before it has read all
            stdin.write(data)
            stdin.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        process.kill()
        process.wait()
        writer.join()
        with contextlib.suppress(OSError):
            stdin.close()


# -- predict ------------------------------------------------------------------------------------------------


def test_jsonl_has_exactly_these_keys_in_this_order(
    run: Run, page: Path, page_text: str, small_model: Path
) -> None:
    result = run("predict", "--format", "jsonl", "--model", small_model, page)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    expected = consentclf.load(small_model).predict_text(page_text)
    assert [row["text"] for row in rows] == [p.text for p in expected]
    for index, (row, p) in enumerate(zip(rows, expected, strict=True)):
        assert list(row) == ["file", "index", "start", "end", "label", "score", "scores", "text"]
        assert (row["file"], row["index"]) == (str(page), index)
        assert page_text[row["start"] : row["end"]] == row["text"]
        assert row["label"] == p.label
        assert row["score"] == row["scores"][p.label] == round(p.score, 6)
        assert list(row["scores"]) == list(consentclf.LABELS)


def test_jsonl_tells_the_raw_label_where_a_threshold_changed_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = np.array([[0.3, 0.1, 0.55, 0.05]])
    monkeypatch.setattr(Model, "probabilities", lambda self, logits, stage: given)
    result = run("predict", "--format", "jsonl", "--threshold", "1", "-", input="Accept all cookies")
    row = json.loads(result.stdout)
    assert list(row)[-1] == "raw_label"
    assert (row["label"], row["raw_label"]) == ("article", "consent")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_offsets_count_characters_after_the_byte_order_mark(
    run: Run, tmp_path: Path, page_text: str, encoding: str
) -> None:
    (tmp_path / "f").write_bytes(page_text.encode(encoding))
    result = run("predict", "--format", "jsonl", tmp_path / "f")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[0]["start"] == 0
    assert all(page_text[row["start"] : row["end"]] == row["text"] for row in rows)
    assert result.stderr == ""


def test_text_prints_what_clean_returns(run: Run, page: Path, page_text: str, small_model: Path) -> None:
    classifier = consentclf.load(small_model)
    for keep, labels in [((), ["article"]), (("--keep", "consent,banner", "--keep", "article"), None)]:
        wanted = labels or ["consent", "banner", "article"]
        result = run("predict", "--format", "text", "--model", small_model, *keep, page)
        assert result.stdout_bytes.decode() == classifier.clean(page_text, wanted) + "\n"


def test_text_parts_files_by_a_blank_line_and_prints_nothing_for_nothing(run: Run, tmp_path: Path) -> None:
    for name, text in [("a", "One line.\n"), ("b", "  \n"), ("c", "Another line.")]:
        (tmp_path / name).write_text(text)
    files = [tmp_path / name for name in "abc"]
    everything = ",".join(consentclf.LABELS)
    result = run("predict", "--format", "text", "--keep", everything, *files)
    assert result.stdout == "One line.\n\nAnother line.\n"


def test_the_table_has_one_line_a_paragraph_and_no_colour_in_a_pipe(
    run: Run, page: Path, page_text: str
) -> None:
    result = run("predict", page)
    lines = result.stdout.splitlines()
    assert len(lines) == len(consentclf.load().predict_text(page_text))
    assert all(re.match(r"(article|banner|consent|navigation) +[01]\.\d\d  \S", line) for line in lines)
    assert ESCAPE not in result.stdout


def test_the_table_of_several_files_names_each(run: Run, page: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("A line.")
    result = run("predict", page, tmp_path / "b")
    lines = result.stdout.splitlines()
    assert lines[0] == str(page)
    assert lines[-3:-1] == ["", str(tmp_path / "b")]


def test_nothing_in_a_text_steers_the_terminal(run: Run) -> None:
    result = run("predict", "-", input="A \x1b[31mred\x07 line \u202e with \x00 controls.\r\n")
    assert len(result.stdout.splitlines()) == 1
    assert not set(result.stdout) & set("\x1b\x07\x00\u202e\r")


def test_the_table_cuts_long_and_wide_texts_to_the_width(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    wide = run("predict", "-", input="漢字" * 5000).stdout.rstrip("\n")
    assert wide.endswith("…")
    assert len(wide) <= 60 - 18
    long = run("predict", "-", input="words " * 5000).stdout.rstrip("\n")
    assert (len(long), long[-1]) == (60, "…")


@pytest.mark.parametrize(
    ("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(page: Path, extra: dict[str, str], coloured: bool) -> None:
    environment = {**os.environ, "TERM": "xterm", **extra}
    if "NO_COLOR" not in extra:
        environment.pop("NO_COLOR", None)
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, "predict", str(page)], stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # the way Linux ends a terminal
            pass
    os.close(ours)
    assert process.returncode == 0
    assert (ESCAPE.encode() in shown) == coloured


def test_modes_and_thresholds_reach_the_classifier(run: Run, small_model: Path) -> None:
    text = "Accept all cookies"
    for options, kwargs in [
        (["--mode", "recall"], {"mode": "recall"}),
        (["--threshold", "0.99", "--threshold", "consent=0.1"],
         {"thresholds": {"banner": 0.99, "consent": 0.1, "navigation": 0.99}}),
        (["--threshold", "article=1"], {"thresholds": {"article": 1.0}}),
    ]:  # fmt: skip
        result = run("predict", "--format", "jsonl", "--model", small_model, *options, "-", input=text)
        expected = consentclf.load(small_model).with_mode(**kwargs).predict_text(text)  # type: ignore[arg-type]
        assert json.loads(result.stdout)["label"] == expected[0].label


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "2"], "neither a number from 0 to 1 nor LABEL=NUMBER"),
        (["--threshold", "nan"], "neither a number from 0 to 1"),
        (["--threshold", "menu=0.5"], "'menu' is no label; labels are article, banner, consent, navigation"),
        (["--threshold", "=0.5"], "names no label"),
        (["--keep", "consent"], "--keep says what --format text prints"),
        (["--format", "text", "--keep", "menu"], "'menu' is no label"),
        (["--mode", "best"], "'best' is not one of 'precision', 'balanced', 'recall'"),
        (["--encoding", "klingon"], "unknown encoding 'klingon'"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(run: Run, page: Path, options: list[str], message: str) -> None:
    result = run("predict", *options, page)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr


def test_bytes_that_do_not_decode_are_told_once_and_replaced(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"Caf\xe9 and th\xe9.\n\nA second line.")
    result = run("predict", "--format", "jsonl", tmp_path / "f")
    assert result.exit_code == 0
    assert json.loads(result.stdout.splitlines()[0])["text"] == "Caf\ufffd and th\ufffd."
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path / 'f'}: byte 3 is not utf-8" in result.stderr
    clean = run("predict", "--encoding", "latin-1", "--format", "jsonl", tmp_path / "f")
    assert json.loads(clean.stdout.splitlines()[0])["text"] == "Café and thé."
    assert clean.stderr == ""


def test_strict_refuses_a_file_whole_and_goes_on_with_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"A fine line.\n\n" * 9000 + b"Caf\xe9")
    (tmp_path / "good").write_bytes(b"A good line.")
    result = run("predict", "--strict", "--format", "jsonl", tmp_path / "bad", tmp_path / "good")
    assert result.exit_code == 2
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["A good line."]
    assert result.stderr.count("\n") == 1
    assert "byte 126003 is not utf-8" in result.stderr


def test_files_that_cannot_be_read_are_told_and_the_others_done(run: Run, page: Path, tmp_path: Path) -> None:
    result = run("predict", "--format", "jsonl", tmp_path / "absent", tmp_path, page)
    assert result.exit_code == 2
    assert result.stdout.count("\n") > 3
    assert result.stderr.splitlines() == [
        f"consentclf: {tmp_path / 'absent'}: no such file; check the path",
        f"consentclf: {tmp_path}: this is a folder; name the files in it",
    ]


def test_a_file_name_with_a_line_end_does_not_break_the_line(run: Run) -> None:
    result = run("predict", "no\nfile\x1b[31m")
    assert result.stderr == "consentclf: no\\nfile\\x1b[31m: no such file; check the path\n"


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x80\x04pickle"])
def test_a_file_that_is_no_model_is_told_in_one_line(
    run: Run, page: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "m").write_bytes(content)
    for command in (["predict", page], ["info"]):
        result = run(*command, "--model", tmp_path / "m")
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert f"{tmp_path / 'm'}: not a consentclf model file; train one with" in result.stderr


def test_any_bytes_are_labelled(run: Run) -> None:
    junk = bytes(range(256)) * 40 + b"\n" * 10_000 + "\u0301".encode() * 5000 + b"\xed\xa0\x80"
    for form in ("table", "jsonl", "text"):
        assert run("predict", "--format", form, "-", input=junk).exit_code == 0


def test_a_lone_surrogate_is_written_as_jsons_escape(run: Run) -> None:
    result = run(
        "predict", "--encoding", "raw_unicode_escape", "--format", "jsonl", "-", input="A \\ud800 line."
    )
    assert b"A \\ud800 line." in result.stdout_bytes
    assert json.loads(result.stdout)["text"] == "A \ud800 line."


def test_results_stream_before_the_input_has_ended(page_text: str) -> None:
    process = start("predict", "--format", "jsonl", "-", stdin=subprocess.PIPE)
    with feeding(process, (page_text + "\n\n").encode() * 6000):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["index"] == 0  # the input is still open
    process.communicate()


# -- how it ends --------------------------------------------------------------------------------------------


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path, page_text: str) -> None:
    path = tmp_path / "long"
    path.write_text((page_text + "\n\n") * 2000)
    with start("predict", "--format", "jsonl", path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["predict"], ["predict", "--format", "jsonl"], ["info"], ["--help"]])
def test_a_full_disk_is_told_in_one_line(page: Path, arguments: list[str]) -> None:
    files = [str(page)] if arguments[0] == "predict" else []
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, *arguments, *files], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert (
        done.stderr
        == "consentclf: writing output: No space left on device; free some space and run it again\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, b"consentclf: interrupted\n"), (signal.SIGTERM, 143, b"consentclf: terminated\n")],
)
def test_signals_end_it_with_one_line_and_their_code(
    page_text: str, number: signal.Signals, code: int, line: bytes
) -> None:
    process = start("predict", "--format", "jsonl", "-", stdin=subprocess.PIPE)
    with feeding(process, (page_text + "\n\n").encode() * 6000):
        assert process.stdout is not None
        process.stdout.readline()  # it runs, and waits for us or for more
        process.send_signal(number)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == code
    assert complaint == line


# -- the group ----------------------------------------------------------------------------------------------


def test_the_version_is_the_packages(run: Run) -> None:
    result = run("--version")
    assert result.stdout == f"consentclf {consentclf.__version__}\n"


def test_help_lists_the_commands_installed_and_no_other(run: Run) -> None:
    shown = run("--help").stdout.partition("Commands:")[2].splitlines()
    listed = [line.split()[0] for line in shown if line.startswith("  ") and line[2] != " "]
    folder = Path(consentclf.__file__).parent / "cli"
    modules = {name: place.partition(":")[0].rpartition(".")[2] for name, place in COMMANDS.items()}
    assert listed == [name for name in COMMANDS if (folder / f"{modules[name]}.py").exists()]
    assert {"predict", "train", "info"} <= set(listed)


def test_a_command_whose_module_is_absent_is_unknown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "gone", "consentclf.cli.gone:gone")
    assert "gone" not in run("--help").stdout
    result = run("gone")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "No such command 'gone'" in result.stderr


def test_a_command_whose_package_is_absent_is_listed_and_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "needy_command.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(COMMANDS, "needy", "needy_command:needy")
    assert "(needs no_such_package, which is not installed)" in run("--help").stdout
    result = run("needy", "file", "--option")
    assert result.exit_code == 2
    assert result.stderr == "consentclf: needy needs no_such_package: pip install no_such_package\n"


@pytest.mark.parametrize("command", ["predict", "train", "info"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage: consentclf" in result.stdout


def test_info_shows_the_card(run: Run, small_model: Path) -> None:
    result = run("info", "--model", small_model)
    model = consentclf.load(small_model).model
    for expected in (
        model.digest,
        str(small_model),
        "word1",
        "4,096 slots",
        "recall",
        "en ",
        "article-0",
        "modes:",
    ):
        assert expected in result.stdout
    assert run("info").exit_code == 0


def test_stdin_is_read_as_bytes_whatever_the_locale(page_text: str) -> None:
    text = "Le café est très bon.".encode()
    for locale in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}):
        done = subprocess.run(
            [*COMMAND, "predict", "--format", "jsonl", "-"], input=text, capture_output=True,
            env={**os.environ, **locale}, check=True,
        )  # fmt: skip
        assert json.loads(io.BytesIO(done.stdout).read().decode())["text"] == text.decode()
