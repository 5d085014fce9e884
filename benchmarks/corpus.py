"""What is measured on: paragraphs and pages of ``data/``, articles lengthened, repeated and shuffled."""

from __future__ import annotations

import html
import json
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from consentclf.classifier import shipped_data
from consentclf.labels import ARTICLE


@dataclass(frozen=True)
class Page:
    """One page: its paragraphs in order, their labels, and HTML that shows them."""

    paragraphs: list[str]
    labels: list[str]
    html: str


@dataclass(frozen=True)
class Material:
    """Paragraphs with the labels they were written with, and pages."""

    texts: list[str]
    labels: list[str]
    pages: list[Page]


def build(paragraphs: int = 20_000, pages: int = 400, seed: int = 1, data: Path | None = None) -> Material:
    """Build a corpus; the same seed and data give the same.

    Authored articles have short paragraphs. To come nearer to a crawl's, an article's paragraph here is one
    to four authored ones of its language joined. Notices, banners and navigation are as written.
    """
    root = data or shipped_data()
    draw = random.Random(seed)  # noqa: S311 - no secret
    rows: list[tuple[str, str, str]] = []
    articles: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "paragraphs").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows.append((row["label"], row["lang"], row["text"]))
            if row["label"] == ARTICLE:
                articles[row["lang"]].append(row["text"])
    sources = []
    for path in sorted((root / "pages").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            page = json.loads(line)
            if "paragraphs" in page:
                sources.append((page["lang"], page["paragraphs"]))

    def lengthen(label: str, lang: str, text: str) -> str:
        others = articles[lang]
        if label != ARTICLE or not others or len(text) < 60:
            return text
        return " ".join([text, *draw.choices(others, k=draw.randrange(4))])

    chosen = draw.choices(rows, k=paragraphs)
    made = []
    for number in range(pages):
        lang, body = draw.choice(sources)
        labels = [p["label"] for p in body]
        texts = [lengthen(p["label"], lang, p["text"]) for p in body]
        made.append(Page(texts, labels, _html(lang, texts, labels, number, draw)))
    return Material([lengthen(*row) for row in chosen], [row[0] for row in chosen], made)


def _html(lang: str, texts: list[str], labels: list[str], number: int, draw: random.Random) -> str:
    """A page as templates make them: inline styles and scripts, nested boxes, lists of links, a footer."""
    name = f"site{number % 17}"
    styles = "".join(
        f".{name}-c{i}{{margin:0 {i % 9}px;padding:{i % 5}em;display:flex;"
        f"color:#{draw.randrange(1 << 24):06x}}}\n"
        for i in range(120)
    )
    script = "".join(
        f"window.{name}q=window.{name}q||[];"
        f"{name}q.push(['event',{{id:{draw.randrange(10**9)},slot:'s{i}'}}]);\n"
        for i in range(90)
    )
    body: list[str] = []
    links = False
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        shown = html.escape(text)
        if (label == "navigation") != links:
            body.append("</ul></nav>" if links else f'<nav class="{name}-nav"><ul class="menu menu--{i}">')
            links = not links
        if links:
            body.append(
                f'<li class="menu__item {name}-c{i % 120}">'
                f'<a href="https://{name}.example/{i}/{number}?ref=nav" class="menu__link" '
                f'data-track="nav|{i}"><span>{shown}</span></a></li>'
            )
        elif label == ARTICLE:
            tag = "h1" if i and len(text) < 90 and labels[i - 1] != ARTICLE else "p"
            body.append(
                f'<div class="{name}-row"><div class="col-8">'
                f'<{tag} class="article__p">{shown}</{tag}></div></div>'
            )
            if i % 3 == 0:
                body.append(
                    f'<figure><img src="https://cdn.{name}.example/i/{number}-{i}-640.jpg" loading="lazy" '
                    f'srcset="https://cdn.{name}.example/i/{number}-{i}-1280.jpg 2x" alt=""></figure>'
                )
        else:
            body.append(
                f'<div class="{name}-box box--{label}" role="region"><div class="inner"><p>{shown}</p>'
                f'<button type="button" data-action="x{i}"></button></div></div>'
            )
    if links:
        body.append("</ul></nav>")
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8">'
        f"<title>{html.escape(texts[0][:80])}</title>"
        f'<meta property="og:site_name" content="{name}">'
        f'<link rel="canonical" href="https://{name}.example/{number}">'
        f'<style>{styles}</style><script>{script}</script></head><body class="{name}"><div id="root"><main>'
        + "\n".join(body)
        + f"</main><footer><p>© {name}</p></footer></div><script>{script}</script></body></html>"
    )


class Stream:
    """A text of ``size`` characters read piece by piece, made of pages over and over; never held whole."""

    def __init__(self, pages: list[Page], size: int) -> None:
        self.text = "\n\n".join("\n\n".join(page.paragraphs) for page in pages) + "\n\n"
        self.left = size
        self.at = 0

    def read(self, size: int, /) -> str:
        """At most ``size`` characters more."""
        piece = self.text[self.at : self.at + min(size, self.left)]
        self.left -= len(piece)
        self.at = (self.at + len(piece)) % len(self.text)
        return piece
