"""Cleans files of any size with any number of processes, and goes on where it was killed.

The files are cut into chunks that depend on the files alone. A worker reads a chunk, labels it and writes
what comes of it to a folder of its own, renamed when all is on disk: a chunk is done or it is not. When the
chunks of a file are done they are put together to the output file. A manifest in the output folder says what
the run was made of; only a run made of the same goes on.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ..classifier import Classifier, Paragraph, join_kept
from ..errors import DataError
from ..files import replacing, write_atomic
from ..labels import LABELS
from .jsonlines import JsonLines
from .parquet import Parquet
from .records import Format, Options, Record, Reject, compression, dump, pack
from .textfiles import HTML_SUFFIXES, TextFiles
from .warc import Warc

#: Raise when the output of a run, or the way it is cut into chunks, changes.
VERSION = 1
MANIFEST = "consentclf-run.json"
WORK = ".consentclf"

#: Documents are labelled in batches of about this many characters.
BATCH_CHARS = 1 << 18
#: Text files are grouped up to these bounds.
_GROUP_FILES, _GROUP_BYTES = 256, 2 << 20

FORMATS = ("jsonl", "parquet", "text", "html", "warc")
_SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".txt": "text", ".md": "text",
    ".text": "text", ".markdown": "text", ".warc": "warc", ".wet": "warc",
    **dict.fromkeys(HTML_SUFFIXES, "html"),
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """Input that is put together to output in one go: one file, or a group of text files."""

    index: int
    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...]  # relative to the output folder
    size: int


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know."""

    out: str
    options: Options
    dropped: str  # what to write dropped paragraphs to, or an empty string
    classifier: Classifier
    strict: bool = False

    @property
    def work(self) -> Path:
        """Where unfinished work is."""
        return Path(self.out) / WORK


@dataclass
class Progress:
    """How far a run is. ``bytes_before`` and ``records_before`` were done by earlier runs."""

    bytes_total: int
    bytes_done: int = 0
    bytes_before: int = 0
    records: int = 0
    records_before: int = 0
    seconds: float = 0.0


@dataclass
class Summary:
    """What a run did, those before it that it went on with included."""

    records: int = 0
    rejected: int = 0
    paragraphs: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    skipped_files: int = 0
    records_now: int = 0  # by this process alone
    seconds: float = 0.0
    already_finished: bool = False


# -- planning ---------------------------------------------------------------------------------------------


def find(inputs: Iterable[str], kind: str | None = None) -> tuple[list[tuple[Path, str, str]], int]:
    """Input files as (path, place below the output folder, format), and how many were passed over.

    A folder stands for the files of known kind below it, in order of name; hidden ones are left out.
    """
    found: list[tuple[Path, str, str]] = []
    skipped = 0
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            for folder, folders, files in os.walk(path):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                for file in sorted(files):
                    known = kind or _kind(file)
                    if file.startswith(".") or not known:
                        skipped += not file.startswith(".")
                        continue
                    inside = Path(folder, file)
                    found.append((inside, inside.relative_to(path).as_posix(), known))
        elif path.exists():
            known = kind or _kind(path.name)
            if not known:
                raise DataError(
                    f"{path}: no known suffix; say what it is with --format ({', '.join(FORMATS)})"
                )
            found.append((path, path.name, known))
        else:
            raise DataError(f"{path}: no such file or folder; check the path")
    if not found:
        raise DataError(
            "no input file found; filter reads .jsonl, .parquet, .txt, .md, .html, .warc and .wet files"
        )
    return found, skipped


def _kind(name: str) -> str | None:
    suffix = compression(name)
    kind = _SUFFIXES.get(os.path.splitext(name[: len(name) - len(suffix)])[1].lower())
    return None if kind == "parquet" and suffix else kind


