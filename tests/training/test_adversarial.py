"""Adversarial distillation: both losses are those of their formulas, the discriminator sees what the teacher sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

import tiny_sets
from node_bench import BenchContext, codes
from safelight.engine import NodeProgress
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes._training.adapters import add_lora
from safelight_nodes._training.conditional import Examples
from safelight_nodes._training.course import Course
from safelight_nodes._training.critic import channels, features, fresh
from safelight_nodes._training.distilling import Ends, Pair
from safelight_nodes._training.images import Drawer
from safelight_nodes._training.loop import fit, torch_generator
from safelight_nodes._training.rivals import Rivals, Settings
from safelight_nodes._training.students import Student
from safelight_nodes.training import distilled
from small_denoiser import CPU, FAST, bench, latents_of, ref, small_unet

SCHEDULE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.03,
    "prediction_type": "v_prediction",
}
WORDS = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(6))
SETTINGS = Settings(
    steps=2, guidance=3.0, distillation=2.5, r1=0.0, noise_level=1.0, rank=4, width=8, updates=10, batch=4,
    learning_rate=1e-3, discriminator_learning_rate=1e-3, warmup_steps=0, ema_decay=0.9, seed=2,
)  # fmt: skip


def told(texts: list[str]) -> torch.Tensor:
    """Stand-in captions: empty ones are told the second row."""
    return torch.stack([WORDS[0] if text else WORDS[1] for text in texts])


def student() -> Student:
    """A small one whose LoRA already does something."""
    unet = small_unet()
    learned = add_lora(unet, rank=4, seed=0)
    with torch.no_grad():
        for parameter in learned:
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    images = tiny_sets.image_set(32)
    examples = Examples(latents_of(images), Drawer(images, 0), 0, empty=0.0)
    made: Any = told
    return Student(Pair(unet, CPU, torch.float32), learned, Ends.of(SCHEDULE), examples, made, 2)


def test_features_are_what_the_blocks_of_the_teacher_find() -> None:
    """Held against hooks in a whole call of the UNet: before each level halves the side, and in the middle."""
    pair = student().pair
    seen: dict[str, Any] = {}
    unet = pair.unet
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.__setitem__(name, out))
        for name, part in (
            ("0", unet.down_blocks[0].attentions[-1]),
            ("1", unet.down_blocks[1]),
            ("mid", unet.mid_block),
        )
    ]
    noisy, times, text = torch.randn(3, 4, 8, 8), torch.tensor([3, 500, 999]), WORDS[:1].expand(3, -1, -1)
    with torch.no_grad(), pair.teaching():
        unet(noisy, times, text)
    for hook in hooks:
        hook.remove()
    found = features(pair, noisy, times, text)
    assert [one.shape[1] for one in found] == channels(unet)
    wanted = [seen["0"][0], seen["1"][0], seen["mid"]]
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert [one.shape[-1] for one in found] == [8, 4, 4]


def test_the_losses_of_the_discriminator_are_those_of_the_paper() -> None:
    """Hinge, the mean over heads and places; R1 by finite differences."""
    critic = fresh(small_unet(), 8, seed=1).double()
    shapes = [(2, 16, 4, 4), (2, 16, 2, 2), (2, 16, 2, 2)]
    real, made = ([torch.randn(shape, dtype=torch.float64) for shape in shapes] for _ in range(2))
    scores = [[head(one) for head, one in zip(critic.heads, given, strict=True)] for given in (real, made)]
    hinge = [functional.relu(1 - a).mean() + functional.relu(1 + b).mean() for a, b in zip(*scores, strict=True)]
    assert critic.of_critic(real, made).item() == pytest.approx(torch.stack(hinge).mean().item())
    assert critic.of_student(made).item() == pytest.approx(-sum(one.mean().item() for one in scores[1]) / 3)
    slopes, step = [], 1e-6
    for head, one in zip(critic.heads, real, strict=True):
        total = 0.0
        for place in range(one.numel()):
            moved = one.clone().flatten()
            moved[place] += step
            total += float(((head(moved.view_as(one)).sum() - head(one).sum()) / step).detach()) ** 2
        slopes.append(0.5 * total / len(one))
    extra = critic.of_critic(real, made, r1=0.7) - critic.of_critic(real, made)
    assert float(extra.detach()) == pytest.approx(0.7 * sum(slopes) / 3, rel=1e-3)


def test_the_loss_of_the_student_is_that_of_the_paper() -> None:
    """By hand, image by image, with the UNet's own calls and the noise of diffusers."""
    from diffusers import DDPMScheduler

    own = student()
    critic = fresh(own.pair.unet, 8, seed=1)
    rivals = Rivals(own, critic, SETTINGS)
    found = float(rivals.of_student(3).detach())
    schedule: Any = DDPMScheduler.from_config(SCHEDULE)
    generator = torch_generator(2, 7)
    real = own.examples.draw(7, 4).latents
    unet, text = own.pair.unet, WORDS[:1]

    def clean(said: Any, z: Any, t: Any) -> Any:
        kept = schedule.alphas_cumprod[t]
        return kept.sqrt() * z - (1 - kept).sqrt() * said

    steps = torch.tensor([999, 499])[torch.randint(2, (4,), generator=generator)]
    noises = torch.randn(real.shape, generator=generator)
    looked = (1 + torch.randn(4, generator=generator)).sigmoid().mul(1000).long().clamp(max=999)
    looked_noises = torch.randn(real.shape, generator=generator)
    taught = torch.rand(4, generator=generator).mul(1000).long()
    taught_noises = torch.randn(real.shape, generator=generator)
    scores, distances = [], []
    with torch.no_grad():
        for row in range(4):
            t = steps[row : row + 1]
            z = schedule.add_noise(real[row : row + 1], noises[row : row + 1], t)
            made = clean(unet(z, t, text).sample, z, t)
            with own.pair.teaching():
                s = taught[row : row + 1]
                z = schedule.add_noise(made, taught_noises[row : row + 1], s)
                plain, asked = unet(z, s, WORDS[1:]).sample, unet(z, s, text).sample
                away = (made - clean(plain + 3 * (asked - plain), z, s)).square().mean()
                distances.append(schedule.alphas_cumprod[s].sqrt() * away)
            z = schedule.add_noise(made, looked_noises[row : row + 1], looked[row : row + 1])
            seen = features(own.pair, z, looked[row : row + 1], text)
            scores.append(torch.stack([head(one).mean() for head, one in zip(critic.heads, seen, strict=True)]).mean())
    distance = float(torch.cat(distances).mean())
    assert rivals.distance == pytest.approx(distance, rel=2e-3)
    assert found == pytest.approx(-float(torch.stack(scores).mean()) + 2.5 * distance, rel=2e-3, abs=1e-4)


