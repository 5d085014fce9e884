"""Plain text or Markdown to paragraphs, with exact character offsets.

Extractors differ: most write one block element a line, some separate blocks by blank lines, and e-books and
mail wrap prose at a column. A blank line always separates. Inside a block each line is a paragraph, unless
the lines were wrapped. Two things together show wrapping:

* **No room.** A wrapper breaks a line only where the next word no longer fits. So in a wrapped stretch every
  line but the last is within a word of the widest. (:func:`_stretch`)
* **Mid sentence.** Lines break off unfinished and go on in small letters; headlines, captions, verses and
  whole sentences do not. Writing without capitals shows less, so more is asked of it. (:func:`_wrapped`)

Markdown that marks where a paragraph begins or ends (list markers, headings, table rows, lines of links, code
fences, quote levels, hard breaks) is believed without further evidence. Where the two mistakes weigh against
each other, lines stay apart: a paragraph in two pieces can still be labelled, two paragraphs in one cannot.

All decisions look at one block only, so a text cut at blank lines gives the same paragraphs as the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

#: A longer paragraph is cut, at white space where there is some: memory stays bounded.
MAX_PARAGRAPH = 1_000_000
#: Long texts are judged in sections of about this many characters, cut at a blank line where there is one.
SECTION_CHARS = 1_000_000

#: Never at a paragraph's end: what Python calls white space, and spaces and hyphens of no width.
_WHITE = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "\u200b\u2060\ufeff\u00ad\u180e"
#: Never at its beginning. Joiners belong to the letter before: Malayalam and Persian words end with them.
_BEFORE = _WHITE + "\u200c\u200d"
_SKIP = re.compile(f"[{re.escape(_BEFORE)}]*")

#: Lines are split off this many characters at a time, so that a long text is not held twice.
_CHUNK = 1 << 18
#: A forced section cut judges about this many characters, to fall between paragraphs.
_WINDOW = 1 << 15

#: Narrower lines, in columns, are verse, menus or addresses; longer ones, in characters, are not wrapped.
_WRAP_MIN, _WRAP_MAX = 45, 120
#: Opens a list item, a heading, a code fence, an image, or the address of a reference link.
_MARKER = re.compile(r"(?:#{1,6}|[-*+•‣◦▪●·]|\d{1,2}[.)])\s+|```|~~~|!\[|\[[^\]]{1,40}\]:\s")
_HEADING = re.compile(r"#{1,6}\s")
_QUOTE = re.compile(r"(?:>[ \t]?)+")
_FENCES = ("```", "~~~")
_ADDRESSES = ("http:", "https:", "www.")
_HARD_BREAKS = ("  \n", "  \r")
_LINE_ENDS = tuple("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
#: Below a line of text: underlines a heading, or parts a table's head from its body; and how it may begin.
_UNDERLINE = re.compile(r"(?:={3,}|[-|:+][-|:+ \t]{2,})$")
_RULES = frozenset("=-|:+")
#: What begins neither a line that goes on a sentence nor an underline; capitals are the other case.
_FRESH = frozenset("#*•[!0123456789")
_STOPS = frozenset(".!?…:。！？：।॥؟۔։።។။")
_CLOSERS = "\"'”’“»›«)]）」』】》*_`"
_OPENERS = "\"'“‘„‚«‹»›([（「『【《*_`¿¡"

# Scripts. Ideographs and kana may be parted anywhere but before a closing mark; Thai, Lao, Burmese and Khmer
# between words that only a dictionary can tell; all other text at spaces. Wide characters fill two columns.
_HAN = "\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\U00020000-\U0003ffff"
_WIDE = re.compile(f"[{_HAN}\u1100-\u115f\uac00-\ud7a3]")
_HAN_UNIT = re.compile(f"[{_HAN}][、。，．：；？！」』）】》…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ]*")
_SOUTHEAST = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_SOUTHEAST_WORD = 10
_WITHOUT_STOPS = re.compile("[\u0e00-\u0eff]")
_WORD = re.compile(f"[^\\s{_HAN}]*")

#: Offsets of a line: where it begins, and where its text starts and ends.
_Span = tuple[int, int, int]


class Readable(Protocol):
    """What :func:`sections` reads from: anything with ``read(size) -> str``."""

    def read(self, size: int, /) -> str:
        """Return at most ``size`` characters, and an empty string at the end."""


def split(text: str) -> list[tuple[int, int]]:
    """Cut a text into paragraphs.

    Returns a list of ``(start, end)`` character offsets in order; ``text[start:end]`` is a paragraph, without
    white space at its ends. Every character that is not white space lies in exactly one paragraph. Zero-width
    spaces, soft hyphens and the byte-order mark are white space, and so are joiners that begin a line.
    """
    out: list[tuple[int, int]] = []
    for block in _blocks(text):
        joins = _joins(text, block)
        if joins:
            _, start, end = block[0]
            for join, (_, next_start, next_end) in zip(joins, block[1:], strict=True):
                if not join:
                    out.append((start, end))
                    start = next_start
                end = next_end
            out.append((start, end))
        else:
            out += [(start, end) for _, start, end in block]
    if any(end - start > MAX_PARAGRAPH for start, end in out):
        return [piece for start, end in out for piece in _pieces(text, start, end)]
    return out


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a paragraph into pieces of at most ``MAX_PARAGRAPH`` characters."""
    while end - start > MAX_PARAGRAPH:
        limit = start + MAX_PARAGRAPH
        cut = _after_last_space(text, start + MAX_PARAGRAPH // 2, limit) or limit
        yield start, start + len(text[start:cut].rstrip(_WHITE))
        skipped = _SKIP.match(text, cut, end)
        start = skipped.end() if skipped else cut
    if start < end:
        yield start, end


def _after_last_space(text: str, start: int, end: int) -> int:
    """Where the last white space in ``text[start:end]`` ends, 0 where there is none."""
    tail = text[start:end]
    if tail[-1:].isspace():
        return end
    word = tail.rsplit(None, 1)[-1] if tail else ""
    return end - len(word) if len(word) < len(tail) else 0


def _blocks(text: str) -> Iterator[list[_Span]]:
    """Runs of lines with no blank line between them; a line of white space is blank."""
    block: list[_Span] = []
    begin = done = 0
    while done < len(text):
        stop = text.find("\n", done + _CHUNK) + 1 or len(text)
        for raw in text[done:stop].splitlines(keepends=True):
            after = begin + len(raw)
            left = raw.lstrip(_BEFORE)
            if left:
                start = after - len(left)
                block.append((begin, start, start + len(left.rstrip(_WHITE))))
            elif block:
                yield block
                block = []
            begin = after
        done = stop
    if block:
        yield block


# ---------------------------------------------------------------------------------------------------------
# Which lines of a block belong together.


class _Line(NamedTuple):
    """What mark-up says of a line."""

    begin: int
    start: int  # of its text, after quote marks
    end: int
    level: int  # of quoting
    indent: int  # of its text; in a list item, of the text after the marker
    opens: bool  # certainly begins a paragraph
    closes: bool  # certainly ends one


def _joins(text: str, block: Sequence[_Span]) -> list[bool]:
    """Whether each line but the first goes on the paragraph of the line before it; empty where none does."""
    if not _worth_a_look(text, block):
        return []
    lines = _describe(text, block)
    joins = [False] * (len(lines) - 1)
    begin = 0
    item = lines[0].indent if lines[0].opens else 0  # where the text of the list item at hand begins
    for i, (before, line) in enumerate(pairwise(lines), 1):
        if line.start == line.end:  # quote marks alone
            joins[i - 1] = before.level > 0
        elif text[line.start] in _RULES and _UNDERLINE.match(text, line.start, line.end):
            under_text = (
                not before.opens or text[before.start] == "|" or text.find("|", before.start, before.end) >= 0
            )
            joins[i - 1] = under_text and not _UNDERLINE.match(text, before.start, before.end)
        elif not (line.opens or before.closes or line.level != before.level):
            joins[i - 1] = item > 0 and line.indent == item
            continue
        _join_run(text, lines[begin:i], joins, begin)
        begin = i
        item = line.indent if line.opens else 0
    _join_run(text, lines[begin:], joins, begin)
    return joins


def _worth_a_look(text: str, block: Sequence[_Span]) -> bool:
    """Whether any line might go on a paragraph: a quick no for most blocks of web pages."""
    for (_, before, stop), (begin, start, _) in pairwise(block):
        first = text[start]
        if first in "-=|:+>":  # a list item, most often
            if first != "-" or text.startswith("--", start):
                return True
            continue
        small = stop - before <= _WRAP_MAX and first not in _FRESH and not first.isupper()
        if small or (start > begin and _MARKER.match(text, before, stop)):
            return True
    return False


def _describe(text: str, block: Sequence[_Span]) -> list[_Line]:
    """Read the mark-up of a block's lines."""
    lines = []
    fence = ""
    first, last = block[0][0], block[-1][2]
    marked = any(text.find(mark, first, last) >= 0 for mark in ("|", "\\", *_HARD_BREAKS))
    for begin, start, end in block:
        if not marked and not fence and end - start <= _WRAP_MAX and text[start].isalpha():
            lines.append(_Line(begin, start, end, 0, start - begin, False, False))
            continue
        level = 0
        if text[start] == ">" and (quote := _QUOTE.match(text, start, end)):
            level = text.count(">", start, quote.end())
            start = quote.end()
        marker = _MARKER.match(text, start, end)
        mark = text[start : min(start + 3, end)]
        alone = (
            bool(fence)
            or mark in _FENCES
            or text.find("|", start, end) >= 0  # a table's row, or a menu
            or (mark.startswith(("[", "![")) and text[end - 1] == ")" and text.find("](", start, end) >= 0)
            or (mark.startswith("#") and _HEADING.match(text, start, end) is not None)
            or (end - start > _WRAP_MAX and not _unbreakable(text, start, end))
        )
        if mark in _FENCES and fence in ("", mark):
            fence = "" if fence else mark
        hard_break = text[end - 1] == "\\" or text.startswith(_HARD_BREAKS, end)
        indent = (marker.end() if marker else start) - begin
        lines.append(
            _Line(begin, start, end, level, indent, alone or marker is not None, alone or hard_break)
        )
    return lines


def _unbreakable(text: str, start: int, end: int) -> bool:
    """Whether a line is one long word, such as an address, that no wrapper can break."""
    return end - start > 30 and text.find(" ", start, end) < 0 and text[start:end].isascii()


def _join_run(text: str, run: Sequence[_Line], joins: list[bool], offset: int) -> None:
    """Decide for lines with no mark-up between them: write into ``joins`` from ``offset`` on."""
    if len(run) < 2:
        return
    small: list[bool] = []  # goes on in mid sentence, with a small letter
    plain: list[bool] = []  # the same in a script without capitals
    for line, after in pairwise(run):
        letter = text[after.start]
        if letter in _OPENERS:
            letter = text[after.start : after.start + 4].lstrip(_OPENERS)[:1]
        goes_on = letter.isalpha() and not letter.isupper() and not _finished(text, line)
        # Georgian has capitals and does not use them: title() tells it from scripts that do.
        cased = goes_on and letter != letter.title()
        small.append(cased and not text.startswith(_ADDRESSES, after.start))
        plain.append(goes_on and not cased)
    if not any(small) and not any(plain):
        return
    if 2 * sum(text[line.end - 1] in ",;" for line in run[:-1]) > len(run) - 1:
        return  # a list without marks
    # Wide text may have been wrapped by columns or by characters: the reading that joins more is right.
    wide = _WIDE.search(text, run[0].start, run[-1].end) is not None
    stretches = _stretches(text, run, small, plain, 1, _WRAP_MIN // 2 if wide else _WRAP_MIN)
    if wide:
        stretches = max(stretches, _stretches(text, run, small, plain, 2, _WRAP_MIN), key=_covered)
    for s in stretches:
        if s.width:
            joins[offset + s.first : offset + s.last] = [True] * (s.last - s.first)
    for s, after_it in pairwise(stretches):  # the ragged lines of wrapping by hand
        line, after = run[s.last], run[s.last + 1]
        ragged = small[s.last] and line.indent == after.indent
        joins[offset + s.last] |= ragged and 0 < max(s.width, after_it.width) <= 2 * (line.end - line.begin)


class _Stretch(NamedTuple):
    """Lines, the last included, that could come from one wrapper."""

    first: int
    last: int
    width: int  # of the widest line; 0 where they were not wrapped


def _covered(stretches: Sequence[_Stretch]) -> int:
    return sum(s.last + 1 - s.first for s in stretches if s.width)


def _stretches(
    text: str, run: Sequence[_Line], small: Sequence[bool], plain: Sequence[bool], columns: int, least: int
) -> list[_Stretch]:
    """Cut a run into stretches and decide which were wrapped; none if the run as a whole denies it.

    ``columns`` is what a wide character counts, ``least`` what the widest line of a stretch must reach.
    """
    reach, room = _widths(text, run, columns)
    found: list[_Stretch] = []
    while not found or found[-1].last + 1 < len(run):
        first = found[-1].last + 1 if found else 0
        last = _stretch(text, run, reach, room, first)
        width = max(reach[first : last + 1])
        wrapped = width >= least and _wrapped(small[first:last], plain[first:last], text, run[last])
        found.append(_Stretch(first, last, width if wrapped else 0))
    believed = [s for s in found if s.width]
    if not believed:
        return []
    # What some lines show of the wrapper's width holds for the others that fit it.
    widest = max(s.width for s in believed)
    tightest = min(min(room[s.first : s.last]) for s in believed)
    for i, s in enumerate(found):
        fits = s.first < s.last and max(reach[s.first : s.last + 1]) < tightest
        if not s.width and fits and min(room[s.first : s.last]) > widest:
            found[i] = s._replace(width=widest)
    # Lines of all lengths that begin with small letters are verse or a list, and one pair of lines that would
    # fit says little among many that do not.
    inside = sum(sum(small[s.first : s.last]) + sum(plain[s.first : s.last]) for s in found if s.width)
    between = sum(small[s.last] for s in found[:-1])
    return found if between <= inside and 2 * _covered(found) >= len(run) else []


def _widths(text: str, run: Sequence[_Line], columns: int) -> tuple[list[int], list[int]]:
    """What each line fills, and what it would fill with the first word of the next line.

    ``columns`` is what a wide character counts, 1 or 2.
    What no wrapper can break fills nothing: it does not show where the others break.
    """
    reach: list[int] = []
    room: list[int] = []
    word = 0
    for line in reversed(run):
        width = line.end - line.begin
        if columns > 1:
            width += len(_WIDE.findall(text, line.start, line.end))
        reach.append(0 if _unbreakable(text, line.start, line.end) else width)
        room.append(width + word)
        word = _first_word(text, line, columns)
    return reach[::-1], room[::-1]


def _first_word(text: str, line: _Line, columns: int) -> int:
    """Width of what a wrapper would have had to put on the line before, with the space before it."""
    if text[line.start] < "\u0e00":  # no need to ask for the script
        space = text.find(" ", line.start, line.end)
        return 1 + (space if space >= 0 else line.end) - line.start
    if unit := _HAN_UNIT.match(text, line.start, line.end):
        return len(unit[0]) * columns
    word = _WORD.match(text, line.start, line.end)
    size = len(word[0]) if word else 0
    if _SOUTHEAST.match(text, line.start):
        return min(size, _SOUTHEAST_WORD)
    return 1 + size + (len(_WIDE.findall(text, line.start, line.start + size)) if columns > 1 else 0)


def _stretch(text: str, run: Sequence[_Line], reach: list[int], room: list[int], begin: int) -> int:
    """The last line of the longest wrapped stretch from ``begin`` on.

    In it every line but the last had no room for a word more, and all lines but the first have one indent.
    """
    least, widest = room[begin], reach[begin]
    for i in range(begin, len(run) - 1):
        if room[i] < least:
            least = room[i]
        if reach[i + 1] > widest:
            widest = reach[i + 1]
        if least <= widest:
            return i
        step = run[i + 1].indent - run[i].indent
        if step and (i > begin or (step > 0 and _finished(text, run[i]))):
            return i
    return len(run) - 1


def _wrapped(small: Sequence[bool], plain: Sequence[bool], text: str, last: _Line) -> bool:
    """Whether a stretch goes on in mid sentence, given which of its breaks do, and in which script.

    A third of the breaks is enough with capitals: German nouns have them, and sentences may end with the
    line. Without capitals it takes half. Few breaks are trusted only before a line that ends a sentence, as a
    byline below a headline does not. Thai and Lao write no full stops: there it takes five lines.
    """
    breaks = len(small)
    if any(small):
        enough = sum(small) + sum(plain) >= 0.3 * breaks
        return enough and (sum(small) >= 3 or _finished(text, last))
    if not any(plain) or sum(plain) < 0.5 * breaks:
        return False
    return breaks >= 4 if _WITHOUT_STOPS.match(text, last.start) else _finished(text, last)


def _finished(text: str, line: _Line) -> bool:
    """Whether a line ends a sentence."""
    last = text[line.end - 1]
    if last in _CLOSERS:
        last = text[max(line.start, line.end - 4) : line.end].rstrip(_CLOSERS)[-1:]
    return last in _STOPS


# ---------------------------------------------------------------------------------------------------------
# Streams.


def sections(source: Readable, size: int = SECTION_CHARS) -> Iterator[tuple[int, str]]:
    """Read a stream in sections of about ``size`` characters, cut between paragraphs.

    Yields ``(offset, text)``; the texts joined are the stream. A section ends with a blank line. Where none
    comes within twice ``size`` characters the cut is forced: between two paragraphs, failing that at white
    space, failing that anywhere. No more than twice ``size`` characters are held.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    offset = 0
    held = ""
    while len(held := _fill(source, held, size)) >= size:
        cut = _after_blank_line(held)
        if not cut:
            held = _fill(source, held, 2 * size)
            if len(held) < 2 * size:
                break
            cut = _after_blank_line(held) or _forced_cut(held)
        yield offset, held[:cut]
        offset += cut
        held = held[cut:]
    if held:
        yield offset, held


def _fill(source: Readable, held: str, size: int) -> str:
    """``held`` and what follows it in the stream, ``size`` characters in all or up to the end."""
    pieces = [held]
    missing = size - len(held)
    while missing > 0 and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return "".join(pieces)


def _after_blank_line(text: str) -> int:
    """Where the last blank line in the second half of a text ends, 0 where there is none."""
    lines = text[len(text) // 2 :].splitlines(keepends=True)
    # The first line may have begun before, the last may go on: neither is known to be blank.
    at = len(text) - len(lines[-1])
    for line in reversed(lines[1:-1]):
        if not line.strip(_BEFORE):
            return at
        at -= len(line)
    return 0


def _forced_cut(text: str) -> int:
    """Where to cut a text without blank lines: in its second half, at least 1."""
    half = max(len(text) // 2, len(text) - _WINDOW)
    lines = text[half:].splitlines(keepends=True)
    if len(lines) == 1:
        return _after_last_space(text, half, len(text)) or len(text)
    begin = half + len(lines[0])
    spans = split(text[begin:])
    if len(spans) < 2:
        return len(text) - len(lines[-1])
    middle = len(spans) // 2  # far from both ends, where lines out of sight might decide
    start = spans[middle][0]
    gap = text[begin + spans[middle - 1][1] : begin + start].splitlines(keepends=True)
    indent = len(gap[-1]) if len(gap) > 1 else 0  # stays with its line, unless the gap ends with a line's end
    return begin + start - (indent if indent and not gap[-1].endswith(_LINE_ENDS) else 0)
