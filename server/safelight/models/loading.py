"""Loads a component, whatever layout its model has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .components import Loaded, weights_of
from .components import load as load_parts
from .layout import Layout
from .weights import Target


def load(kind: str, layout: Layout, target: Target, vocabulary: Callable[[], Path | None]) -> Loaded:
    """Loads the component of a kind (`Denoiser`, `VAE`, ...) from a model's files.

    `vocabulary` finds a tokenizer's folder for models that come without one.

    Raises:
        ProblemError: the model has none, or its files do not fit each other.
    """
    weights_of(kind, layout)
    if layout.single:
        from .single_file import load as load_single

        return load_single(kind, layout, target, vocabulary() if kind == "TextEncoder" else None)
    return load_parts(kind, layout, target)
