"""A real crawl of pages served on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import PAGE, ROOT, ROWS

pytest.importorskip("scrapy")

CRAWL = """
import dataclasses, json, sys
import scrapy
from scrapy.crawler import CrawlerProcess

@dataclasses.dataclass
class PageItem:
    url: str
    text: str
    consentclf: object = None

class Pages(scrapy.Spider):
    name = "pages"
    def parse(self, response):
        paragraphs = response.css("p::text").getall()
        shape = self.settings["SHAPE"]
        if shape == "list":
            yield {"url": response.url, "text": paragraphs}
        elif shape == "item":
            yield PageItem(response.url, "\\n".join(paragraphs))
        else:
            yield {"url": response.url, "text": "\\n".join(paragraphs)}
        yield from response.follow_all(css="a")

job = json.load(sys.stdin)
process = CrawlerProcess({"LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False})
stats = {}
for name, settings in job["crawls"].items():
    spider = type(name, (Pages,), {"custom_settings": settings, "start_urls": job["urls"], "name": name})
    stats[name] = process.create_crawler(spider)
    process.crawl(stats[name])
process.start()
keep = ("consentclf", "item")
found = {name: crawler.stats.get_stats().items() for name, crawler in stats.items()}
print(json.dumps({name: {k: v for k, v in items if k.startswith(keep)} for name, items in found.items()}))
"""


def crawl(urls: list[str], crawls: dict[str, dict[str, Any]], cwd: Path) -> dict[str, Any]:
    """Crawl with several settings in one process; returns the stats of each."""
    result = subprocess.run(
        [sys.executable, "-c", CRAWL], input=json.dumps({"urls": urls, "crawls": crawls}), cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    stats: dict[str, Any] = json.loads(result.stdout)
    stats["stderr"] = result.stderr
    return stats


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    for number in range(3):
        body = "".join(f"<p>{ROWS[label][(i + number) % 12]}</p>" for label, i in PAGE)
        link = f'<a href="page{number + 1}.html">next</a>' if number < 2 else ""
        (folder / f"page{number}.html").write_text(f"<meta charset=utf-8>{body}{link}", encoding="utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/page0.html"
    server.shutdown()
    thread.join()
    server.server_close()


def test_crawl(site: str, small_model: Path, classifier: Any, tmp_path: Path) -> None:
    addon = {
        "ADDONS": {"consentclf.integrations.scrapy.ConsentAddon": 500},
        "CONSENTCLF_MODEL": str(small_model),
    }
    pipeline = {
        "ITEM_PIPELINES": {"consentclf.integrations.scrapy.ConsentPipeline": 300},
        "CONSENTCLF_MODEL": str(small_model),
    }

    def feed(name: str) -> dict[str, Any]:
        return {"FEEDS": {f"{name}.jsonl": {"format": "jsonlines", "encoding": "utf8"}}}

    crawls = {
        "clean": {**addon, **feed("clean")},
        "pipeline": {**pipeline, **feed("pipeline"), "SHAPE": "list"},
        "annotate": {**addon, **feed("annotate"), "SHAPE": "item", "CONSENTCLF_ACTION": "annotate"},
        "dropping": {**addon, **feed("dropping"), "CONSENTCLF_MIN_CHARS": 100_000},
        "off": {**addon, **feed("off"), "CONSENTCLF_ENABLED": False},
        "nowhere": {**addon, **feed("nowhere"), "CONSENTCLF_FIELDS": ["body"]},
        "bad_field": {**addon, **feed("bad"), "SHAPE": "item", "CONSENTCLF_ACTION": "annotate",
                      "CONSENTCLF_LABELS_FIELD": "labels"},
    }  # fmt: skip
    stats = crawl([site], crawls, tmp_path)

    def read(name: str) -> list[dict[str, Any]]:
        path = tmp_path / f"{name}.jsonl"
        found = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        return sorted(found, key=lambda item: str(item["url"]))

    pages = [[ROWS[label][(i + n) % 12] for label, i in PAGE] for n in range(3)]
    assert [item["text"] for item in read("off")] == ["\n".join(page) for page in pages]
    assert [item["text"] for item in read("clean")] == [classifier.clean("\n".join(page)) for page in pages]
    labelled = classifier.predict_pages(pages)
    kept = [[p.text for p in page if p.label == "article"] for page in labelled]
    assert [item["text"] for item in read("pipeline")] == kept
    for item, page in zip(read("annotate"), pages, strict=True):
        assert item["text"] == "\n".join(page)
        assert [item["text"][p["start"] : p["end"]] for p in item["consentclf"]["text"]] == page
    assert read("dropping") == []

    assert stats["clean"]["consentclf/items"] == 3
    assert stats["pipeline"]["consentclf/paragraphs/article"] == sum(map(len, kept))
    assert stats["pipeline"]["consentclf/characters_kept"] == sum(len(text) for page in kept for text in page)
    assert stats["dropping"]["consentclf/items_dropped"] == 3
    assert stats["dropping"]["item_dropped_count"] == 3
    assert stats["nowhere"]["consentclf/items_without_text"] == 3
    assert not any(key.startswith("consentclf") for key in stats["off"])
    assert "PageItem has no field 'labels' for the labels" in stats["stderr"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("ACTION", "drop", "CONSENTCLF_ACTION must be"), ("MODE", "best", "CONSENTCLF_MODE must be"),
     ("KEEP", ["articles"], "unknown label 'articles'")],
)  # fmt: skip
def test_wrong_settings_are_refused(name: str, value: Any, message: str) -> None:
    from scrapy.utils.test import get_crawler

    from consentclf.integrations.scrapy import ConsentPipeline

    with pytest.raises(ValueError, match=message):
        ConsentPipeline.from_crawler(get_crawler(settings_dict={f"CONSENTCLF_{name}": value}))
