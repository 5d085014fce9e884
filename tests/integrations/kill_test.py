"""Kill ``consentclf filter`` by SIGKILL at random moments, start it again, compare with a run left alone.

``python -m tests.integrations.kill_test --records 50000 --kills 10 --workers 2``
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]

SENTENCES = [
    "The harbour was rebuilt after the storm, and the boats came back one by one in the spring.",
    "She had walked along the river for an hour before she saw that the bridge was gone.",
    "Bread and milk cost more in October than in any month before, the office said on Monday.",
    "Water the seedlings twice a week and move them outside once the nights are mild.",
    "The committee will vote on the new timetable before the end of the year.",
    "We and our partners use cookies to store and access information on your device.",
    "Accept all", "Reject all", "Home | News | Sport | Weather", "Share this page", "Read more",
    "Subscribe to our newsletter and get the week's best stories.",
]  # fmt: skip


def write_records(path: Path, count: int, seed: int = 1) -> None:
    """JSON Lines of pages of our own making; one line in a thousand is malformed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    with open(path, "w", encoding="utf-8") as file:
        for number in range(count):
            if number % 1000 == 500:
                file.write(f'{{"id": {number}, "text": \n')
                continue
            text = "\n\n".join(rng.choice(SENTENCES) for _ in range(rng.randrange(3, 15)))
            file.write(json.dumps({"id": number, "text": text}) + "\n")


def start(source: Path, out: Path, workers: int, extra: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start the command in a session of its own."""
    command = [sys.executable, "-m", "consentclf", "filter", str(source), "--out", str(out / "out"),
               "--dropped", str(out / "dropped.jsonl"), "--workers", str(workers), *extra]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end; returns the summary, raises where the command failed."""
    _, stderr = process.communicate()
    if process.returncode:
        raise RuntimeError(stderr.decode())
    return stderr.decode()


def digest(folder: Path) -> str:
    """SHA-256 of all output: names and bytes, and records sorted by id."""
    sums = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "consentclf-run.json":
            sums.update(path.relative_to(folder).as_posix().encode() + b"\0")
            sums.update(b"\n".join(sorted(path.read_bytes().splitlines())) + path.read_bytes())
    return sums.hexdigest()


def compare(
    source: Path, folder: Path, kills: int, workers: int, extra: tuple[str, ...] = ()
) -> dict[str, object]:
    """Run once in peace and once with kills; returns what happened."""
    begun = time.monotonic()
    finish(start(source, folder / "whole", workers, extra))
    seconds = time.monotonic() - begun
    rng = random.Random(7)  # noqa: S311 - no secret
    killed = []
    while len(killed) < kills:
        process = start(source, folder / "killed", workers, extra)
        # Early on each time, so that there is something left to kill.
        wait = rng.uniform(0.2, 0.8 + seconds * 1.5 / max(1, kills))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        if process.poll() is not None:
            finish(process)
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed.append(round(wait, 2))
    finish(start(source, folder / "killed", workers, extra))
    return {
        "killed_after_seconds": killed,
        "whole": digest(folder / "whole"),
        "killed": digest(folder / "killed"),
        "seconds_undisturbed": round(seconds, 1),
    }


@click.command()
@click.option("--records", default=50_000, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--workers", default=2, show_default=True)
def main(records: int, kills: int, workers: int) -> None:
    """Run the test and say what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_records(folder / "in.jsonl", records)
        result = compare(folder / "in.jsonl", folder, kills, workers)
        lines = len((folder / "killed" / "out" / "in.jsonl").read_bytes().splitlines())
        rejects = len((folder / "killed" / "out" / "rejects.jsonl").read_bytes().splitlines())
    click.echo(json.dumps({**result, "records": lines, "rejects": rejects}, indent=1))
    click.echo("identical" if result["whole"] == result["killed"] else "DIFFERENT")
    sys.exit(result["whole"] != result["killed"])


if __name__ == "__main__":
    main()
