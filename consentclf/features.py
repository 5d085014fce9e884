"""Text to hashed TF-IDF features: the one definition, used by training and by prediction.

A batch of paragraphs becomes one buffer of folded code points. Every n-gram of characters is hashed
by combining the hashes of its halves; every word by one prefix-sum rolling hash, so a word of any
length costs one subtraction and one product. Nothing loops over characters or tokens in Python.

The hash values, the folding table and the dense features below are part of the model format: change
any of them and the format number in :mod:`consentclf.model` must change too.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]

#: A longer paragraph is judged by its first and last characters: bounded memory, same answer in training.
HEAD_CHARS, TAIL_CHARS = 12_000, 4_000
#: Code points a block aims at; measured best where the block's arrays and the weight table share L2 and L3.
BLOCK_CHARS = 1 << 15

# Kinds of characters. Those from _LETTER up are word characters.
_PAD, _SPACE, _IGNORE, _STOP, _COLON, _SEPARATOR, _PUNCT, _SYMBOL, _DIGIT, _LETTER, _UPPER, _IDEOGRAPH = range(12)
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
    for name in ("char1", "char2", "char3", "char4", "char5", "word1", "word2", "word3", "skip2", "open", "sent")
}

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
    bits: int = 18

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
        return (_STOP << 16) | ord("." if char in ".。｡۔।" else "…" if char == "…" else "!" if char in "!！" else "?")
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

_LINK = re.compile(r"!?\[([^\[\]]{0,2000})\]\([^()\s]{0,2000}(?:\([^()\s]{0,500}\)[^()\s]{0,500})?(?:\s+\"[^\"]{0,500}\")?\s*\)")
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
    text = _MARKER.sub("", text)
    if "**" in text or "__" in text or "`" in text:
        text = _EMPHASIS.sub(r"\2", text)
    return text, share


_MARKED = re.compile(r"\]\(|\*\*|__|`")
_FIRST = frozenset("#-*+•>|0123456789 \t")


def _prepare(texts: Sequence[str]) -> tuple[list[str], dict[int, float]]:
    """Visible text of each paragraph, clipped, and the link share of those with links."""
    shares: dict[int, float] = {}
    out = list(texts)
    for i, text in enumerate(out):
        if len(text) > HEAD_CHARS + TAIL_CHARS:
            text = out[i] = text[:HEAD_CHARS] + " " + text[-TAIL_CHARS:]
        if text and (text[0] in _FIRST or _MARKED.search(text)):
            out[i], share = visible(text)
            if share >= 0:
                shares[i] = share
    return out, shares


# ---------------------------------------------------------------------------------------------------------
# The buffer of code points, and its n-grams.


@dataclass(frozen=True)
class Buffer:
    """A batch as folded code points: paragraph ``i`` is ``codes[start[i]:end[i]]``, pads around it."""

    codes: U64
    kinds: NDArray[np.uint8]
    start: I64
    end: I64


def encode(texts: Sequence[str], alphabet: NDArray[np.uint32]) -> Buffer:
    """Fold a batch of paragraphs into one buffer, white space collapsed."""
    pad = "\0" * _N_PADS
    joined = pad + pad.join(texts) + pad
    raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    end = np.cumsum(lengths + _N_PADS)
    start = end - lengths
    folded = alphabet.take(np.minimum(raw, np.uint32(0xFFFF)))
    kinds = (folded >> np.uint32(16)).astype(np.uint8)
    if (kinds == _IGNORE).any():
        folded, kinds, start, end = _compress(kinds != _IGNORE, folded, kinds, start, end)
    space = kinds == _SPACE
    blank = kinds <= _SPACE
    drop = space[1:-1] & (blank[:-2] | (kinds[2:] == _PAD))
    while drop.any():  # once is the rule; a run of spaces before the end takes a second look
        keep = np.concatenate(([True], ~drop, [True]))
        folded, kinds, start, end = _compress(keep, folded, kinds, start, end)
        drop = (kinds[1:-1] == _SPACE) & ((kinds[:-2] <= _SPACE) | (kinds[2:] == _PAD))
    return Buffer((folded & np.uint32(0xFFFF)).astype(np.uint64), kinds, start, end)


def _compress(
    keep: NDArray[np.bool_], folded: NDArray[np.uint32], kinds: NDArray[np.uint8], start: I64, end: I64
) -> tuple[NDArray[np.uint32], NDArray[np.uint8], I64, I64]:
    position = np.concatenate(([0], np.cumsum(keep)))
    return folded[keep], kinds[keep], position[start], position[end]


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
    inside = kinds >= _DIGIT
    single = (kinds == _IDEOGRAPH) | (kinds == _PAD)
    first_mask = single.copy()
    first_mask[1:] |= inside[1:] & (~inside[:-1] | single[:-1])
    last_mask = single.copy()
    last_mask[:-1] |= inside[:-1] & (~inside[1:] | single[1:])
    first = np.flatnonzero(first_mask)
    last = np.flatnonzero(last_mask)
    power, inverse = _power_tables(len(kinds) + 1)
    prefix = np.zeros(len(kinds) + 1, dtype=np.uint64)
    np.cumsum((buffer.codes + np.uint64(1)) * power[: len(kinds)], out=prefix[1:])
    hashes = (prefix[last + 1] - prefix[first]) * inverse[first]
    hashes ^= hashes >> np.uint64(29)
    hashes *= _M2
    begin = np.searchsorted(first, buffer.start) - 1
    end = np.searchsorted(first, buffer.end)
    return Words(hashes, first, last, begin, end)


def ngram_slots(
    buffer: Buffer, settings: FeatureSettings, found: Words
) -> list[tuple[I64, I64, I64]]:
    """Hash every n-gram of a buffer.

    Returns one ``(slots, begin, end)`` per family in ``settings.families``: int64 table slots of all
    n-grams of the buffer in order, and the half-open range of them that belongs to each paragraph.
    The n-grams next to a paragraph's ends take in its pads, so that openings and closings differ from
    the same text inside.
    """
    shift = np.uint64(64 - settings.bits)

    def slots(hashes: U64, name: str) -> I64:
        mixed = hashes ^ _SALTS[name]
        mixed *= _M3
        mixed ^= mixed >> np.uint64(32)
        mixed *= _M1
        mixed >>= shift
        return mixed.view(np.int64)

    one = buffer.codes
    pair = one[:-1] * np.uint64(0x10001) * _M4 + one[1:]
    w = found.hashes
    out: list[tuple[I64, I64, I64]] = []
    for name in settings.families:
        if name.startswith("char"):
            n = int(name[-1])
            if n == 1:
                hashes = one
            elif n == 2:
                hashes = pair
            elif n == 3:
                hashes = pair[:-1] * _M1 + one[2:]
            elif n == 4:
                hashes = pair[:-2] * _M1 + pair[2:]
            else:
                hashes = (pair[:-3] * _M1 + pair[2:-1]) * _M1 + one[4:]
            begin = buffer.start - 1
            # A text shorter than the n-gram still has one, from the pad before it.
            end = np.maximum(begin + 1, buffer.end - (1 if n > 3 else 0))
            out.append((slots(hashes, name), begin, end))
            continue
        begin, end = found.begin, found.end
        if name == "word1":
            hashes = w
        elif name == "word2":
            hashes = w[:-1] * _M1 + w[1:]
        elif name == "word3":
            hashes = (w[:-2] * _M1 + w[1:-1]) * _M4 + w[2:]
        elif name == "skip2":
            hashes = w[:-2] * _M4 + w[2:]
        elif name == "open":
            hashes = (w[begin + 1] * _M4 + w[begin + 2]) * _M1
            begin = np.arange(len(begin), dtype=np.int64)
            end = begin + 1
        else:
            hashes, begin, end = _sentence_openings(buffer, found)
        out.append((slots(hashes, name), begin, end))
    return out


def _sentence_openings(buffer: Buffer, found: Words) -> tuple[U64, I64, I64]:
    stops = np.concatenate(([0], np.cumsum((buffer.kinds == _STOP) | (buffer.kinds == _PAD))))
    before = np.concatenate(([0], stops[found.last[:-1] + 1]))
    opens = stops[found.first] > before
    opens |= buffer.kinds[found.first] == _PAD
    position = np.concatenate(([0], np.cumsum(opens)))
    return found.hashes[opens], position[found.begin], np.maximum(position[found.end], position[found.begin] + 1)


# ---------------------------------------------------------------------------------------------------------
# Dense features.

# Two packed counters: four lanes of 16 bits each, one lane per kind counted. Clipping keeps a count below 2**16.
_COUNTED = ((_UPPER, _DIGIT, _STOP, _COLON), (_SEPARATOR, _PUNCT, _SYMBOL, _SPACE))
_LANES = []
for _group in _COUNTED:
    _table = np.zeros(16, dtype=np.uint64)
    for _lane, _kind in enumerate(_group):
        _table[_kind] = 1 << (16 * _lane)
    _LANES.append(_table)

_LENGTH_EDGES = np.array([1, 3, 6, 10, 16, 25, 40, 65, 100, 160, 260, 420, 800], dtype=np.float32)
_WORD_EDGES = np.array([1, 2, 3, 4, 6, 9, 14, 25, 50], dtype=np.float32)

DENSE_NAMES: tuple[str, ...] = (
    "log_chars", "log_words", "upper", "digit", "stop", "colon", "separator", "punct", "symbol", "space",
    "word_length", "stops_per_word", "ends_stop", "ends_colon", "ends_separator", "ends_digit", "starts_upper",
    "starts_digit", "starts_mark", "all_upper", "title_case", "linked", "link_share", "all_link", "some_link",
    *(f"chars>={int(e)}" for e in _LENGTH_EDGES), *(f"words>={int(e)}" for e in _WORD_EDGES),
)  # fmt: skip


def dense(buffer: Buffer, found: Words, shares: dict[int, float]) -> F32:
    """Dense features of each paragraph, float32 of shape (n, len(DENSE_NAMES)), each about 0 to 1."""
    n = len(buffer.start)
    chars = (buffer.end - buffer.start).astype(np.float32)
    bounds = np.empty(2 * n, dtype=np.int64)
    bounds[0::2] = buffer.start - 1  # a pad: never empty, counts nothing
    bounds[1::2] = buffer.end
    counts = []
    for lanes in _LANES:
        packed = np.add.reduceat(lanes.take(buffer.kinds), bounds)[::2]
        counts += [((packed >> np.uint64(16 * k)) & np.uint64(0xFFFF)).astype(np.float32) for k in range(4)]
    upper, digit, stop, colon, separator, punct, symbol, space = counts
    size = np.maximum(chars, 1)
    n_words = (found.end - found.begin - 1).astype(np.float32)
    many = np.maximum(n_words, 1)
    last = buffer.kinds[np.maximum(buffer.end - 1, buffer.start - 1)]
    first = buffer.kinds[buffer.start]
    letters = np.maximum(size - digit - stop - colon - separator - punct - symbol - space, 1)
    out = np.zeros((n, len(DENSE_NAMES)), dtype=np.float32)
    columns = [
        np.log1p(chars) / 6, np.log1p(n_words) / 4, upper / size, digit / size, stop / size * 10, colon / size * 10,
        separator / size * 5, punct / size * 5, symbol / size * 5, space / size * 4,
        np.minimum(letters / many / 10, 2), np.minimum(stop / many * 4, 2), last == _STOP, last == _COLON,
        last == _SEPARATOR, last == _DIGIT, first == _UPPER, first == _DIGIT,
        (first < _DIGIT) & (first > _PAD), upper >= 0.9 * letters, upper / many,
    ]  # fmt: skip
    for j, column in enumerate(columns):
        out[:, j] = column
    j = len(columns)
    for i, share in shares.items():
        out[i, j] = 1
        out[i, j + 1] = share
        out[i, j + 2] = share > 0.8
        out[i, j + 3] = 0 < share <= 0.3
    j += 4
    out[:, j : j + len(_LENGTH_EDGES)] = chars[:, None] >= _LENGTH_EDGES
    j += len(_LENGTH_EDGES)
    out[:, j:] = n_words[:, None] >= _WORD_EDGES
    return out


@dataclass(frozen=True)
class Hashed:
    """The raw features of a block of paragraphs, before weights."""

    ngrams: list[tuple[I64, I64, I64]]
    dense: F32
    chars: I64
    shares: dict[int, float]


def hash_block(texts: Sequence[str], settings: FeatureSettings, alphabet: NDArray[np.uint32]) -> Hashed:
    """Hash one block of paragraphs: what training counts and what prediction looks up."""
    clean, shares = _prepare(texts)
    buffer = encode(clean, alphabet)
    found = words(buffer)
    return Hashed(
        ngram_slots(buffer, settings, found), dense(buffer, found, shares), buffer.end - buffer.start, shares
    )


def blocks(texts: Sequence[str], limit: int = BLOCK_CHARS) -> list[slice]:
    """Cut a sequence of paragraphs into runs of about ``limit`` characters."""
    out: list[slice] = []
    begin = size = 0
    for i, text in enumerate(texts):
        size += min(len(text), HEAD_CHARS + TAIL_CHARS) + _N_PADS
        if size >= limit:
            out.append(slice(begin, i + 1))
            begin, size = i + 1, 0
    if begin < len(texts):
        out.append(slice(begin, len(texts)))
    return out


def check_texts(texts: Any) -> list[str]:
    """Return ``texts`` as a list of str; raises TypeError for a lone string or a non-string item."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("expected a sequence of texts, got a single string; wrap it in a list: [text]")
    out = list(texts)
    for i, text in enumerate(out):
        if not isinstance(text, str):
            raise TypeError(f"texts[{i}] must be str, got {type(text).__name__}")
    return out


if sys.byteorder != "little":  # pragma: no cover - no such machine at hand
    raise ImportError("consentclf needs a little-endian machine")
