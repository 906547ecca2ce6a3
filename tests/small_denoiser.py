"""A small denoiser with its text encoder on a bench, and latents to train on: for trainings that leave it as it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

import tiny_sets
from node_bench import BenchContext
from safelight.sdk import ModelRef, Source
from safelight_nodes.training_values import LatentSet

CPU = torch.device("cpu")
FAST: dict[str, Any] = {"batch": 8, "learning_rate": 5e-3, "warmup_steps": 5, "ema_decay": 0.9, "seed": 3}


def latents_of(images: Any, channels: int = 4, slots: int = 2) -> LatentSet:
    """Stand-ins: the images' own colours on a coarse grid, eight cells a side."""
    small = images.pixels.permute(0, 3, 1, 2).float().unflatten(2, (8, -1)).unflatten(4, (8, -1)).mean((3, 5))
    samples = (small / 127.5 - 1)[:, None, :channels].expand(-1, slots, -1, -1, -1).half()
    colours = torch.tensor([[0, 5]] * len(samples), dtype=torch.int16)[:, :slots]
    return LatentSet(samples, colours, "sd2", images.pixels.shape[1] // 8)


def small_unet() -> Any:
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return UNet2DConditionModel(
            sample_size=8, in_channels=4, out_channels=4, down_block_types=("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2, mid_block_type="UNetMidBlock2DCrossAttn",
            block_out_channels=(16, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=32,
            attention_head_dim=2,
        )  # fmt: skip


def bench(**more: Any) -> BenchContext:
    """One with a small model, whose models compute in float32."""
    from safelight_nodes._training.tokenizer import from_files
    from safelight_nodes._training.towers import text_tower
    from safelight_nodes.training import encoders

    ctx = BenchContext(**more)
    ctx.models.device = lambda: (CPU, torch.float32)
    settings = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", **settings}
    ctx.models.put("Denoiser", "small", small_unet(), {"scheduler": scheduler})
    reader = from_files(encoders.tokenizer(tiny_sets.image_set(32), vocabulary=600, length=16).files)
    tower = text_tower(len(reader), 16, 32, 1, seed=0)
    ctx.models.put("TextEncoder", "small", SimpleNamespace(modules={"text_encoder": tower}, tokenizers=(reader,)))
    return ctx


def ref(kind: str) -> ModelRef[Any]:
    return ModelRef(kind, "sd2", Source("folder", "small", fingerprint="small"))
