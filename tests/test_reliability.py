"""Faults of docs/reliability.md that no other file shows, and that the page names tests that exist."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from test_model_files import put_together, take_apart

from consentclf import Classifier
from consentclf.errors import ModelError
from consentclf.model import from_bytes
from consentclf.text import sections, split
from consentclf.training import fit

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and limits are those of POSIX")
LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


class Flood:
    """A stream of one piece over and over, never held whole."""

    def __init__(self, piece: str, size: int) -> None:
        self.piece = piece * (65_536 // len(piece))
        self.left = size

    def read(self, size: int, /) -> str:
        piece = self.piece[: min(size, self.left)]
        self.left -= len(piece)
        return piece


# -- text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", ["word ", "x", " "])
def test_a_line_of_a_hundred_megabytes_is_held_in_pieces_only(piece: str) -> None:
    read = longest = 0
    for offset, section in sections(Flood(piece, 100_000_000)):
        assert offset == read
        read += len(section)
        longest = max(longest, len(section))
    assert read == 100_000_000
    assert longest <= 2_000_000


@pytest.mark.parametrize(
    ("piece", "size"),
    [("\n", 1_000_000), ("x", 10_000_000), ("\u0301", 2_000_000)],
    ids=["a million empty lines", "10 MB of one character", "combining marks"],
)
def test_floods_are_labelled_in_bounded_memory(classifier: Classifier, piece: str, size: int) -> None:
    tracemalloc.start()
    try:
        found = [(p.start, p.end) for p in classifier.predict_stream(Flood(piece, size))]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    covered = sum((end or 0) - (start or 0) for start, end in found)
    assert covered == (0 if piece == "\n" else size)
    assert peak < 300_000_000


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "> " * n,
        lambda n: "[a](" * n,
        lambda n: "".join(" " * (i % 400) + "- a\n" for i in range(n // 10)),
        lambda n: "a b\n" * n,
        lambda n: "e\u0301" * n,
        lambda n: "| " * n + "\n" + "-" * n,
    ],
    ids=["quote marks", "brackets", "nesting", "small words", "combining", "rules"],
)
def test_four_times_the_text_takes_about_four_times_as_long(make: Callable[[int], str]) -> None:
    def seconds(text: str) -> float:
        taken = []
        for _ in range(3):
            begun = time.process_time()
            split(text)
            taken.append(time.process_time() - begun)
        return min(taken)

    small, large = seconds(make(20_000)), seconds(make(80_000))
    assert large < 10 * small + 0.05  # quadratic would be sixteen


# -- models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"shape": [1 << 40, 4]}, {"shape": [1 << 12, 1 << 30]}, {"data_offsets": [0, 1 << 40]}],
    ids=["rows", "columns", "offsets"],
)
def test_a_number_in_a_model_file_allocates_nothing(trained: fit.Result, change: dict[str, Any]) -> None:
    header, body = take_apart(trained.model.to_bytes())
    header["table"].update(change)
    data = put_together(header, body)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            from_bytes(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(data) + 1_000_000


# -- writing -------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("wait", [0.0, 0.013, 0.03, 0.07])
def test_killed_while_writing_the_file_is_the_old_or_the_new(tmp_path: Path, wait: float) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"-" * 3_000_000)
    code = (
        "import itertools, sys\nfrom consentclf.files import write_atomic\n"
        "for i in itertools.count():\n"
        "    write_atomic(sys.argv[1], bytes([97 + i % 20]) * 3_000_000)\n"
        "    print(i, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
    data = path.read_bytes()
    assert len(data) == 3_000_000
    assert len(set(data)) == 1


@POSIX
def test_a_limit_on_file_size_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import resource, sys\nfrom consentclf.files import write_atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    write_atomic(sys.argv[1], bytes(1_000_000))\n"
        "except OSError as error:\n    print(error.filename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert (done.stdout, done.stderr) == (f"{path}\n", "")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# -- determinism ---------------------------------------------------------------------------------------------


def test_thread_count_and_processor_kernels_change_no_label_on_the_data() -> None:
    code = (
        "import hashlib, json, sys\nfrom pathlib import Path\nimport consentclf\n"
        "rows = [json.loads(line) for f in sorted(Path(sys.argv[1]).glob('*.jsonl'))\n"
        "        for line in f.read_text('utf-8').splitlines()]\n"
        "labels = consentclf.load().predict([row['text'] for row in rows])\n"
        "print(len(rows), hashlib.sha256('\\n'.join(labels).encode()).hexdigest())\n"
    )
    found = set()
    for extra in (
        {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"},
        {"OPENBLAS_CORETYPE": "Prescott"},  # the arithmetic of a processor of long ago; ignored elsewhere
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, str(ROOT / "data" / "paragraphs")],
            capture_output=True, text=True, check=True, env={**ENVIRONMENT, **extra},
        )  # fmt: skip
        found.add(done.stdout)
    assert len(found) == 1
    assert int(found.pop().split()[0]) > 0


# -- supply chain --------------------------------------------------------------------------------------------


def test_the_lock_pins_every_package_with_a_hash_and_names_no_index() -> None:
    text = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    names = set()
    for entry in entries:
        assert re.match(r"[\w.-]+==[\w.]+( ;[^\\]*)? \\\n +--hash=sha256:[0-9a-f]{64}", entry), entry
        names.add(entry.partition("==")[0].lower())
    assert {"numpy", "click", "scikit-learn", "joblib", "pytest", "hypothesis", "ruff", "mypy"} <= names
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


# -- the soak, and the page ----------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize(
    ("leak", "code"),
    [("", 0), ("held.append(b'x' * 4_000_000)", 1), ("held.append(open(os.devnull))", 1)],
    ids=["nothing", "memory", "descriptors"],
)
def test_the_soak_sees_what_leaks(leak: str, code: int) -> None:
    script = (
        "import os, time\nfrom benchmarks import soak\nheld = []\n"
        f"def once():\n    time.sleep(0.02)\n    {leak}\n    return 1\n"
        "soak.in_process = lambda classifier, seed: once\n"
        "soak.main(['--minutes', '0.02'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == code, done.stderr
    assert "; descriptors " in done.stdout


def test_every_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:integrations/)?test_\w+\.py)::(test_\w+)`", page)
    assert len(named) > 40
    for file, name in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"(?m)^def {name}\(", source), f"{file} has no {name}"
