"""Loads a component, whatever layout its model has."""

from __future__ import annotations

from .components import Loaded, weights_of
from .components import load as load_parts
from .layout import Layout
from .weights import Target


def load(kind: str, layout: Layout, target: Target) -> Loaded:
    """Loads the component of a kind (`Denoiser`, `VAE`, ...) from a model's files.

    Raises:
        ProblemError: the model has none, or its files do not fit each other.
    """
    weights_of(kind, layout)
    if layout.single:
        from .single_file import load as load_single

        return load_single(kind, layout, target)
    return load_parts(kind, layout, target)