def test_each_side_moves_itself_alone() -> None:
    own = student()
    critic = fresh(own.pair.unet, 8, seed=1)
    rivals = Rivals(own, critic, SETTINGS)
    rivals.of_critic(0).backward()
    assert all(one.grad is None for one in own.pair.unet.parameters())
    assert all(one.grad is not None for one in critic.parameters())
    for one in critic.parameters():
        one.grad = None
        one.requires_grad_(False)
    rivals.of_student(0).backward()
    moved = {name for name, one in own.pair.unet.named_parameters() if one.grad is not None}
    assert moved and all(".lora_" in name for name in moved)
    assert all(one.grad is None for one in critic.parameters())


def test_heads_learn_to_tell_real_latents_from_made_ones() -> None:
    own = student()
    critic = fresh(own.pair.unet, 16, seed=1)
    rivals = Rivals(own, critic, replace(SETTINGS, batch=16, noise_level=-1.0))
    follow = torch.optim.AdamW(critic.parameters(), 1e-2)
    losses = []
    for update in range(40):
        loss = rivals.of_critic(update)
        follow.zero_grad()
        loss.backward()
        follow.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def trained(ctx: BenchContext, **more: Any) -> Any:
    images = tiny_sets.image_set(32)
    given = {**FAST, "rank": 4, "width": 8, "steps": 2, **more}
    return distilled.adversarial(
        latents_of(images), images, ref("Denoiser"), ref("TextEncoder"), None, ctx=ctx, **given
    )


