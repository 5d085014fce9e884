"""datatrove: steps that annotate documents, clean them, and drop those with too little article.

Labels are (label, threshold) pairs, as in datatrove's fastText filter, here for paragraphs. Steps pickle
small: they hold the model's path, and each process loads it when it first needs it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..classifier import MODES, Classifier, Paragraph, join_kept, load
from ..labels import ARTICLE, LABELS
from . import need
from .records import annotation

need("datatrove", "datatrove", "these steps", "datatrove")

from datatrove.pipeline.base import PipelineStep  # noqa: E402 - what to install is said above
from datatrove.pipeline.filters.base_filter import BaseFilter  # noqa: E402

if TYPE_CHECKING:
    from datatrove.data import Document
    from datatrove.pipeline.writers.disk_base import DiskWriter

Pairs = tuple[str, float] | Sequence[tuple[str, float]] | None

#: Documents are labelled in batches of at most this many.
BATCH = 32


class _Labels:
    """What the steps share: the model, and which paragraphs to keep."""

    def __init__(self, keep_labels: Pairs, remove_labels: Pairs, model: str | None, mode: str) -> None:
        if keep_labels and remove_labels:
            raise ValueError("give keep_labels or remove_labels, not both")
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        self.keep_labels = _pairs(keep_labels, "keep_labels")
        self.remove_labels = _pairs(remove_labels, "remove_labels")
        self.model, self.mode = model, mode
        self._classifier: Classifier | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_classifier": None}

    @property
    def classifier(self) -> Classifier:
        """The model, loaded when first asked for."""
        if self._classifier is None:
            self._classifier = load(self.model).with_mode(self.mode)
        return self._classifier

    def keeps(self, paragraph: Paragraph) -> bool:
        """Whether a paragraph stays: by the pairs, or without any if it is article."""
        if self.keep_labels:
            return any(paragraph.scores[label] >= least for label, least in self.keep_labels)
        if self.remove_labels:
            return not any(paragraph.scores[label] >= least for label, least in self.remove_labels)
        return paragraph.label == ARTICLE

    def paragraphs(self, documents: Sequence[Document]) -> list[list[Paragraph]]:
        """The labelled paragraphs of each document; those an annotator left are taken, not made again."""
        known = [_annotated(document) for document in documents]
        texts = [
            document.text for document, paragraphs in zip(documents, known, strict=True) if paragraphs is None
        ]
        made = iter(self.classifier.predict_texts(texts) if texts else [])
        return [next(made) if paragraphs is None else paragraphs for paragraphs in known]


class ConsentAnnotator(PipelineStep):  # type: ignore[misc]
    """Leaves documents as they are and writes the labels of their paragraphs to ``metadata["consentclf"]``.

    model : path of a model file, which every worker must reach; without one, the shipped model.
    """

    type = "✂️ - ANNOTATE"
    name = "🍪 consentclf"

    def __init__(self, model: str | None = None, mode: str = "balanced") -> None:
        super().__init__()
        self.labels = _Labels(None, None, model, mode)

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Annotate the documents."""
        for batch in _batched(data):
            with self.track_time("batch"):
                labelled = self.labels.paragraphs(batch)
            for document, paragraphs in zip(batch, labelled, strict=True):
                document.metadata["consentclf"] = annotation(paragraphs)
                document.metadata["consentclf_of"] = _mark(document.text)
                _count(self, paragraphs)
                yield document


