"""Few-step distillation: what it aims at is exact, what it learns falls, what it writes loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import BenchContext
from safelight.engine import NodeProgress
from safelight_nodes._training.course import Course
from safelight_nodes._training.few_step import FewStep, Route, add_lora
from safelight_nodes._training.loop import fit

SETTINGS = {
    "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000, "steps_offset": 1, "set_alpha_to_one": True, "prediction_type": "v_prediction",
}  # fmt: skip


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_a_step_is_that_of_diffusers(prediction: str) -> None:
    from diffusers import DDIMScheduler

    made = DDIMScheduler.from_config(
        {**SETTINGS, "prediction_type": prediction, "timestep_spacing": "trailing", "clip_sample": False}
    )
    made.set_timesteps(4)
    route = Route.of(made.config, steps=4, inner=1)
    assert route.times.tolist() == made.timesteps.tolist()
    state, said = torch.randn(2, 1, 3, 4, 4)
    for place, time in enumerate(made.timesteps):
        power, after = route.alphas[place], route.alphas[place + 1]
        own = route.moved(state, route.clean(state, said, power), power, after)
        assert torch.allclose(own, made.step(said, time, state).prev_sample, atol=1e-4)
        state = own


def test_the_implied_image_leads_to_the_goal_in_one_step() -> None:
    route = Route.of(SETTINGS, steps=2, inner=3)
    noisy, goal = torch.randn(2, 3, 4, 8, 8, dtype=torch.float64)
    for first in (0, 3):
        power, after = route.alphas[first].double(), route.alphas[first + 3].double()
        reached = route.moved(noisy, route.implied(noisy, goal, power, after), power, after)
        assert torch.allclose(reached, goal, atol=1e-6)


def test_it_learns_and_the_lora_loads(run: Callable[..., Any], home: Path) -> None:
    settings = {
        "model": "tiny",
        "updates": 24,
        "batch": 4,
        "learning_rate": 3e-3,
        "rank": 2,
        "steps": 2,
        "name": "fast",
    }
    # The stronger the guidance, the farther the model without it is from what is to be learned.
    outcome, events = run("few_step", guidance=3.0, **settings)
    curves = [event.curve for event in events if isinstance(event, NodeProgress) and event.curve]
    losses = [value for _, value in curves[-1]]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
    assert any(event.preview is not None for event in events if isinstance(event, NodeProgress))
    folder = home / "models" / "fast"
    assert {path.name for path in folder.iterdir()} == {"pytorch_lora_weights.safetensors", "training.json"}
    about = json.loads((folder / "training.json").read_text())["lora"]
    assert about["updates"] == 24
    assert [tuple(point) for point in about["curve"]] == list(curves[-1])
    assert outcome.outputs["curve"][0]["width"] == 640


def test_it_learns_jumps_that_it_has_not_seen(home: Path) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(home / "models" / "tiny" / "unet")
    learned = add_lora(unet, rank=4, seed=0)
    words = torch.randn(6, 7, 32, generator=torch.Generator().manual_seed(1))
    loss = FewStep(
        unet, Route.of(SETTINGS, steps=2, inner=4), lambda number: words[torch.arange(16).add(number) % 5],
        words[5:], (4, 8, 8), batch=4, guidance=3.0, seed=2, device=torch.device("cpu"), dtype=torch.float32,
    )  # fmt: skip
    unseen = range(24 * 1000, 24 * 1000 + 8)
    before = sum(float(loss(step).detach()) for step in unseen)
    fit([{"params": learned}], loss, Course(72, 5e-3, warmup_steps=5, ema_decay=0.9), BenchContext())
    after = sum(float(loss(step).detach()) for step in unseen)
    assert after < 0.75 * before