def plan(found: Sequence[tuple[Path, str, str]]) -> list[Unit]:
    """Group the input files into units; raises DataError where two would be written to one place."""
    units: list[Unit] = []
    group: list[tuple[str, str, int]] = []
    group_kind = ""

    def close_group() -> None:
        if group:
            paths, targets, sizes = zip(*group, strict=True)
            units.append(Unit(len(units), group_kind, paths, targets, sum(sizes)))
            group.clear()

    taken: dict[str, Path] = {}
    for path, target, kind in found:
        if kind == "html":
            suffix = compression(target)
            target = f"{target[: len(target) - len(suffix)]}.txt{suffix}"
        if target in taken:
            raise DataError(f"{taken[target]} and {path} would both become {target}; run them apart")
        taken[target] = path
        size = path.stat().st_size
        if kind not in ("text", "html"):
            close_group()
            units.append(Unit(len(units), kind, (str(path),), (target,), size))
            continue
        if group and (
            kind != group_kind or len(group) >= _GROUP_FILES or sum(s for _, _, s in group) >= _GROUP_BYTES
        ):
            close_group()
        group_kind = kind
        group.append((str(path), target, size))
    close_group()
    return units


def _identity(job: Job, found: Sequence[tuple[Path, str, str]]) -> dict[str, Any]:
    """What a run is made of."""
    listing = hashlib.sha256()
    for path, target, kind in found:
        state = path.stat()
        entry = [os.path.abspath(path), target, kind, state.st_size, state.st_mtime_ns]
        listing.update(json.dumps(entry).encode() + b"\n")
    return {
        "version": VERSION,
        "model": job.classifier.model.digest,
        "mode": job.classifier.mode,
        "thresholds": dict(sorted(job.classifier.thresholds.items())),
        **{key: list(v) if isinstance(v, tuple) else v for key, v in asdict(job.options).items()},
        "dropped": job.dropped,
        "files": len(found),
        "input": listing.hexdigest(),
    }


# -- the run ----------------------------------------------------------------------------------------------


