"""What others use, trained on ``data/`` for their speed alone, and extractors of HTML for the scale."""

from __future__ import annotations

import importlib
import random
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from consentclf.evaluation.baselines import flat, train_fasttext

from .corpus import Material, Page

Say = Callable[[str], None]
Call = Callable[[Sequence[str]], Any]


def library(module: str, package: str, say: Say) -> types.ModuleType | None:
    """Import a module, or say in a line which package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        say(f"{package} left out: Please install {package} to measure it (pip install {package})")
        return None


def classifiers(material: Material, rows: int, say: Say) -> dict[str, Call]:
    """Name -> a call that labels paragraphs, for each library that is installed."""
    draw = random.Random(1)  # noqa: S311 - no secret
    chosen = draw.sample(range(len(material.texts)), min(rows, len(material.texts)))
    texts = [material.texts[i] for i in chosen]
    labels = [material.labels[i] for i in chosen]
    out: dict[str, Call] = {}
    if library("sklearn", "scikit-learn", say):
        out.update(_sklearn(texts, labels))
    fasttext = library("fasttext", "fasttext", say)
    if fasttext:
        out["fastText with subwords"] = _fasttext(fasttext, texts, labels, minn=2, maxn=5)
        out["fastText, words only"] = _fasttext(fasttext, texts, labels, minn=0, maxn=0)
    justext = library("justext", "jusText", say)
    if justext:
        out["jusText, paragraphs alone"] = _justext(justext)
    return out


def _sklearn(texts: list[str], labels: list[str]) -> dict[str, Call]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    makers = {
        "scikit-learn char TF-IDF + LR": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2),
        "scikit-learn hashing + LR": HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), n_features=1 << 18
        ),
    }
    out: dict[str, Call] = {}
    for name, vectorizer in makers.items():
        pipeline = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=10))
        with warnings.catch_warnings():  # ten steps: its accuracy is measured by `consentclf evaluate`
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(texts, labels)
        out[name] = pipeline.predict_proba
    return out


def _fasttext(fasttext: types.ModuleType, texts: list[str], labels: list[str], minn: int, maxn: int) -> Call:
    model = train_fasttext(fasttext, zip(labels, texts, strict=True), minn=minn, maxn=maxn, epoch=3)

    def call(texts: Sequence[str]) -> Any:
        return model.predict([flat(text) for text in texts], k=4)

    return call


def _justext(justext: types.ModuleType) -> Call:
    core = importlib.import_module("justext.core")
    paragraph_class = importlib.import_module("justext.paragraph").Paragraph
    path = types.SimpleNamespace(dom="body.p", xpath="/body/p")
    words = justext.get_stoplist("English")

    def call(texts: Sequence[str]) -> Any:
        paragraphs = []
        for text in texts:
            paragraph = paragraph_class(path)
            paragraph.append_text(text)
            paragraphs.append(paragraph)
        core.classify_paragraphs(paragraphs, words)
        return paragraphs

    return call


def extractors(say: Say) -> dict[str, Callable[[Sequence[Page]], Any]]:
    """Name -> a call that extracts the main text of pages of HTML, for each library that is installed."""
    out: dict[str, Callable[[Sequence[Page]], Any]] = {}
    trafilatura = library("trafilatura", "trafilatura", say)
    if trafilatura:
        extract = trafilatura.extract
        out["trafilatura"] = lambda pages: [extract(page.html) for page in pages]
    html2text = library("resiliparse.extract.html2text", "resiliparse", say)
    if html2text:
        plain = html2text.extract_plain_text
        out["resiliparse"] = lambda pages: [plain(page.html, main_content=True) for page in pages]
    return out
