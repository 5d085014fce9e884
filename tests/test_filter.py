"""``consentclf filter``: formats, faults, going on after an interruption."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import PAGE, ROWS

from consentclf import Classifier, DataError
from consentclf.classifier import join_kept
from consentclf.cli.filter import _Meter, duration
from consentclf.integrations import batch, jsonlines, parquet, records, textfiles, warc

Filter = Callable[..., Result]

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress,
}  # fmt: skip


def page(seed: int) -> str:
    """A page of our own making, paragraphs in an order of its own."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return "\n\n".join(rng.choice(ROWS[label]) for label, _ in rng.sample(PAGE, rng.randrange(1, len(PAGE))))


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"r{i}", "n": i, "text": page(i), "é": "ü"} for i in range(count)]


def write_jsonl(path: Path, given: list[dict[str, Any]]) -> bytes:
    data = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in given)
    suffix = path.suffix if path.suffix in records.COMPRESSED else ""
    path.write_bytes(records.pack(data, suffix))
    return data


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def filter_(run: Filter, small_model: Path) -> Filter:
    def call(*args: str | Path, code: int = 0) -> Result:
        result = run("filter", "--model", small_model, *args)
        assert result.exit_code == code, result.stderr
        return result

    return call


# -- JSON Lines -------------------------------------------------------------------------------------------


def test_json_lines_are_cleaned(filter_: Filter, classifier: Classifier, tmp_path: Path) -> None:
    given = rows(40)
    write_jsonl(tmp_path / "in.jsonl", given)
    result = filter_(
        tmp_path / "in.jsonl", "--out", tmp_path / "out", "--dropped", tmp_path / "dropped.jsonl"
    )
    out = read_jsonl(tmp_path / "out" / "in.jsonl")
    assert out == [{**row, "text": classifier.clean(row["text"])} for row in given]
    dropped = read_jsonl(tmp_path / "dropped.jsonl")
    by_id = {row["id"]: row["text"] for row in given}
    assert all(by_id[d["id"]][d["start"] : d["end"]] == d["text"] for d in dropped)
    paragraphs = [p for row in given for p in classifier.predict_text(row["text"])]
    assert [d["label"] for d in dropped] == [p.label for p in paragraphs if p.label != "article"]
    assert f"40 records, {len(paragraphs)} paragraphs" in result.stderr
    kept = sum(len(p.text) for p in paragraphs if p.label == "article")
    assert f"characters kept {kept:,}" in result.stderr
    assert "\r" not in result.stderr  # no progress but on a terminal
    assert sorted(os.listdir(tmp_path / "out")) == ["consentclf-run.json", "in.jsonl"]


def test_annotate_leaves_the_text(filter_: Filter, classifier: Classifier, tmp_path: Path) -> None:
    given = rows(5)
    write_jsonl(tmp_path / "in.jsonl", given)
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out", "--annotate")
    for row, before in zip(read_jsonl(tmp_path / "out" / "in.jsonl"), given, strict=True):
        labels = row.pop("consentclf")
        assert row == before
        expected = classifier.predict_text(before["text"])
        assert [(p["start"], p["end"], p["label"]) for p in labels] == [
            (p.start, p.end, p.label) for p in expected
        ]
        assert labels[0]["scores"]["article"] == pytest.approx(expected[0].scores["article"], abs=1e-4)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("size", [500, 1 << 20])
def test_compressed_and_cut_anyhow_is_the_same(
    filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, size: int
) -> None:
    if suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        unpack = lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()  # noqa: E731
    else:
        unpack = UNPACK[suffix]
    given = rows(30)
    write_jsonl(tmp_path / "in.jsonl", given)
    write_jsonl(tmp_path / f"in.jsonl{suffix}", given)
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "plain", "--dropped", tmp_path / "plain.dropped")
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", size)
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "cut", "--dropped", tmp_path / "cut.dropped")
    filter_(tmp_path / f"in.jsonl{suffix}", "--out", tmp_path / "packed")
    plain = (tmp_path / "plain" / "in.jsonl").read_bytes()
    assert (tmp_path / "cut" / "in.jsonl").read_bytes() == plain
    assert unpack((tmp_path / "packed" / f"in.jsonl{suffix}").read_bytes()) == plain
    assert (tmp_path / "cut.dropped").read_bytes() == (tmp_path / "plain.dropped").read_bytes()


