"""Latent consistency: the loss is that of its formula, neighbouring places come to agree, and what is written loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.engine import NodeProgress
from safelight.sdk import Cancelled
from safelight_nodes._training.adapters import add_lora
from safelight_nodes._training.conditional import Drawn, Examples
from safelight_nodes._training.consistency import Consistency, pseudo_huber
from safelight_nodes._training.distilling import Ends, Pair
from safelight_nodes._training.images import Drawer
from safelight_nodes.training import distilled
from small_denoiser import CPU, FAST, bench, latents_of, ref, small_unet

SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.03, "num_train_timesteps": 1000}
WORDS = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(6))


def told(texts: list[str]) -> torch.Tensor:
    """Stand-in captions: empty ones are told the second row."""
    return torch.stack([WORDS[0] if text else WORDS[1] for text in texts])


def student(amount: float = 0.2) -> tuple[Pair, list[Any]]:
    """A small UNet whose LoRA already does something."""
    unet = small_unet()
    learned = add_lora(unet, rank=4, seed=0)
    with torch.no_grad():
        for parameter in learned:
            parameter.add_(amount * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return Pair(unet, CPU, torch.float32), learned


def loss_of(pair: Pair, prediction: str, **more: Any) -> Consistency:
    images = tiny_sets.image_set(32)
    examples = Examples(latents_of(images), Drawer(images, 0), 0, empty=0.0)
    ends = Ends.of({**SCHEDULE, "prediction_type": prediction})
    given: dict[str, Any] = {"batch": 6, "intervals": 50, "guidance": 3.0, "spread": 1.0, "width": 0.1, "seed": 2}
    return Consistency(pair, ends, examples, told, **({"target": nullcontext} | given | more))


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_the_loss_is_that_of_the_paper(prediction: str) -> None:
    """By hand, image by image, with the DDIM step of diffusers and the UNet's own calls."""
    from diffusers import DDIMScheduler

    from safelight_nodes._training.loop import torch_generator

    pair, _ = student()
    found = loss_of(pair, prediction)(4)
    images = tiny_sets.image_set(32)
    drawn: Drawn = Examples(latents_of(images), Drawer(images, 0), 0, empty=0.0).draw(4, 6)
    generator = torch_generator(2, 4)
    places = ((torch.arange(6) + torch.rand(6, generator=generator)) * (50 / 6)).long()
    noise = torch.randn(drawn.latents.shape, generator=generator)
    guidance = 3.0 + 2 * torch.rand((6, 1, 1, 1), generator=generator).flatten() - 1
    schedule: Any = DDIMScheduler.from_config(
        {**SCHEDULE, "prediction_type": prediction, "clip_sample": False, "set_alpha_to_one": False}
    )
    schedule.set_timesteps(50)  # a step of DDIM goes 20 timesteps; before the first lies timestep 0
    unet, values = pair.unet, []

    def end(z: torch.Tensor, t: int) -> torch.Tensor:
        kept = schedule.alphas_cumprod[t]
        said = unet(z, t, WORDS[:1]).sample
        if prediction == "epsilon":
            clean = (z - (1 - kept).sqrt() * said) / kept.sqrt()
        else:
            clean = kept.sqrt() * z - (1 - kept).sqrt() * said
        far = 10.0 * t
        return 0.25 / (far**2 + 0.25) * z + far / (far**2 + 0.25) ** 0.5 * clean

    with torch.no_grad():
        for row, place in enumerate(places):
            t = 999 - 20 * int(place)
            before = max(0, t - 20)
            z = schedule.add_noise(drawn.latents[row : row + 1], noise[row : row + 1], torch.tensor([t]))
            unet.disable_adapters()
            plain, asked = unet(z, t, WORDS[1:]).sample, unet(z, t, WORDS[:1]).sample
            unet.enable_adapters()
            said = plain + guidance[row] * (asked - plain)
            nearer = schedule.step(said, t, z).prev_sample
            error = end(z, t) - end(nearer, before)
            values.append(((error**2 + 0.01).sqrt() - 0.1).mean())
    assert float(found.detach()) == pytest.approx(float(torch.stack(values).mean()), rel=2e-3)


