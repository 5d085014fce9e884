"""``consentclf label``: correct a model's labels in the terminal, and make training rows of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .. import text as _text
from ..classifier import MAX_PAGE, Classifier, Paragraph
from ..errors import DataError
from ..files import check_encoding, check_writable, unreadable, write_atomic
from ..labels import ARTICLE, BANNER, CONSENT, LABELS, NAVIGATION
from . import common

KEYS = {"a": ARTICLE, "b": BANNER, "c": CONSENT, "n": NAVIGATION}
#: Paragraphs shown on either side of the one in question, and characters of each and of it.
_AROUND, _AROUND_CHARS, _CHARS = 2, 100, 1500
_ENTER = ("\r", "\n")


@click.command(short_help="Correct labels in the terminal: training rows in minutes.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--out", "-o", default="my_rows.jsonl", show_default=True, metavar="ROWS", help="Where rows go."
)
@click.option(
    "--compare", metavar="MODEL", help="Label nothing: compare this model with --model on the rows in FILEs."
)
@common.model_option
@click.option(
    "--lang", default="", metavar="CODE", help="Language of the pages, such as fr, written to the rows."
)
@click.option("--encoding", default="utf-8", show_default=True)
def label(
    files: tuple[str, ...], out: str, compare: str | None, model: str | None, lang: str, encoding: str
) -> None:
    """Correct how the paragraphs of FILEs are labelled, the least sure ones first. A file is one page.

    \b
        consentclf label page1.txt page2.txt            a, b, c or n for each paragraph, q to end
        consentclf train --with-shipped my_rows.jsonl --out mine.safetensors
        consentclf label --compare mine.safetensors my_rows.jsonl
        consentclf predict --model mine.safetensors page3.txt

    One key a paragraph: a article, b banner, c consent, n navigation, Enter if the label proposed is right,
    s to skip it, u to take the last answer back, q to end.

    Every answer is written at once to ROWS as a line of JSON; the file is replaced whole, so it is never half
    written. Rows that stand there already are kept, and their texts are not asked again.
    """
    classifier = common.open_model(model)
    if compare is not None:
        _compare(classifier, common.open_model(compare), files)
        return
    check_encoding(encoding)
    if "-" in files:
        raise click.UsageError("standard input is where your answers come from; name the pages as files.")
    check_writable(out)
    rows = Rows(out)
    questions = _questions(classifier, files, encoding, rows.texts())
    if not questions:
        click.echo("Nothing to ask: every paragraph of these pages has its row.")
        return
    click.echo(_keys())
    answered = _ask(questions, rows, lang)
    click.echo(f"\n{out}: {answered} rows more, {len(rows.lines)} in all.")
    if answered:
        click.echo(f"Next: consentclf train --with-shipped {out} --out mine.safetensors")


# -- the rows -----------------------------------------------------------------------------------------------


class Rows:
    """The file of rows. After every change the old file or the whole new one stands there."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: list[str] = self._read()

    def _read(self) -> list[str]:
        try:
            text = Path(self.path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: not UTF-8 ({error.reason}); name another file by --out") from None
        except OSError as error:
            raise unreadable(self.path, error) from None
        lines = [line for line in text.split("\n") if line.strip()]
        for number, line in enumerate(lines, 1):
            if not isinstance(_row(line), dict):
                raise DataError(
                    f"{self.path}:{number}: no row of JSON; repair it, or name another file by --out"
                )
        return lines

    def texts(self) -> set[str]:
        """Texts that have a row, pages' paragraphs included."""
        out: set[str] = set()
        for line in self.lines:
            row = _row(line)
            for item in row.get("paragraphs", [row]) if isinstance(row, dict) else []:
                if isinstance(item, dict) and isinstance(item.get("text"), str):
                    out.add(item["text"])
        return out

    def append(self, row: dict[str, str]) -> None:
        """Add a row and write the file."""
        # Lone surrogates, of bytes that did not decode, are not UTF-8; as escapes they are JSON.
        line = json.dumps(row, ensure_ascii=False)
        line = line if _encodes(line) else json.dumps(row)
        self._replace([*self.lines, line])

    def pop(self) -> None:
        """Take the last row back and write the file."""
        self._replace(self.lines[:-1])

    def _replace(self, lines: list[str]) -> None:
        if self._read() != self.lines:
            raise DataError(f"{self.path}: something else has written to it meanwhile; start again to go on")
        write_atomic(self.path, "".join(line + "\n" for line in lines).encode())
        self.lines = lines


def _row(line: str) -> object:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(line)
    return None


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# -- asking -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A paragraph to ask about, and the page it stands on."""

    file: str
    index: int
    page: list[Paragraph]

    @property
    def paragraph(self) -> Paragraph:
        """The paragraph itself."""
        return self.page[self.index]


def _questions(
    classifier: Classifier, files: Sequence[str], encoding: str, known: set[str]
) -> list[Question]:
    """Paragraphs without a row, each text once, the least sure first."""
    found = []
    for name in files:
        source = common.read_text(name, encoding)
        texts = [source[start:end] for start, end in _text.split(source)]
        for begin in range(0, len(texts), MAX_PAGE):
            page = classifier.predict_page(texts[begin : begin + MAX_PAGE])
            found += [Question(name, i, page) for i in range(len(page))]
    out = []
    for question in sorted(found, key=lambda q: q.paragraph.score):
        if question.paragraph.text not in known:
            known.add(question.paragraph.text)
            out.append(question)
    return out


def _ask(questions: Sequence[Question], rows: Rows, lang: str) -> int:
    """Ask until the end or ``q``; returns how many rows were added."""
    at = 0
    answers: list[tuple[int, bool]] = []  # question, and whether a row was written
    with contextlib.suppress(EOFError, KeyboardInterrupt, click.Abort):  # what is answered is written
        while at < len(questions):
            question = questions[at]
            click.echo("\n".join(_show(question, at, len(questions))))
            key = _key()
            if key == "q":
                break
            if key == "u":
                if not answers:
                    click.echo("  nothing to take back")
                    continue
                at, written = answers.pop()
                if written:
                    rows.pop()
                click.echo("  taken back")
                continue
            answer = question.paragraph.label if key in _ENTER else KEYS.get(key, "")
            if answer:
                row = {"text": question.paragraph.text, "label": answer, "source": Path(question.file).name}
                rows.append({**row, "lang": lang} if lang else row)
                click.echo(f"  {_style(answer, answer)}")
            answers.append((at, bool(answer)))
            at += 1
    return sum(written for _, written in answers)


def _key() -> str:
    """The next key that means something."""
    while True:
        key = click.getchar()
        if key in ("", "\x03", "\x04"):
            raise EOFError
        key = key.lower()
        if key in KEYS or key in ("s", "u", "q", *_ENTER):
            return key
        click.echo(_keys())


def _show(question: Question, at: int, count: int) -> Iterator[str]:
    p = question.paragraph
    yield ""
    yield _faint(f"{at + 1} of {count}, {common.printable(question.file)}, paragraph {question.index + 1}")
    first = max(0, question.index - _AROUND)
    for near in question.page[first : question.index]:
        yield _faint("    " + _short(near.text, _AROUND_CHARS))
    text = _short(p.text, _CHARS)
    yield "  > " + (click.style(text, bold=True) if common.colourful() else text)
    for near in question.page[question.index + 1 : question.index + 1 + _AROUND]:
        yield _faint("    " + _short(near.text, _AROUND_CHARS))
    second = max((k for k in LABELS if k != p.label), key=lambda k: p.scores[k])
    yield f"  {_style(p.label, p.label)} {p.score:.2f}, {_style(second, second)} {p.scores[second]:.2f}?"


def _short(text: str, limit: int) -> str:
    flat = common.printable(" ".join(text[: 2 * limit].split()))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _keys() -> str:
    names = [f"{key} {_style(name, name)}" for key, name in KEYS.items()]
    return "  ".join([*names, "Enter as proposed", "s skip", "u undo", "q quit"])


def _style(text: str, name: str) -> str:
    return click.style(text, fg=common.COLOURS[name]) if common.colourful() else text


def _faint(text: str) -> str:
    return click.style(text, dim=True) if common.colourful() else text


# -- before and after ---------------------------------------------------------------------------------------


def _compare(before: Classifier, after: Classifier, files: Sequence[str]) -> None:
    from ..training import corpus

    read = corpus.read(files)
    groups: dict[str, list[tuple[bool, bool]]] = {name: [] for name in LABELS}
    pages = [[row] for row in read.rows] + [page.rows for page in read.pages]
    single = len(read.rows)
    texts = [row.text for row in read.rows]
    guesses = [
        list(zip(before.predict(texts).tolist(), after.predict(texts).tolist(), strict=True))
        if texts
        else [],
        [
            (old.label, new.label)
            for page in pages[single:]
            for old, new in zip(
                before.predict_page([row.text for row in page]),
                after.predict_page([row.text for row in page]),
                strict=True,
            )
        ],
    ]
    rows = [row for page in pages for row in page]
    for row, (old, new) in zip(rows, [*guesses[0], *guesses[1]], strict=True):
        if row.label in groups:
            groups[row.label].append((old == row.label, new == row.label))
    everything = [pair for pairs in groups.values() for pair in pairs]
    table = [
        [name, f"{len(pairs):,}", _share(pairs, 0), _share(pairs, 1)]
        for name, pairs in [*groups.items(), ("all", everything)]
        if pairs
    ]
    click.echo("\n".join(common.table(table, ["label", "paragraphs", "right before", "right after"])))
    mended = sum(new and not old for old, new in everything)
    broken = sum(old and not new for old, new in everything)
    click.echo(f"\n{mended} mended, {broken} broken.")
    learned = {str(s.get("source")) for s in after.model.card.get("sources", []) if isinstance(s, dict)}
    if learned & {source for source, _, _ in read.sources}:
        click.echo(
            "The second model was trained on rows of these sources: this shows that they were learned, not\n"
            "that it does better elsewhere. Label pages that you keep out of training to see that, and run\n"
            "consentclf evaluate for what it does on other data."
        )


def _share(pairs: Sequence[tuple[bool, bool]], column: int) -> str:
    right = sum(pair[column] for pair in pairs)
    return f"{right:,} ({100 * right / len(pairs):.0f}%)"
