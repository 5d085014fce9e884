"""After an extractor: pages of our own making, whose main text is known."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from conftest import PAGE, ROWS

from consentclf.integrations import html as module
from consentclf.integrations.html import EXTRACTORS, extract, extract_text

pytest.importorskip("trafilatura")
pytest.importorskip("resiliparse")
pytestmark = pytest.mark.filterwarnings("ignore")  # the extractors' own


def make_page(number: int = 0) -> str:
    body = "".join(f"<p>{ROWS[label][(i + number) % 12]}</p>\n" for label, i in PAGE + PAGE)
    return (
        f"<!doctype html><html><head><meta charset=utf-8><title>Page</title></head><body>{body}</body></html>"
    )


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_extract_is_the_extractor_less_what_is_not_article(extractor: str, classifier: Any) -> None:
    page = make_page()
    left = extract_text(page, extractor)
    assert ROWS["article"][0] in left
    cleaned = extract(page, extractor, classifier=classifier)
    assert cleaned == classifier.clean(left)
    assert len(cleaned) < len(left)
    assert extract(
        page, extractor, keep=("article", "banner", "consent", "navigation"), classifier=classifier
    )


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_bytes_are_decoded_as_declared(extractor: str) -> None:
    sentence = "Der Wärter öffnete die Tür, und über Nacht war der Schnee bis an die Häuser gekommen. " * 3
    page = f"<html><head><meta charset='iso-8859-1'></head><body><p>{sentence}</p></body></html>"
    assert "Wärter öffnete die Tür" in extract_text(page.encode("latin-1"), extractor)


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize(
    "page", ["", "<", b"\xff\xfe\x00", "<p>" * 20_000, b"\0" * 1000, "no mark-up at all"]
)
def test_pages_that_are_none(extractor: str, page: str | bytes) -> None:
    try:
        assert isinstance(extract_text(page, extractor), str)
    except ValueError as error:
        assert extractor in str(error)  # noqa: PT017 - either is right


def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError, match="unknown extractor 'magic'; extractors are trafilatura, resiliparse"
    ):
        extract_text("<p>", "magic")
    module._extractor.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "trafilatura", None)
    with pytest.raises(ImportError, match=r'Please install trafilatura .*pip install "consentclf\[html\]"'):
        extract_text("<p>")


def test_filter_takes_html_files(
    run: Callable[..., Result], small_model: Path, classifier: Any, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.html").write_text(make_page(), encoding="utf-8")
    (source / "b.htm.gz").write_bytes(gzip.compress(make_page(1).encode()))
    for extractor in EXTRACTORS:
        out = tmp_path / extractor
        result = run("filter", source, "--out", out, "--model", small_model, "--extractor", extractor)
        assert result.exit_code == 0, result.stderr
        expected = extract(make_page().encode(), extractor, classifier=classifier)
        assert (out / "a.html.txt").read_text("utf-8") == expected
        assert gzip.decompress((out / "b.htm.txt.gz").read_bytes())


def test_filter_takes_warc_responses(
    run: Callable[..., Result], small_model: Path, classifier: Any, tmp_path: Path
) -> None:
    archive = pytest.importorskip("warcio.archiveiterator")
    writing = pytest.importorskip("warcio.warcwriter")
    http = pytest.importorskip("warcio.statusandheaders")
    pytest.importorskip("fastwarc")
    import io

    path = tmp_path / "in.warc.gz"
    pages = {}
    with open(path, "wb") as file:
        writer = writing.WARCWriter(file, gzip=True)
        writer.write_record(writer.create_warcinfo_record("in.warc.gz", {"software": "test"}))
        for number in range(6):
            body, headers = make_page(number).encode(), [("Content-Type", "text/html; charset=utf-8")]
            if number == 3:
                body, headers = (
                    make_page(number).encode("utf-16"),
                    [("Content-Type", "text/html; charset=utf-16")],
                )
            if number == 4:
                body = gzip.compress(body)
                headers.append(("Content-Encoding", "gzip"))
            if number == 5:
                body, headers = b"\x89PNG not a page", [("Content-Type", "image/png")]
            pages[f"http://site.example/{number}"] = number
            head = http.StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
            writer.write_record(
                writer.create_warc_record(
                    f"http://site.example/{number}", "response", payload=io.BytesIO(body), http_headers=head
                )
            )
    result = run("filter", path, "--out", tmp_path / "out", "--model", small_model)
    assert result.exit_code == 0, result.stderr
    assert not (tmp_path / "out" / "rejects.jsonl").exists()
    with open(tmp_path / "out" / "in.warc.gz", "rb") as file:
        found = [(r.rec_type, r.rec_headers.get_header("WARC-Target-URI"), r.content_stream().read())
                 for r in archive.ArchiveIterator(file, check_digests="raise")]  # fmt: skip
    assert [kind for kind, _, _ in found] == ["warcinfo"] + ["conversion"] * 5 + ["response"]
    for _, address, text in found[1:6]:
        assert text.decode() == extract(make_page(pages[address]), classifier=classifier)
    assert found[6][2] == b"\x89PNG not a page"
    result = run("filter", path, "--out", tmp_path / "labels", "--model", small_model, "--annotate")
    assert result.exit_code == 0, result.stderr
    with open(tmp_path / "labels" / "in.warc.gz", "rb") as file:
        kinds = [(r.rec_type, r.content_stream().read()) for r in archive.ArchiveIterator(file)]
    assert [kind for kind, _ in kinds] == ["warcinfo"] + ["response", "conversion", "metadata"] * 5 + [
        "response"
    ]
    assert json.loads(kinds[3][1])["consentclf"]


def test_precision_is_raised_on_known_pages(classifier: Any) -> None:
    """Whatever an extractor leaves, cleaning it takes out more that is wrong than that is right.

    Here with a model that knows the words of these pages. What the shipped model does for pages that it does
    not know is measured by benchmarks/extractors.py.
    """
    rng = random.Random(5)  # noqa: S311 - no secret
    before = after = 0.0
    for _ in range(10):
        picked = [(label, rng.choice(ROWS[label])) for label, _ in PAGE + PAGE]
        gold = {text for label, text in picked if label == "article"}
        left = extract_text("<html><body>" + "".join(f"<p>{t}</p>" for _, t in picked) + "</body></html>")
        lines = [line for line in left.splitlines() if line.strip()]
        kept = [line for line in classifier.clean(left).splitlines() if line.strip()]
        before += sum(line in gold for line in lines) / max(1, len(lines))
        after += sum(line in gold for line in kept) / max(1, len(kept))
    assert after > before