MALFORMED = [
    (b"not json at all", "not JSON"),
    (b'{"id": 1}', 'no field "text"'),
    (b'{"text": null}', "must be a string, got NoneType"),
    (b'["text"]', "expected an object, got list"),
    (b'{"text": "caf\xe9"}', "not UTF-8 at byte"),
    (b'{"text": "cut of', "not JSON"),
    (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "not usable JSON"),
]


@pytest.mark.parametrize("size", [64, 1 << 20])
def test_malformed_records_are_listed(
    filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", size)
    given = rows(len(MALFORMED) + 1)
    lines = [json.dumps(given[0]).encode()]
    for row, (bad, _) in zip(given[1:], MALFORMED, strict=True):
        lines += [bad, b"  ", json.dumps(row).encode()]
    data = b"\xef\xbb\xbf" + b"\n".join(lines)
    (tmp_path / "in.jsonl").write_bytes(data)
    result = filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out")
    assert [row["id"] for row in read_jsonl(tmp_path / "out" / "in.jsonl")] == [row["id"] for row in given]
    rejects = read_jsonl(tmp_path / "out" / "rejects.jsonl")
    for i, (reject, (bad, reason)) in enumerate(zip(rejects, MALFORMED, strict=True)):
        assert reason in reject["reason"]
        assert reject["line"] == 2 + 3 * i
        assert data[reject["byte"] :].startswith(bad)
    assert f"{len(given) + len(MALFORMED)} records, {len(MALFORMED)} of them malformed" in result.stderr


def test_strict_stops_at_the_first(filter_: Filter, tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "in.jsonl", rows(3))
    (tmp_path / "in.jsonl").write_bytes(data + b"oops\n")
    result = filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out", "--strict", code=2)
    assert result.stderr == f"consentclf: {tmp_path / 'in.jsonl'}: byte {len(data)}: not JSON " \
        "(Expecting value at column 1)\n"  # fmt: skip
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out")  # the same without --strict goes on
    assert len(read_jsonl(tmp_path / "out" / "in.jsonl")) == 3


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_damaged_compression_loses_only_the_rest(filter_: Filter, tmp_path: Path, suffix: str) -> None:
    rng = random.Random(3)  # noqa: S311 - no secret
    given = [{"id": f"r{i}", "text": page(i) + f"\n\n{rng.getrandbits(4000):x}"} for i in range(400)]
    path = tmp_path / f"in.jsonl{suffix}"
    write_jsonl(path, given)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    write_jsonl(tmp_path / "other.jsonl", given[:5])
    filter_(path, tmp_path / "other.jsonl", "--out", tmp_path / "out")
    out = UNPACK[suffix]((tmp_path / "out" / path.name).read_bytes()).splitlines()
    assert [json.loads(line)["id"] for line in out] == [row["id"] for row in given[: len(out)]]
    reject = read_jsonl(tmp_path / "out" / "rejects.jsonl")[-1]
    assert "ends early; lost from here on" in reject["reason"]
    assert len(read_jsonl(tmp_path / "out" / "other.jsonl")) == 5


def test_lone_surrogates_and_other_horrors(filter_: Filter, tmp_path: Path) -> None:
    texts = ["\\ud800 lone", "nul \\u0000 in it", "", "   ", "\\u202e rtl", "x" * 50_000]
    (tmp_path / "in.jsonl").write_text("".join(f'{{"text": "{t}"}}\n' for t in texts), encoding="utf-8")
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out", "--annotate")
    assert [r["text"] for r in read_jsonl(tmp_path / "out" / "in.jsonl")] == [
        json.loads(f'"{t}"') for t in texts
    ]


def test_empty_input(filter_: Filter, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"")
    (tmp_path / "in2.jsonl.gz").write_bytes(b"")
    filter_(tmp_path / "in.jsonl", tmp_path / "in2.jsonl.gz", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "in.jsonl").read_bytes() == b""
    assert gzip.decompress((tmp_path / "out" / "in2.jsonl.gz").read_bytes()) == b""


def test_a_line_too_long_is_refused(filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "MAX_RECORD_BYTES", 2000)
    given = [{"text": "short one"}, {"text": "long " * 1000}, {"text": "short two"}]
    write_jsonl(tmp_path / "in.jsonl", given)
    filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out", "--annotate")
    assert [r["text"] for r in read_jsonl(tmp_path / "out" / "in.jsonl")] == ["short one", "short two"]
    assert "more than 2,000 bytes" in read_jsonl(tmp_path / "out" / "rejects.jsonl")[0]["reason"]


# -- going on ---------------------------------------------------------------------------------------------


def outputs(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def make_inputs(folder: Path) -> Path:
    """One of each format, with malformed records."""
    folder.mkdir()
    data = write_jsonl(folder / "a.jsonl", rows(60))
    (folder / "a.jsonl").write_bytes(data + b"oops\n" + data)
    write_jsonl(folder / "b.jsonl.gz", rows(60))
    (folder / "texts").mkdir()
    for i in range(12):
        (folder / "texts" / f"{i}.txt").write_text(page(i), encoding="utf-8")
    (folder / "texts" / "bad.txt").write_bytes(b"caf\xe9")
    (folder / "c.wet").write_bytes(wet(40))
    return folder


def wet(count: int) -> bytes:
    out = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n"]
    for i in range(count):
        text = page(i).encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://site{i}.example/\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{i:012d}>\r\n"
            "WARC-Date: 2024-01-01T00:00:00Z\r\n"
            f"WARC-Block-Digest: {records.sha1(text)}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\n\r\n"
        )
        out.append(head.encode() + text + b"\r\n\r\n")
    return b"".join(out)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "CHUNK_BYTES", 2000)
    monkeypatch.setattr(warc, "CHUNK_BYTES", 2000)
    monkeypatch.setattr(parquet, "CHUNK_ROWS", 7)
    monkeypatch.setattr(batch, "_GROUP_FILES", 5)


