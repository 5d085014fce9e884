"""After an extractor: HTML to main text, less the consent notices, banners and navigation left in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from ..classifier import Classifier, load
from ..labels import ARTICLE
from . import need

#: What can do the extraction.
EXTRACTORS = ("trafilatura", "resiliparse")


def extract_text(html: str | bytes, extractor: str = "trafilatura") -> str:
    """The main text of a page as the extractor sees it, a paragraph a line; empty where it finds none.

    Bytes are decoded as the extractor does it, by what the page declares or else by guessing.

    Raises
    ------
    ImportError
        The extractor is not installed.
    ValueError
        The extractor failed on this page, or its name is not one of ``EXTRACTORS``.
    """
    run = _extractor(extractor)
    try:
        return run(html)
    except (RecursionError, MemoryError):
        raise
    except Exception as error:  # parsers of foreign HTML raise whatever they like
        raise ValueError(f"{extractor} failed on this page ({type(error).__name__}: {error})") from error


def extract(
    html: str | bytes,
    extractor: str = "trafilatura",
    *,
    keep: Iterable[str] = (ARTICLE,),
    classifier: Classifier | None = None,
) -> str:
    """The main text of a page: the extractor's, less what is consent notice, banner or navigation.

    Parameters
    ----------
    html : the page; bytes are decoded as the extractor does it.
    extractor : ``trafilatura`` or ``resiliparse`` (extra ``html``).
    keep : labels to keep.
    classifier : without one, the shipped model in mode ``recall``: an extractor has taken out most of what is
        not article already, and what it left goes only where the model is sure.
    """
    return (classifier or _shipped()).clean(extract_text(html, extractor), keep)


@lru_cache(maxsize=1)
def _shipped() -> Classifier:
    return load().with_mode("recall")


@lru_cache
def _extractor(name: str) -> Callable[[str | bytes], str]:
    if name == "trafilatura":
        trafilatura = need("trafilatura", "trafilatura", "this extractor", "html")

        def run(html: str | bytes) -> str:
            # No comments: they are article to consentclf, but extractors are measured on the main text.
            return trafilatura.extract(html, include_comments=False) or ""

        return run
    if name == "resiliparse":
        html2text = need("resiliparse.extract.html2text", "resiliparse", "this extractor", "html")
        encoding = need("resiliparse.parse.encoding", "resiliparse", "this extractor", "html")

        def run_resiliparse(html: str | bytes) -> str:
            if isinstance(html, bytes):
                html = encoding.bytes_to_str(html, encoding.detect_encoding(html, from_html_meta=True))
            return html2text.extract_plain_text(html, main_content=True) or ""

        return run_resiliparse
    raise ValueError(f"unknown extractor {name!r}; extractors are {', '.join(EXTRACTORS)}")
