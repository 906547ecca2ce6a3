"""Tiny models on disk, and stores over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import ModelStore

FAMILIES = ("sd1", "sd2", "sdxl")
PLAIN = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose `models` hold a tiny one of everything. Read only."""
    home = tmp_path_factory.mktemp("home")
    models = home / "models"
    tiny_models.tiny_sd1(models / "sd1")
    tiny_models.tiny_sd2(models / "sd2")
    tiny_models.tiny_sdxl(models / "sdxl")
    for family in FAMILIES:
        tiny_models.tiny_controlnet(models / "control" / family, family)
        tiny_models.tiny_ip_adapter(models / "adapter" / family, family)
        tiny_models.tiny_lora(models / "lora" / f"{family}.safetensors", family)
        tiny_models.tiny_lora(models / "lora" / f"{family}_kohya.safetensors", family, seed=60, style="kohya")
    return home


@pytest.fixture
def make_store(home: Path, tmp_path: Path) -> Callable[..., ModelStore]:
    def make(where: Path = home, environ: dict[str, str] | None = None, **options: Any) -> ModelStore:
        given = {**PLAIN, "HF_HUB_CACHE": str(tmp_path / "hub"), **(environ or {})}
        return ModelStore(where, fingerprint=Fingerprints(None).digest, environment=Environment.read(given), **options)

    return make


@pytest.fixture
def store(make_store: Callable[..., ModelStore]) -> ModelStore:
    """A store that computes on the CPU in float32, with an empty hub cache."""
    return make_store()
