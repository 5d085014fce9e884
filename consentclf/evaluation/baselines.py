"""What others use, run in the same process on the same paragraphs.

None of the four sees the page. The first two know no classes but main text and the rest.
"""

from __future__ import annotations

import importlib
import os
import random
import tempfile
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import ARTICLE, CONSENT, LABELS
from ..training.corpus import Corpus, Row
from .datasets import Dataset
from .measure import Calls
from .metrics import OTHER

_ARTICLE, _CONSENT = LABELS.index(ARTICLE), LABELS.index(CONSENT)

#: Lines with one of these are dropped from C4 (Raffel et al., JMLR 21, 2020, section 2.2); the same six stand
#: in datatrove's c4_filters.py and in tensorflow_datasets' c4_utils.py.
C4_SUBSTRINGS = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)

#: jusText's names of its stop lists by language code. It has none for Chinese, Japanese and Thai.
JUSTEXT_LISTS = {
    "af": "Afrikaans", "ar": "Arabic", "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali",
    "br": "Breton", "bs": "Bosnian", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian",
    "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French", "fy": "West_Frisian", "ga": "Irish",
    "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ka": "Georgian",
    "kk": "Kazakh", "ko": "Korean", "la": "Latin", "lb": "Luxembourgish", "lt": "Lithuanian",
    "lv": "Latvian", "mk": "Macedonian", "mr": "Marathi", "ms": "Malay", "mt": "Maltese",
    "nb": "Norwegian_Bokmal", "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian_Nynorsk",
    "no": "Norwegian_Bokmal", "oc": "Occitan", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
}  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """One baseline, ready to call paragraphs, and what its reader must know."""

    name: str
    call: Callable[[Dataset], Calls]
    notes: list[str] = field(default_factory=list)


def training_rows(corpus: Corpus) -> list[Row]:
    """Every row of a corpus that has one of the four labels, those of its pages included."""
    rows = [*corpus.rows, *(row for page in corpus.pages for row in page.rows)]
    return [row for row in rows if row.label in LABELS]


def build(rows: Sequence[Row], say: Callable[[str], None]) -> list[Baseline]:
    """All baselines whose library is there; ``say`` is told of those left out."""
    out = [Baseline("C4 lines", c4_lines)]
    module = _library("justext", "jusText", "jusText", say)
    if module is not None:
        out.append(_justext(module))
    module = _library("fasttext", "fastText", "fasttext", say)
    if module is not None:
        out.append(_fasttext(module, rows))
    out.append(_char_tfidf(rows))
    return out


def _library(module: str, name: str, package: str, say: Callable[[str], None]) -> types.ModuleType | None:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        why = (
            ""
            if isinstance(error, ModuleNotFoundError) and error.name == module
            else f" [{_one_line(error)}]"
        )
        say(f"baseline {name} left out{why}: Please install {package} to use it (pip install {package})")
        return None


def _one_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def c4_lines(dataset: Dataset) -> Calls:
    """Consent where the paragraph has one of C4's six substrings, article otherwise."""
    lower = [text.lower() for text in dataset.texts]
    hit = np.array([any(s in text for s in C4_SUBSTRINGS) for text in lower], dtype=bool)
    return Calls(np.where(hit, _CONSENT, _ARTICLE).astype(np.int64), labels=(ARTICLE, CONSENT))


