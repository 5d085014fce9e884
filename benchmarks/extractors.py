"""What consentclf does for an extractor: precision and recall of words, before and after.

``python benchmarks/extractors.py [--mode recall] [PAGES.jsonl.gz …]``. The pages are labelled paragraphs, one
page a line as in data/pages; each is written as HTML anew, as their own mark-up is not at hand, in two ways:

- ``plain``: every paragraph a <p> in one <div>, so that an extractor has only the text to go by;
- ``marked``: what is not article in <nav>, <aside>, <footer> or a <div> for the cookie notice, as a tidy site
  does it.

Gold are the words of the paragraphs labelled article; ``unsure`` and ``ambiguous`` ones are left out of the
page. Without arguments it measures ../shared/eval/gold_pages.jsonl.gz, real pages the model did not train on.
"""

from __future__ import annotations

import gzip
import html
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from consentclf import load  # noqa: E402
from consentclf.classifier import MODES  # noqa: E402
from consentclf.integrations.html import EXTRACTORS, extract_text  # noqa: E402

_TAGS = {
    "article": ("<article>", "</article>"),
    "navigation": ("<nav>", "</nav>"),
    "banner": ('<aside class="promo">', "</aside>"),
    "consent": ('<div id="cookie-banner" class="cookie-consent">', "</div>"),
    "other": ('<div class="related">', "</div>"),
}


def read(paths: tuple[str, ...]) -> Iterator[list[tuple[str, str]]]:
    """Pages as (text, label) pairs."""
    for path in paths:
        data = Path(path).read_bytes()
        for line in (gzip.decompress(data) if path.endswith(".gz") else data).splitlines():
            rows = [(p["text"], p["label"]) for p in json.loads(line)["paragraphs"]]
            yield [(text, label) for text, label in rows if label not in ("unsure", "ambiguous")]


def write(page: list[tuple[str, str]], marked: bool) -> str:
    """A page as HTML."""
    out = ["<!doctype html><html><head><meta charset=utf-8><title>Page</title></head><body><div>"]
    for label, rows in groupby(page, key=lambda row: row[1]):
        opening, closing = _TAGS[label] if marked else ("", "")
        out += [opening, *(f"<p>{html.escape(text)}</p>\n" for text, _ in rows), closing]
    return "".join([*out, "</div></body></html>"])


def words(text: str) -> Counter[str]:
    """Words with their number; each ideograph is one."""
    return Counter(re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|\w+", text.lower()))


@click.command()
@click.option("--mode", type=click.Choice(MODES), default="recall", show_default=True)
@click.argument("pages", nargs=-1, type=click.Path(exists=True))
def main(mode: str, pages: tuple[str, ...]) -> None:
    """Measure each extractor on each way of writing the pages."""
    logging.disable(logging.CRITICAL)
    classifier = load().with_mode(mode)
    found = [page for page in read(pages or (str(ROOT.parent / "shared" / "eval" / "gold_pages.jsonl.gz"),))
             if any(label == "article" for _, label in page)]  # fmt: skip
    click.echo(f"{len(found)} pages; words of the main text: precision, recall, F1 (micro)")
    click.echo(f"{'mark-up':8} {'extractor':12} {'':14} {'P':>6} {'R':>6} {'F1':>6}")
    for marked in (False, True):
        for extractor in EXTRACTORS:
            totals = {"extractor": Counter[str](), "and consentclf": Counter[str]()}
            for page in found:
                gold = words("\n".join(text for text, label in page if label == "article"))
                left = extract_text(write(page, marked), extractor)
                for name, text in (("extractor", left), ("and consentclf", classifier.clean(left))):
                    have = words(text)
                    right = (gold & have).total()
                    totals[name].update(right=right, have=have.total(), gold=gold.total())
            for name, total in totals.items():
                precision = total["right"] / max(1, total["have"])
                recall = total["right"] / max(1, total["gold"])
                f1 = 2 * precision * recall / max(1e-9, precision + recall)
                kind = "marked" if marked else "plain"
                click.echo(f"{kind:8} {extractor:12} {name:14} {precision:6.3f} {recall:6.3f} {f1:6.3f}")


if __name__ == "__main__":
    main()
