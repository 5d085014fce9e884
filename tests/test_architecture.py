"""The layers hold: what lies below never imports what lies above, and prediction needs numpy alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import consentclf

PACKAGE = Path(consentclf.__file__).parent

#: Lowest first. A module may import what stands before its own layer, or in it.
LAYERS = [
    {"labels", "errors"},
    {"files", "text", "features", "context"},
    {"model"},
    {"explain"},
    {"classifier"},
    {"report"},
    {"training", "evaluation"},
    {"integrations"},
    {"cli", "__main__"},
]
#: What prediction may not import: it must run where they are not installed.
HEAVY = {"sklearn", "scipy", "joblib", "pandas"}
#: The modules that predict.
PREDICTION = {"labels", "errors", "files", "text", "features", "context", "model", "classifier", "__init__"}


def layer_of(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def imports(path: Path) -> list[str]:
    """Full names of what a module imports, at its top or anywhere inside."""
    place = ("consentclf", *path.relative_to(PACKAGE).with_suffix("").parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*place[: len(place) - node.level], *filter(None, [node.module])))
                if node.level
                else node.module
            )
            found += [f"{base}.{alias.name}" for alias in node.names]
    return found


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "shipped" not in p.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if part == "__init__":
        return
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] != "consentclf" or len(pieces) < 2 or pieces[1] == "__version__":
            continue
        assert layer_of(pieces[1]) <= layer_of(part), f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_stay_out_of_prediction(path: Path) -> None:
    if path.relative_to(PACKAGE).with_suffix("").parts[0] in PREDICTION:
        assert not HEAVY & {name.split(".")[0] for name in imports(path)}


def test_importing_and_loading_imports_no_heavy_package() -> None:
    code = (
        "import sys, consentclf; consentclf.load().predict_text('Accept all cookies');"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_predict_on_the_command_line_imports_no_heavy_package(tmp_path: Path) -> None:
    code = (
        "import sys, atexit; from consentclf.cli import main;"
        f"atexit.register(lambda: print(sorted({HEAVY | {'consentclf.training'}!r} & set(sys.modules))));"
        "main(['predict', '-'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, input="A line."
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_public_face_is_this_and_no_more() -> None:
    assert sorted(consentclf.__all__) == [
        "Classifier", "DataError", "LABELS", "ModelError", "Paragraph", "__version__", "extract", "load",
    ]  # fmt: skip
    assert all(hasattr(consentclf, name) for name in consentclf.__all__)


def test_errors_are_the_builtin_ones_a_caller_would_catch() -> None:
    assert issubclass(consentclf.DataError, ValueError)
    assert issubclass(consentclf.ModelError, ValueError)
