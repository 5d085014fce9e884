"""Errors that a caller may want to tell apart. Each subclasses the builtin one would catch."""

from __future__ import annotations


class DataError(ValueError):
    """Training or evaluation input that cannot be used; the message names file, line and remedy."""


class ModelError(ValueError):
    """A model file that cannot be used: foreign, damaged, or of a format this version does not read."""
