"""Recipes for models of a store, by name."""

from __future__ import annotations

from typing import Any

from safelight.models import ModelStore
from safelight.sdk import ModelRef, Patch

FAMILIES = ("sd1", "sd2", "sdxl")


def ref(store: ModelStore, kind: str, name: str, **more: Any) -> ModelRef[Any]:
    source = store.find(name)
    return ModelRef(kind, store.family(source), source, **more)


def lora(store: ModelStore, name: str, weight: float = 1.0) -> Patch:
    return Patch("lora", store.find(f"lora/{name}.safetensors"), weight)
