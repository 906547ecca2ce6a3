"""Schedules in parts, and prompts that share an image."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import Kit, codes, said, sampled
from safelight.diffusion.samplers import SAMPLERS
from safelight.sdk import Latent, Mask, ProblemError
from safelight_nodes import latent, sampling, text

ONE_STEP = ["ddim", "euler", "euler_ancestral", "heun", "dpm2", "dpm2_ancestral", "dpmpp_sde", "ddpm", "lcm", "tcd"]
"""Samplers whose step depends on the samples alone, not on earlier predictions."""


def part(kit: Kit, start: Latent, **more: Any) -> Latent:
    given: dict[str, Any] = {"steps": 6, "seed": 7, **more}
    given.setdefault("positive", said(kit, "a red apple"))
    return sampling.sample_part(
        kit.denoiser, given.pop("positive"), said(kit, "dark photo"), start, **given, ctx=kit.context
    )


def distance(one: Latent, other: Latent) -> float:
    return float((one.samples - other.samples).abs().max())


@pytest.mark.parametrize("sampler", ONE_STEP)
def test_parts_put_together_make_the_whole(sd1: Kit, sampler: Any) -> None:
    start = latent.empty(sd1.vae, batch=2, ctx=sd1.context)
    whole = sampled(sd1, start=start, sampler=sampler, steps=6)
    first = part(sd1, start, sampler=sampler, end_step=2)
    second = part(sd1, first, sampler=sampler, start_step=2, end_step=5)
    third = part(sd1, second, sampler=sampler, start_step=5)
    assert first.noise > second.noise > 0
    assert third.noise == 0
    assert distance(third, whole) < 1e-4 * float(whole.samples.abs().max())


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - set(ONE_STEP)))
def test_parts_of_samplers_with_a_memory_stay_near_the_whole(sd1: Kit, sampler: Any) -> None:
    start = latent.empty(sd1.vae, ctx=sd1.context)
    whole = sampled(sd1, start=start, sampler=sampler, steps=30, guidance=1.0)
    first = part(sd1, start, sampler=sampler, steps=30, end_step=15, guidance=1.0)
    second = part(sd1, first, sampler=sampler, steps=30, start_step=15, guidance=1.0)
    assert distance(second, whole) < 0.15 * float(whole.samples.abs().max())


@pytest.mark.parametrize(
    ("first", "second"), [("euler", "ddim"), ("ddim", "euler"), ("ddim", "pndm"), ("heun", "ddim")]
)
def test_one_sampler_goes_on_where_another_stopped(sd1: Kit, first: Any, second: Any) -> None:
    """Each scheduler has its own scale for noisy latents; between parts there is one for all."""
    start = latent.empty(sd1.vae, ctx=sd1.context)
    same: dict[str, Any] = {"steps": 20, "scheduler": "leading", "guidance": 1.0}
    begun = part(sd1, start, sampler=first, end_step=10, **same)
    mixed = part(sd1, begun, sampler=second, start_step=10, **same)
    pure = sampled(sd1, start=start, sampler="ddim", **same)
    assert distance(mixed, pure) < 0.1 * float(pure.samples.abs().max())


def test_a_part_can_hand_on_a_clean_latent(sd1: Kit) -> None:
    made = part(sd1, latent.empty(sd1.vae, ctx=sd1.context), sampler="euler", end_step=3, leave_noise=False)
    assert made.noise == 0


def test_a_part_that_does_not_fit_the_noise_in_the_latent_is_a_problem(sd1: Kit) -> None:
    begun = part(sd1, latent.empty(sd1.vae, ctx=sd1.context), sampler="euler", end_step=2)
    with pytest.raises(ProblemError) as caught:
        part(sd1, begun, sampler="euler", start_step=3)
    assert codes(caught) == [("wrong_noise_level", "start_step")]
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, start=begun)
    assert codes(caught) == [("latent_is_noisy", "latent")]
    with pytest.raises(ProblemError) as caught:
        part(sd1, begun, start_step=4, end_step=4)
    assert codes(caught) == [("no_steps_left", "start_step")]


def test_prompts_side_by_side_each_rule_their_half(sd1: Kit) -> None:
    apple, sea = said(sd1, "a red apple"), said(sd1, "blue sea and sky")
    both = text.combine(
        text.set_area(apple, x=0.0, width=0.5, height=1.0), text.set_area(sea, x=0.5, width=0.5, height=1.0)
    )
    same: dict[str, Any] = {"steps": 1, "sampler": "ddim", "scheduler": "trailing", "guidance": 1.0}
    mixed = sampled(sd1, positive=both, **same).samples
    left, right = sampled(sd1, positive=apple, **same).samples, sampled(sd1, positive=sea, **same).samples
    assert torch.allclose(mixed[..., :4], left[..., :4], atol=1e-3)
    assert torch.allclose(mixed[..., 4:], right[..., 4:], atol=1e-3)
    assert float((left - right).abs().mean()) > 0.1


def test_masked_prompts_share_by_strength_and_what_none_covers_is_shared_evenly(sd1: Kit) -> None:
    apple, sea = said(sd1, "a red apple"), said(sd1, "blue sea and sky")
    mask = torch.zeros(1, 64, 64)
    mask[:, :32] = 1
    both = text.combine(text.set_mask(apple, Mask(mask), strength=3.0), text.set_mask(sea, Mask(mask), strength=1.0))
    same: dict[str, Any] = {"steps": 1, "sampler": "ddim", "scheduler": "trailing", "guidance": 1.0}
    mixed = sampled(sd1, positive=both, **same).samples
    one, two = sampled(sd1, positive=apple, **same).samples, sampled(sd1, positive=sea, **same).samples
    assert torch.allclose(mixed[..., :4, :], (0.75 * one + 0.25 * two)[..., :4, :], atol=1e-3)
    assert torch.allclose(mixed[..., 4:, :], ((one + two) / 2)[..., 4:, :], atol=1e-3)


def test_prompts_one_after_the_other(sd1: Kit) -> None:
    apple, sea = said(sd1, "a red apple"), said(sd1, "blue sea and sky")
    both = text.combine(text.set_range(apple, end=0.5), text.set_range(sea, start=0.5))
    mixed = sampled(sd1, positive=both, steps=6)
    start = latent.empty(sd1.vae, ctx=sd1.context)
    begun = part(sd1, start, positive=apple, sampler="euler", end_step=3)
    ended = part(sd1, begun, positive=sea, sampler="euler", start_step=3)
    assert distance(mixed, ended) < 1e-4 * float(mixed.samples.abs().max())


def test_a_step_without_a_prompt_is_a_problem(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, positive=text.set_range(said(sd1, "a"), start=0.5))
    assert codes(caught) == [("no_prompt_at_step", "positive")]
    assert "0% to 50%" in caught.value.problems[0].message


def test_prompts_of_unequal_length_share_a_call(sd1: Kit) -> None:
    """Guidance is linear in both sides, so each can be computed alone with its own length."""
    long, short = said(sd1, "a red apple on the table " * 20), said(sd1, "dark")
    assert long.prompts[0].embeddings.shape[1] > 2 * short.prompts[0].embeddings.shape[1]
    same: dict[str, Any] = {"steps": 1, "sampler": "ddim", "scheduler": "trailing"}
    mixed = sampled(sd1, positive=long, negative=short, guidance=3.0, **same).samples
    alone = sampled(sd1, positive=long, guidance=1.0, **same).samples
    opposed = sampled(sd1, positive=short, guidance=1.0, **same).samples
    assert torch.allclose(mixed, opposed + 3 * (alone - opposed), atol=2e-3)
    assert float((alone - opposed).abs().mean()) > 0.1
