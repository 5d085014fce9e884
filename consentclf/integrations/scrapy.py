"""Scrapy: an item pipeline that cleans or annotates items, and an add-on that puts it in place.

Settings: ``CONSENTCLF_FIELDS`` (names of fields, ``["text"]``; each a text or a list of paragraphs),
``CONSENTCLF_ACTION`` (``clean``, or ``annotate`` to leave the text and add the labels),
``CONSENTCLF_LABELS_FIELD`` (``consentclf``), ``CONSENTCLF_KEEP`` (``["article"]``),
``CONSENTCLF_MIN_CHARS`` (0; an item with less article text is dropped), ``CONSENTCLF_MODE``,
``CONSENTCLF_MODEL``, ``CONSENTCLF_PRIORITY`` (300, the add-on's place among the pipelines),
``CONSENTCLF_ENABLED``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..classifier import MODES, Classifier, Paragraph, check_keep, join_kept, load
from ..labels import ARTICLE
from . import need
from .records import annotation

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

need("scrapy", "scrapy", "ConsentPipeline", "scrapy")

from itemadapter import ItemAdapter  # noqa: E402 - scrapy brings these, and what to install is said above
from scrapy.exceptions import DropItem, NotConfigured  # noqa: E402
from scrapy.utils.defer import maybe_deferred_to_future  # noqa: E402
from twisted.internet.threads import deferToThread  # noqa: E402

_ACTIONS = ("clean", "annotate")


class ConsentAddon:
    """Puts :class:`ConsentPipeline` among the pipelines: ``ADDONS = {ConsentAddon: 500}``."""

    def update_settings(self, settings: BaseSettings) -> None:
        """Add the pipeline, unless the project has it already."""
        if not settings.getbool("CONSENTCLF_ENABLED", True):
            raise NotConfigured("CONSENTCLF_ENABLED is off")
        priority = settings.getint("CONSENTCLF_PRIORITY", 300)
        settings.setdefault_in_component_priority_dict("ITEM_PIPELINES", ConsentPipeline, priority)


class ConsentPipeline:
    """Labels the text of every item, in a thread, so that the reactor goes on meanwhile."""

    def __init__(self, crawler: Crawler) -> None:
        settings = crawler.settings
        if not settings.getbool("CONSENTCLF_ENABLED", True):
            raise NotConfigured("CONSENTCLF_ENABLED is off")
        self.stats: Any = crawler.stats
        self.fields = settings.getlist("CONSENTCLF_FIELDS", ["text"])
        self.action = settings.get("CONSENTCLF_ACTION", "clean")
        self.labels_field = settings.get("CONSENTCLF_LABELS_FIELD", "consentclf")
        self.keep = check_keep(settings.getlist("CONSENTCLF_KEEP", [ARTICLE]))
        self.min_chars = settings.getint("CONSENTCLF_MIN_CHARS", 0)
        mode = settings.get("CONSENTCLF_MODE", "balanced")
        if self.action not in _ACTIONS:
            raise ValueError(f"CONSENTCLF_ACTION must be one of {', '.join(_ACTIONS)}, got {self.action!r}")
        if mode not in MODES:
            raise ValueError(f"CONSENTCLF_MODE must be one of {', '.join(MODES)}, got {mode!r}")
        self.classifier: Classifier = load(settings.get("CONSENTCLF_MODEL")).with_mode(mode)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> ConsentPipeline:
        """Make the pipeline of a crawler."""
        return cls(crawler)

    async def process_item(self, item: Any, spider: Any = None) -> Any:
        """Clean or annotate an item; raises DropItem where too little article is left."""
        adapter = ItemAdapter(item)
        article = 0
        found = {}
        for name in self.fields:
            value = adapter.get(name)
            if not value:
                continue
            if not isinstance(value, str) and not _is_paragraphs(value):
                self.stats.inc_value("consentclf/fields_of_wrong_type")
                continue
            start = time.monotonic()
            paragraphs = await maybe_deferred_to_future(deferToThread(self._label, value))
            self.stats.inc_value("consentclf/seconds", time.monotonic() - start)
            self._count(paragraphs)
            article += sum(len(p.text) for p in paragraphs if p.label == ARTICLE)
            found[name] = paragraphs
            if self.action == "clean":
                adapter[name] = self._clean(value, paragraphs)
        self.stats.inc_value("consentclf/items" if found else "consentclf/items_without_text")
        if found and self.action == "annotate":
            labels = {name: annotation(paragraphs) for name, paragraphs in found.items()}
            try:
                adapter[self.labels_field] = labels
            except KeyError:
                raise KeyError(
                    f"{type(item).__name__} has no field {self.labels_field!r} for the labels: add it, or "
                    "name another in CONSENTCLF_LABELS_FIELD"
                ) from None
        if found and article < self.min_chars:
            self.stats.inc_value("consentclf/items_dropped")
            raise DropItem(f"consentclf: {article} characters of article, fewer than {self.min_chars}")
        return item

    def _label(self, value: str | Sequence[str]) -> list[Paragraph]:
        if isinstance(value, str):
            return self.classifier.predict_text(value)
        return self.classifier.predict_page(value)

    def _clean(self, value: str | Sequence[str], paragraphs: list[Paragraph]) -> str | list[str]:
        if isinstance(value, str):
            return join_kept(value, paragraphs, self.keep)
        return [p.text for p in paragraphs if p.label in self.keep]

    def _count(self, paragraphs: list[Paragraph]) -> None:
        for p in paragraphs:
            self.stats.inc_value(f"consentclf/paragraphs/{p.label}")
            fate = "kept" if self.action == "annotate" or p.label in self.keep else "dropped"
            self.stats.inc_value(f"consentclf/characters_{fate}", len(p.text))


def _is_paragraphs(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value)
