"""Autoencoder training: the loss falls, a kill changes nothing, latents can be held or left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import tiny_sets
from node_bench import BenchContext
from safelight_nodes._training.autoencoder import standardise
from safelight_nodes.training import encoders

TINY: dict[str, Any] = {
    "batch": 8, "learning_rate": 5e-3, "warmup_steps": 2, "ema_decay": 0.9, "width": 8, "widest": 8,
    "levels": 2, "channels": 4,
    "seed": 3,
}  # fmt: skip


class Bench(BenchContext):
    """A bench whose models compute in float32."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.models.device = lambda: (torch.device("cpu"), torch.float32)


def test_the_loss_falls_and_the_latents_are_standard() -> None:
    ctx = Bench(previews=True)
    made = encoders.autoencoder(tiny_sets.image_set(32), None, updates=120, **TINY, ctx=ctx)
    losses = [value for _, value in made.curve]
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    assert ctx.steps[-1] == (120, 120)
    assert ctx.curve == list(made.curve)
    assert ctx.shown[-1].pixels.shape == (1, 64, 8 * 32, 3)
    assert made.about["psnr"] > 5


def test_decoder_alone_leaves_every_latent_as_it_was(run: Callable[..., Any], home: Path) -> None:
    from safetensors.torch import load_file

    run("vae", start="tiny", learn="decoder", updates=4, batch=2, name="decoder", crop=32)
    file = "diffusion_pytorch_model.safetensors"
    before, after = load_file(home / "models/tiny/vae" / file), load_file(home / "models/decoder" / file)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "post_quant_conv"}
    about = json.loads((home / "models/decoder/training.json").read_text())["AutoencoderKL"]
    assert about["learn"] == "decoder"


def test_an_anchor_holds_the_latents(run: Callable[..., Any], studio: Any) -> None:
    from dataclasses import replace

    from safelight.engine import Cancel, NodeContext
    from safelight_nodes import models

    ctx: Any = NodeContext(studio.services, "anchor", Cancel(), lambda *_: None, False, 1e9)
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def latents(name: str) -> Any:
        with studio.models.lease(replace(models.load_vae(vae=name, ctx=ctx), precision="float32")) as lease:
            return lease.component.modules["vae"].encode(x).latent_dist.mode().detach()

    common = {"start": "tiny", "updates": 12, "batch": 2, "learning_rate": 2e-3}
    run("vae", **common, anchor=50.0, name="held")
    run("vae", **common, anchor=0.001, name="free")
    start = latents("tiny")
    held, free = ((latents(name) - start).square().mean() for name in ("held", "free"))
    assert held < 0.7 * free


def test_standardised_latents_have_unit_deviation_and_the_same_images() -> None:
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=1,
    ).eval()  # fmt: skip
    x = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        before = vae.encode(x).latent_dist
        image = vae.decode(before.mode()).sample
        variance = before.var / before.mode().std((0, 2, 3))[:, None, None].square()
        standardise(vae, before.mode().clone())
        after = vae.encode(x).latent_dist
        assert torch.allclose(after.mode().mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(after.mode().std((0, 2, 3)), torch.ones(4), atol=1e-4)
        assert torch.allclose(after.var, variance, rtol=1e-3)
        assert torch.allclose(vae.decode(after.mode()).sample, image, atol=1e-4)
