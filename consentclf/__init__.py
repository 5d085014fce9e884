"""Label the paragraphs of crawled pages: article, consent notice, banner or navigation."""

from __future__ import annotations

import logging

from .classifier import Classifier, Paragraph, load
from .errors import DataError, ModelError
from .labels import LABELS

__version__ = "0.1.0"
__all__ = ["LABELS", "Classifier", "DataError", "ModelError", "Paragraph", "__version__", "load"]

logging.getLogger(__name__).addHandler(logging.NullHandler())
