"""What is no number any more is told where it comes up, and nothing of it is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from node_bench import BenchContext, Kit, said, sampled
from safelight.diffusion.finite import Watch, require_finite
from safelight.sdk import Conditioning, Image, Latent, ProblemError, Prompt
from safelight_nodes import latent, text, vae


def refused(caught: pytest.ExceptionInfo[ProblemError]) -> str:
    (problem,) = caught.value.problems
    assert problem.code == "not_finite"
    return problem.message


def no_number(kit: Kit) -> Conditioning:
    good = said(kit, "a red apple")
    return replace(good, prompts=(Prompt.of(good.prompts[0].embeddings * float("nan")),))


def test_a_weight_that_overflows_is_told_by_the_encoder(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        text.encode(sd1.text, text=f"(a red apple:1{'0' * 41})", ctx=sd1.context)
    assert "prompt" in refused(caught)


def test_conditioning_that_is_no_number_stops_sampling_at_the_first_step(sd1: Kit) -> None:
    broken = no_number(sd1)
    context = BenchContext(sd1.shelf)
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, ctx=context, positive=broken, steps=9)
    assert "step 1 of 9" in refused(caught)
    assert not context.steps, "all further steps are wasted"


def test_a_sampler_that_leaves_the_numbers_names_its_step(sd1: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    held = sd1.shelf.held["Denoiser", "sd1"]
    # A schedule of so much noise that the middle of its last step has no timestep.
    more_noise = {**held.settings["scheduler"], "beta_end": 0.03}
    monkeypatch.setattr(held, "settings", {"scheduler": more_noise})
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, sampler="dpm2_ancestral", scheduler="linspace", steps=2)
    assert "step 1 of 2" in refused(caught)


def test_a_state_that_is_no_number_is_not_kept(sd1: Kit) -> None:
    broken = no_number(sd1)
    context = BenchContext(sd1.shelf, keep_at=1)
    with pytest.raises(ProblemError):
        sampled(sd1, ctx=context, positive=broken)
    assert not context.kept


def test_decoding_and_encoding_tell_before_pixels_are_held_to_their_range(sd1: Kit) -> None:
    empty = latent.empty(sd1.vae, ctx=sd1.context)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ProblemError) as caught:
            vae.decode(sd1.vae, Latent(empty.samples + bad, "sd1"), ctx=sd1.context)
        assert "decoded" in refused(caught)
    with pytest.raises(ProblemError) as caught:
        vae.encode(sd1.vae, Image(torch.full((1, 64, 64, 3), float("nan"))), ctx=sd1.context)
    assert "encoded" in refused(caught)


def test_large_numbers_are_numbers() -> None:
    require_finite(torch.full((4,), 3e38), "", "")
    watch = Watch(1)
    watch.see(1, torch.full((2,), 1e30))
    watch.settle()
