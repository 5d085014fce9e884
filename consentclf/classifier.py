"""The classifier: paragraphs, pages and texts in, labels and probabilities out."""

from __future__ import annotations

import io
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import model as _model
from . import text as _text
from .errors import ModelError
from .features import check_texts
from .labels import ARTICLE, LABELS

if TYPE_CHECKING:
    from .explain import Explanation

#: Paragraphs of a text that are seen as one page at the most: a bound on memory for texts of very many lines.
MAX_PAGE = 8_000
#: White space between two kept paragraphs that is kept at the most, in characters: another such bound.
MAX_GAP = 1_000_000
#: Modes, by what happens to articles. See :meth:`Classifier.with_mode`.
MODES: tuple[str, ...] = ("precision", "balanced", "recall")


class Paragraph(NamedTuple):
    """One paragraph with its label.

    text, start, end : the paragraph is ``source[start:end]``; without a source both offsets are None.
    label : after thresholds. score : probability of ``label``. scores : probability of every label.
    raw_label : the most probable label, before thresholds.
    """

    text: str
    start: int | None
    end: int | None
    label: str
    score: float
    scores: dict[str, float]
    raw_label: str


@dataclass(frozen=True)
class Classifier:
    """Labels paragraphs with an immutable model; safe to share between threads.

    Pickles as the model's path and digest, so that worker processes load it themselves.
    """

    model: _model.Model
    path: str | None = None
    mode: str = "balanced"
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        for label, value in self.thresholds.items():
            if label not in LABELS:
                raise ValueError(f"threshold for unknown label {label!r}; labels are {', '.join(LABELS)}")
            if not 0 <= value <= 1:
                raise ValueError(f"threshold for {label} must be between 0 and 1, got {value}")

    @property
    def classes_(self) -> list[str]:
        """The labels in column order: article, banner, consent, navigation."""
        return list(LABELS)

    def with_mode(self, mode: str = "balanced", thresholds: Mapping[str, float] | None = None) -> Classifier:
        """The same model under another mode or thresholds.

        mode : ``balanced`` takes the most probable label; ``recall`` loses few articles: another label needs
            a high probability, below it the paragraph stays article; ``precision`` keeps only what is surely
            article. The probabilities asked for are in the model.
        thresholds : label -> least probability for that label, over the mode's own. A paragraph below it
            becomes article, or, when it was article, its next best label.
        """
        return Classifier(self.model, self.path, mode, dict(thresholds or {}))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            raise TypeError("a Classifier made in memory does not pickle; save its model and load the file")
        return _reload, (self.path, self.model.digest, self.mode, dict(self.thresholds))

    # -- each text alone -------------------------------------------------------------------------------

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of each text alone, float64 of shape (n, 4), columns as in :attr:`classes_`."""
        logits, _, _ = self.model.first_stage(check_texts(texts))
        return self.model.probabilities(logits, "paragraph")

    def predict(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """Labels of each text alone, an array of str of shape (n,)."""
        chosen, _ = self._decide(self.predict_proba(texts))
        return np.array(LABELS)[chosen]

    # -- with the page ---------------------------------------------------------------------------------

    def predict_pages(self, pages: Sequence[Sequence[str]]) -> list[list[Paragraph]]:
        """Label many pages at once, each a sequence of paragraphs in page order; faster than one by one."""
        checked = [check_texts(page) for page in pages]
        probabilities = self.model.probabilities(self.model.page_stage(checked), "page")
        out = []
        begin = 0
        for page in checked:
            end = begin + len(page)
            out.append(self._paragraphs(page, [(None, None)] * len(page), probabilities[begin:end]))
            begin = end
        return out

    def predict_page(self, paragraphs: Sequence[str]) -> list[Paragraph]:
        """Label the paragraphs of one page, in page order, each seen with its neighbours.

        There is no source text, so ``start`` and ``end`` are None.
        """
        return self.predict_pages([paragraphs])[0]

    def predict_text(self, text: str) -> list[Paragraph]:
        """Cut a page's text or Markdown into paragraphs and label them; ``text[p.start:p.end] == p.text``."""
        if not isinstance(text, str):
            raise TypeError(f"expected str, got {type(text).__name__}")
        return list(self.predict_stream(io.StringIO(text, newline="")))

    def predict_stream(self, source: _text.Readable) -> Iterator[Paragraph]:
        """Label a text read piece by piece, in sections of about a million characters, in bounded memory."""
        for offset, section in _text.sections(source):
            yield from self._section(offset, section)

    def _section(self, offset: int, section: str) -> Iterator[Paragraph]:
        """Label a section that begins at ``offset``, as pages of at most ``MAX_PAGE`` paragraphs."""
        spans = _text.split(section)
        for begin in range(0, len(spans), MAX_PAGE):
            page = spans[begin : begin + MAX_PAGE]
            texts = [section[start:end] for start, end in page]
            probabilities = self.model.probabilities(self.model.page_stage([texts]), "page")
            yield from self._paragraphs(texts, [(s + offset, e + offset) for s, e in page], probabilities)

    def predict_texts(self, texts: Sequence[str]) -> list[list[Paragraph]]:
        """Label many texts at once, each as :meth:`predict_text` does; faster than one by one."""
        out: list[list[Paragraph]] = [[] for _ in texts]
        batch: list[tuple[int, list[tuple[int, int]], list[str]]] = []
        size = 0
        for i, text in enumerate(check_texts(texts)):
            if len(text) >= _text.SECTION_CHARS:
                out[i] = self.predict_text(text)
                continue
            spans = _text.split(text)
            if len(spans) > MAX_PAGE:
                out[i] = list(self._section(0, text))
                continue
            batch.append((i, spans, [text[start:end] for start, end in spans]))
            size += len(text)
            if size >= _text.SECTION_CHARS:
                self._label_batch(batch, out)
                batch, size = [], 0
        self._label_batch(batch, out)
        return out

    def _label_batch(
        self, batch: list[tuple[int, list[tuple[int, int]], list[str]]], out: list[list[Paragraph]]
    ) -> None:
        probabilities = self.model.probabilities(
            self.model.page_stage([page for _, _, page in batch]), "page"
        )
        begin = 0
        for i, spans, page in batch:
            out[i] = self._paragraphs(page, spans, probabilities[begin : begin + len(page)])
            begin += len(page)

    def clean_stream(self, source: _text.Readable, keep: Iterable[str] = (ARTICLE,)) -> Iterator[str]:
        """Yield what :meth:`clean` returns piece by piece, from a text read piece by piece."""
        joiner = _Joiner(check_keep(keep))
        for offset, section in _text.sections(source):
            yield from joiner.pieces(section, offset, self._section(offset, section))

    def clean(self, text: str, keep: Iterable[str] = (ARTICLE,)) -> str:
        """Return the paragraphs whose label is in ``keep``, unchanged, with the white space between them.

        Where paragraphs were dropped in between the widest of the gaps stays: most line ends, then longest.
        """
        return join_kept(text, self.predict_text(text), check_keep(keep))

    # -- reasons ---------------------------------------------------------------------------------------

    def explain(self, text: str) -> Explanation:
        """Why a paragraph, judged alone, gets its label: weights of its words that add up to the logit."""
        return self._explain(check_texts([text]), self.predict_proba([text]), page=False)[0]

    def explain_page(self, paragraphs: Sequence[str]) -> list[Explanation]:
        """Why each paragraph of a page gets its label, and what the page around it added."""
        page = check_texts(paragraphs)
        if not page:
            return []
        return self._explain(page, self.model.probabilities(self.model.page_stage([page]), "page"), page=True)

    def _explain(self, texts: list[str], p: NDArray[np.float64], page: bool) -> list[Explanation]:
        from . import explain as _explain  # kept out of prediction's way

        chosen, raw = self._decide(p)
        decided = [
            _explain.Decided(LABELS[k], LABELS[r], dict(zip(LABELS, row, strict=True)))
            for k, r, row in zip(chosen.tolist(), raw.tolist(), p.tolist(), strict=True)
        ]
        return _explain.explain(self.model, texts, decided, page)

    # -- decisions -------------------------------------------------------------------------------------

    def _decide(self, p: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Column of the label after thresholds, and of the raw label."""
        raw = p.argmax(axis=1)
        asked = {**self.model.thresholds.get(self.mode, {}), **self.thresholds}
        if not asked or not len(p):
            return raw, raw
        floor = np.array([asked.get(label, 0.0) for label in LABELS])
        short = p[np.arange(len(p)), raw] < floor[raw]
        if not short.any():
            return raw, raw
        others = p.copy()
        others[:, 0] = -1
        second = np.where(raw == 0, others.argmax(axis=1), 0)
        return np.where(short, second, raw), raw

    def _paragraphs(
        self, texts: list[str], spans: Sequence[tuple[int | None, int | None]], p: NDArray[np.float64]
    ) -> list[Paragraph]:
        chosen, raw = self._decide(p)
        # Written out and past the constructor's own function: objects are half of the time of predict_pages.
        make = tuple.__new__
        article, banner, consent, navigation = LABELS
        return [
            make(
                Paragraph,
                (
                    text,
                    start,
                    end,
                    LABELS[k],
                    row[k],
                    {article: row[0], banner: row[1], consent: row[2], navigation: row[3]},
                    LABELS[r],
                ),
            )
            for text, (start, end), k, r, row in zip(
                texts, spans, chosen.tolist(), raw.tolist(), p.tolist(), strict=True
            )
        ]


class _Joiner:
    """Joins kept paragraphs with the widest white space that stood between them."""

    def __init__(self, keep: Container[str]) -> None:
        self.keep = keep
        self.begun = False
        self.gap = ""  # widest since the last kept paragraph
        self.open = ""  # since the last paragraph, from the section before

    def pieces(self, section: str, offset: int, paragraphs: Iterable[Paragraph]) -> Iterator[str]:
        """Yield what to keep of a section that begins at ``offset``."""
        end = 0
        for paragraph in paragraphs:
            start = (paragraph.start or 0) - offset
            between = (self.open + section[end : min(start, end + MAX_GAP)])[:MAX_GAP]
            self.gap = max(self.gap, between, key=lambda g: (g.count("\n"), len(g)))
            self.open = ""
            end = (paragraph.end or 0) - offset
            if paragraph.label in self.keep:
                if self.begun:
                    yield self.gap
                yield paragraph.text
                self.begun = True
                self.gap = ""
        self.open = (self.open + section[end : end + MAX_GAP])[:MAX_GAP]


def join_kept(text: str, paragraphs: Iterable[Paragraph], keep: Container[str]) -> str:
    """The paragraphs of ``text`` whose label is in ``keep``, with the white space that parted them."""
    return "".join(_Joiner(keep).pieces(text, 0, paragraphs))


def check_keep(keep: Iterable[str]) -> frozenset[str]:
    """The labels to keep as a set; raises ValueError for one that does not exist."""
    wanted = frozenset([keep] if isinstance(keep, str) else keep)
    unknown = wanted.difference(LABELS)
    if unknown:
        raise ValueError(f"unknown label {sorted(unknown)[0]!r} in keep; labels are {', '.join(LABELS)}")
    return wanted


def shipped_model() -> Path:
    """Where the shipped model file is: inside the installed package, or in the source tree beside it."""
    package = Path(__file__).parent
    inside = package / "shipped" / "consentclf.safetensors"
    return inside if inside.exists() else package.parent / "models" / "consentclf.safetensors"


def shipped_data() -> Path:
    """Where the project's own training data is: in the installed package, or in the source tree beside it."""
    package = Path(__file__).parent
    inside = package / "shipped" / "data"
    return inside if inside.exists() else package.parent / "data"


def load(path: str | os.PathLike[str] | None = None) -> Classifier:
    """Load the shipped model, or a model file.

    Raises
    ------
    ModelError
        The file is foreign, damaged or of another format.
    OSError
        The file cannot be read.
    """
    file = Path(path) if path is not None else shipped_model()
    return Classifier(_model.load(file), str(file.resolve()))


def _reload(path: str, digest: str, mode: str, thresholds: dict[str, float]) -> Classifier:
    classifier = load(path)
    if classifier.model.digest != digest:
        raise ModelError(f"{path}: another model stands here than the one pickled; load it anew")
    return classifier.with_mode(mode, thresholds)
