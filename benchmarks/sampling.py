"""Our sampling against the bare diffusers pipeline: same model, same precision, in turn, in one process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import safelight
from safelight.app import Budgets, Studio
from safelight.engine import Cache, Services, run
from safelight.graph import Port, check

from .table import Row, paired

STARTER = Path(safelight.__file__).parent / "starter"


def ours(studio: Studio, model: str, precision: str, steps: int, size: int) -> Callable[[], None]:
    """A whole run of text_to_image up to the decoded image, with a new seed each time so that nothing is cached."""
    document = studio.read("text_to_image").with_values(
        {
            Port("model", "model"): model,
            Port("model", "precision"): precision,
            Port("sample", "steps"): steps,
            Port("sample", "sampler"): "euler",
            Port("latent", "width"): size,
            Port("latent", "height"): size,
        }
    )
    cache = Cache(None, studio.catalogue.codec, memory_bytes=1 << 28, disk_bytes=0)
    services = Services(cache, studio.models, studio.services.files, studio.media)
    seeds = count(1)

    def once() -> None:
        seed = next(seeds)
        seeded = document.with_values({Port("sample", "seed"): seed, Port("prompt", "text"): f"a red apple {seed}"})
        result = run(check(seeded, studio.catalogue, ["decode"]).require(), services, "")
        assert result.status == "done", result.problems

    return once


def theirs(folder: Path, dtype: Any, steps: int, size: int, guidance: float) -> Callable[[], None]:
    """The diffusers pipeline on the same files, with the same scheduler, guidance, precision and size."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=dtype, safety_checker=None)
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    seeds = count(1)

    def once() -> None:
        seed = next(seeds)
        pipeline(
            f"a red apple {seed}",
            num_inference_steps=steps,
            guidance_scale=guidance,
            height=size,
            width=size,
            output_type="pt",
            generator=torch.Generator().manual_seed(seed),
        )

    return once


def full_size(folder: Path) -> Path:
    """Stable Diffusion 1.5 with all its 860 million parameters, random, in float16: about 2 GB."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    tokenizer = CLIPTokenizer.from_pretrained(STARTER / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    return folder


def rows(full: bool) -> Iterator[Row]:
    import torch

    with tempfile.TemporaryDirectory() as name:
        os.environ["SAFELIGHT_MODELS"] = name
        studio = Studio.open(Path(name) / "home", budgets=Budgets(memory=1 << 28, disk=1 << 28))
        places = [("starter model, 128 px, 20 steps", "starter", STARTER, 20, 128, 15)]
        if full:
            folder = full_size(Path(name) / "full")
            places.append(("SD 1.5 size (random weights), 256 px, 3 steps", "full", folder, 3, 256, 3))
        for what, model, folder, steps, size, times in places:
            guidance = 7.0
            a = ours(studio, model, "bfloat16", steps, size)
            b = theirs(folder, torch.bfloat16, steps, size, guidance)
            ours_s, theirs_s, ratio = paired(a, b, times)
            shown = f"{ratio:.3f} ({ours_s:.2f} s against {theirs_s:.2f} s)"
            yield Row(f"ours against diffusers, bfloat16, {what}", shown, "≤ 1.03", ratio <= 1.03)
            del b
            slow = ours(studio, model, "float32", steps, size)
            auto_s, float_s, gain = paired(slow, a, max(3, times // 3))
            shown = f"{gain:.2f} × ({auto_s:.2f} s against {float_s:.2f} s)"
            bar = "≥ 1.8 ×" if model == "full" else ""
            yield Row(f"float32 against default precision, {what}", shown, bar, gain >= 1.8 if bar else None)
            studio.models.clear()
        studio.close()