class ConsentCleaner(PipelineStep):  # type: ignore[misc]
    """Takes the paragraphs that are not article out of documents.

    keep_labels : (label, threshold) or a list of them: only paragraphs that reach one of these stay.
    remove_labels : the same: paragraphs that reach one of these go. Give one of the two, or neither to keep
        articles.
    """

    type = "✂️ - FORMAT"
    name = "🍪 consentclf"

    def __init__(
        self,
        keep_labels: Pairs = None,
        remove_labels: Pairs = None,
        model: str | None = None,
        mode: str = "balanced",
    ) -> None:
        super().__init__()
        self.labels = _Labels(keep_labels, remove_labels, model, mode)

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Clean the documents; one may be left empty."""
        for batch in _batched(data):
            with self.track_time("batch"):
                labelled = self.labels.paragraphs(batch)
            for document, paragraphs in zip(batch, labelled, strict=True):
                _count(self, paragraphs)
                _clean(self, self.labels, document, paragraphs)
                self.update_doc_stats(document)
                yield document


class ConsentFilter(BaseFilter):  # type: ignore[misc]
    """Drops documents with too little left, and cleans the others unless told not to.

    min_chars, min_share : characters that must be left, and their share of all that paragraphs have.
    keep_labels, remove_labels : as in :class:`ConsentCleaner`.
    clean : write what is left to the document; what is dropped goes to the exclusion writer as it came.
    """

    name = "🍪 consentclf"

    def __init__(
        self,
        min_chars: int = 200,
        min_share: float = 0.0,
        keep_labels: Pairs = None,
        remove_labels: Pairs = None,
        clean: bool = True,
        model: str | None = None,
        mode: str = "balanced",
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        super().__init__(exclusion_writer, batch_size=BATCH)
        self.labels = _Labels(keep_labels, remove_labels, model, mode)
        self.min_chars, self.min_share, self.clean = min_chars, min_share, clean

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Judge one document."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Judge documents, and clean those that stay."""
        out: list[bool | tuple[bool, str]] = []
        for document, paragraphs in zip(batch, self.labels.paragraphs(batch), strict=True):
            _count(self, paragraphs)
            left = sum(len(p.text) for p in paragraphs if self.labels.keeps(p))
            total = sum(len(p.text) for p in paragraphs)
            if left < self.min_chars:
                out.append((False, "consentclf_too_short"))
            elif left < self.min_share * total:
                out.append((False, "consentclf_low_share"))
            else:
                if self.clean:
                    _clean(self, self.labels, document, paragraphs)
                out.append(True)
        return out


def _pairs(given: Pairs, name: str) -> list[tuple[str, float]]:
    pairs: list[Any] = [given] if given and isinstance(given[0], str) else list(given or ())
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and pair[0] in LABELS):
            raise ValueError(
                f"{name} takes (label, threshold) pairs, labels {', '.join(LABELS)}; got {pair!r}"
            )
    return [(str(label), float(least)) for label, least in pairs]


def _batched(data: Iterable[Document] | None) -> Iterator[list[Document]]:
    batch: list[Document] = []
    for document in data or ():
        batch.append(document)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _mark(text: str) -> int:
    """Tells whether labels were made for this text."""
    return zlib.crc32(text.encode("utf-8", "replace"))


def _annotated(document: Document) -> list[Paragraph] | None:
    rows = document.metadata.get("consentclf")
    if rows is None or document.metadata.get("consentclf_of") != _mark(document.text):
        return None
    text = document.text
    return [
        Paragraph(text[r["start"] : r["end"]], r["start"], r["end"], r["label"], r["score"], r["scores"], "")
        for r in rows
    ]


def _count(step: PipelineStep, paragraphs: Sequence[Paragraph]) -> None:
    for paragraph in paragraphs:
        step.stat_update(f"paragraphs_{paragraph.label}", unit="paragraph")
        step.stat_update(f"chars_{paragraph.label}", value=len(paragraph.text), unit="paragraph")


def _clean(step: PipelineStep, labels: _Labels, document: Document, paragraphs: Sequence[Paragraph]) -> None:
    kept = {id(p) for p in paragraphs if labels.keeps(p)}
    if len(kept) == len(paragraphs):
        return
    step.stat_update("cleaned")
    dropped = sum(len(p.text) for p in paragraphs if id(p) not in kept)
    step.stat_update("chars_dropped", value=dropped, unit="doc")
    marked = [p._replace(label="kept" if id(p) in kept else "dropped") for p in paragraphs]
    document.text = join_kept(document.text, marked, ("kept",))
    for name in ("consentclf", "consentclf_of"):  # offsets of a text that is no more
        document.metadata.pop(name, None)
