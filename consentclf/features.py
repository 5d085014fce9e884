"""Text to hashed TF-IDF features: the one definition, used by training and by prediction.

A batch of paragraphs becomes one buffer of folded code points. Every n-gram of characters is hashed
by combining the hashes of its halves; every word by one prefix-sum rolling hash, so a word of any
length costs one subtraction and one product. Nothing loops over characters or tokens in Python.

The hash values, the folding table and the dense features below are part of the model format: change
any of them and the format number in :mod:`consentclf.model` must change too.
"""

from __future__ import annotations

import bisect
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]

#: A longer paragraph is judged by its first and last characters: bounded memory, same answer in training.
HEAD_CHARS, TAIL_CHARS = 12_000, 4_000
#: Code points a block aims at. Fewer calls outweigh a smaller place in the cache (docs/performance.md).
BLOCK_CHARS = 1 << 17

# Kinds of characters. Those from _LETTER up are word characters.
_PAD, _SPACE, _IGNORE, _STOP, _COLON, _SEPARATOR, _PUNCT, _SYMBOL, _DIGIT, _LETTER, _UPPER, _IDEOGRAPH = (
    range(12)
)
_N_PADS = 3

_STOPS = ".!?…。！？؟।۔｡"
_COLONS = ":;：；"
_SEPARATORS = "|•·›»>→/\\▸▶¦‹«<←*#–—~+="

# Odd multipliers with well mixed bits (from SplitMix64, Steele, Lea and Flood, OOPSLA 2014), and its kin.
_M1 = np.uint64(0x9E3779B97F4A7C15)
_M2 = np.uint64(0xBF58476D1CE4E5B9)
_M3 = np.uint64(0x94D049BB133111EB)
_M4 = np.uint64(0xD6E8FEB86659FD93)
_BASE = 0x5851F42D4C957F2D
_BASE_INVERSE = pow(_BASE, -1, 1 << 64)
_SALTS = {
    name: np.uint64(int.from_bytes(name.encode().ljust(8, b"~"), "little") | 1)
    for name in (
        "char1",
        "char2",
        "char3",
        "char4",
        "char5",
        "word1",
        "word2",
        "word3",
        "skip2",
        "open",
        "sent",
    )
}

_PAIR = np.uint64(0x10001 * int(_M4) % (1 << 64))
_HALF = np.uint64(32)
_WORD_SHIFT = np.uint64(29)

#: Families of n-grams in the order their slots are returned.
FAMILIES = tuple(_SALTS)


@dataclass(frozen=True)
class FeatureSettings:
    """What is hashed, and into how many slots.

    families: names from :data:`FAMILIES`. ``char2`` is every pair of characters, the ends of the
    paragraph included; ``word2`` every pair of words, the ends included; ``skip2`` pairs of words
    with one between; ``open`` the first three words as one; ``sent`` the words that open a sentence.
    bits: the table has ``2**bits`` slots.
    """

    families: tuple[str, ...] = ("char2", "char4", "word1", "word2")
    bits: int = 19

    def __post_init__(self) -> None:
        unknown = set(self.families) - set(FAMILIES)
        if unknown or not self.families or len(set(self.families)) != len(self.families):
            raise ValueError(f"families must be distinct names from {FAMILIES}, got {self.families}")
        if not 4 <= self.bits <= 24:
            raise ValueError(f"bits must be between 4 and 24, got {self.bits}")


def build_alphabet() -> NDArray[np.uint32]:
    """Return the folding table, uint32 of shape (65536,): kind in the high half, folded code in the low.

    Letters lose case and, in Latin, Greek and Cyrillic, their marks; digits become 0; full-width forms
    become ASCII; zero-width and combining characters are ignored. Code points beyond the basic plane share
    the last entry. The table is stored in the model file, because Python versions differ in their Unicode.
    """
    table = np.zeros(0x10000, dtype=np.uint32)
    for code in range(0x10000):
        table[code] = _fold(chr(code), code)
    table[0xFFFF] = (_SYMBOL << 16) | 0xFFFF
    return table


