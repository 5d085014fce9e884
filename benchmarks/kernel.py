"""The C kernel: compiled with the machine's compiler where there is one, and called on joined paragraphs."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consentclf import features
from consentclf.model import Model

_WORD_FAMILIES = {"word1": 11, "word2": 12, "word3": 13, "skip2": 14, "open": 15, "sent": 16}


class Kernel:
    """First-stage logits of paragraphs without Markdown, computed in C."""

    def __init__(self, library: ctypes.CDLL, model: Model) -> None:
        self._score = library.score
        names = model.settings.families
        codes = [int(n[-1]) if n.startswith("char") else _WORD_FAMILIES[n] for n in names]
        edges = np.concatenate([features._LENGTH_EDGES, features._WORD_EDGES]).astype(np.float32)
        self._arrays: dict[str, NDArray[Any]] = {
            "alphabet": model.alphabet,
            "table": model.table,
            "families": np.array(codes, dtype=np.int32),
            "salts": np.array([features._SALTS[n] for n in names], dtype=np.uint64),
            "scales": model.scales.astype(np.float64),
            "edges": edges,
            "weights": model.dense_weights,
            "bias": model.bias,
        }
        self._bits = model.settings.bits

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Logits (n, 4)."""
        raw = np.minimum(np.array(["".join(texts)]).view(np.uint32), 0xFFFF).astype(np.uint16)
        size = np.array(list(map(len, texts)), dtype=np.int64)
        share = np.full(len(texts), -1, dtype=np.float32)
        out = np.empty((len(texts), 4))
        a = self._arrays
        failed = self._score(
            _at(raw), _at(size), _at(share), ctypes.c_int64(len(texts)), _at(a["alphabet"]), _at(a["table"]),
            self._bits, _at(a["families"]), _at(a["salts"]), len(a["families"]), _at(a["scales"]),
            _at(a["edges"]), len(features._LENGTH_EDGES), len(features._WORD_EDGES), _at(a["weights"]),
            _at(a["bias"]), _at(out),
        )  # fmt: skip
        if failed:
            raise MemoryError
        return out


def _at(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def compile_kernel(model: Model) -> tuple[Kernel | None, str]:
    """The kernel, and how it was compiled; None and the reason where there is no compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        return None, "no C compiler on PATH"
    source = Path(__file__).with_name("kernel.c")
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-ffp-contract=off"]
    with tempfile.TemporaryDirectory() as place:
        library = Path(place) / "kernel.so"
        command = [compiler, *flags, str(source), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our source
        if done.returncode:
            return None, f"{compiler} failed: {done.stderr.strip().splitlines()[-1:]}"
        loaded = ctypes.CDLL(str(library))  # stays mapped after the file is gone
    return Kernel(loaded, model), " ".join([Path(compiler).name, *flags[:2]])
