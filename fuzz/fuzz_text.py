"""Fuzz the path of a text through the command: decode, split, offsets, ``clean``, labels.

``python fuzz/fuzz_text.py -max_total_time=60``; a folder of inputs to begin with may follow. Needs ``atheris``.
It stops at the first input that breaks a guarantee and writes it to ``crash-...`` in the current folder.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["consentclf"]):
    import consentclf
    from consentclf import text as splitting
    from consentclf.errors import DataError
    from consentclf.files import TextReader

ENCODINGS = ("utf-8", "utf-16", "latin-1", "shift_jis", "gb18030", "utf-7")
MOST = 4_000  # characters: beyond, an input only costs time
SAMPLES = (
    b"\x00# Heading\n\nA paragraph of the page,\nwrapped.\n\n> quoted\n- item\n",
    b"\x00\xef\xbb\xbfAccept all cookies\r\n\r\nHome | News | Sport\r\n",
    b"\x01\xff\xfea\x00\n\x00\x00\xd8b\x00",
    b"\x00e\xcc\x81\xcc\x81 \xe2\x80\xae abc \xf0\x9f\x9c\x81 \x00 caf\xe9\n```\n[a](b)\n| x |\n",
)

WHITE = splitting._BEFORE  # all that may lie between paragraphs
classifier = consentclf.load()


def decode(data: bytes) -> str:
    """The bytes as the command reads them; the first byte chooses the encoding."""
    encoding = ENCODINGS[data[0] % len(ENCODINGS)] if data else "utf-8"
    reader = TextReader(io.BytesIO(data[1:]), "input", encoding)
    pieces = []
    while piece := reader.read(97):
        pieces.append(piece)
    return "".join(pieces)[:MOST]


def check(text: str) -> None:
    """Every guarantee about one text."""
    spans = splitting.split(text)
    at = 0
    for start, end in spans:
        if not at <= start < end <= len(text):
            raise AssertionError(f"offsets {start}, {end} after {at} in {len(text)} characters")
        if text[at:start].strip(WHITE):
            raise AssertionError(f"text between paragraphs: {text[at:start]!r}")
        at = end
    if text[at:].strip(WHITE):
        raise AssertionError(f"text after the last paragraph: {text[at:]!r}")
    size = 1 + len(text) // 3
    if "".join(part for _, part in splitting.sections(io.StringIO(text, newline=""), size)) != text:
        raise AssertionError("the sections do not make up the text")
    page = classifier.predict_text(text)
    if [(p.start, p.end, p.text) for p in page] != [(s, e, text[s:e]) for s, e in spans]:
        raise AssertionError("paragraphs are not those of the splitting")
    for p in page:
        if abs(sum(p.scores.values()) - 1) > 1e-6 or p.score != p.scores[p.label]:
            raise AssertionError(f"scores {p.scores}")
    kept = classifier.clean(text)
    if kept and not all(p.text in kept for p in page if p.label == "article"):
        raise AssertionError("an article was lost by clean")
    if not kept and any(p.label == "article" for p in page):
        raise AssertionError("clean lost every article")
    texts = [p.text for p in page]
    if texts:
        forward = classifier.predict_proba(texts)
        backward = classifier.predict_proba(texts[::-1])[::-1]
        alone = classifier.predict_proba(texts[:1])
        if abs(forward - backward).max() > 1e-9 or abs(forward[:1] - alone).max() > 1e-9:
            raise AssertionError("labels hang on the batch")


def one_input(data: bytes) -> None:
    """What the fuzzer calls."""
    try:
        text = decode(data)
    except DataError:  # the one refusal there is: a codec that cannot replace what it cannot read
        return
    check(text)


def seeds(folder: Path) -> None:
    """Inputs to begin with: the samples, and the beginnings of some pages of ``data/``."""
    for number, sample in enumerate(SAMPLES):
        (folder / f"sample-{number}").write_bytes(sample)
    for file in sorted((ROOT / "data" / "pages").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines()[:1]:
            page = json.loads(line)
            text = "\n\n".join(p["text"] for p in page.get("paragraphs", ()))
            (folder / f"page-{file.stem}").write_bytes(b"\0" + text[:600].encode())


def main() -> None:
    """Run the fuzzer; without a folder of inputs, from the seeds."""
    arguments = [*sys.argv]
    if all(a.startswith("-") for a in arguments[1:]):
        folder = tempfile.mkdtemp(prefix="fuzz-")
        seeds(Path(folder))
        arguments += ["-max_len=2000", "-len_control=0", folder]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
