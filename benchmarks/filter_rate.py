"""How fast ``consentclf filter`` is, with one worker and with more.

``python benchmarks/filter_rate.py [--records 20000] [--workers 2]``. Wants a quiet machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def seconds(source: Path, out: Path, workers: int) -> float:
    """Wall-clock seconds of one run, start-up included."""
    command = [sys.executable, "-m", "consentclf", "filter", str(source), "--out", str(out),
               "--workers", str(workers)]  # fmt: skip
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    return time.monotonic() - begun


def write_pages(path: Path, count: int) -> int:
    """JSON Lines of the pages in data/, again and again; returns how many characters of text they have."""
    pages = []
    for file in sorted((ROOT / "data" / "pages").glob("*.jsonl")):
        lines = file.read_text("utf-8").splitlines()
        pages += ["\n\n".join(p["text"] for p in json.loads(line)["paragraphs"]) for line in lines]
    with open(path, "w", encoding="utf-8") as out:
        for number in range(count):
            out.write(
                json.dumps({"id": number, "text": pages[number % len(pages)]}, ensure_ascii=False) + "\n"
            )
    return sum(len(pages[number % len(pages)]) for number in range(count))


@click.command()
@click.option("--records", default=20_000, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(records: int, workers: int, rounds: int) -> None:
    """Print the best of some rounds for one worker and for several."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        characters = write_pages(folder / "in.jsonl", records)
        best = {}
        for count in (1, workers):
            best[count] = min(
                seconds(folder / "in.jsonl", folder / f"{count}-{n}", count) for n in range(rounds)
            )
    for count, taken in best.items():
        click.echo(
            f"{count} worker{'s' if count > 1 else ''}: {taken:.1f} s, {records / taken:,.0f} records/s, "
            f"{characters / taken / 1e6:.2f} million characters/s"
        )
    click.echo(f"{workers} workers are {best[1] / best[workers]:.2f} times as fast as one")


if __name__ == "__main__":
    main()
