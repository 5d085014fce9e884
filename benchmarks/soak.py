"""Minutes of mixed pages through one process: memory must stay flat, no file descriptor may be lost.

``python -m benchmarks.soak --minutes 10`` labels pages, hostile ones among them, in this process.
``python -m benchmarks.soak --minutes 10 --filter`` runs ``consentclf filter`` in this process, again and again,
over JSON Lines with malformed records among them. Exit code 1 when memory grew by more than 5% after the first
fifth of the time, or when descriptors were left open, or when a result was wrong. Linux only: it reads /proc.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click

from consentclf import load
from consentclf.classifier import Classifier, join_kept, shipped_model
from consentclf.cli import main as command
from consentclf.files import TextReader

from .corpus import build

ALLOWED = 1.05  # memory at the end, against memory after the warm-up
WARM_UP = 0.2  # share of the time: caches fill, the allocator finds its size
RECORDS = 400  # of one file for filter
BAD = (
    b"not json at all",
    b'{"id": 1}',
    b'{"text": null}',
    b'["text"]',
    b'{"text": "caf\xe9"}',
    b'{"text": "cut of',
    b"\x00\x00",
)
HOSTILE: tuple[bytes, ...] = (
    b"",
    b"\x00" * 5_000,
    b"caf\xe9 \xff\xfe\xc3\x28\n" * 500,
    "e\u0301".encode() + "\u0301".encode() * 20_000,
    "\u202eabc\u202c\n\u2066\n".encode() * 500,
    "🜁🜂 𝔘𝔫𝔦\n".encode() * 500,
    b"x" * 200_000,
    b"\n" * 200_000,
    b"> " * 20_000,
    b"[a](" * 10_000,
    "One line in UTF-16.\n".encode("utf-16"),
)


@dataclass
class Watch:
    """Memory and descriptors of this process over time."""

    samples: list[tuple[float, int, int]] = field(default_factory=list)

    def look(self, at: float) -> None:
        """Take a sample."""
        gc.collect()
        status = Path("/proc/self/status").read_text(encoding="ascii")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        self.samples.append((at, resident, len(os.listdir("/proc/self/fd"))))


class Wrong(Exception):
    """A result that must not be."""


def in_process(classifier: Classifier, seed: int) -> Callable[[], int]:
    """What is done once: one page as the command reads it, checked; returns how many paragraphs it had."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    pages = [
        draw.choice(("\n\n", "\n", "\r\n")).join(page.paragraphs).encode() for page in build(200, 200).pages
    ]

    def once() -> int:
        data = draw.choice(HOSTILE) if draw.random() < 0.1 else draw.choice(pages)
        if draw.random() < 0.1:
            data = data[draw.randrange(len(data) + 1) :]  # begins in the middle of a character
        whole = []
        reader = TextReader(io.BytesIO(data), "page")
        while piece := reader.read(1 << 16):
            whole.append(piece)
        text = "".join(whole)
        found = classifier.predict_text(text)
        if any(text[p.start : p.end] != p.text for p in found):
            raise Wrong("an offset is wrong")
        if classifier.clean(text) != join_kept(text, found, {"article"}):
            raise Wrong("clean is not what the labels say")
        return len(found)

    return once


def through_filter(folder: Path, model: Path, seed: int) -> Callable[[], int]:
    """What is done once: ``consentclf filter`` over a file of records, checked; returns how many there were."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    pages = ["\n\n".join(page.paragraphs) for page in build(200, 200).pages]
    source, out = folder / "in.jsonl", folder / "out"

    def once() -> int:
        lines = []
        bad = 0
        for number in range(RECORDS):
            if draw.random() < 0.1:
                lines.append(draw.choice(BAD))
                bad += 1
            else:
                lines.append(json.dumps({"id": number, "text": draw.choice(pages)}).encode())
        source.write_bytes(b"\n".join(lines) + b"\n")
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                command(
                    ["filter", "--model", str(model), str(source), "--out", str(out)], standalone_mode=False
                )
            except SystemExit as end:
                if end.code:
                    raise Wrong(f"filter ended with {end.code}: {said.getvalue()}") from None
        kept = len((out / "in.jsonl").read_bytes().splitlines())
        rejects = len((out / "rejects.jsonl").read_bytes().splitlines()) if bad else 0
        if (kept, rejects) != (RECORDS - bad, bad):
            raise Wrong(f"{kept} records and {rejects} rejects, expected {RECORDS - bad} and {bad}")
        shutil.rmtree(out)
        return RECORDS

    return once


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", default=10.0, show_default=True)
@click.option(
    "--filter", "filtering", is_flag=True, help="Through consentclf filter, malformed records mixed in."
)
@click.option("--seed", default=1, show_default=True)
def main(minutes: float, filtering: bool, seed: int) -> None:
    """Soak one process and say whether memory and descriptors stayed as they were."""
    with tempfile.TemporaryDirectory() as name:
        model = Path(name) / "model.safetensors"  # a copy: another one may be trained meanwhile
        shutil.copyfile(shipped_model(), model)
        if filtering:
            once, unit = through_filter(Path(name), model, seed), "records"
        else:
            once, unit = in_process(load(model), seed), "paragraphs"
        watch = Watch()
        begun = time.monotonic()
        rounds = units = 0
        warm = False
        every = minutes * 60 / 50
        due = every
        while (at := time.monotonic() - begun) < minutes * 60:
            units += once()
            rounds += 1
            if at >= due:
                watch.look(at)
                due = at + every
            if not warm and at >= minutes * 60 * WARM_UP:
                watch.look(at)
                watch.samples = watch.samples[-1:]
                warm = True
        watch.look(time.monotonic() - begun)
    first, last = watch.samples[0], watch.samples[-1]
    most = max(resident for _, resident, _ in watch.samples)
    click.echo(
        f"{minutes:g} minutes, {rounds:,} {'runs of filter' if filtering else 'pages'}, {units:,} {unit}: "
        f"memory {first[1] / 1024:.1f} MB after {first[0]:.0f} s, {last[1] / 1024:.1f} MB at the end "
        f"({last[1] / first[1] - 1:+.1%}), {most / 1024:.1f} MB at the most; descriptors {first[2]}, then {last[2]}"
    )
    if last[1] > first[1] * ALLOWED or last[2] > first[2]:
        raise click.ClickException("memory grew or a descriptor was lost")


if __name__ == "__main__":
    main()
