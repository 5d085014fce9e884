"""The rows as a table for the terminal, as JSON, as Markdown for the docs and as a plot."""

from __future__ import annotations

import html
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .measures import Row

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"

TITLES = {
    "asked": "What was asked",
    "ratios": "Beside others",
    "speed": "Rates",
    "corpus": "Measured on",
    "batches": "Batches",
    "long paragraph": "One long paragraph",
    "growth": "Streams",
    "parallel": "Threads and processes",
    "cold start": "Cold start",
    "profile": "Where the time goes, page mode",
}


def number(value: float) -> str:
    """Three significant digits, no exponent where it can be helped."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def _cells(row: Row) -> tuple[str, str, str, str]:
    spread = (
        f"{number(row.low)} to {number(row.high)}" if row.low is not None and row.high is not None else ""
    )
    verdict = "" if row.met is None else f"{row.asked}: {'met' if row.met else 'missed'}"
    return row.name, f"{number(row.value)} {row.unit}".strip(), spread, verdict or row.note


def _sections(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    return [
        (title, found) for key, title in TITLES.items() if (found := [r for r in rows if r.section == key])
    ]


def table(rows: Sequence[Row]) -> str:
    """For the terminal: median, quartiles, what was asked."""
    lines = []
    for title, found in _sections(rows):
        cells = [_cells(row) for row in found]
        width = [max(len(c[i]) for c in cells) for i in range(4)]
        lines += [
            title,
            *("  " + "  ".join(c[i].ljust(width[i]) for i in range(4)).rstrip() for c in cells),
            "",
        ]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What it ran on."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {"processor": name, "python": platform.python_version(), "numpy": np.__version__}


def as_json(rows: Sequence[Row], model: dict[str, Any]) -> str:
    """Rows, machine and model."""
    found = {"machine": machine(), "model": model, "rows": [asdict(row) for row in rows]}
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


def markdown(rows: Sequence[Row], model: dict[str, Any], command: str) -> str:
    """The generated block of docs/performance.md."""
    here = machine()
    lines = [
        BEGIN,
        f"Printed by `{command}` on {here['processor']}, Python {here['python']}, NumPy {here['numpy']}; "
        "model: "
        f"{', '.join(model['families'])}, {model['bits']} bits, digest {model['digest'][:12]}. "
        "Median, then quartiles, of interleaved rounds.",
        "",
    ]
    for title, found in _sections(rows):
        lines += [f"### {title}", "", "| | median | quartiles | |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(_cells(row)) + " |" for row in found]
        lines.append("")
    return "\n".join([*lines, END])


def insert(path: Path, block: str) -> None:
    """Replace the generated block of a file; raises ValueError where it has none."""
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"{path} has no lines {BEGIN} and {END}")
    path.write_text(before + block + after, encoding="utf-8")


def svg(rows: Sequence[Row]) -> str:
    """Rates as bars on a logarithmic scale, fastest first; readable on a light and on a dark page."""
    rates = sorted((r for r in rows if r.section == "speed" and r.unit), key=lambda r: -r.value)
    left, right, step = 330, 330, 26
    height = step * len(rates) + 40
    low = math.floor(math.log10(min((r.low or r.value) for r in rates)))
    high = math.ceil(math.log10(max((r.high or r.value) for r in rates)))

    def x(value: float) -> float:
        return left + right * (math.log10(max(value, 10**low)) - low) / max(1, high - low)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + right + 110} {height}" font-size="13" '
        'font-family="sans-serif" fill="#777" role="img">'
        "<title>Million characters a second, one thread</title>"
    ]
    for power in range(low, high + 1):
        at = x(10**power)
        out.append(f'<path d="M{at:.1f} 0V{height - 24}" stroke="#777" stroke-opacity=".25"/>')
        out.append(f'<text x="{at:.1f}" y="{height - 8}" text-anchor="middle">{10**power:g}</text>')
    for i, row in enumerate(rates):
        y = i * step + 4
        ours = row.name.startswith(("paragraph", "page"))
        out.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{html.escape(row.name)}</text>'
            f'<rect x="{left}" y="{y}" width="{x(row.value) - left:.1f}" height="18" '
            f'fill="{"#2a78d6" if ours else "#999"}"/>'
            f'<text x="{x(row.value) + 8:.1f}" y="{y + 14}">{number(row.value)}</text>'
        )
        if row.low is not None and row.high is not None:
            out.append(
                f'<path d="M{x(row.low):.1f} {y + 9}H{x(row.high):.1f}" stroke="#000" stroke-width="2"/>'
            )
    return "\n".join([*out, "</svg>"]) + "\n"
