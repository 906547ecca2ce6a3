"""Training in pixels: the loss falls, the model is diffusers' own, and one training serves several samplers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.sdk import ProblemError
from safelight_nodes._training.pixel_denoiser import Loss, Settings, fresh, scheduler_settings
from safelight_nodes.training import denoisers

TINY: dict[str, Any] = {
    "batch": 8, "learning_rate": 2e-3, "warmup_steps": 5, "ema_decay": 0.9, "side": 16, "width": 16, "widest": 16,
    "levels": 2, "seed": 3,
}  # fmt: skip


def bench() -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(previews=True)
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    return ctx


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_loss_falls(prediction: Any) -> None:
    ctx = bench()
    made = denoisers.pixel_denoiser(tiny_sets.image_set(32), prediction=prediction, updates=60, **TINY, ctx=ctx)
    losses = [value for _, value in made.curve]
    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])
    assert ctx.steps[-1] == (60, 60)
    assert ctx.shown[-1].pixels.shape == (1, 32, 64, 3)
    assert made.about["scheduler"]["prediction_type"] == prediction


def test_the_schedule_is_that_of_the_paper() -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    schedule: Any = DDPMScheduler.from_config(scheduler_settings("epsilon"))
    assert torch.allclose(schedule.betas, torch.linspace(1e-4, 0.02, 1000))


def test_a_model_that_knows_the_noise_has_no_loss() -> None:
    """The loss, held against its formula: noise is found again in x_t = sqrt(a) x_0 + sqrt(1 - a) noise."""
    from safelight_nodes._training.images import Drawer

    settings = Settings("epsilon", 1, 4, 1e-3, 1, 0.9, 32, 0.0, 8, 8, 1, 1, 5)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = (1 - betas).cumprod(0)
    drawer = Drawer(tiny_sets.image_set(32), settings.seed)
    clean = drawer.batch(2, 4)

    class Oracle:
        def __call__(self, noisy: torch.Tensor, t: torch.Tensor) -> Any:
            from types import SimpleNamespace

            a = kept[t][:, None, None, None]
            return SimpleNamespace(sample=(noisy - a.sqrt() * clean) / (1 - a).sqrt())

    loss = Loss(Oracle(), drawer, scheduler_settings("epsilon"), settings, 32, torch.device("cpu"), torch.float32)
    assert float(loss(2)) < 1e-6


def test_a_side_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        denoisers.pixel_denoiser(tiny_sets.image_set(32), **{**TINY, "side": 24, "levels": 5}, ctx=bench())
    assert [problem.code for problem in caught.value.problems] == ["size_not_a_multiple"]
    assert caught.value.problems[0].port == "side"


def test_low_levels_attend() -> None:
    unet = fresh(Settings("epsilon", 1, 1, 1e-3, 1, 0.9, 32, 0.0, 8, 16, 3, 1, 5), 32)
    assert unet.config.down_block_types == ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    assert unet.config.up_block_types == ("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    fewer = fresh(Settings("epsilon", 1, 1, 1e-3, 1, 0.9, 32, 0.0, 8, 16, 3, 1, 5, attention=8), 32)
    assert fewer.config.down_block_types == ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D")


def test_samplers_are_compared_from_the_same_noise(run: Callable[..., Any], home: Path) -> None:
    """The workflow that measures: images of three samplers, and their distances from what was learned."""
    run("ddpm", name="compared", updates=2, batch=2, side=16, width=16, widest=16, steps=2)
    outcome, _ = run("ddpm_samplers", model="compared", batch=8, count=12, side=16)
    measured = [name for name in outcome.outputs if name.startswith(("frechet_dd", "kernel_dd"))]
    assert len(measured) == 6
    assert {"sheet", "frechet_bars", "kernel_bars"} <= set(outcome.outputs)


def test_it_is_written_as_diffusers_has_it_and_drawn_from(run: Callable[..., Any], home: Path) -> None:
    from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    outcome, _ = run(
        "ddpm", name="pixels", updates=3, batch=2, side=16, width=16, widest=16, steps=4, **{"sampler": "ddim"}
    )
    assert {"curve", "sheet"} <= set(outcome.outputs)
    folder = home / "models" / "pixels"
    assert json.loads((folder / "training.json").read_text())["UNet2DModel"]["updates"] == 3
    by_hand: Any = DDPMPipeline.from_pretrained(folder)
    by_hand.scheduler = DDIMScheduler.from_config(by_hand.scheduler.config)
    by_hand.set_progress_bar_config(disable=True)
    images: Any = by_hand(batch_size=2, num_inference_steps=4, output_type="np").images
    assert images.shape == (2, 16, 16, 3)
