"""Helpers of the tests of ControlNets and IP-Adapters: our image and the pipeline's, from the same inputs."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image as Images

from node_bench import NEGATIVE, PROMPT, SEED, Kit, said, sources
from safelight.sdk import Conditioning, Image
from safelight_nodes import latent, sampling, vae


def noise_image(seed: int, batch: int = 1) -> Image:
    """Pixels on the grid of bytes, so that an image file would hold them exactly."""
    drawn = torch.rand(batch, 64, 64, 3, generator=torch.Generator().manual_seed(seed))
    return Image((drawn * 255).round() / 255)


def conditioning(kit: Kit) -> tuple[Conditioning, Conditioning]:
    return said(kit, PROMPT), said(kit, NEGATIVE)


def finish(kit: Kit, positive: Conditioning, negative: Conditioning, batch: int, **more: Any) -> torch.Tensor:
    ctx = kit.context
    start = more.pop("start", None) or latent.empty(kit.vae, batch=batch, ctx=ctx)
    given: dict[str, Any] = {"steps": 4, "guidance": 5.0, "sampler": "ddim", "seed": SEED, **more}
    made = sampling.sample(kit.denoiser, positive, negative, start, **given, ctx=ctx)
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


def call(pipeline: Any, kit: Kit, batch: int, **more: Any) -> torch.Tensor:
    from diffusers import DDIMScheduler

    settings = {**kit.shelf.held["Denoiser", kit.family].settings["scheduler"], "clip_sample": False}
    pipeline.scheduler = DDIMScheduler.from_config(settings)
    pipeline.set_progress_bar_config(disable=True)
    given: dict[str, Any] = {
        "prompt": [PROMPT] * batch,
        "negative_prompt": [NEGATIVE] * batch,
        "num_inference_steps": 4,
        "guidance_scale": 5.0,
        "generator": sources(batch),
        "output_type": "pt",
        **more,
    }
    return pipeline(**given).images


def parts(kit: Kit) -> dict[str, Any]:
    names = ["vae", "unet", "scheduler", "text_encoder", "tokenizer"]
    names += ["text_encoder_2", "tokenizer_2"] if kit.family == "sdxl" else []
    found = {name: getattr(kit.pipeline, name) for name in names}
    return found if kit.family == "sdxl" else {**found, "safety_checker": None, "feature_extractor": None}


def pil_images(image: Image) -> list[Any]:
    return [Images.fromarray((one * 255).round().to(torch.uint8).numpy()) for one in image.pixels]
