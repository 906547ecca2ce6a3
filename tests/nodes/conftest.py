"""Tiny models, made once for all tests of the nodes."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any

import pytest

import tiny_models
from node_bench import Kit, kit


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Any:
    import diffusers
    import torch

    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()


@pytest.fixture(scope="session")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return _kit("sd1", tmp_path_factory)


@pytest.fixture(scope="session")
def sd2(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return _kit("sd2", tmp_path_factory)


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return _kit("sdxl", tmp_path_factory)


def _kit(family: str, factory: pytest.TempPathFactory) -> Kit:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    folder = getattr(tiny_models, f"tiny_{family}")(factory.mktemp(family))
    cls = StableDiffusionXLPipeline if family == "sdxl" else StableDiffusionPipeline
    pipeline = cls.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    _listen(pipeline.unet)
    return kit(pipeline, family)


def _listen(unet: Any) -> None:
    """Makes a random denoiser care for its text: drawn at random, its attention sees nothing but the average word."""
    import torch

    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_k" in name or "attn2.to_v" in name:
                parameter.mul_(8)