@pytest.mark.parametrize(("distillation", "taught"), [(0.0, 40), (20.0, 0)])
def test_what_it_is_told_by_either_it_learns(distillation: float, taught: int) -> None:
    """Against a discriminator that learns no more, and by the teacher: on latents and noise it has not learned from."""
    own = student()
    critic = fresh(own.pair.unet, 16, seed=1)
    rivals = Rivals(own, critic, replace(SETTINGS, batch=8, noise_level=-1.0, distillation=distillation))
    fit([{"params": list(critic.parameters())}], rivals.of_critic, Course(taught, 1e-2, 5), BenchContext())
    critic.requires_grad_(False)

    def unseen() -> tuple[float, float]:
        losses, distances = [], []
        for update in range(5000, 5006):
            losses.append(float(rivals.of_student(update).detach()))
            distances.append(rivals.distance)
        return sum(losses) / 6, sum(distances) / 6

    loss, distance = unseen()
    fit([{"params": own.learned}], rivals.of_student, Course(40, 5e-3, 5, ema_decay=0.9), BenchContext())
    if distillation:
        assert unseen()[1] < 0.7 * distance
    else:
        assert unseen()[0] < loss - 2


def test_each_side_has_a_curve_and_so_has_the_distillation() -> None:
    ctx = bench()
    made = trained(ctx, updates=3, r1=0.01)
    named = dict(made.curves)
    assert list(named) == ["discriminator", "student", "distillation"]
    assert all(len(points) == 3 for points in named.values())
    assert made.curve == named["student"]
    assert all(value > 0 for _, value in named["distillation"])
    assert ctx.steps[-1] == (3, 3)


def test_without_distillation_the_discriminator_alone_teaches() -> None:
    made = trained(bench(), updates=2, distillation=0.0)
    assert [name for name, _ in made.curves] == ["discriminator", "student"]


def test_cancelled_it_goes_on_to_the_same_weights() -> None:
    whole = trained(bench(), updates=6)
    ctx = bench(cancel_at=3)
    with pytest.raises(Cancelled):
        trained(ctx, updates=6)
    assert ctx.steps[-1] == (3, 6)
    again = bench(state=ctx.kept[-1])
    rest = trained(again, updates=6)
    assert again.steps[0] == (4, 6)
    assert rest.curves == whole.curves
    assert all(torch.equal(value, rest.tensors[name]) for name, value in whole.tensors.items())


def test_what_does_not_fit_is_refused() -> None:
    images = tiny_sets.image_set(32)
    other = latents_of(images, channels=3)
    with pytest.raises(ProblemError) as caught:
        distilled.adversarial(other, images, ref("Denoiser"), ref("TextEncoder"), None, ctx=bench())
    assert codes(caught) == [("wrong_latents", "latents")]


def test_the_workflow_ends_in_a_lora_and_a_sheet(run: Callable[..., Any], home: Path) -> None:
    outcome, events = run("adversarial", name="turbo", model="tiny", updates=3, batch=2, rank=2, steps=2, shown=2)
    folder = home / "models" / "turbo"
    assert {path.name for path in folder.iterdir()} == {"pytorch_lora_weights.safetensors", "training.json"}
    assert {"curve", "sheet"} <= set(outcome.outputs)
    assert any(event.preview is not None for event in events if isinstance(event, NodeProgress))