def _justext(justext: types.ModuleType) -> Baseline:
    """jusText's context-free classes (Pomikálek 2011) with its default thresholds: good and near-good are
    article.

    The paragraph stands alone, so neither the classes of its neighbours nor links in its mark-up are known.
    """
    core = importlib.import_module("justext.core")
    paragraph_class = importlib.import_module("justext.paragraph").Paragraph
    path = types.SimpleNamespace(dom="body.p", xpath="/body/p")
    lists: dict[str, frozenset[str]] = {}
    notes: list[str] = []

    def stop_words(lang: str) -> frozenset[str]:
        name = JUSTEXT_LISTS.get(lang.lower().partition("-")[0])
        if lang not in lists:
            lists[lang] = frozenset(justext.get_stoplist(name)) if name else frozenset()
        return lists[lang]

    def call(dataset: Dataset) -> Calls:
        called = np.full(len(dataset.texts), OTHER, dtype=np.int64)
        lacking: Counter[str] = Counter()
        for i, (text, lang) in enumerate(zip(dataset.texts, dataset.lang, strict=True)):
            words = stop_words(lang)
            if not words:
                lacking[lang or "und"] += 1
            paragraph = paragraph_class(path)
            paragraph.append_text(text)
            core.classify_paragraphs([paragraph], words)
            if paragraph.cf_class in ("good", "neargood"):
                called[i] = _ARTICLE
        notes[:] = []
        if lacking:
            names = ", ".join(f"{lang} ({n} paragraphs)" for lang, n in lacking.most_common())
            notes.append(f"no stop list for {names}: there nothing is called article")
        return Calls(called, labels=(ARTICLE,))

    return Baseline("jusText", call, notes)


def train_fasttext(fasttext: types.ModuleType, rows: Iterable[tuple[str, str]], **settings: Any) -> Any:
    """A supervised fastText model of (label, text) rows, one thread: repeatable. The rest is fastText's settings."""
    handle, name = tempfile.mkstemp(suffix=".txt")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.writelines(f"__label__{label} {flat(text)}\n" for label, text in rows)
        return fasttext.train_supervised(
            name, wordNgrams=2, dim=50, bucket=400_000, thread=1, seed=1, verbose=0, **settings
        )
    finally:
        Path(name).unlink()


def _fasttext(fasttext: types.ModuleType, rows: Sequence[Row]) -> Baseline:
    """Supervised fastText with subwords of 2 to 5 characters (Joulin et al., EACL 2017)."""
    order = random.Random(1).sample(list(rows), len(rows))  # noqa: S311 - its gradient steps follow the file's order
    model = train_fasttext(
        fasttext, ((row.label, row.text) for row in order), minn=2, maxn=5, lr=0.5, epoch=25
    )
    columns = {f"__label__{label}": i for i, label in enumerate(LABELS)}

    def call(dataset: Dataset) -> Calls:
        scores = np.zeros((len(dataset.texts), len(LABELS)))
        # Below the public `predict`: for one text it asks NumPy 2 for a copy that is refused, and for a list
        # fastText 0.9.3 gives all labels of a text the score of the first.
        for i, text in enumerate(dataset.texts):
            for value, label in model.f.predict(flat(text) + "\n", len(LABELS), 0.0, "replace"):
                scores[i, columns[label]] = value
        # fastText adds 1e-5 to every score, and knows only the labels of its rows.
        if len(scores) and abs(scores.sum(axis=1) - 1).max() > 0.01:
            raise RuntimeError(
                "fastText's scores do not sum to one; this version of the library is not understood"
            )
        return Calls(scores.argmax(axis=1), scores)

    return Baseline("fastText", call)


def flat(text: str) -> str:
    """The text on one line, as fastText reads its rows."""
    return " ".join(text.split())


def _char_tfidf(rows: Sequence[Row]) -> Baseline:
    """scikit-learn as its documentation has it: `char_wb` TF-IDF of 2 to 4 characters and logistic
    regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), min_df=2, sublinear_tf=True, dtype=np.float32
        ),
        LogisticRegression(C=10, max_iter=100, tol=1e-3),
    )
    with warnings.catch_warnings():  # the loss is flat long before the gradient is
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit([row.text for row in rows], [row.label for row in rows])
    columns = [LABELS.index(label) for label in pipeline.classes_]

    def call(dataset: Dataset) -> Calls:
        scores: NDArray[np.float64] = np.zeros((len(dataset.texts), len(LABELS)))
        for begin in range(0, len(dataset.texts), 20_000):  # bounded memory
            part = slice(begin, begin + 20_000)
            scores[part, columns] = pipeline.predict_proba(dataset.texts[part])
        return Calls(scores.argmax(axis=1), scores)

    return Baseline("char TF-IDF", call)
