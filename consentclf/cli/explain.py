"""``consentclf explain``: which words of each paragraph speak for its label."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence

import click

from .. import text as _text
from ..classifier import MAX_PAGE, MODES, Classifier
from ..errors import DataError
from ..explain import Explanation, Span
from ..files import check_encoding
from ..labels import LABELS
from . import common

#: A paragraph's text is shown to this many characters where a whole page is explained.
_MAX_SHOWN = 700
#: A span is painted when its strongest push is at least this share of the paragraph's strongest.
_PAINTED = 0.2
_STRONG = 0.6
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
#: Short names for the parts of a logit, in the order in which the model adds them.
_PARTS = (
    ("other words", "other words"),
    ("shape", "shape"),
    ("start", "start"),
    ("second look", "second look"),
    ("page", "page around"),
)


@click.command(short_help="Show which words speak for each paragraph's label.")
@click.argument("file", metavar="FILE")
@click.option(
    "--paragraph",
    "-p",
    "wanted",
    multiple=True,
    metavar="N",
    help="Only these, counted from 1: 3, 7-9, 3,7-9.",
)
@click.option("--grep", metavar="TEXT", help="Only paragraphs that contain TEXT, capitals or not.")
@click.option("--label", multiple=True, metavar="LABEL", help="Only paragraphs with this label.")
@click.option(
    "--doubtful", metavar="SCORE", type=click.FloatRange(0, 1), help="Only those that score below SCORE."
)
@click.option("--alone", is_flag=True, help="Judge each paragraph alone, without the page around it.")
@click.option(
    "--top", default=5, show_default=True, type=click.IntRange(1), help="Words shown for and against."
)
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option("--mode", type=click.Choice(MODES), default="balanced", show_default=True)
@common.model_option
@click.option("--encoding", default="utf-8", show_default=True)
def explain(
    file: str,
    wanted: tuple[str, ...],
    grep: str | None,
    label: tuple[str, ...],
    doubtful: float | None,
    alone: bool,
    top: int,
    form: str,
    mode: str,
    model: str | None,
    encoding: str,
) -> None:
    """Show why the paragraphs of FILE got their labels; - is standard input. FILE is one page.

    \b
        consentclf explain page.txt                     every paragraph
        consentclf explain page.txt -p 12 --top 20      one of them, in depth
        consentclf explain page.txt --doubtful 0.8      those the model was least sure of
        echo "Accept all" | consentclf explain - --alone

    Words are coloured by the label they speak for, bold where they weigh most. Below stand the words that
    weigh most for and against the label given, and the sum that makes its logit: the words shown and all
    others, the paragraph's shape (length, punctuation, capitals, links), what the model starts from, a
    second look at the paragraph's own scores, and what the page around it added. The sum is exact.
    """
    check_encoding(encoding)
    labels = common.parse_labels(label, LABELS, "--label")
    numbers = _parse_numbers(wanted)
    classifier = common.open_model(model).with_mode(mode)
    source = common.read_text(file, encoding)
    spans = _text.split(source)
    texts = [source[start:end] for start, end in spans]
    if numbers and max(numbers) > len(texts):
        raise DataError(f"{file}: has {len(texts):,} paragraphs, there is no number {max(numbers):,}")
    shown = 0
    painter = _Painter(top, whole=bool(numbers or grep))
    for i, found in enumerate(_explanations(classifier, texts, alone)):
        if (
            (numbers and i + 1 not in numbers)
            or (grep is not None and grep.casefold() not in found.text.casefold())
            or (labels and found.label not in labels)
            or (doubtful is not None and found.score >= doubtful)
        ):
            continue
        if form == "jsonl":
            start, end = spans[i]
            row = {"file": file, "index": i, "start": start, "end": end, **found.to_dict()}
            line = json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace")
            sys.stdout.buffer.write(line + b"\n")
        else:
            charset = sys.stdout.encoding or "utf-8"
            block = painter.paragraph(i + 1, found)
            sys.stdout.buffer.write(("\n" * (shown > 0) + block).encode(charset, "replace"))
        shown += 1
    sys.stdout.buffer.flush()
    if not shown:
        common.complain(
            f"{file}: no paragraph to show" + (" for these options" if texts else ", it is empty")
        )


def _explanations(classifier: Classifier, texts: list[str], alone: bool) -> Iterator[Explanation]:
    if alone:
        for text in texts:
            yield classifier.explain(text)
        return
    for begin in range(0, len(texts), MAX_PAGE):
        yield from classifier.explain_page(texts[begin : begin + MAX_PAGE])


def _parse_numbers(values: Sequence[str]) -> set[int]:
    out: set[int] = set()
    for value in (part.strip() for given in values for part in given.split(",")):
        match = _NUMBERS.fullmatch(value)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last < 10**7:
            raise click.BadParameter(
                f"{value!r} is neither a number from 1 on nor a range such as 7-9.", param_hint="--paragraph"
            )
        out.update(range(first, last + 1))
    return out


class _Painter:
    """Explanations as blocks of lines, coloured on a terminal."""

    def __init__(self, top: int, whole: bool) -> None:
        self.top = top
        self.limit = None if whole else _MAX_SHOWN
        self.colour = common.colourful()

    def paragraph(self, number: int, found: Explanation) -> str:
        label = found.label
        pros, cons = found.top(label, self.top), found.against(label, self.top)
        changed = "" if found.raw_label == label else f" (not {found.raw_label}, by mode)"
        second = max((k for k in LABELS if k != label), key=lambda k: found.scores[k])
        title = self._style(f"{label} {found.score:.2f}", label, bold=True)
        lines = [f"{number:>4}  {title}{changed}, then {second} {found.scores[second]:.2f}"]
        lines.append("      " + self._text(found))
        for title, shown in ((f"for {label}", pros), ("against", cons)):
            if shown:
                lines.append(
                    f"      {title + ':':<16}" + "  ".join(self._span(span, label) for span in shown)
                )
        parts = found.parts(label, [*pros, *cons])
        words = sum(span.weights[label] for span in [*pros, *cons])
        terms = [f"words shown {words:+.2f}"]
        terms += [f"{name} {parts[key]:+.2f}" for key, name in _PARTS if abs(parts[key]) >= 0.005]
        lines.append(f"      {'logit:':<16}{found.logits[label]:+.2f} = " + ", ".join(terms))
        return "\n".join(lines) + "\n"

    def _text(self, found: Explanation) -> str:
        strongest = max((max(span.weights.values()) for span in found.spans), default=0.0)
        out, at = [], 0
        limit = self.limit or len(found.text)
        for span in found.spans:
            if span.start >= limit:
                break
            out.append(_flat(found.text[at : span.start]))
            push = max(span.weights.values())
            text = _flat(span.text)
            if push >= _PAINTED * strongest > 0:
                text = self._style(text, span.towards, bold=push >= _STRONG * strongest)
            out.append(text)
            at = span.end
        if at < limit:
            out.append(_flat(found.text[at:limit]))
        return "".join(out).strip() + ("…" if limit < len(found.text) else "")

    def _span(self, span: Span, label: str) -> str:
        text = self._style(common.fit(_flat(span.text).strip(), 40, cut=False), span.towards)
        other = f" ({span.towards})" if span.weights[label] < 0 and span.towards != label else ""
        return f"{text} {span.weights[label]:+.2f}{other}"

    def _style(self, text: str, label: str, bold: bool = False) -> str:
        return click.style(text, fg=common.COLOURS[label], bold=bold or None) if self.colour else text


def _flat(text: str) -> str:
    """On one line, and nothing in it that steers the terminal."""
    return common.printable(re.sub(r"\s+", " ", text))
