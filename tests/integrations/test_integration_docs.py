"""Runs every block of docs/integrations.md."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PAGE, ROOT, ROWS

DOC = (ROOT / "docs" / "integrations.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", DOC, re.DOTALL))
TEXT = "\n".join(ROWS[label][i] for label, i in PAGE)

#: What makes a block run where a cluster or an outer program is missing.
NOT_RUN = """
from datatrove.executor import RayPipelineExecutor, SlurmPipelineExecutor
for executor in (RayPipelineExecutor, SlurmPipelineExecutor):
    executor.run = lambda self: print(type(self).__name__, self.tasks)
"""
LABELLED = f"texts, labels = map(list, zip(*[(t, k) for k, ts in {ROWS!r}.items() for t in ts]))\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("page.txt", "other.txt"):
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
    lines = "".join(json.dumps({"id": str(i), "text": f"{TEXT}\n\n{TEXT}"}) + "\n" for i in range(20))
    (tmp_path / "crawl.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "crawl.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text(lines, encoding="utf-8")
    body = "".join(f"<p>{line}</p>" for line in TEXT.splitlines())
    (tmp_path / "page.html").write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    return tmp_path


@pytest.fixture
def execute(folder: Path) -> Callable[..., str]:
    def call(code: str) -> str:
        (folder / "block.py").write_text(code, encoding="utf-8")
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        spark = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **one_thread, **spark}
        result = subprocess.run(
            [sys.executable, "block.py"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    return call


def test_every_block_is_here() -> None:
    assert DOC.count("```python") + DOC.count("```console") == len(BLOCKS)
    assert set(BLOCKS) == {
        "script", "filter", "scrapy", "datatrove", "slurm", "ray", "spark", "html", "sklearn"
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_blocks_are_short() -> None:
    for name, code in BLOCKS.items():
        lines = [
            line for line in code.splitlines() if line.strip() and not line.startswith(("from ", "import "))
        ]
        assert len(lines) <= 5, name


def test_script(execute: Callable[..., str]) -> None:
    execute(BLOCKS["script"])


def test_filter(folder: Path, execute: Callable[..., str]) -> None:
    for line in BLOCKS["filter"].splitlines():
        words = shlex.split(line.removeprefix("$ "))
        assert words[0] == "consentclf"
        command = [sys.executable, "-m", "consentclf", *words[1:]]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=folder, env=environment, check=True, timeout=120)
    cleaned = gzip.decompress((folder / "cleaned" / "crawl.jsonl.gz").read_bytes()).splitlines()
    assert len(cleaned) == 20
    assert (folder / "dropped.jsonl").exists()
    assert (folder / "labelled" / "crawl.jsonl.gz").exists()


def test_scrapy(execute: Callable[..., str]) -> None:
    pytest.importorskip("scrapy")
    run = """
import scrapy
from scrapy.crawler import CrawlerProcess

class Spider(scrapy.Spider):
    name = "s"
    async def start(self):
        yield {"text": open("page.txt", encoding="utf-8").read() * 5}

names = [name for name in globals() if name.isupper()]
process = CrawlerProcess({name: globals()[name] for name in names} | {"LOG_LEVEL": "ERROR"})
crawler = process.create_crawler(Spider)
process.crawl(crawler)
process.start()
print(crawler.stats.get_value("consentclf/items"))
"""
    assert execute(BLOCKS["scrapy"] + run).strip() == "1"


def test_datatrove(folder: Path, execute: Callable[..., str]) -> None:
    pytest.importorskip("datatrove")
    execute(BLOCKS["datatrove"])
    names = {p.parent.name for p in folder.rglob("*.jsonl.gz")} - {folder.name}
    assert names <= {"out", "short"}
    assert names


@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_clusters_are_set_up(execute: Callable[..., str], name: str) -> None:
    pytest.importorskip("datatrove")
    assert execute(NOT_RUN + BLOCKS[name]).split()[1] == "500"


def test_spark(folder: Path, execute: Callable[..., str]) -> None:
    pytest.importorskip("pyspark")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("SPARK IS NOT TESTED: there is no Java on this machine")
    execute(BLOCKS["spark"])
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(folder / "cleaned").num_rows == 20


def test_html(execute: Callable[..., str]) -> None:
    pytest.importorskip("trafilatura")
    assert execute(BLOCKS["html"])


def test_sklearn(execute: Callable[..., str]) -> None:
    small = "import functools\nfrom consentclf.features import FeatureSettings\n"
    code = BLOCKS["sklearn"].replace(
        "ConsentClassifier()", "ConsentClassifier(settings=FeatureSettings(bits=12))"
    )
    assert "C" in execute(small + LABELLED + code)


def run_example(folder: Path, *command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable,
                   "SPARK_LOCAL_IP": "127.0.0.1"}  # fmt: skip
    result = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=500
    )
    assert result.returncode == 0, result.stderr


def test_example_scrapy(folder: Path) -> None:
    pytest.importorskip("scrapy")
    example = str(ROOT / "examples" / "scrapy_spider.py")
    run_example(folder, "-m", "scrapy", "runspider", example, "-a", f"url={(folder / 'page.html').as_uri()}")
    assert json.loads((folder / "pages.jsonl").read_text("utf-8"))["text"]


def test_example_datatrove(folder: Path) -> None:
    pytest.importorskip("datatrove")
    run_example(folder, str(ROOT / "examples" / "datatrove_local.py"), "in", "out")
    assert list((folder / "out").rglob("*.jsonl.gz"))


def test_example_spark(folder: Path) -> None:
    pytest.importorskip("pyspark")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("SPARK IS NOT TESTED: there is no Java on this machine")
    run_example(folder, str(ROOT / "examples" / "spark_clean.py"), "crawl.jsonl", "cleaned")
    assert (folder / "cleaned" / "_SUCCESS").exists()
