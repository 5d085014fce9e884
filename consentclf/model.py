"""The immutable model, and its file.

The file is in the safetensors format (https://github.com/huggingface/safetensors): eight bytes of header
length, a JSON header, then raw little-endian arrays. It is data: reading it executes nothing, allocates nothing
from a number in it before that number was checked against the file's size, and needs NumPy alone. The metadata
carries a format number, the model card as JSON, and a SHA-256 digest of card and arrays.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import context, features
from .errors import ModelError
from .files import write_atomic
from .labels import LABELS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

FORMAT = "consentclf"
FORMAT_NUMBER = 1
#: No model is larger; a file that claims to be is refused before it is read.
MAX_FILE_BYTES = 64 << 20
_MAX_HEADER_BYTES = 1 << 20

#: Largest value of a quantised weight (the table stores unsigned bytes).
QUANTA = 255
_ZERO = 128
#: Values summed in packed form at once: 257 * 255 < 2**16.
_RUN = 257
_EVEN_LANES = np.uint64(0x0000FFFF0000FFFF)

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "U8": np.dtype("u1"), "U32": np.dtype("<u4")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}

#: Dense features that the page stage sees too.
CONTEXT_SHAPE: tuple[str, ...] = (
    "ends_stop", "ends_colon", "separator", "digit", "starts_upper", "stops_per_word", "punct", "title_case",
    "linked", "link_share", "log_words",
)  # fmt: skip


def shape_size() -> int:
    """Columns of the per-paragraph shape the page stage sees: the dense ones above, and repetition."""
    return len(CONTEXT_SHAPE) + 1


@dataclass(frozen=True, eq=False)
class Model:
    """Weights of both stages. Arrays are read-only; nothing changes after construction.

    table : uint8 (slots, 4): quantised weight against ``article`` for banner, consent, navigation (128 is
        zero), then squared idf in ``idf2_scale`` steps.
    """

    settings: features.FeatureSettings
    alphabet: NDArray[np.uint32]
    table: NDArray[np.uint8]
    scales: F32  # (4,): step of each lane of the table
    dense_weights: F32  # (dense features, 4)
    bias: F32  # (4,)
    context_weights: tuple[F32, ...]  # one (page features, 4) per pass
    context_bias: tuple[F32, ...]
    calibration: dict[str, dict[str, Any]]
    thresholds: dict[str, dict[str, float]]
    card: dict[str, Any]
    digest: str = ""

    # -- first stage -----------------------------------------------------------------------------------

    @cached_property
    def _packed(self) -> NDArray[np.uint64]:
        """The table with the four lanes of a slot in one word of 64 bits, 16 each: one look-up, one sum."""
        wide = self.table.astype(np.uint64)
        packed: NDArray[np.uint64] = (
            wide[:, 0]
            | wide[:, 1] << np.uint64(16)
            | wide[:, 2] << np.uint64(32)
            | wide[:, 3] << np.uint64(48)
        )
        packed.flags.writeable = False
        return packed

    @cached_property
    def _shape_columns(self) -> NDArray[np.int64]:
        return np.array([features.DENSE_NAMES.index(name) for name in CONTEXT_SHAPE])

    @cached_property
    def _scales(self) -> F64:
        return self.scales.astype(np.float64)[:, None]

    @cached_property
    def _dense_columns(self) -> tuple[F64, F64]:
        return context.rounded(self.dense_weights), self.bias.astype(np.float64)[:, None]

    @cached_property
    def _passes(self) -> list[tuple[F64, F32]]:
        return [(context.rounded(w), b) for w, b in zip(self.context_weights, self.context_bias, strict=True)]

    def _lanes(self, hashed: features.Hashed) -> F64:
        """Sum the table over each paragraph's n-grams: float64 (4, n), whole numbers less the zero point."""
        begin, end = hashed.begin, hashed.end
        values = self._packed.take(hashed.slots, mode="wrap")
        packed, first = features.segment_sums(values, begin.ravel(), end.ravel(), _RUN)
        # Lanes of 32 bits from here on, two to a word.
        halves = np.empty((2, len(packed)), dtype=np.uint64)
        np.bitwise_and(packed, _EVEN_LANES, out=halves[0])
        np.right_shift(packed, np.uint64(16), out=halves[1])
        halves[1] &= _EVEN_LANES
        if first is not None:
            halves = np.add.reduceat(halves, first, axis=1)
        sums = halves.reshape(2, *begin.shape).sum(axis=1)
        out = np.empty((4, begin.shape[1]))
        out[0::2] = sums[0].view(np.uint32).reshape(-1, 2).T
        out[1::2] = sums[1].view(np.uint32).reshape(-1, 2).T
        out[:3] -= _ZERO * (end - begin).sum(axis=0)
        return out

    def _first_block(self, texts: Sequence[str]) -> tuple[F64, features.Hashed]:
        """Logits (4, n) of one block of paragraphs, and its features."""
        hashed = features.hash_block(texts, self.settings, self.alphabet)
        lanes = self._lanes(hashed)
        lanes *= self._scales
        norm = np.sqrt(np.maximum(lanes[3], 1e-9))
        weights, bias = self._dense_columns
        out = context.product(weights, context.on_grid(hashed.dense.T.copy(), 20))
        out += bias
        lanes[:3] /= norm
        out[1:] += lanes[:3]
        return out, hashed

    def _first_one(self, text: str) -> tuple[F64, F64, F64] | None:
        """What :meth:`first_stage` returns of one paragraph, sooner; None where it takes the long way."""
        hashed = features.hash_one(text, self.settings, self.alphabet)
        if hashed is None:
            return None
        slots, dense, chars = hashed
        values = self._packed.take(slots, mode="wrap")
        packed = [int(np.add.reduce(values[at : at + _RUN])) for at in range(0, len(values), _RUN)]
        weights, bias = self._dense_columns
        shape = np.zeros((1, shape_size()))
        shape[0, :-1] = dense[self._shape_columns, 0]
        out = context.product(weights, context.on_grid(dense, 20))
        out += bias
        lanes = [sum((p >> place) & 0xFFFF for p in packed) for place in (0, 16, 32, 48)]
        *steps, squares = self.scales.tolist()
        norm = math.sqrt(max(lanes[3] * squares, 1e-9))
        zero = _ZERO * len(values)
        for label, step in enumerate(steps):
            out[label + 1, 0] += (lanes[label] - zero) * step / norm
        return out.T, np.array([float(chars)]), shape

    def first_stage(self, texts: Sequence[str]) -> tuple[F64, F64, F64]:
        """Logits (n, 4), lengths in characters (n,) and shape (n, k) of paragraphs, each judged alone.

        The arrays lie in memory by columns.
        """
        n = len(texts)
        if n == 1:
            found = self._first_one(texts[0])
            if found:
                return found
        logits = np.empty((4, n))
        chars = np.empty(n)
        shape = np.zeros((shape_size(), n))
        for block in features.blocks(texts):
            logits[:, block], hashed = self._first_block(texts[block])
            chars[block] = hashed.chars
            shape[:-1, block] = hashed.dense.T[self._shape_columns]
        return logits.T, chars, shape.T

    # -- page stage ------------------------------------------------------------------------------------

    def page_stage(self, pages: Sequence[Sequence[str]]) -> F64:
        """Logits (n, 4) of the paragraphs of pages laid end to end, each judged with its page."""
        texts = [text for page in pages for text in page]
        logits, chars, shape = self.first_stage(texts)
        if not texts:
            return logits
        bounds = np.concatenate(([0], np.cumsum([len(page) for page in pages])))
        shape[:, -1] = np.concatenate([context.repeats(page) for page in pages])
        return self.second_stage(logits, chars, shape, bounds)

    def second_stage(self, logits: F64, chars: F64, shape: F64, bounds: NDArray[np.int64]) -> F64:
        """Every pass of the page stage over first-stage logits, pages at a time as the cache takes them."""
        out: F64 = np.empty((4, len(logits))).T
        for group in context.groups(bounds):
            part = bounds[group.start : group.stop + 1]
            rows = slice(int(part[0]), int(part[-1]))
            seen = first = logits[rows]
            batch = context.PageBatch(chars[rows], shape[rows], part - part[0])
            for number, (weights, bias) in enumerate(self._passes):
                seen = batch.score(seen, weights, bias, first if number else None)
            out[rows] = seen
        return out

    def probabilities(self, logits: F64, stage: str) -> F64:
        """Calibrated probabilities; ``stage`` is ``paragraph`` or ``page``."""
        calibration = self.calibration[stage]
        p = np.multiply(logits.T, calibration["scale"], order="C")
        p += np.array(calibration["bias"])[:, None]
        p -= np.maximum.reduce(p)
        np.exp(p, out=p)
        p /= p[0] + p[1] + p[2] + p[3]
        rows: F64 = p.T
        return rows

    # -- the file --------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the file by name."""
        out: dict[str, NDArray[Any]] = {
            "alphabet": self.alphabet,
            "table": self.table,
            "scales": self.scales,
            "dense_weights": self.dense_weights,
            "bias": self.bias,
        }
        for i, (weights, bias) in enumerate(zip(self.context_weights, self.context_bias, strict=True)):
            out[f"context{i}_weights"] = weights
            out[f"context{i}_bias"] = bias
        return out

    def to_bytes(self) -> bytes:
        """The model file."""
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(self.arrays().items())}
        body = b"".join(array.tobytes() for array in arrays.values())
        card = json.dumps(self._card(), ensure_ascii=False, sort_keys=True)
        metadata = {
            "format": FORMAT,
            "format_number": str(FORMAT_NUMBER),
            "card": card,
            "digest": _digest(card, body),
        }
        return _header(arrays, metadata) + body

    def _card(self) -> dict[str, Any]:
        return {
            **self.card,
            "labels": list(LABELS),
            "families": list(self.settings.families),
            "bits": self.settings.bits,
            "passes": len(self.context_weights),
            "calibration": self.calibration,
            "thresholds": self.thresholds,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, beside its place and renamed: the old or the whole new one stands there."""
        write_atomic(path, self.to_bytes())


def _header(arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    """Length and header of a file whose arrays follow each other in the order given."""
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in arrays.items():  # every array is a multiple of four bytes long: all stay aligned
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    head = json.dumps(header, ensure_ascii=False, sort_keys=True).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head


def _digest(card: str, body: bytes) -> str:
    digest = hashlib.sha256(card.encode())
    digest.update(body)
    return digest.hexdigest()


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Raises
    ------
    ModelError
        A foreign, damaged or newer file, in one line with the remedy.
    OSError
        A file that cannot be read.
    """
    size = os.path.getsize(path)
    if size > MAX_FILE_BYTES:
        raise ModelError(f"{path}: {size:,} bytes is no consentclf model (at most {MAX_FILE_BYTES:,})")
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    try:
        return from_bytes(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


_FOREIGN = "not a consentclf model file; train one with `consentclf train --out FILE`"


def from_bytes(data: bytes) -> Model:
    """Check and read the bytes of a model file; raises ModelError."""
    length = int.from_bytes(data[:8], "little") if len(data) >= 8 else 0
    if not 2 <= length <= min(_MAX_HEADER_BYTES, len(data) - 8) or data[8:9] != b"{":
        raise ModelError(_FOREIGN)
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__")
        if metadata["format"] != FORMAT:
            raise KeyError
        number, card_text, digest = metadata["format_number"], metadata["card"], metadata["digest"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(_FOREIGN) from None
    if number != str(FORMAT_NUMBER):
        raise ModelError(
            f"model format {str(number)[:20]!r}, this consentclf reads {FORMAT_NUMBER}; "
            "install the matching version or train again"
        )
    body = data[8 + length :]
    if not isinstance(card_text, str) or _digest(card_text, body) != digest:
        raise ModelError("damaged: the digest does not match; fetch or train the model again")
    try:
        card = json.loads(card_text)
        if type(card["bits"]) is not int:
            raise TypeError
        settings = features.FeatureSettings(tuple(card["families"]), card["bits"])
        passes = card["passes"]
        calibration = {k: _calibration(card["calibration"][k]) for k in ("paragraph", "page")}
        thresholds = {str(m): {str(k): float(v) for k, v in t.items()} for m, t in card["thresholds"].items()}
        if not all(k in LABELS and 0 <= v <= 1 for t in thresholds.values() for k, v in t.items()):
            raise ValueError
        if card["labels"] != list(LABELS) or type(passes) is not int or not 1 <= passes <= 4:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(
            "damaged: its card lacks or contradicts the model's settings; train the model again"
        ) from None
    arrays = _arrays(header, body, _expected(settings, passes))
    # The digest covers card and arrays. The header has one way to be written, gaps and order included.
    if _header({name: arrays[name] for name in sorted(arrays)}, metadata) != data[: 8 + length]:
        raise ModelError("damaged: its header is not as it was written; fetch or train the model again")
    return Model(
        settings=settings,
        context_weights=tuple(arrays[f"context{i}_weights"] for i in range(passes)),
        context_bias=tuple(arrays[f"context{i}_bias"] for i in range(passes)),
        calibration=calibration,
        thresholds=thresholds,
        card=card,
        digest=digest,
        **{name: arrays[name] for name in ("alphabet", "table", "scales", "dense_weights", "bias")},
    )


def _calibration(given: dict[str, Any]) -> dict[str, Any]:
    scale, bias = float(given["scale"]), [float(b) for b in given["bias"]]
    if len(bias) != len(LABELS) or not np.isfinite([scale, *bias]).all() or scale <= 0:
        raise ValueError
    return {"scale": scale, "bias": bias}


def _expected(settings: features.FeatureSettings, passes: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    k = len(LABELS)
    seen = context.features_size(shape_size())
    out: dict[str, tuple[str, tuple[int, ...]]] = {
        "alphabet": ("U32", (0x10000,)),
        "table": ("U8", (1 << settings.bits, 4)),
        "scales": ("F32", (4,)),
        "dense_weights": ("F32", (len(features.DENSE_NAMES), k)),
        "bias": ("F32", (k,)),
    }
    for i in range(passes):
        out[f"context{i}_weights"] = ("F32", (seen + (k if i else 0), k))
        out[f"context{i}_bias"] = ("F32", (k,))
    return out


def _arrays(header: Any, body: bytes, expected: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    if not isinstance(header, dict) or set(header) != set(expected):
        raise ModelError("damaged: arrays are missing or foreign; train the model again")
    out = {}
    for name, (dtype, shape) in expected.items():
        count = int(np.prod(shape))
        nbytes = count * _DTYPES[dtype].itemsize
        entry = header[name]
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if (
            not isinstance(offsets, list)
            or entry.get("dtype") != dtype
            or entry.get("shape") != list(shape)
            or [type(o) for o in offsets] != [int, int]
            or not 0 <= offsets[0] <= offsets[1] <= len(body)
            or offsets[1] - offsets[0] != nbytes
        ):
            raise ModelError(
                f"damaged: array {name!r} is not {dtype} of shape {shape}; train the model again"
            )
        array = np.frombuffer(body, dtype=_DTYPES[dtype], count=count, offset=offsets[0]).reshape(shape)
        if dtype == "F32" and not np.isfinite(array).all():
            raise ModelError(f"damaged: array {name!r} has values that are not finite; train the model again")
        out[name] = array
    if (out["alphabet"] >> 16 > 11).any():
        raise ModelError("damaged: array 'alphabet' names kinds that do not exist; train the model again")
    return out