def _fold(char: str, code: int) -> int:
    category = unicodedata.category(char)
    if code == 0:
        return _PAD << 16
    if char.isspace() or category in ("Zs", "Zl", "Zp", "Cc"):
        return (_SPACE << 16) | 32
    if category == "Cf" or 0xFE00 <= code <= 0xFE0F:
        return _IGNORE << 16
    if category == "Mn" and (0x300 <= code < 0x370 or 0x591 <= code < 0x5C8 or 0x64B <= code < 0x653):
        return _IGNORE << 16
    if category == "Nd":
        return (_DIGIT << 16) | ord("0")
    if char in _STOPS:
        return (_STOP << 16) | ord(
            "." if char in ".。｡۔।" else "…" if char == "…" else "!" if char in "!！" else "?"
        )
    if char in _COLONS:
        return (_COLON << 16) | ord(":" if char in ":：" else ";")
    if category[0] in "LMN":
        folded = unicodedata.normalize("NFKC", char).lower()
        if len(folded) != 1 and not folded.startswith("i\u0307"):
            folded = char.lower()[:1] or char
        folded = folded[:1]
        base = unicodedata.normalize("NFD", folded)[:1]
        if ord(base) < 0x530 and base.isalpha():
            folded = base
        folded = {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ς": "σ"}.get(folded, folded)
        target = min(ord(folded), 0xFFFF)
        ideograph = 0x3040 <= code <= 0x309F or 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF
        kind = _IDEOGRAPH if ideograph else _UPPER if category in ("Lu", "Lt") else _LETTER
        return (kind << 16) | target
    if char in _SEPARATORS:
        return (_SEPARATOR << 16) | code
    quotes = {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
    kind = _PUNCT if category[0] == "P" else _SYMBOL
    return (kind << 16) | ord(quotes.get(char, char))


# ---------------------------------------------------------------------------------------------------------
# Markdown: what a reader sees, and how much of it is links.

_LINK = re.compile(
    r"!?\[([^\[\]]{0,2000})\]\([^()\s]{0,2000}(?:\([^()\s]{0,500}\)[^()\s]{0,500})?(?:\s+\"[^\"]{0,500}\")?\s*\)"
)
_MARKER = re.compile(r"^\s{0,12}(?:#{1,6}\s+|[-*+•]\s+|\d{1,3}[.)]\s+(?=\[)|>\s?|\|)+")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.{1,2000}?)(?<=\S)\1")


def visible(text: str) -> tuple[str, float]:
    """Strip Markdown links, images, list and heading markers and emphasis from one paragraph.

    Returns the text a reader sees and the share of its characters that are link text (0 to 1), or -1
    where there is no link mark-up at all, which says nothing about links.
    """
    share = -1.0
    if "](" in text:
        linked = 0

        def keep(match: re.Match[str]) -> str:
            nonlocal linked
            linked += len(match[1])
            return match[1]

        for _ in range(2):  # twice: an image inside a link
            text, found = _LINK.subn(keep, text)
            if not found:
                break
            share = 0.0
        if share == 0.0:
            share = min(1.0, linked / max(1, len(text.strip())))
    marker = _MARKER.match(text)
    if marker:
        text = text[marker.end() :]
    if "**" in text or "__" in text or "`" in text:
        text = _EMPHASIS.sub(r"\2", text)
    return text, share


# ---------------------------------------------------------------------------------------------------------
# The buffer of code points, and its n-grams.


@dataclass(frozen=True)
class Buffer:
    """A batch as folded code points: paragraph ``i`` is ``codes[start[i]:end[i]]``, pads around it."""

    codes: U32
    kinds: NDArray[np.uint8]
    start: I64
    end: I64


_PADS = "\0" * _N_PADS
_MARKED = re.compile(r"\]\(|\*\*|__|`")
_FIRST = frozenset("#-*+•>|0123456789 \t")
_MAY_BE_MARKER = np.zeros(0x10000, dtype=np.bool_)
_MAY_BE_MARKER[[ord(char) for char in _FIRST]] = True


def _prepare(texts: Sequence[str]) -> tuple[list[str], dict[int, float]]:
    """Visible text of each paragraph, clipped, and link shares of those with links: :func:`read`, plainly."""
    shares: dict[int, float] = {}
    out = list(texts)
    for i, text in enumerate(out):
        out[i] = text = _clip(text)
        if text and (text[0] in _FIRST or _MARKED.search(text)):
            out[i], share = visible(text)
            if share >= 0:
                shares[i] = share
    return out, shares


def _clip(text: str) -> str:
    return text if len(text) <= HEAD_CHARS + TAIL_CHARS else text[:HEAD_CHARS] + " " + text[-TAIL_CHARS:]


def encode(texts: Sequence[str], alphabet: U32) -> Buffer:
    """Fold a batch of paragraphs, taken as they are, into one buffer, white space collapsed."""
    size = np.array(list(map(len, texts)), dtype=np.int64)
    end = (size + _N_PADS).cumsum()
    return _fold_codes(alphabet.take(_code_points(texts)), end - size, end)


def _code_points(texts: Sequence[str]) -> NDArray[np.uint16]:
    """The code points of texts with pads before, between and after."""
    joined = _PADS.join(["", *texts, ""])
    # An array of one string: the copy to fixed width that checks nothing, where encoding looks at each.
    raw = np.array([joined]).view(np.uint32)
    if not joined.isascii() and raw.max() > 0xFFFF:
        raw = np.minimum(
            raw, np.uint32(0xFFFF)
        )  # beyond the basic plane they share the alphabet's last entry
    out: NDArray[np.uint16] = raw.astype(np.uint16)
    return out


def _marked(raw: NDArray[np.uint16], start: I64, size: I64) -> list[int]:
    """Which paragraphs may have Markdown in them: by their first character, a link's, emphasis or code."""
    flags = _MAY_BE_MARKER.take(raw.take(start))
    flags &= size > 0
    one, two = raw[:-1], raw[1:]
    double = one == two
    double &= (one == ord("*")) | (one == ord("_"))
    double |= one == ord("`")
    if (two == ord("(")).any():
        double |= (one == ord("]")) & (two == ord("("))
    at = double.nonzero()[0]
    if len(at):
        flags[start.searchsorted(at, side="right") - 1] = True
    return flags.nonzero()[0].tolist()  # type: ignore[no-any-return]


def read(texts: Sequence[str], alphabet: U32) -> tuple[Buffer, dict[int, float]]:
    """Fold a batch of paragraphs into one buffer: mark-up gone, clipped, white space collapsed.

    Returns it with the share of link text of those paragraphs that have links.
    """
    lengths = list(map(len, texts))
    if max(lengths, default=0) > HEAD_CHARS + TAIL_CHARS:
        texts = list(map(_clip, texts))
        lengths = list(map(len, texts))
    size = np.array(lengths, dtype=np.int64)
    raw = _code_points(texts)
    end = (size + _N_PADS).cumsum()
    start = end - size
    shares: dict[int, float] = {}
    pieces: list[NDArray[np.uint16]] = []
    done = 0
    for i in _marked(raw, start, size):
        text, share = visible(texts[i])
        if share >= 0:
            shares[i] = share
        if len(text) != lengths[i]:  # only ever taken away from
            pieces += raw[done : start[i]], _code_points([text])[_N_PADS:-_N_PADS]
            done = end[i]
            size[i] = len(text)
    if pieces:
        raw = np.concatenate([*pieces, raw[done:]])
        end = (size + _N_PADS).cumsum()
        start = end - size
    return _fold_codes(alphabet.take(raw), start, end), shares


def _fold_codes(folded: U32, start: I64, end: I64) -> Buffer:
    kinds = (folded >> np.uint32(16)).astype(np.uint8)
    drop = kinds == _IGNORE
    if drop.any():
        folded, kinds, start, end = _drop(drop, folded, start, end)
    while True:  # once is the rule; a run of spaces before the end takes a second look
        blank = kinds <= _SPACE
        # Blanks side by side are pads, or a space too many, which goes: after a blank, or before a pad.
        drop = blank[1:] & blank[:-1]
        if np.count_nonzero(drop) == (len(start) + 1) * (_N_PADS - 1):
            break
        space = kinds == _SPACE
        drop = np.zeros(len(kinds), dtype=np.bool_)
        drop[1:-1] = space[1:-1] & (blank[:-2] | (kinds[2:] == _PAD))
        if not drop.any():
            break
        folded, kinds, start, end = _drop(drop, folded, start, end)
    folded &= np.uint32(0xFFFF)
    return Buffer(folded, kinds, start, end)


def _drop(
    drop: NDArray[np.bool_], folded: U32, start: I64, end: I64
) -> tuple[U32, NDArray[np.uint8], I64, I64]:
    gone = drop.nonzero()[0]
    folded = folded[~drop]
    kinds = (folded >> np.uint32(16)).astype(np.uint8)
    return folded, kinds, start - gone.searchsorted(start), end - gone.searchsorted(end)


_powers: tuple[U64, U64] | None = None


def _power_tables(size: int) -> tuple[U64, U64]:
    """Powers of the rolling hash's base and of its inverse, modulo 2**64; grown when a buffer asks."""
    global _powers
    tables = _powers
    if tables is None or len(tables[0]) < size:
        count = 1 << max(17, int(size - 1).bit_length())
        base = np.full(count, _BASE, dtype=np.uint64)
        inverse = np.full(count, _BASE_INVERSE, dtype=np.uint64)
        base[0] = inverse[0] = 1
        tables = (np.multiply.accumulate(base), np.multiply.accumulate(inverse))
        _powers = tables  # a race between threads costs one table too many, never a wrong one
    return tables


@dataclass(frozen=True)
class Words:
    """The words of a buffer: hash, first and last character; three pads stand between paragraphs."""

    hashes: U64
    first: I64
    last: I64
    begin: I64  # of each paragraph, the pad before it included
    end: I64


def words(buffer: Buffer) -> Words:
    """Cut the buffer into words and hash each: a run of letters and digits, or one ideograph."""
    kinds = buffer.kinds
    n = len(kinds)
    run = (kinds - np.uint8(_DIGIT)) < _IDEOGRAPH - _DIGIT  # unsigned: what is below wraps round to the top
    pad = kinds == _PAD
    single = kinds == _IDEOGRAPH
    single |= pad
    mask = single.copy()
    mask[1:] |= run[1:] > run[:-1]
    first = mask.nonzero()[0]
    single[:-1] |= run[:-1] > run[1:]
    last = single.nonzero()[0]
    power, inverse = _power_tables(n + 1)
    prefix = np.empty(n + 1, dtype=np.uint64)
    prefix[0] = 0
    np.add(buffer.codes, 1, out=prefix[1:])
    prefix[1:] *= power[:n]
    np.add.accumulate(prefix, out=prefix)
    hashes = prefix[1:].take(last)
    hashes -= prefix.take(first)
    hashes *= inverse.take(first)
    hashes ^= hashes >> _WORD_SHIFT
    hashes *= _M2
    pads = pad.take(first).nonzero()[0]
    if len(pads) == _N_PADS * (len(buffer.start) + 1):
        return Words(hashes, first, last, pads[_N_PADS - 1 : -1 : _N_PADS], pads[_N_PADS::_N_PADS])
    # Some paragraph has a character of the pads' kind.
    return Words(hashes, first, last, first.searchsorted(buffer.start) - 1, first.searchsorted(buffer.end))


def ngram_slots(buffer: Buffer, settings: FeatureSettings, found: Words) -> list[tuple[I64, I64, I64]]:
    """Hash every n-gram of a buffer.

    Returns one ``(slots, begin, end)`` per family in ``settings.families``: int64 table slots of the family's
    n-grams, and the half-open range of them that belongs to each paragraph. The n-grams next to a paragraph's
    ends take in its pads, so that openings and closings differ from the same text inside.
    """
    slots, begin, end, sizes = _hash_ngrams(buffer, settings, found)
    out = []
    at = 0
    for size, first, last in zip(sizes, begin, end, strict=True):
        out.append((slots[at : at + size], first - at, last - at))
        at += size
    return out


def _hash_ngrams(buffer: Buffer, settings: FeatureSettings, found: Words) -> tuple[I64, I64, I64, list[int]]:
    """All slots in one array, family after family.

    Also where each paragraph's n-grams begin and end in it, two arrays (families, n), and families' sizes.
    """
    one = buffer.codes.astype(np.uint64)
    pair = one[:-1] * _PAIR
    pair += one[1:]
    w = found.hashes
    size, count, n = len(one), len(w), len(buffer.start)
    openings = _sentence_openings(buffer, found) if "sent" in settings.families else None
    sizes = []
    for name in settings.families:
        if name.startswith("char"):
            sizes.append(size - int(name[-1]) + 1)
        elif openings is not None and name == "sent":
            sizes.append(len(openings[0]))
        else:
            sizes.append(n if name == "open" else count - _REACH[name])
    slots = np.empty(sum(sizes), dtype=np.int64)
    begin = np.empty((len(sizes), n), dtype=np.int64)
    end = np.empty_like(begin)
    at = 0
    whole = slots.view(np.uint64)
    parts = []
    for row, (name, length) in enumerate(zip(settings.families, sizes, strict=True)):
        h = whole[at : at + length]
        first, last = found.begin, found.end
        if name.startswith("char"):
            first, last = buffer.start - 1, buffer.end
            if name == "char4":  # a text shorter than the n-gram still has one, from the pad before it
                last = np.maximum(buffer.start, last - 1)
            elif name == "char5":  # an empty one begins a pad earlier, or it would read into the next text
                last = last - 1
                first = np.minimum(first, last - 1)
            _combine(name, one, pair, h)
        elif name == "sent" and openings is not None:
            hashes, first, last = openings
            np.bitwise_xor(hashes, _SALTS[name], out=h)
        elif name == "open":
            np.multiply(w.take(first + 1), _M4, out=h)
            h += w.take(first + 2)
            h *= _M1
            h ^= _SALTS[name]
            first = np.arange(n)
            last = first + 1
        else:
            _combine(name, w, w, h)
        np.add(first, at, out=begin[row])
        np.add(last, at, out=end[row])
        at += length
        parts.append(h)
    # What is small is mixed at once, for the calls it saves; what is large family by family, for the cache.
    if at < _SMALL:
        parts = [whole]
    scratch = np.empty(max(map(len, parts)), dtype=np.uint64)
    for h in parts:
        _mix(h, settings.bits, scratch[: len(h)])
    return slots, begin, end, sizes


def _combine(name: str, one: U64, pair: U64, out: U64) -> None:
    """Hashes of a family's n-grams from those of their parts, as many from the first on as ``out`` takes.

    ``one`` are characters or words, ``pair`` pairs of characters.
    """
    n = len(out)
    if name in ("char1", "word1"):
        np.bitwise_xor(one[:n], _SALTS[name], out=out)
        return
    if name == "char2":
        np.bitwise_xor(pair[:n], _SALTS[name], out=out)
        return
    if name == "word2":
        np.multiply(one[:n], _M1, out=out)
        out += one[1 : n + 1]
    elif name == "word3":
        np.multiply(one[:n], _M1, out=out)
        out += one[1 : n + 1]
        out *= _M4
        out += one[2 : n + 2]
    elif name == "skip2":
        np.multiply(one[:n], _M4, out=out)
        out += one[2 : n + 2]
    else:
        np.multiply(pair[:n], _M1, out=out)
        out += (one if name == "char3" else pair)[2 : n + 2]
        if name == "char5":
            out *= _M1
            out += one[4 : n + 4]
    out ^= _SALTS[name]


def _mix(hashes: U64, bits: int, scratch: U64) -> None:
    """Hashes to slots, in place."""
    hashes *= _M3
    np.right_shift(hashes, _HALF, out=scratch)
    hashes ^= scratch
    hashes *= _M1
    hashes >>= np.uint64(64 - bits)


#: Words an n-gram reaches beyond its first.
_REACH = {"word1": 0, "word2": 1, "word3": 2, "skip2": 2}
_SMALL = 1 << 13


def _sentence_openings(buffer: Buffer, found: Words) -> tuple[U64, I64, I64]:
    stops = np.concatenate(([0], np.cumsum((buffer.kinds == _STOP) | (buffer.kinds == _PAD))))
    before = np.concatenate(([0], stops[found.last[:-1] + 1]))
    opens = stops[found.first] > before
    opens |= buffer.kinds[found.first] == _PAD
    position = np.concatenate(([0], np.cumsum(opens)))
    return (
        found.hashes[opens],
        position[found.begin],
        np.maximum(position[found.end], position[found.begin] + 1),
    )


def segment_sums(values: U64, begin: I64, end: I64, run: int) -> tuple[U64, I64 | None]:
    """Sum packed counters over segments, cut into runs of ``run`` values so that no lane overflows.

    Returns the sums of all runs in order, and the number of the first run of each segment, or None where each
    segment is one run. Segments follow each other in ``values`` with gaps between, and none is empty.
    """
    counts = end - begin
    first = None
    if counts.max(initial=0) > run:
        runs = (counts + (run - 1)) // run
        last = runs.cumsum()
        first = last - runs
        begin = begin.repeat(runs)
        # Each run ends where the next begins, ``run`` values on; a segment's last with the segment.
        begin += (np.arange(len(begin)) - first.repeat(runs)) * run
        stop = begin + run
        stop[last - 1] = end
        end = stop
    bounds = np.empty(2 * len(begin), dtype=np.int64)
    bounds[0::2] = begin
    bounds[1::2] = end
    if bounds[-1] >= len(values):  # the end of the last segment is no segment's beginning
        bounds = bounds[:-1]
    return np.add.reduceat(values, bounds)[::2], first


# ---------------------------------------------------------------------------------------------------------
# Dense features.

# A packed counter: eight lanes of 8 bits, one for each kind counted, summed over at most 255 characters.
_COUNTED = (_UPPER, _DIGIT, _STOP, _COLON, _SEPARATOR, _PUNCT, _SYMBOL, _SPACE)
_LANES = np.zeros(16, dtype=np.uint64)
for _lane, _kind in enumerate(_COUNTED):
    _LANES[_kind] = 1 << (8 * _lane)
_LANE_RUN = 255
_EVEN_LANES = np.uint64(0x00FF00FF00FF00FF)

_LENGTH_EDGES = np.array([1, 3, 6, 10, 16, 25, 40, 65, 100, 160, 260, 420, 800], dtype=np.float32)
_WORD_EDGES = np.array([1, 2, 3, 4, 6, 9, 14, 25, 50], dtype=np.float32)

DENSE_NAMES: tuple[str, ...] = (
    "log_chars", "log_words", "upper", "digit", "stop", "colon", "separator", "punct", "symbol", "space",
    "word_length", "stops_per_word", "ends_stop", "ends_colon", "ends_separator", "ends_digit",
    "starts_upper", "starts_digit", "starts_mark", "all_upper", "title_case", "linked", "link_share",
    "all_link", "some_link",
    *(f"chars>={int(e)}" for e in _LENGTH_EDGES), *(f"words>={int(e)}" for e in _WORD_EDGES),
)  # fmt: skip

_RATE = np.array([[1], [1], [10], [10], [5], [5], [5], [4]], dtype=np.float32)
_LAST = np.array([[_STOP], [_COLON], [_SEPARATOR], [_DIGIT]], dtype=np.uint8)


def dense(buffer: Buffer, found: Words, shares: dict[int, float]) -> F32:
    """Dense features of each paragraph, float32 of shape (n, len(DENSE_NAMES)), each about 0 to 1.

    Filled by columns, which is how it lies in memory.
    """
    n = len(buffer.start)
    out = np.empty((len(DENSE_NAMES), n), dtype=np.float32)
    both = np.empty((2, n), dtype=np.float32)
    np.subtract(buffer.end, buffer.start, out=both[0], casting="unsafe")
    np.subtract(found.end, found.begin + 1, out=both[1], casting="unsafe")
    chars, n_words = both
    size, many = np.maximum(both, 1)
    # From the pad before: never empty, and a pad counts as nothing.
    packed, first_run = segment_sums(_LANES.take(buffer.kinds), buffer.start - 1, buffer.end, _LANE_RUN)
    halves = np.empty((2, len(packed)), dtype=np.uint64)  # lanes of 16 bits from here on
    np.bitwise_and(packed, _EVEN_LANES, out=halves[0])
    np.right_shift(packed, np.uint64(8), out=halves[1])
    halves[1] &= _EVEN_LANES
    if first_run is not None:
        halves = np.add.reduceat(halves, first_run, axis=1)
    table = np.empty((len(_COUNTED), n), dtype=np.float32)
    table[0::2] = halves[0].view(np.uint16).reshape(-1, 4).T
    table[1::2] = halves[1].view(np.uint16).reshape(-1, 4).T
    upper, stop = table[0], table[2]
    last = buffer.kinds[np.maximum(buffer.end, buffer.start) - 1]
    first = buffer.kinds[buffer.start]
    letters = size - table[1:].sum(axis=0)
    np.maximum(letters, 1, out=letters)
    np.log1p(both, out=out[:2])
    out[0] /= 6
    out[1] /= 4
    np.divide(table, size, out=out[2:10])
    out[2:10] *= _RATE
    np.divide(letters, many, out=out[10])
    out[10] /= 10
    np.divide(stop, many, out=out[11])
    out[11] *= 4
    np.minimum(out[10:12], 2, out=out[10:12])
    np.equal(last, _LAST, out=out[12:16], casting="unsafe")
    out[16] = first == _UPPER
    out[17] = first == _DIGIT
    out[18] = (first - np.uint8(1)) < _DIGIT - 1  # unsigned: a pad wraps round to the top
    np.greater_equal(upper, np.float32(0.9) * letters, out=out[19], casting="unsafe")
    np.divide(upper, many, out=out[20])
    out[21:25] = 0
    for i, share in shares.items():
        out[21:25, i] = 1, share, share > 0.8, 0 < share <= 0.3
    np.greater_equal(chars, _LENGTH_EDGES[:, None], out=out[25 : 25 + len(_LENGTH_EDGES)], casting="unsafe")
    np.greater_equal(n_words, _WORD_EDGES[:, None], out=out[25 + len(_LENGTH_EDGES) :], casting="unsafe")
    rows: F32 = out.T
    return rows


@dataclass(frozen=True)
class Hashed:
    """The raw features of a block of paragraphs, before weights."""

    slots: I64  # of every n-gram, family after family
    begin: I64  # (families, n): where in ``slots`` each paragraph's n-grams of each family begin
    end: I64  # and end
    dense: F32
    chars: I64
    shares: dict[int, float]

    @property
    def ngrams(self) -> list[tuple[I64, I64, I64]]:
        """One ``(slots, begin, end)`` per family."""
        return [(self.slots, begin, end) for begin, end in zip(self.begin, self.end, strict=True)]


def hash_block(texts: Sequence[str], settings: FeatureSettings, alphabet: U32) -> Hashed:
    """Hash one block of paragraphs: what training counts and what prediction looks up."""
    buffer, shares = read(texts, alphabet)
    found = words(buffer)
    slots, begin, end, _ = _hash_ngrams(buffer, settings, found)
    return Hashed(slots, begin, end, dense(buffer, found, shares), buffer.end - buffer.start, shares)


# ---------------------------------------------------------------------------------------------------------
# One short paragraph: the same features in as few calls as may be, for a call costs more than the work in it.

_SHORT = 1000
_WORD = re.compile(bytes([91, *range(_DIGIT, _IDEOGRAPH), 93, 43, 124, _IDEOGRAPH]))
_KIND = [bytes([kind]) for kind in range(_IDEOGRAPH + 1)]


def hash_one(text: str, settings: FeatureSettings, alphabet: U32) -> tuple[I64, F32, int] | None:
    """Slots of all n-grams of one paragraph, its dense features (k, 1) and its length in characters.

    None for what takes more than folding: long texts, mark-up, white space to collapse. For others it is what
    :func:`hash_block` gives.
    """
    if not text or len(text) > _SHORT or text[0] in _FIRST or "sent" in settings.families:
        return None
    if "](" in text or "**" in text or "__" in text or "`" in text:
        return None
    folded = alphabet.take(np.array([_PADS + text + _PADS]).view(np.uint32), mode="clip")
    n = len(folded)
    kinds = folded.view(np.uint8)[2::4].tobytes()
    inside = kinds[_N_PADS:-_N_PADS]
    if _KIND[_IGNORE] in inside or _KIND[_PAD] in inside or b"\x01\x01" in inside:
        return None
    if inside[0] == _SPACE or inside[-1] == _SPACE:
        return None
    one = (folded & np.uint32(0xFFFF)).astype(np.uint64)
    pair = one[:-1] * _PAIR
    pair += one[1:]

    spans = [match.span() for match in _WORD.finditer(kinds)]
    stop = n - _N_PADS
    ends = [(_N_PADS - 1, _N_PADS), *spans, (stop, stop + 1), (stop + 1, stop + 2), (stop + 2, n)]
    first, after = np.array(ends).T
    power, inverse = _power_tables(n + 1)
    prefix = np.zeros(n + 1, dtype=np.uint64)
    np.add(one, 1, out=prefix[1:])
    prefix[1:] *= power[:n]
    np.add.accumulate(prefix, out=prefix)
    w = prefix.take(after)
    w -= prefix.take(first)
    w *= inverse.take(first)
    w ^= w >> _WORD_SHIFT
    w *= _M2

    begin, n_words = _N_PADS - 1, len(spans)
    counts = []
    for name in settings.families:
        if name.startswith("char"):
            counts.append(max(1, stop - begin - (name > "char3")))
        else:
            counts.append(1 if name == "open" else n_words + 1)
    slots = np.empty(sum(counts), dtype=np.int64)
    whole = slots.view(np.uint64)
    at = 0
    for name, count in zip(settings.families, counts, strict=True):
        h = whole[at : at + count]
        at += count
        if name.startswith("char"):
            _combine(name, one[begin:], pair[begin:], h)
        elif name == "open":
            np.bitwise_xor((w[1:2] * _M4 + w[2:3]) * _M1, _SALTS[name], out=h)
        else:
            _combine(name, w, w, h)
    _mix(whole, settings.bits, np.empty_like(whole))
    return slots, _dense_one(inside, n_words), stop - _N_PADS


def _dense_one(kinds: bytes, words: int) -> F32:
    """What :func:`dense` gives of one paragraph without links, (k, 1); float32 scalars round as it does."""
    number = np.float32
    count = [kinds.count(_KIND[kind]) for kind in _COUNTED]
    length = len(kinds)
    size, many, letters = number(length), number(max(words, 1)), number(max(length - sum(count[1:]), 1))
    upper, stop = number(count[0]), number(count[2])
    first, last = kinds[0], kinds[-1]
    out = np.zeros((len(DENSE_NAMES), 1), dtype=np.float32)
    flat = out[:, 0]
    flat[:21] = [
        np.log1p(size) / number(6), np.log1p(number(words)) / number(4), *[
            number(c) / size * rate if c else 0 for c, rate in zip(count, _RATES, strict=True)
        ],
        min(letters / many / number(10), number(2)), min(stop / many * number(4), number(2)),
        last == _STOP, last == _COLON, last == _SEPARATOR, last == _DIGIT, first == _UPPER, first == _DIGIT,
        _PAD < first < _DIGIT, upper >= number(0.9) * letters, upper / many,
    ]  # fmt: skip
    flat[25 : 25 + bisect.bisect_right(_CHARS_AT, length)] = 1
    words_from = 25 + len(_CHARS_AT)
    flat[words_from : words_from + bisect.bisect_right(_WORDS_AT, words)] = 1
    return out


_RATES = [np.float32(rate) for rate in _RATE.ravel()]
_CHARS_AT = _LENGTH_EDGES.tolist()
_WORDS_AT = _WORD_EDGES.tolist()


def blocks(texts: Sequence[str], limit: int = BLOCK_CHARS) -> list[slice]:
    """Cut a sequence of paragraphs into runs of about ``limit`` characters."""
    n = len(texts)
    if n <= 1:
        return [slice(0, n)] if n else []
    size = np.array(list(map(len, texts)), dtype=np.int64)
    np.minimum(size, HEAD_CHARS + TAIL_CHARS, out=size)
    total = (size + _N_PADS).cumsum()
    out: list[slice] = []
    begin = done = 0
    while begin < n:
        end = min(n, int(total.searchsorted(done + limit)) + 1)
        out.append(slice(begin, end))
        begin, done = end, int(total[end - 1])
    return out


def check_texts(texts: Any) -> list[str]:
    """Return ``texts`` as a list of str; raises TypeError for a lone string or a non-string item."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("expected a sequence of texts, got a single string; wrap it in a list: [text]")
    out = list(texts)
    if set(map(type, out)) != {str}:  # look closer: none at all, a subclass of str, or what is no text
        for i, text in enumerate(out):
            if not isinstance(text, str):
                raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}")
    return out


if sys.byteorder != "little":  # pragma: no cover - no such machine at hand
    raise ImportError("consentclf needs a little-endian machine")