def test_at_the_end_of_the_way_it_is_what_it_is_given() -> None:
    pair, _ = student()
    ends = Ends.of({**SCHEDULE, "prediction_type": "v_prediction"})
    z = torch.randn(3, 4, 8, 8)
    with torch.no_grad():
        assert torch.equal(ends(pair, z, torch.zeros(3, dtype=torch.long), WORDS[:1].expand(3, -1, -1)), z)


def test_the_places_are_those_of_the_sampler() -> None:
    ends = Ends.of({**SCHEDULE, "prediction_type": "v_prediction"})
    grid = set(ends.times(50, 50).tolist())
    assert len(grid) == 50
    for steps in (1, 2, 4, 8):
        assert set(ends.times(steps).tolist()) <= grid


def test_small_errors_count_squared_and_large_ones_plain() -> None:
    assert float(pseudo_huber(torch.full((4,), 1e-3), 1.0)) == pytest.approx(5e-7, rel=1e-2)
    assert float(pseudo_huber(torch.full((4,), 50.0), 0.01)) == pytest.approx(49.99, rel=1e-5)


def test_gradients_reach_the_student_alone_and_the_goal_comes_from_the_target() -> None:
    pair, learned = student()
    asked: list[bool] = []

    @contextmanager
    def target() -> Iterator[None]:
        kept = [parameter.detach().clone() for parameter in learned]
        for parameter in learned:
            parameter.data.zero_()
        asked.append(True)
        yield
        for parameter, value in zip(learned, kept, strict=True):
            parameter.data.copy_(value)

    loss = loss_of(pair, "v_prediction")
    other = loss_of(pair, "v_prediction", target=target)
    one, two = loss(0), other(0)
    assert asked and not torch.equal(one, two)
    two.backward()
    names = {name for name, parameter in pair.unet.named_parameters() if parameter.grad is not None}
    assert names and all(".lora_" in name for name in names)


def trained(ctx: BenchContext, **more: Any) -> Any:
    images = tiny_sets.image_set(32)
    given = FAST | {"rank": 4} | more
    return distilled.consistency(
        latents_of(images), images, ref("Denoiser"), ref("TextEncoder"), None, ctx=ctx, **given
    )


@pytest.mark.parametrize("target", ["student", "average"])
def test_it_learns(target: str) -> None:
    ctx = bench()
    # A wide Huber loss: a narrow one counts all of these errors plain, and is noisier.
    made = trained(ctx, updates=80, batch=16, intervals=20, huber=0.1, guidance_spread=1.0, target=target)
    values = [value for _, value in made.curve]
    assert sum(values[-20:]) < 0.9 * sum(values[:20])
    assert ctx.steps[-1] == (80, 80)
    assert made.about["target"] == target


def test_neighbours_agree_more_after_learning() -> None:
    """On examples of other steps than those it learned from."""
    from safelight_nodes._training.course import Course
    from safelight_nodes._training.loop import fit

    pair, learned = student(0.0)
    loss = loss_of(pair, "v_prediction", batch=8)
    unseen = range(5000, 5008)
    before = sum(float(loss(step).detach()) for step in unseen)
    fit([{"params": learned}], loss, Course(60, 5e-3, warmup_steps=5, ema_decay=0.9), BenchContext())
    assert sum(float(loss(step).detach()) for step in unseen) < 0.85 * before


@pytest.mark.parametrize("target", ["student", "average"])
def test_cancelled_it_goes_on_to_the_same_weights(target: str) -> None:
    whole = trained(bench(), updates=6, target=target)
    ctx = bench(cancel_at=3)
    with pytest.raises(Cancelled):
        trained(ctx, updates=6, target=target)
    assert ctx.steps[-1] == (3, 6)
    again = bench(state=ctx.kept[-1])
    rest = trained(again, updates=6, target=target)
    assert again.steps[0] == (4, 6)
    assert rest.curve == whole.curve
    assert all(torch.equal(value, rest.tensors[name]) for name, value in whole.tensors.items())


def test_the_workflow_ends_in_a_lora_and_a_sheet(run: Callable[..., Any], home: Path) -> None:
    outcome, events = run("consistency", name="lcm", model="tiny", updates=3, batch=2, rank=2, steps=2, shown=2)
    folder = home / "models" / "lcm"
    assert {path.name for path in folder.iterdir()} == {"pytorch_lora_weights.safetensors", "training.json"}
    assert {"curve", "sheet"} <= set(outcome.outputs)
    assert any(event.preview is not None for event in events if isinstance(event, NodeProgress))
