"""Plain text or Markdown to paragraphs, with exact character offsets.

Extractors differ: most write one block element a line, some separate blocks by blank lines, and e-books and
mail wrap prose at a column. A blank line always separates. Inside a block each line is a paragraph, unless
the lines were wrapped: then they are joined. Wrapping shows in two ways at once: no line could have taken in
the first word of the next (a greedy wrap leaves no room), and lines go on in mid sentence.

White space here includes zero-width characters and the byte-order mark. Nothing else is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

#: A longer run of text without a line break is cut at white space: memory stays bounded.
MAX_PARAGRAPH = 1_000_000
#: Long texts are judged in sections of about this many characters, cut at a blank line where there is one.
SECTION_CHARS = 1_000_000

_BLANK = "\\s\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
_LINE = re.compile("[^\n\r\f\v\x85\u2028\u2029]+")
_EDGE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
_EDGE_ALL = _EDGE + "".join(chr(c) for c in range(0x3001) if chr(c).isspace())
_STARTER = re.compile(r"#{1,6}\s|[-*+•‣◦▪●·–]\s|\d{1,2}[.)]\s|[|]|```|~~~|\[[^\]]*\]\([^)]*\)\s*$|!\[")
_ALONE = re.compile(r"#{1,6}\s|[|]|```|~~~")
_RULE = re.compile(r"[\s|:=_*~+\-–—]{3,}$")
_WRAP_MIN, _WRAP_MAX = 40, 110
_END_OF_SENTENCE = ".!?…:。！？：\"”»)"


class Readable(Protocol):
    """What :func:`sections` reads from: anything with ``read(size) -> str``."""

    def read(self, size: int, /) -> str:
        """Return at most ``size`` characters, and an empty string at the end."""


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    indent: int
    starter: bool

    @property
    def width(self) -> int:
        return self.indent + self.end - self.start


def split(text: str) -> list[tuple[int, int]]:
    """Cut a text into paragraphs.

    Returns a list of ``(start, end)`` character offsets in order; ``text[start:end]`` is a paragraph, without
    white space at its ends. Every character that is not white space lies in exactly one paragraph.
    """
    out: list[tuple[int, int]] = []
    for block in _blocks(text):
        for start, end in _paragraphs(text, block):
            while end - start > MAX_PARAGRAPH:
                cut = max(text.rfind(" ", start + MAX_PARAGRAPH // 2, start + MAX_PARAGRAPH), 0)
                cut = cut or start + MAX_PARAGRAPH
                out.append((start, cut))
                start = cut
                while text[start] in _EDGE_ALL:
                    start += 1
            out.append((start, end))
    return out


def _blocks(text: str) -> Iterator[list[_Line]]:
    """Runs of lines with no blank line between them."""
    block: list[_Line] = []
    previous_end = 0
    for match in _LINE.finditer(text):
        begin, stop = match.span()
        line = match[0]
        left = line.lstrip(_EDGE_ALL)
        if not left:
            if block:  # a line of white space is a blank line
                yield block
                block = []
            previous_end = stop
            continue
        start = begin + len(line) - len(left)
        end = start + len(left.rstrip(_EDGE_ALL))
        if block and begin - previous_end > 1:
            gap = text[previous_end:begin]
            if gap != "\r\n":
                yield block
                block = []
        block.append(_Line(start, end, start - begin, _STARTER.match(text, start, end) is not None))
        previous_end = stop
    if block:
        yield block


def _paragraphs(text: str, block: list[_Line]) -> Iterator[tuple[int, int]]:
    if len(block) == 1:
        yield block[0].start, block[0].end
        return
    joins = _joins(text, block)
    start, end = block[0].start, block[0].end
    for line, join in zip(block[1:], joins, strict=True):
        if not join:
            yield start, end
            start = line.start
        end = line.end
    yield start, end


def _joins(text: str, block: list[_Line]) -> list[bool]:
    """Whether each line but the first goes on the paragraph of the line before it."""
    joins = [False] * (len(block) - 1)
    begin = 0
    for i in range(1, len(block) + 1):
        if i == len(block) or block[i].starter or _ALONE.match(text, block[i - 1].start, block[i - 1].end):
            _join_run(text, block[begin:i], begin, joins)
            begin = i
    for i in range(1, len(block)):  # the rule below a heading or a table's head belongs to it
        if _RULE.match(text, block[i].start, block[i].end) and not _RULE.match(
            text, block[i - 1].start, block[i - 1].end
        ):
            joins[i - 1] = True
    return joins


def _join_run(text: str, run: list[_Line], offset: int, joins: list[bool]) -> None:
    """Decide for lines with no Markdown mark-up between them, and write the decisions into ``joins``."""
    if len(run) < 2:
        return
    width = max(line.width for line in run)
    if not _WRAP_MIN <= width <= _WRAP_MAX:
        return
    full = []  # no room for the next word
    runs_on = 0  # in mid sentence
    cased = 0
    for line, after in zip(run, run[1:], strict=False):
        first = text[after.start]
        spaced = " " in text[line.start : line.end]
        if spaced:
            space = text.find(" ", after.start, after.end)
            word = (space if space >= 0 else after.end) - after.start
            full.append(line.width + 1 + word > width)
        else:  # scripts without spaces break anywhere, but for a mark that must not open a line
            full.append(line.width >= width - 2)
        ends = text[line.end - 1] in _END_OF_SENTENCE
        if first.lower() != first.upper():
            cased += 1
            runs_on += first.islower() and text[line.end - 1] not in ".!?…:"
        elif first.isalpha():
            runs_on += not ends
    n = len(full)
    needed = 0.7 if n >= 5 else 0.99
    if sum(full) < needed * n or runs_on < max(1, (0.3 if cased else 0.5) * n):
        return
    for k, (line, after) in enumerate(zip(run, run[1:], strict=False)):
        opens = after.indent > line.indent and text[line.end - 1] in _END_OF_SENTENCE
        joins[offset + k] = full[k] and not opens


def sections(source: Readable, size: int = SECTION_CHARS) -> Iterator[tuple[int, str]]:
    """Read a stream in sections of about ``size`` characters, cut between paragraphs.

    Yields ``(offset, text)``; the texts joined are the stream. A section ends at a blank line, failing that
    at a line's end, failing that at white space, failing that at twice ``size`` characters.
    """
    offset = 0
    rest = ""
    while True:
        piece = source.read(size)
        if not piece:
            break
        rest += piece
        if len(rest) < size:
            continue
        cut = _cut(rest, final=len(rest) >= 2 * size)
        if cut:
            yield offset, rest[:cut]
            offset += cut
            rest = rest[cut:]
    if rest:
        yield offset, rest


_PARAGRAPH_BREAK = re.compile(r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)(?!\n)")


def _cut(text: str, final: bool) -> int:
    half = len(text) // 2
    last = 0
    for match in _PARAGRAPH_BREAK.finditer(text, half, len(text) - 1):
        last = match.end()
    if last:
        return last
    for mark in ("\n", "\r", " "):
        at = text.rfind(mark, half, len(text) - 1)
        if at >= 0 and (mark == "\n" or final) and text[at + 1] != "\n":
            return at + 1
    return len(text) if final else 0
