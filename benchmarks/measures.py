"""The measurements, each a function that returns rows."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from consentclf import Classifier, context, features

from . import baselines
from .corpus import Material, Stream
from .kernel import compile_kernel
from .timing import Candidate, Spread, interleave, ratio

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One measured thing: value with quartiles, beside what was asked where the issue asks something."""

    section: str
    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    asked: str = ""
    met: bool | None = None
    note: str = ""


@dataclass
class Bench:
    """What every measurement needs."""

    classifier: Classifier
    material: Material
    rounds: int
    scale: float  # share of the usual amount of work
    say: Say
    rows: list[Row] = field(default_factory=list)

    def add(self, section: str, name: str, spread: Spread | float, unit: str, **more: Any) -> None:
        """Add a row."""
        if isinstance(spread, Spread):
            more = {"low": spread.low, "high": spread.high, **more}
            spread = spread.median
        self.rows.append(Row(section, name, spread, unit, **more))

    def texts(self, count: int) -> list[str]:
        """The first ``count`` paragraphs, fewer at a smaller scale, from the start again where they end."""
        count = max(1, int(count * self.scale))
        source = self.material.texts
        return [source[i % len(source)] for i in range(count)]


def _again(call: Callable[[list[str]], Any], texts: list[str], times: int) -> None:
    for _ in range(times):
        call(texts)


def _size(texts: Sequence[str]) -> int:
    return max(1, sum(map(len, texts)))


def speed(bench: Bench) -> None:
    """Paragraph mode, page mode and what others use, by characters a second; ratios to the asked figures."""
    classifier, model = bench.classifier, bench.classifier.model
    plain = [t for t in bench.texts(6000) if features.visible(t)[0] == t and "\0" not in t]
    texts = bench.texts(6000)
    pages = bench.material.pages[: max(2, int(300 * bench.scale))]
    on_pages = [text for page in pages for text in page.paragraphs]
    paragraphs = [page.paragraphs for page in pages]
    candidates = {
        "paragraph mode": Candidate(lambda: classifier.predict_proba(texts), _size(texts)),
        "paragraph mode, no Markdown": Candidate(lambda: model.first_stage(plain), _size(plain)),
        "paragraph mode on the pages": Candidate(lambda: classifier.predict_proba(on_pages), _size(on_pages)),
        "page mode": Candidate(lambda: classifier.predict_pages(paragraphs), _size(on_pages)),
        "page mode, arrays alone": Candidate(
            lambda: model.probabilities(model.page_stage(paragraphs), "page"), _size(on_pages)
        ),
        "page mode, page by page": Candidate(
            lambda: [classifier.predict_page(page) for page in paragraphs[:60]],
            _size([t for page in paragraphs[:60] for t in page]),
        ),
    }
    kernel, how = compile_kernel(model)
    if kernel is None:
        bench.say(f"C kernel left out: {how}")
    else:
        run = kernel
        worst = float(np.abs(run(plain) - model.first_stage(plain)[0]).max())
        if worst > 1e-3:
            raise AssertionError(f"the C kernel's logits differ from the model's by {worst}")
        bench.add("speed", "C kernel: largest difference of a logit", worst, "")
        candidates[f"C kernel ({how}), no Markdown"] = Candidate(lambda: run(plain), _size(plain))
    amounts = {"scikit": 300, "fastText": 3000, "jusText": 1500}
    for name, call in baselines.classifiers(
        bench.material, max(50, int(6000 * bench.scale)), bench.say
    ).items():
        part = bench.texts(next((n for start, n in amounts.items() if name.startswith(start)), 1000))
        candidates[name] = Candidate(partial(call, part), _size(part))
    extract = {}
    few = pages[: max(2, int(25 * bench.scale))]
    size = _size([t for page in few for t in page.paragraphs])
    for name, extractor in baselines.extractors(bench.say).items():
        extract[name] = f"{name}, HTML of the pages"
        candidates[extract[name]] = Candidate(partial(extractor, few), size)
    times = interleave(candidates, bench.rounds)
    bench.add("corpus", "paragraphs: mean length", _size(texts) / len(texts), "characters")
    bench.add("corpus", "paragraphs on pages: mean length", _size(on_pages) / len(on_pages), "characters")
    bench.add("corpus", "paragraphs on a page", len(on_pages) / len(pages), "")
    bench.add("corpus", "HTML of a page", float(np.mean([len(page.html) for page in pages])) / 1000, "kB")
    for name, values in times.items():
        bench.add("speed", name, Spread.of([1e-6 / t for t in values]), "million characters/s")
    mine, page = times["paragraph mode"], times["page mode"]

    def asked(name: str, found: Spread, floor: float, unit: str = "times") -> None:
        bench.add("asked", name, found, unit, asked=f"at least {floor:g}", met=found.median >= floor)

    for name, floor in (("scikit-learn char TF-IDF + LR", 40), ("fastText with subwords", 2)):
        if name in times:
            asked(f"paragraph mode over {name}", ratio(times[name], mine), floor)
    for name in ("scikit-learn hashing + LR", "fastText, words only", "jusText, paragraphs alone"):
        if name in times:
            bench.add("ratios", f"paragraph mode over {name}", ratio(times[name], mine), "times")
    for name, values in times.items():
        if name.startswith("C kernel"):
            asked(
                "paragraph mode beside the C kernel", ratio(values, times["paragraph mode, no Markdown"]), 0.5
            )
    alone = times["paragraph mode on the pages"]
    asked("page mode beside paragraph mode", ratio(alone, page), 0.7)
    bench.add("ratios", "page mode, arrays alone, beside paragraph mode",
              ratio(alone, times["page mode, arrays alone"]), "times")  # fmt: skip
    for name, ceiling in (("trafilatura", 3), ("resiliparse", 25)):
        if name in extract:
            found = ratio([100 * t for t in page], times[extract[name]])
            bench.add("asked", f"page mode, share of {name}'s time", found, "%",
                      asked=f"under {ceiling}%", met=found.median < ceiling)  # fmt: skip


