"""SIGKILL and start again, for real. ``python -m tests.integrations.kill_test`` does it on 50,000 records."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kill_test import compare, start, write_records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")


def wait_for_a_chunk(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the workers are at work: something is done, and more is to do."""
    while not any((folder / "out" / ".consentclf" / "chunks").glob("0*")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_started_again_is_the_same(small_model: Path, tmp_path: Path, workers: int) -> None:
    source = tmp_path / "in.jsonl.gz"
    write_records(tmp_path / "in.jsonl", 6000)
    source.write_bytes(gzip.compress((tmp_path / "in.jsonl").read_bytes(), 1))
    result = compare(source, tmp_path, kills=4, workers=workers, extra=("--model", str(small_model)))
    assert result["killed_after_seconds"]
    assert result["whole"] == result["killed"]


def test_workers_end_with_their_parent(small_model: Path, tmp_path: Path) -> None:
    """The process is killed while workers work; nothing of it is left, and the next run is not in its way."""
    write_records(tmp_path / "in.jsonl", 12_000)
    extra = ("--model", str(small_model))
    process = start(tmp_path / "in.jsonl", tmp_path, 2, extra)
    wait_for_a_chunk(tmp_path, process)
    process.send_signal(signal.SIGKILL)
    # The workers hold our end of this pipe too: it ends when the last of them does.
    process.communicate(timeout=30)
    process = start(tmp_path / "in.jsonl", tmp_path, 2, extra)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert not (tmp_path / "out" / ".consentclf").exists()


def test_sigterm_stops_and_leaves_it_to_go_on(small_model: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "in.jsonl", 12_000)
    extra = ("--model", str(small_model))
    process = start(tmp_path / "in.jsonl", tmp_path, 2, extra)
    wait_for_a_chunk(tmp_path, process)
    os.kill(process.pid, signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (143, b"consentclf: terminated\n")
    process = start(tmp_path / "in.jsonl", tmp_path, 2, extra)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
