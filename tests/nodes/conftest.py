"""Tiny models, made once for all tests of the nodes."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import tiny_models
from node_bench import Kit, recipe, stocked


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Any:
    import diffusers

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


@pytest.fixture(scope="module", params=["sd1", "sdxl"], name="kit")
def one_of_two_kits(request: pytest.FixtureRequest) -> Kit:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def nets(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    from diffusers import ControlNetModel

    made = []
    for seed in (4, 14):
        folder = tiny_models.tiny_controlnet(tmp_path_factory.mktemp("net"), kit.family, seed=seed)
        made.append(ControlNetModel.from_pretrained(folder).eval())
        kit.shelf.put("ControlNet", f"net{seed}", made[-1])
    return made


@pytest.fixture(scope="module")
def control_pipeline(kit: Kit) -> Any:
    import diffusers

    return {"sd1": diffusers.StableDiffusionControlNetPipeline, "sdxl": diffusers.StableDiffusionXLControlNetPipeline}[
        kit.family
    ]


@pytest.fixture(scope="module")
def adapter(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    folder = tiny_models.tiny_ip_adapter(tmp_path_factory.mktemp("adapter"), kit.family)
    flat = load_file(folder / "ip_adapter.safetensors")
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in flat.items():
        part, name = key.split(".", 1)
        nested[part][name] = tensor
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder").eval()
    processor = CLIPImageProcessor.from_pretrained(folder / "image_encoder")
    kit.shelf.put("IPAdapter", "adapter", nested)
    kit.shelf.put("ImageEncoder", "adapter", SimpleNamespace(encoder=encoder, processor=processor))
    return SimpleNamespace(
        folder=folder,
        encoder=encoder,
        processor=processor,
        refs=(recipe("IPAdapter", kit.family, "adapter"), recipe("ImageEncoder", kit.family, "adapter")),
    )


def _kit(family: str, factory: pytest.TempPathFactory) -> Kit:
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    folder = getattr(tiny_models, f"tiny_{family}")(factory.mktemp(family))
    cls = StableDiffusionXLPipeline if family == "sdxl" else StableDiffusionPipeline
    pipeline = cls.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    _listen(pipeline.unet)
    return stocked(pipeline, family)


def _listen(unet: Any) -> None:
    """Makes a random denoiser care for its text: drawn at random, its attention sees nothing but the average word."""
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_k" in name or "attn2.to_v" in name:
                parameter.mul_(8)
