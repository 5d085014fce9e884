"""consentclf inside other programs: each module needs the program it is named after, the rest does not."""

from __future__ import annotations

import importlib
from types import ModuleType


def need(module: str, package: str, use: str, extra: str) -> ModuleType:
    """Import a module that only an extra installs; raises ImportError saying how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # it is there, but something it needs is not
        raise ImportError(
            f'Please install {package} to use {use} (pip install "consentclf[{extra}]")'
        ) from None
