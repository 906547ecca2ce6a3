"""Recipes for models of a store, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.models import ModelStore
from safelight.sdk import ModelRef, Patch

FAMILIES = ("sd1", "sd2", "sdxl")


def ref(store: ModelStore, kind: str, name: str, **more: Any) -> ModelRef[Any]:
    source = store.find(name)
    return ModelRef(kind, store.family(source), source, **more)


def module(lease: Any) -> Any:
    """The torch module of a leased denoiser, VAE or ControlNet."""
    modules = getattr(lease.component, "modules", None)
    return next(iter(modules.values())) if isinstance(modules, Mapping) else lease.component


def lora(store: ModelStore, name: str, weight: float = 1.0) -> Patch:
    return Patch("lora", store.find(f"lora/{name}.safetensors"), weight)
