"""Items without consent notices: ``scrapy runspider examples/scrapy_spider.py -a url=ADDRESS``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy


class PagesSpider(scrapy.Spider):
    """Takes one page and those it links to on the same site."""

    name = "pages"
    custom_settings = {  # noqa: RUF012 - as Scrapy has it
        "ADDONS": {"consentclf.integrations.scrapy.ConsentAddon": 500},
        "FEEDS": {"pages.jsonl": {"format": "jsonlines", "encoding": "utf8"}},
        "CLOSESPIDER_ITEMCOUNT": 20,
    }

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(**options)
        self.url = url

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Begin at the page named."""
        yield scrapy.Request(self.url)

    def parse(self, response: Any) -> Iterator[Any]:
        """One item a page, its text a list of paragraphs."""
        paragraphs = [" ".join(p.css("::text").getall()).strip() for p in response.css("p, li, h1, h2, h3")]
        yield {"url": response.url, "text": [text for text in paragraphs if text]}
        yield from response.follow_all(css="a::attr(href)")