class Interrupted(BaseException):
    """Stands for a kill: nothing catches it. What SIGKILL really does is in the kill test."""


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("seed", range(6))
def test_interrupted_anywhere_goes_on_to_the_same(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    source = make_inputs(tmp_path / "in")
    options = records.Options()

    def start(name: str) -> batch.Summary:
        out = tmp_path / name
        job = batch.Job(str(out / "o"), options, str(out / "dropped.jsonl"), classifier)
        return batch.run([str(source)], job, rejects=str(out / "rejects.jsonl"))

    expected = start("whole")
    rng = random.Random(seed)  # noqa: S311 - no secret
    left = 0

    def tired(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Interrupted
            return function(*args, **options)

        return call

    # A step is a rename, a removal, a write or a sync: the run dies before any of them.
    for owner, name in (
        (os, "rename"),
        (os, "replace"),
        (os, "fsync"),
        (Path, "write_bytes"),
        (batch, "_copy"),
    ):
        monkeypatch.setattr(owner, name, tired(getattr(owner, name)))
    rmtree = batch.shutil.rmtree
    monkeypatch.setattr(
        batch.shutil, "rmtree", lambda *a, **k: None if 0 >= left > -3 else tired(rmtree)(*a, **k)
    )
    summary = None
    for _ in range(200):
        left = rng.randrange(1, 60)
        try:
            summary = start("parts")
            break
        except Interrupted:
            left = 0
    assert summary is not None
    whole, parts = outputs(tmp_path / "whole"), outputs(tmp_path / "parts")
    manifest = "o/" + batch.MANIFEST
    assert json.loads(whole.pop(manifest))["summary"] == json.loads(parts.pop(manifest))["summary"]
    assert parts == whole
    assert (summary.records, summary.paragraphs) == (expected.records, expected.paragraphs)


@pytest.mark.usefixtures("small_chunks")
def test_two_workers_write_the_same(filter_: Filter, tmp_path: Path) -> None:
    source = make_inputs(tmp_path / "in")
    for workers in ("1", "2"):
        filter_(
            source, "--out", tmp_path / workers, "--workers", workers, "--dropped", tmp_path / f"{workers}.gz"
        )
    one, two = outputs(tmp_path / "1"), outputs(tmp_path / "2")
    one.pop(batch.MANIFEST)
    two.pop(batch.MANIFEST)
    assert one.keys() == two.keys()
    # Workers are new processes, which cut into chunks of the usual size: only packed bytes differ.
    assert gzip.decompress(one.pop("b.jsonl.gz")) == gzip.decompress(two.pop("b.jsonl.gz"))
    assert one == two
    dropped = [gzip.decompress((tmp_path / f"{w}.gz").read_bytes()) for w in ("1", "2")]
    assert dropped[0] == dropped[1]


def test_another_run_is_refused(filter_: Filter, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    write_jsonl(source, rows(3))
    filter_(source, "--out", out)
    assert "finished before; nothing was left to do" in filter_(source, "--out", out).stderr
    for extra, what in [
        (["--annotate"], "annotate"), (["--mode", "recall"], "mode"), (["--keep", "consent"], "keep"),
        (["--threshold", "0.9"], "thresholds"), (["--field", "id"], "field"),
    ]:  # fmt: skip
        result = filter_(source, "--out", out, *extra, code=2)
        assert result.stderr.count("\n") == 1
        assert f"holds a run with another {what}" in result.stderr
    write_jsonl(source, rows(4))
    assert "holds a run with another input" in filter_(source, "--out", out, code=2).stderr


def test_folders_that_are_not_ours_are_left_alone(filter_: Filter, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    write_jsonl(source, rows(3))
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    assert "the folder is not empty" in filter_(source, "--out", out, code=2).stderr
    assert outputs(out) == {"precious.txt": b"mine"}
    assert "would be overwritten" in filter_(source, "--out", tmp_path, code=2).stderr
    (out / "precious.txt").unlink()
    (out / batch.MANIFEST).write_text("[]")
    assert "not a manifest" in filter_(source, "--out", out, code=2).stderr


def test_a_second_run_at_the_same_time_is_refused(filter_: Filter, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    write_jsonl(tmp_path / "in.jsonl", rows(3))
    (tmp_path / "out").mkdir()
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        result = filter_(tmp_path / "in.jsonl", "--out", tmp_path / "out", code=2)
    finally:
        os.close(handle)
    assert "another filter is writing there" in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere.jsonl"], "no such file or folder"),
        (["in.dat"], "no known suffix; say what it is with --format"),
        (["in.jsonl", "sub/in.jsonl"], "would both become in.jsonl"),
        (["empty"], "no input file found"),
        (["in.jsonl", "--annotate", "--dropped", "x"], "--dropped goes with cleaned text"),
        (["in.jsonl", "--dropped", "out/in.jsonl"], "an input file is written there"),
    ],
)
def test_mistakes_are_one_line(
    filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("sub", "empty"):
        (tmp_path / folder).mkdir()
    for name in ("in.jsonl", "sub/in.jsonl", "in.dat"):
        write_jsonl(tmp_path / name, rows(1))
    result = filter_(*args, "--out", "out", code=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not any((tmp_path / "out").rglob("*"))


def test_the_meter_shows_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    _Meter().show(batch.Progress(1000, 300, 100, records=30, records_before=10, seconds=2.0))
    shown = capsys.readouterr().err
    assert "30%" in shown
    assert "30 records  10/s  0:00:07 left" in shown
    assert duration(3725) == "1:02:05"


# -- other formats ----------------------------------------------------------------------------------------


def test_text_folder(filter_: Filter, classifier: Classifier, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "deep" / "er").mkdir(parents=True)
    texts = {"a.txt": page(1), "deep/b.md": page(2).replace("\n", "\r\n"), "deep/er/c.txt": page(3)}
    for name, text in texts.items():
        (source / name).write_bytes(text.encode())
    (source / "d.txt.gz").write_bytes(gzip.compress(page(4).encode()))
    (source / "bom.txt").write_bytes(b"\xff\xfe" + page(5).encode("utf-16-le"))
    (source / "bad.txt").write_bytes(b"abc \xff def")
    (source / "image.png").write_bytes(b"\x89PNG")
    (source / ".hidden.txt").write_text("no")
    result = filter_(source, "--out", tmp_path / "out")
    out = outputs(tmp_path / "out")
    for name, text in texts.items():
        assert out[name].decode() == classifier.clean(text)
    assert gzip.decompress(out["d.txt.gz"]).decode() == classifier.clean(page(4))
    assert out["bom.txt"].decode() == classifier.clean(page(5))
    assert "bad.txt" not in out
    (reject,) = read_jsonl(tmp_path / "out" / "rejects.jsonl")
    assert reject["file"].endswith("bad.txt")
    assert "byte 4 is not utf-8" in reject["reason"]
    assert "1 files of no known kind were passed over" in result.stderr
    filter_(source, "--out", tmp_path / "labels", "--annotate")
    out = outputs(tmp_path / "labels")
    assert out["a.txt"].decode() == page(1)
    assert len(json.loads(out["a.txt.consentclf.json"])["consentclf"]) == len(
        classifier.predict_text(page(1))
    )


def test_parquet(filter_: Filter, classifier: Classifier, tmp_path: Path, small_chunks: None) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    given = rows(50)
    given[7]["text"] = None
    table = pa.table(
        {
            "id": pa.array([r["id"] for r in given]),
            "body": pa.array([r["text"] for r in given], pa.large_string()),
            "n": pa.array([r["n"] for r in given], pa.int16()),
        }
    ).replace_schema_metadata({"owner": "me"})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=20, compression="gzip")
    filter_(tmp_path / "in.parquet", "--out", tmp_path / "out", "--field", "body")
    out = pq.read_table(tmp_path / "out" / "in.parquet")
    assert out.schema.equals(table.schema, check_metadata=True)
    assert (
        pq.ParquetFile(tmp_path / "out" / "in.parquet").metadata.row_group(0).column(0).compression == "GZIP"
    )
    kept = [row for row in given if row["text"] is not None]
    assert out.column("body").to_pylist() == [classifier.clean(row["text"]) for row in kept]
    assert out.column("n").to_pylist() == [row["n"] for row in kept]
    (reject,) = read_jsonl(tmp_path / "out" / "rejects.jsonl")
    assert (reject["row"], reject["reason"]) == (7, '"body" is null')

    filter_(tmp_path / "in.parquet", "--out", tmp_path / "labels", "--field", "body", "--annotate")
    out = pq.read_table(tmp_path / "labels" / "in.parquet")
    assert out.column("body").to_pylist() == [row["text"] for row in kept]
    labels = out.column("consentclf").to_pylist()
    assert [p["label"] for p in labels[0]] == [p.label for p in classifier.predict_text(kept[0]["text"])]
    filter_(tmp_path / "labels" / "in.parquet", "--out", tmp_path / "again", "--field", "body", "--annotate")
    assert pq.read_table(tmp_path / "again" / "in.parquet").equals(out)

    message = filter_(tmp_path / "in.parquet", "--out", tmp_path / "x", code=2).stderr
    assert "no column 'text' (there are id, body, n); name it with --field" in message
    assert (
        "holds int16"
        in filter_(tmp_path / "in.parquet", "--out", tmp_path / "x", "--field", "n", code=2).stderr
    )
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense PAR1")
    assert (
        "not a readable Parquet file"
        in filter_(tmp_path / "bad.parquet", "--out", tmp_path / "x", code=2).stderr
    )


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_wet_records(
    filter_: Filter, classifier: Classifier, tmp_path: Path, small_chunks: None, suffix: str
) -> None:
    archive = pytest.importorskip("warcio.archiveiterator")
    source = tmp_path / f"in.warc.wet{suffix}"
    source.write_bytes(records.pack(wet(20), suffix))
    filter_(source, "--out", tmp_path / "out")
    with open(tmp_path / "out" / source.name, "rb") as file:
        out = [(r.rec_type, r.rec_headers, r.content_stream().read()) for r in
               archive.ArchiveIterator(file, check_digests="raise")]  # fmt: skip
    assert [kind for kind, _, _ in out] == ["warcinfo"] + ["conversion"] * 20
    for i, (_, head, body) in enumerate(out[1:]):
        assert body.decode() == classifier.clean(page(i))
        assert head.get_header("WARC-Target-URI") == f"http://site{i}.example/"
    filter_(source, "--out", tmp_path / "labels", "--annotate")
    with open(tmp_path / "labels" / source.name, "rb") as file:
        out = [(r.rec_type, r.content_stream().read()) for r in archive.ArchiveIterator(file)]
    assert [kind for kind, _ in out] == ["warcinfo"] + ["conversion", "metadata"] * 20
    assert out[1][1].decode() == page(0)
    assert len(json.loads(out[2][1])["consentclf"]) == len(classifier.predict_text(page(0)))


@pytest.mark.parametrize("size", [300, 1 << 20])
def test_malformed_warc_records(
    filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(warc, "CHUNK_BYTES", size)
    good = wet(6).split(b"\r\n\r\nWARC/")
    good = [good[0]] + [b"WARC/" + part for part in good[1:]]
    assert len(good) == 7
    bad_length = good[1].replace(b"Content-Length: ", b"Content-Length: x")
    short = good[2].replace(b"Content-Length: ", b"Content-Length: 1\r\nX: ")
    bad_text = good[3][:-1] + b"\xff"
    parts = [good[0], bad_length, good[4], b"garbage\r\nmore of it", short, bad_text, good[5], good[6][:-5]]
    (tmp_path / "in.warc").write_bytes(b"\r\n\r\n".join(parts))
    filter_(tmp_path / "in.warc", "--out", tmp_path / "out", "--annotate")
    reasons = [row["reason"] for row in read_jsonl(tmp_path / "out" / "rejects.jsonl")]
    expected = [
        "no usable Content-Length", "no WARC header", "its Content-Length is wrong", "not UTF-8 at byte",
        "the record is cut",
    ]  # fmt: skip
    assert len(reasons) == len(expected)
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason
    out = (tmp_path / "out" / "in.warc").read_bytes()
    assert out.count(b"WARC-Type: conversion") == 2
    assert good[4] in out
    assert good[5] in out


def test_an_extra_that_is_missing_is_named(
    filter_: Filter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trafilatura", None)
    textfiles.extract_text.__globals__["_extractor"].cache_clear()
    (tmp_path / "in.html").write_text("<p>Hello</p>")
    result = filter_(tmp_path / "in.html", "--out", tmp_path / "out", code=2)
    assert (
        'Please install trafilatura to use this extractor (pip install "consentclf[html]")' in result.stderr
    )
    assert result.stderr.count("\n") == 1


def test_texts_in_batches_are_labelled_as_one_by_one(classifier: Classifier) -> None:
    texts = [page(i) for i in range(30)] + ["", " \n", "word"]
    together = classifier.predict_texts(texts)
    for text, paragraphs in zip(texts, together, strict=True):
        alone = classifier.predict_text(text)
        assert [(p.start, p.end, p.label) for p in paragraphs] == [(p.start, p.end, p.label) for p in alone]
        assert join_kept(text, paragraphs, ("article",)) == classifier.clean(text)
        assert "".join(classifier.clean_stream(io.StringIO(text, newline=""))) == classifier.clean(text)


def test_two_places_for_one_output_are_refused() -> None:
    with pytest.raises(DataError, match="would both become"):
        batch.plan([(Path(__file__), "a.html", "html"), (Path(__file__), "a.html.txt", "text")])


def test_pages_of_html_and_warc_files(tmp_path: Path) -> None:
    from consentclf.integrations.pages import holds_pages, read_pages

    (tmp_path / "in.wet").write_bytes(wet(3))
    found = list(read_pages(tmp_path / "in.wet"))
    assert found == [(f"http://site{i}.example/", page(i)) for i in range(3)]
    assert [holds_pages(n) for n in ("a.html", "a.warc.gz", "a.wet", "a.txt", "a.gz")] == [True] * 3 + [
        False
    ] * 2
    (tmp_path / "bad.wet").write_bytes(wet(3)[:-9])
    with pytest.raises(DataError, match="the record is cut"):
        list(read_pages(tmp_path / "bad.wet"))
