"""Label the paragraphs of crawled pages: article, consent notice, banner or navigation."""

from __future__ import annotations

import logging
from typing import Any

from .classifier import Classifier, Paragraph, load
from .errors import DataError, ModelError
from .labels import LABELS

__version__ = "0.1.0"
__all__ = ["LABELS", "Classifier", "DataError", "ModelError", "Paragraph", "__version__", "extract", "load"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def extract(html: str | bytes, **options: Any) -> str:
    """The main text of an HTML page: what an extractor leaves, less consent notices, banners and navigation.

    Options are those of :func:`consentclf.integrations.html.extract`; needs the extra ``html``.
    """
    from .integrations.html import extract as run  # an extra: nothing else may pay for it

    return run(html, **options)