def run(
    inputs: Iterable[str],
    job: Job,
    *,
    rejects: str | None = None,
    kind: str | None = None,
    workers: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Clean or annotate the input files into the folder ``job.out``, going on with what is done already.

    Raises
    ------
    DataError
        An input that cannot be used, an output folder of another run, a malformed record with ``job.strict``.
    """
    out = Path(job.out)
    found, skipped = find(inputs, kind)
    units = plan(found)
    rejects_path = Path(rejects) if rejects else out / "rejects.jsonl"
    targets = {os.path.abspath(out / target) for unit in units for target in unit.targets}
    for path in (rejects_path, Path(job.dropped) if job.dropped else None):
        if path and os.path.abspath(path) in targets:
            raise DataError(f"{path}: an input file is written there; name another file")
    if targets & {os.path.abspath(path) for path, _, _ in found}:
        raise DataError(f"{out}: an input file would be overwritten; choose another output folder")
    identity = {**_identity(job, found), "rejects": str(rejects_path)}
    out.mkdir(parents=True, exist_ok=True)
    with _lock(out):
        manifest = _check_manifest(out, identity)
        finished = manifest.get("summary")
        if finished:
            shutil.rmtree(job.work, ignore_errors=True)
            return Summary(
                finished["records"], finished["rejected"], Counter(finished["paragraphs"]),
                Counter(finished["characters"]), skipped, already_finished=True,
            )  # fmt: skip
        for unit in units:  # what cannot be read at all is said now, not after hours
            if unit.kind == "parquet":
                _open(unit, job.options).close()
        _clear(out, job, rejects_path)
        for folder in ("chunks", "units"):
            (job.work / folder).mkdir(parents=True, exist_ok=True)
        write_atomic(out / MANIFEST, dump(identity) + b"\n")
        start = time.monotonic()
        summary = _Scheduler(job, units, workers, progress).run()
        summary.skipped_files = skipped
        if job.dropped:
            _gather(job, units, "dropped", Path(job.dropped), always=True)
        _gather(job, units, "rejects", rejects_path, always=False)
        summary.seconds = time.monotonic() - start
        counts = {
            name: getattr(summary, name) for name in ("records", "rejected", "paragraphs", "characters")
        }
        write_atomic(out / MANIFEST, dump({**identity, "summary": counts}) + b"\n")
        shutil.rmtree(job.work, ignore_errors=True)
    return summary


@contextlib.contextmanager
def _lock(out: Path) -> Iterator[None]:
    """Keep a second run out of the folder; the lock goes with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows: two runs there are the user's to avoid
        yield
        return
    handle = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{out}: another filter is writing there; wait for it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def _check_manifest(out: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the run to go on with, empty for a new one; raises DataError for another run's."""
    path = out / MANIFEST
    if not path.exists():
        if any(name != WORK and not _left_over(name) for name in os.listdir(out)):
            raise DataError(f"{out}: the folder is not empty; choose a new one")
        shutil.rmtree(out / WORK, ignore_errors=True)
        return {}
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        differing = [key for key in identity if manifest.get(key) != identity[key]]
    except (ValueError, AttributeError):
        raise DataError(f"{path}: not a manifest of filter; choose another output folder") from None
    if differing:
        what = "another input" if differing[0] in ("files", "input") else f"another {differing[0]}"
        raise DataError(
            f"{out}: holds a run with {what}; give the same options to go on, or choose a new folder"
        )
    return manifest


def _left_over(name: str) -> bool:
    """Whether a file is what a killed run was about to rename."""
    return name.startswith(".") and name.endswith(".part")


def _clear(out: Path, job: Job, rejects: Path) -> None:
    """Remove what a killed run was about to rename."""
    for folder, folders, files in os.walk(out):
        folders[:] = [name for name in folders if name != WORK]
        for name in files:
            if _left_over(name):
                os.unlink(Path(folder, name))
    for path in (rejects, Path(job.dropped) if job.dropped else None):
        if path and path.parent.is_dir():
            for file in path.parent.iterdir():
                if _left_over(file.name) and file.name.startswith(f".{path.name[:40]}."):
                    file.unlink()


def _gather(job: Job, units: Sequence[Unit], name: str, target: Path, always: bool) -> None:
    """Put one stream of all units together."""
    sources = [job.work / "units" / f"{unit.index:08d}" / name for unit in units]
    if not always and not any(source.stat().st_size for source in sources):
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as file:
        for source in sources:
            with open(source, "rb") as part:
                shutil.copyfileobj(part, file, 1 << 20)


class _Scheduler:
    """Hands chunks to workers in order, and files to be put together once their chunks are done."""

    def __init__(
        self, job: Job, units: Sequence[Unit], workers: int, progress: Callable[[Progress], None] | None
    ) -> None:
        self.job, self.units, self.workers = job, units, workers
        self.window = 2 * workers if workers > 1 else 1
        self.report = progress
        self.progress = Progress(sum(unit.size for unit in units))
        self.summary = Summary()
        self.ready: deque[tuple[Unit, int]] = deque()
        self.pending: dict[concurrent.futures.Future[Any], tuple[Unit, int | None]] = {}
        self.states: dict[int, _State] = {}
        self.done_chunks = set(os.listdir(job.work / "chunks"))

    def run(self) -> Summary:
        todo = iter(self._unfinished())
        start = time.monotonic()
        with _pool(self.job, self.workers) as submit:
            self.submit = submit
            more = True
            while True:
                while len(self.pending) < self.window:
                    if not self.ready:
                        unit = next(todo, None) if more else None
                        if unit is None:
                            more = False
                            break
                        self._begin(unit)
                        continue
                    self._start(*self.ready.popleft())
                if not self.pending:
                    break
                done, _ = concurrent.futures.wait(
                    self.pending, timeout=0.5, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    unit, number = self.pending.pop(future)
                    self._finish(unit, number, future.result())
                self.progress.seconds = time.monotonic() - start
                if self.report:
                    self.report(self.progress)
        return self.summary

    def _unfinished(self) -> Iterator[Unit]:
        """The units that are not done; what is left of those that are is cleared away."""
        units = {int(name) for name in os.listdir(self.job.work / "units") if name.isdecimal()}
        for name in sorted(self.done_chunks):
            if not name[0].isdecimal() or int(name.partition("-")[0]) in units:
                shutil.rmtree(self.job.work / "chunks" / name, ignore_errors=True)
        for name in os.listdir(self.job.work / "units"):
            if not name.isdecimal():
                shutil.rmtree(self.job.work / "units" / name, ignore_errors=True)
        for unit in self.units:
            if unit.index in units:
                stats = json.loads((self.job.work / "units" / f"{unit.index:08d}" / "stats").read_bytes())
                self._count(stats, before=True)
                self._move(unit.size, before=True)
            else:
                yield unit

    def _begin(self, unit: Unit) -> None:
        reader = _open(unit, self.job.options)
        try:
            count = reader.chunks_at_least()
        finally:
            reader.close()
        state = self.states[unit.index] = _State()
        for _ in range(min(count, self.window)):
            self._push(unit, state)

    def _push(self, unit: Unit, state: _State) -> None:
        self.ready.append((unit, state.next))
        state.next += 1

    def _start(self, unit: Unit, number: int) -> None:
        name = _chunk_name(unit, number)
        if name in self.done_chunks:
            result = json.loads((self.job.work / "chunks" / name / "stats").read_bytes())
            self._finish(unit, number, result, before=True)
        else:
            self.pending[self.submit(do_chunk, unit, number)] = unit, number

    def _finish(
        self, unit: Unit, number: int | None, result: dict[str, Any] | None, before: bool = False
    ) -> None:
        state = self.states.get(unit.index)
        if number is None:  # the unit was put together
            del self.states[unit.index]
            self._move(unit.size - (state.position if state else 0), before)
            return
        if state is None or result is None:  # past the end
            return
        self._count(result, before)
        state.done += 1
        if result["position"] > state.position:
            self._move(result["position"] - state.position, before)
            state.position = result["position"]
        if result["last"]:
            state.total = number + 1
        elif state.total is None:
            self._push(unit, state)
        if state.done == state.total:
            self.pending[self.submit(put_together, unit, state.total)] = unit, None

    def _move(self, size: int, before: bool) -> None:
        self.progress.bytes_done += size
        if before:
            self.progress.bytes_before += size

    def _count(self, stats: dict[str, Any], before: bool) -> None:
        self.summary.records += stats["records"]
        self.summary.rejected += stats["rejected"]
        self.summary.paragraphs.update(stats["paragraphs"])
        self.summary.characters.update(stats["characters"])
        self.progress.records = self.summary.records
        if before:
            self.progress.records_before += stats["records"]
            if self.job.strict and stats["rejected"]:
                raise DataError(
                    f"{self.job.out}: an earlier run met malformed records; go on without --strict"
                )
        else:
            self.summary.records_now += stats["records"]


@dataclass
class _State:
    """Of a unit under way."""

    next: int = 0  # chunk to hand out
    done: int = 0
    total: int | None = None
    position: int = 0


Submit = Callable[..., "concurrent.futures.Future[Any]"]


@contextlib.contextmanager
def _pool(job: Job, workers: int) -> Iterator[Submit]:
    """Something that runs :func:`do_chunk` and its like: here, or in other processes."""
    if workers == 1:
        with _Worker(job) as worker:
            yield partial(_run_here, worker)
        return
    # Workers compute side by side: each with one thread. Spawned processes read this when NumPy is imported.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(job,)
    )
    try:
        yield lambda *call: pool.submit(_run_in_worker, *call)
    except concurrent.futures.process.BrokenProcessPool:
        raise DataError(
            "a worker died, perhaps for lack of memory; run the command again to go on, with fewer --workers"
        ) from None
    except BaseException:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()  # what it has not renamed does not count
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_here(worker: _Worker, call: Callable[..., Any], *arguments: Any) -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_result(call(worker, *arguments))
    return future


# -- workers ----------------------------------------------------------------------------------------------


class _Worker:
    """A process that does chunks. Keeps the file it reads open: chunks come in order."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._open_unit = -1
        self._reader: Format | None = None

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._reader:
            self._reader.close()
        self._reader, self._open_unit = None, -1

    def reader(self, unit: Unit) -> Format:
        """The unit's reader, standing where the last chunk ended."""
        if self._reader is None or self._open_unit != unit.index:
            self.close()
            self._reader = _open(unit, self.job.options)
            self._open_unit = unit.index
        return self._reader


_worker: _Worker | None = None


def _start_worker(job: Job) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the parent ends its workers
    _worker = _Worker(job)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent does, even by SIGKILL."""
    connection.wait([sentinel])
    os._exit(1)


def _run_in_worker(call: Callable[..., Any], *arguments: Any) -> Any:
    assert _worker is not None  # noqa: S101 - the initializer ran
    return call(_worker, *arguments)


def _open(unit: Unit, options: Options) -> Format:
    if unit.kind == "jsonl":
        return JsonLines(Path(unit.paths[0]), options)
    if unit.kind == "parquet":
        return Parquet(Path(unit.paths[0]), options)
    if unit.kind == "warc":
        return Warc(Path(unit.paths[0]), options)
    return TextFiles([Path(path) for path in unit.paths], options, html=unit.kind == "html")


def _chunk_name(unit: Unit, number: int) -> str:
    return f"{unit.index:08d}-{number:08d}"


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears at ``target`` with all that was written to it, or not at all."""
    folder = target.with_name(f"new-{os.getpid()}-{target.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        for name in os.listdir(folder):
            _sync(folder / name)
        _sync(folder)
        try:
            os.rename(folder, target)
        except OSError:
            if not target.is_dir():
                raise
            shutil.rmtree(folder)  # another process was first, with the same content
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sync(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def do_chunk(worker: _Worker, unit: Unit, number: int) -> dict[str, Any] | None:
    """Read, label and write one chunk; returns its figures, None past the end of the file."""
    job = worker.job
    reader = worker.reader(unit)
    try:
        chunk = reader.chunk(number)
        if chunk is None:
            return None
        records: list[Record] = []
        rejects: list[Reject] = []
        for item in chunk.records:
            if isinstance(item, Record):
                records.append(item)
            elif job.strict:
                raise DataError(_complaint(unit, item))
            else:
                rejects.append(item)
    except BaseException:
        worker.close()  # it may stand anywhere
        raise
    stats: dict[str, Any] = {
        "records": len(records) + len(rejects),
        "rejected": len(rejects),
        "paragraphs": dict.fromkeys(LABELS, 0),
        "characters": dict.fromkeys(LABELS, 0),
        "last": chunk.last,
        "position": chunk.position,
        "lines": chunk.lines,
    }
    dropped: list[bytes] = []
    written: list[tuple[Record, str, list[Paragraph]]] = []
    for record, paragraphs in _labelled(job.classifier, records):
        text = record.text or ""
        for paragraph in paragraphs:
            stats["paragraphs"][paragraph.label] += 1
            stats["characters"][paragraph.label] += len(paragraph.text)
            if job.dropped and paragraph.label not in job.options.keep:
                dropped.append(_dropped(unit, record, paragraph))
        if record.text is not None and not job.options.annotate:
            text = join_kept(text, paragraphs, job.options.keep)
        written.append((record, text, paragraphs))
    with _new_folder(job.work / "chunks" / _chunk_name(unit, number)) as folder:
        reader.write(written, folder)
        if job.dropped:
            lines = b"".join(line + b"\n" for line in dropped)
            (folder / "dropped").write_bytes(pack(lines, compression(job.dropped)))
        (folder / "rejects").write_bytes(
            b"".join(dump(_rejected(unit, reject)) + b"\n" for reject in rejects)
        )
        (folder / "stats").write_bytes(dump(stats))
    return stats


def _labelled(classifier: Classifier, records: Sequence[Record]) -> Iterator[tuple[Record, list[Paragraph]]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.text or "")
        if size >= BATCH_CHARS:
            yield from zip(batch, classifier.predict_texts([r.text or "" for r in batch]), strict=True)
            batch, size = [], 0
    yield from zip(batch, classifier.predict_texts([r.text or "" for r in batch]), strict=True)


def _dropped(unit: Unit, record: Record, paragraph: Paragraph) -> bytes:
    return dump(
        {
            "input": unit.paths[0],
            **{key: value for key, value in record.place.items() if key != "line"},
            "start": paragraph.start,
            "end": paragraph.end,
            "label": paragraph.label,
            "score": round(paragraph.score, 4),
            "text": paragraph.text,
        }
    )


def _rejected(unit: Unit, reject: Reject) -> dict[str, Any]:
    row = {"input": unit.paths[0], **reject.place, "reason": reject.reason}
    return {**row, "excerpt": reject.excerpt} if reject.excerpt else row


def _complaint(unit: Unit, reject: Reject) -> str:
    """One line on a malformed record."""
    if "file" in reject.place:
        return f"{reject.place['file']}: {reject.reason}"
    where = " ".join(f"{key} {value}" for key, value in reject.place.items() if key in ("byte", "row"))
    return f"{unit.paths[0]}: {where}: {reject.reason}"


def put_together(worker: _Worker, unit: Unit, count: int) -> None:
    """Make a unit's output of its chunks."""
    job = worker.job
    folders = [job.work / "chunks" / _chunk_name(unit, number) for number in range(count)]
    out = Path(job.out)
    for target in unit.targets:
        (out / target).parent.mkdir(parents=True, exist_ok=True)
    reader = worker.reader(unit)
    if isinstance(reader, TextFiles):
        for i, target in enumerate(unit.targets):
            for source, place in ((f"part-{i}", target), (f"part-{i}.json", f"{target}.consentclf.json")):
                if (folders[0] / source).exists():  # else refused, or moved before the run was killed
                    os.replace(folders[0] / source, out / place)
    elif isinstance(reader, Parquet):
        reader.join([folder / "part" for folder in folders], out / unit.targets[0])
    else:
        with replacing(out / unit.targets[0]) as file:
            _copy([folder / "part" for folder in folders], file)
    stats: dict[str, Any] = {"records": 0, "rejected": 0, "paragraphs": Counter(), "characters": Counter()}
    with _new_folder(job.work / "units" / f"{unit.index:08d}") as folder:
        if job.dropped:
            with open(folder / "dropped", "wb") as file:
                _copy([chunk / "dropped" for chunk in folders], file)
        lines = 0
        with open(folder / "rejects", "wb") as file:
            for chunk in folders:
                figures = json.loads((chunk / "stats").read_bytes())
                for line in (chunk / "rejects").read_bytes().splitlines():
                    row = json.loads(line)
                    if "line" in row:  # in the chunk so far: now in the file
                        row["line"] += lines
                    file.write(dump(row) + b"\n")
                lines += figures["lines"]
                for name, value in stats.items():
                    if isinstance(value, Counter):
                        value.update(figures[name])
                    else:
                        stats[name] += figures[name]
        (folder / "stats").write_bytes(dump(stats))
    for chunk in folders:
        shutil.rmtree(chunk, ignore_errors=True)


def _copy(sources: Iterable[Path], target: Any) -> None:
    for source in sources:
        with open(source, "rb") as file:
            shutil.copyfileobj(file, target, 1 << 20)