def single(bench: Bench) -> None:
    """One paragraph at a time, and batches of 1 to 100,000."""
    classifier = bench.classifier
    short = [[t] for t in bench.material.texts if len(t) < 120][:200]
    pages = [page.paragraphs for page in bench.material.pages[:50]]
    times = interleave(
        {
            "predict": Candidate(lambda: [classifier.predict(t) for t in short], len(short)),
            "predict_page": Candidate(lambda: [classifier.predict_page(p) for p in pages], len(pages)),
        },
        bench.rounds,
    )
    found = Spread.of([1e6 * t for t in times["predict"]])
    bench.add("asked", "one short paragraph through predict", found, "µs a call",
              asked="under 100", met=found.median < 100)  # fmt: skip
    bench.add("batches", "one page through predict_page", Spread.of([1e6 * t for t in times["predict_page"]]),
              "µs a page")  # fmt: skip
    batches = {}
    for count in (1, 10, 100, 1000, 10_000, 100_000):
        if count > 100_000 * bench.scale and count > 1:
            break
        source = bench.material.texts
        texts = [source[i % len(source)] for i in range(count)]
        repeat = max(1, 200 // count)
        batches[f"predict_proba of {count:,}"] = Candidate(
            partial(_again, classifier.predict_proba, texts, repeat),
            count * repeat,
        )
    for name, values in interleave(batches, min(3, bench.rounds)).items():
        bench.add("batches", name, Spread.of([1e6 * t for t in values]), "µs a paragraph")


def long_paragraph(bench: Bench) -> None:
    """One paragraph of up to ten million characters: judged by its ends, so the time stops growing."""
    whole = " ".join(bench.material.texts) or "word"
    candidates = {}
    for size in (1_000, 10_000, 100_000, 1_000_000, 10_000_000):
        text = (whole * (size // len(whole) + 1))[:size]
        candidates[f"one paragraph of {size:,} characters"] = Candidate(
            partial(_again, bench.classifier.predict_proba, [text], 3), 3
        )
        if size > 1e7 * bench.scale:
            break
    for name, values in interleave(candidates, bench.rounds).items():
        bench.add("long paragraph", name, Spread.of([1e3 * t for t in values]), "ms")


def growth(bench: Bench, full: bool) -> None:
    """A text read as a stream, from 1 kB to 10 MB, to 1 GB with ``full``."""
    top = 10**9 if full else max(1000, int(10**7 * bench.scale))
    per_byte = {}
    for power in range(3, 10):
        size = 10**power
        if size > top:
            break
        rates = []
        for _ in range(1 if size >= 10**8 else 3):
            stream = Stream(bench.material.pages, size)
            begin = time.thread_time()
            for _paragraph in bench.classifier.predict_stream(stream):
                pass
            rates.append((time.thread_time() - begin) / size)
        per_byte[size] = Spread.of([1e9 * r for r in rates])
        bench.add("growth", f"stream of {size:,} characters", per_byte[size], "ns a character")
    if full:
        change = per_byte[10**9].median / per_byte[10**7].median
        bench.add("asked", "time a character at 1 GB beside 10 MB", change, "times",
                  asked="0.9 to 1.1", met=0.9 <= change <= 1.1)  # fmt: skip


def parallel(bench: Bench) -> None:
    """The same paragraphs on one thread, on two threads and on two processes, by the wall clock."""
    texts = bench.texts(20_000)
    half = len(texts) // 2
    halves = [texts[:half], texts[half:]]
    classifier = bench.classifier

    def threads() -> None:
        workers = [threading.Thread(target=classifier.predict_proba, args=(part,)) for part in halves]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    candidates = {
        "one thread": Candidate(lambda: [classifier.predict_proba(part) for part in halves], 1),
        "two threads": Candidate(threads, 1),
    }
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        if classifier.path:
            candidates["two processes"] = Candidate(
                lambda: list(pool.map(_labels, [(classifier, p) for p in halves])), 1
            )
        times = interleave(candidates, bench.rounds, clock=time.perf_counter)
    for name, values in times.items():
        bench.add(
            "parallel", name, Spread.of([_size(texts) / 1e6 / t for t in values]), "million characters/s"
        )
        if name != "one thread":
            bench.add("parallel", f"{name} over one thread", ratio(times["one thread"], values), "times",
                      note=f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")  # fmt: skip


def _labels(work: tuple[Classifier, list[str]]) -> int:
    return len(work[0].predict(work[1]))


def cold(bench: Bench, full: bool) -> None:
    """Starting the command on one page, and the peak memory of that and of a stream."""
    page = "\n\n".join(bench.material.pages[0].paragraphs)
    path = bench.classifier.path
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "page.txt"
        file.write_text(page, encoding="utf-8", errors="replace")
        options = ["predict", "--format", "jsonl", *(["--model", path] if path else []), str(file)]
        bare = "import numpy, click"
        mine = f"from consentclf.cli import main; main({options!r})"
        bare_time, mine_time, over, peak = [], [], [], 0.0
        for _ in range(max(2, bench.rounds)):
            a, _ = _child(bare)
            b, memory = _child(mine)
            bare_time.append(a)
            mine_time.append(b)
            over.append(b - a)
            peak = max(peak, memory)
    bench.add("cold start", "import numpy, click", Spread.of(bare_time), "s of processor time")
    bench.add("cold start", "consentclf predict, one page", Spread.of(mine_time), "s of processor time")
    found = Spread.of(over)
    bench.add("asked", "consentclf predict on one page, over a bare import", found, "s",
              asked="under 0.15", met=found.median < 0.15)  # fmt: skip
    bench.add("asked", "peak memory of that", peak, "MB", asked="under 110", met=peak < 110)
    size = 10**9 if full else max(10_000, int(3 * 10**7 * bench.scale))
    code = (
        "import sys, consentclf; from benchmarks.corpus import build, Stream;"
        f"found = consentclf.load({path!r}).predict_stream(Stream(build(10, 20).pages, {size}));"
        "print(sum(1 for _ in found))"
    )
    _, memory = _child(code)
    bench.add("asked", f"peak memory of a stream of {size:,} characters", memory, "MB",
              asked="under 300", met=memory < 300)  # fmt: skip


#: Runs in a child: its own peak, which what the kernel says of a child is not (that of the parent is in it).
_PEAK = """
import atexit, re, sys
def peak():
    try:
        found = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    except OSError:
        return
    print(found[1], file=sys.stderr)
atexit.register(peak)
"""


def _child(code: str) -> tuple[float, float]:
    """Processor seconds of a Python program, and its peak memory in MB."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", _PEAK + code],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"a child failed with exit code {done.returncode}: {done.stderr[-300:]}")
    kilobytes = int(done.stderr.split()[-1]) if done.stderr.split() else 0
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, kilobytes / 1000


def profile(bench: Bench) -> None:
    """Where the time of page mode goes, piece by piece on the same pages."""
    model = bench.classifier.model
    pages = [page.paragraphs for page in bench.material.pages[: max(2, int(300 * bench.scale))]]
    texts = [text for page in pages for text in page]
    parts = [texts[block] for block in features.blocks(texts)]
    read = [features.read(part, model.alphabet) for part in parts]
    found = [features.words(buffer) for buffer, _ in read]
    hashed = [features.hash_block(part, model.settings, model.alphabet) for part in parts]
    logits, chars, shape = model.first_stage(texts)
    bounds = np.concatenate(([0], np.cumsum([len(page) for page in pages])))
    p = model.probabilities(logits, "page")
    spans = [(None, None)] * len(texts)

    def passes() -> None:
        for group in context.groups(bounds):
            part = bounds[group.start : group.stop + 1]
            rows = slice(int(part[0]), int(part[-1]))
            for _ in model.context_weights:
                context.PageBatch(chars[rows], shape[rows], part - part[0])._fill(logits[rows])

    steps: dict[str, Callable[[], Any]] = {
        "join, Markdown, fold, white space": lambda: [features.read(part, model.alphabet) for part in parts],
        "words": lambda: [features.words(buffer) for buffer, _ in read],
        "hash n-grams": lambda: [
            features._hash_ngrams(b, model.settings, w) for (b, _), w in zip(read, found, strict=True)
        ],
        "dense features": lambda: [features.dense(b, w, s) for (b, s), w in zip(read, found, strict=True)],
        "look-ups and sums": lambda: [model._lanes(h) for h in hashed],
        "page features": passes,
        "page stage, features included": lambda: model.second_stage(logits, chars, shape, bounds),
        "probabilities, thresholds, Paragraph objects": lambda: bench.classifier._paragraphs(texts, spans, p),
    }
    size = _size(texts)
    times = interleave({name: Candidate(run, size) for name, run in steps.items()}, bench.rounds)
    for name, values in times.items():
        bench.add("profile", name, Spread.of([1e9 * t for t in values]), "ns a character")
