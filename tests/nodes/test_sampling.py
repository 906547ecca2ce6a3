"""What the sampler promises beside equality with the pipelines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from node_bench import FAMILIES, BenchContext, Kit, codes, said, sampled, stocked
from safelight.diffusion.samplers import SAMPLERS, SIGMA_SCHEDULERS, Sampler, make_scheduler
from safelight.diffusion.schedule import plan_steps
from safelight.graph import Document, migrate
from safelight.sdk import Latent, Mask, ProblemError, Prompt, load_packs
from safelight_nodes import latent, text

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def drawn(seed: int = 1, batch: int = 1) -> Latent:
    return Latent(torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(seed)), "sd1")


def distance(one: Latent, other: Latent) -> float:
    return float((one.samples - other.samples).abs().max())


def test_the_table_names_every_sampler_and_what_its_scheduler_offers() -> None:
    import inspect

    import diffusers

    assert set(SAMPLERS) == set(get_args(Sampler))
    for name, kind in SAMPLERS.items():
        known = inspect.signature(getattr(diffusers, kind.method).__init__).parameters
        for spread in SIGMA_SCHEDULERS:
            assert (spread in kind.schedulers) is (f"use_{spread}_sigmas" in known), (name, spread)
        assert set(kind.options) <= set(known)


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "ddpm", "lcm"])
def test_image_k_of_a_batch_is_that_of_seed_plus_k(sd1: Kit, sampler: str) -> None:
    together = sampled(sd1, start=latent.empty(sd1.vae, batch=3, ctx=sd1.context), sampler=sampler, seed=40).samples
    for place in range(3):
        alone = sampled(sd1, sampler=sampler, seed=40 + place).samples
        assert torch.allclose(together[place : place + 1], alone, atol=1.5e-4, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=0.1)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_gives_the_same_bits_whatever_else_draws_numbers(sd1: Kit, sampler: str) -> None:
    torch.manual_seed(1)
    first = sampled(sd1, sampler=sampler).samples
    torch.manual_seed(2)
    assert torch.equal(sampled(sd1, sampler=sampler).samples, first)
    assert not torch.equal(sampled(sd1, sampler=sampler, seed=8).samples, first)


def test_the_largest_seed_works(sd1: Kit) -> None:
    start = latent.empty(sd1.vae, batch=2, ctx=sd1.context)
    of_two = [("diffusers", "euler_ancestral"), ("diffusers", "dpmpp_sde"), ("k-diffusion", "euler_ancestral")]
    for formulas, sampler in of_two:
        made = sampled(sd1, seed=2**64 - 1, start=start, sampler=sampler, formulas=formulas).samples
        assert made.isfinite().all()
    # Image k of a batch has seed + k; behind the last one they begin again.
    first = sampled(sd1, seed=0, start=latent.empty(sd1.vae, ctx=sd1.context), sampler="euler").samples
    last = sampled(sd1, seed=2**64 - 1, start=start, sampler="euler").samples
    assert torch.allclose(last[1:], first, atol=1e-3)


def test_guidance_of_one_does_not_look_at_the_negative(sd1: Kit) -> None:
    assert distance(sampled(sd1, guidance=1.0), sampled(sd1, guidance=1.0, negative=None)) == 0
    assert distance(sampled(sd1, guidance=0.5), sampled(sd1, guidance=1.0)) == 0


def test_guidance_without_a_negative_is_a_problem_where_the_family_has_no_silence(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, negative=None)
    assert codes(caught) == [("negative_missing", "negative")]


def test_an_unconnected_negative_of_sdxl_is_zeros_as_in_the_pipeline(sdxl: Kit) -> None:
    made = sampled(sdxl, negative=None, guidance=5.0, sampler="ddim")
    sdxl.pipeline.scheduler = make_scheduler(sdxl.shelf.held["Denoiser", "sdxl"].settings["scheduler"], "ddim", "model")
    wanted = sdxl.pipeline(
        "a red apple",
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    assert torch.allclose(made.samples, wanted, atol=1e-5)


def test_sizes_of_sdxl_reach_the_denoiser(sdxl: Kit) -> None:
    sized = text.set_size(said(sdxl, "a red apple"), width=32, height=16, crop_left=4, crop_top=8)
    made = sampled(sdxl, positive=sized, negative=None, guidance=5.0, sampler="ddim")
    sdxl.pipeline.scheduler = make_scheduler(sdxl.shelf.held["Denoiser", "sdxl"].settings["scheduler"], "ddim", "model")
    wanted = sdxl.pipeline(
        "a red apple",
        original_size=(16, 32),
        crops_coords_top_left=(8, 4),
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    assert torch.allclose(made.samples, wanted, atol=1e-5)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_guidance_rescale(sd2: Kit, sampler: str) -> None:
    made = sampled(sd2, guidance=9.0, guidance_rescale=0.7, sampler=sampler)
    sd2.pipeline.scheduler = make_scheduler(sd2.shelf.held["Denoiser", "sd2"].settings["scheduler"], sampler, "model")
    wanted = sd2.pipeline(
        "a red apple",
        negative_prompt="dark photo",
        num_inference_steps=4,
        guidance_scale=9.0,
        guidance_rescale=0.7,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    assert torch.allclose(made.samples, wanted, atol=1e-5)
    assert distance(made, sampled(sd2, guidance=9.0, sampler=sampler)) > 1e-2


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "unipc", "euler_ancestral"])
def test_zero_terminal_snr_and_trailing_steps_come_from_the_models_settings(sd2: Kit, sampler: str) -> None:
    settings = {
        **sd2.shelf.held["Denoiser", "sd2"].settings["scheduler"],
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    shelf = type(sd2.shelf)(dict(sd2.shelf.held))
    shelf.put("Denoiser", "sd2", sd2.pipeline.unet, {"scheduler": settings})
    made = sampled(sd2, BenchContext(shelf, previews=True), sampler=sampler, guidance=3.0)
    sd2.pipeline.scheduler = make_scheduler(settings, sampler, "model")  # type: ignore[arg-type]
    assert float(sd2.pipeline.scheduler.alphas_cumprod[-1]) < 1e-6
    wanted = sd2.pipeline(
        "a red apple",
        negative_prompt="dark photo",
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    assert torch.allclose(made.samples, wanted, atol=1e-5)


def test_a_scheduler_that_the_sampler_does_not_have_is_a_problem_that_names_what_there_is(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, sampler="ddim", scheduler="karras")
    assert codes(caught) == [("scheduler_not_offered", "scheduler")]
    hint = caught.value.problems[0].hint
    assert "linspace" in hint and "dpmpp_2m" in hint


def test_a_sampler_that_cannot_use_the_models_prediction_is_a_problem_too() -> None:
    with pytest.raises(ProblemError) as caught:
        make_scheduler({**BETAS, "prediction_type": "sample"}, "pndm", "beta")
    assert codes(caught) == [("scheduler_not_offered", "scheduler"), ("sampler_not_for_model", "sampler")]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_predictions_are_as_the_table_says(sampler: Any) -> None:
    shape = (1, 4, 2, 2)
    for prediction in ("epsilon", "v_prediction", "sample"):
        if prediction not in SAMPLERS[sampler].predictions:
            continue
        schedule = plan_steps({**BETAS, "prediction_type": prediction}, sampler, "model", 3)
        samples = torch.randn(shape)
        given = dict(SAMPLERS[sampler].arguments)
        if SAMPLERS[sampler].noise == "generator":
            given["generator"] = [torch.Generator()]
        for timestep in schedule.timesteps:
            schedule.scheduler.scale_model_input(samples, timestep)
            samples = schedule.scheduler.step(torch.randn(shape), timestep, samples, return_dict=False, **given)[0]
        assert samples.isfinite().all()


def test_distilled_samplers_refuse_more_steps_than_their_schedule_has(sd1: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, sampler="lcm", steps=51)
    assert codes(caught) == [("too_many_steps", "steps")]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_progress_counts_the_steps_that_were_asked_for(sd1: Kit, sampler: str) -> None:
    ctx = sd1.context
    ctx.previews = True
    sampled(sd1, ctx, sampler=sampler)
    assert ctx.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [tuple(image.pixels.shape) for image in ctx.shown] == [(1, 8, 8, 3)] * 4
    assert all(image.pixels.isfinite().all() for image in ctx.shown)


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "pndm", "heun"])
@pytest.mark.parametrize("family", ["sd1", "sd2"])
def test_the_preview_shows_the_latent_that_the_denoiser_has_in_mind(
    family: str, sampler: str, request: pytest.FixtureRequest
) -> None:
    """At the last step, what is in mind is what comes out, for samplers that end in a clean latent."""
    kit: Kit = request.getfixturevalue(family)
    ctx = kit.context
    ctx.previews = True
    made = sampled(kit, ctx, sampler=sampler, steps=8)
    from safelight.diffusion.preview import Previewer

    final = Previewer(FAMILIES[family].latent.rgb, 4)(made.samples)
    assert final is not None
    # PNDM extrapolates from several predictions, so its last one is only near the end.
    assert float((ctx.shown[-1].pixels - final.pixels).abs().mean()) < (0.2 if sampler == "pndm" else 0.02)


def test_no_preview_is_made_when_nobody_looks_or_the_colours_are_unknown(sd1: Kit) -> None:
    ctx = sd1.context
    sampled(sd1, ctx)
    assert ctx.shown == []
    from safelight.diffusion.preview import Previewer

    assert Previewer([(1.0, 0.0, 0.0)] * 5, 16)(torch.zeros(1, 16, 8, 8)) is None


def test_the_models_own_preview_colours_are_used(sd1: Kit) -> None:
    shelf = type(sd1.shelf)(dict(sd1.shelf.held))
    settings = sd1.shelf.held["Denoiser", "sd1"].settings
    rows = [[0.0, 0.0, 0.0]] * 4 + [[0.25, 0.5, 0.75]]
    shelf.put("Denoiser", "sd1", sd1.pipeline.unet, {**settings, "latent_rgb": rows})
    ctx = BenchContext(shelf, previews=True)
    sampled(sd1, ctx)
    assert torch.equal(ctx.shown[0].pixels[0, 0, 0], torch.tensor([0.25, 0.5, 0.75]))


def test_denoise_of_zero_changes_nothing_and_a_little_makes_one_step(sd1: Kit) -> None:
    start = drawn()
    assert sampled(sd1, start=start, denoise=0.0) is start
    ctx = sd1.context
    sampled(sd1, ctx, start=start, denoise=0.01)
    assert ctx.steps == [(1, 1)]


def test_less_denoise_stays_nearer_to_the_image(sd1: Kit) -> None:
    start = drawn()
    gaps = [distance(sampled(sd1, start=start, denoise=amount, steps=10), start) for amount in (0.1, 0.4, 0.9)]
    assert gaps == sorted(gaps)


def test_full_denoise_takes_only_the_size_from_the_latent(sd1: Kit) -> None:
    assert distance(sampled(sd1, start=drawn(1)), sampled(sd1, start=drawn(2))) == 0


@pytest.mark.parametrize("first", [0, 1, 2, 10, 15, 19])
@pytest.mark.parametrize("sampler", [name for name, kind in SAMPLERS.items() if kind.noise == "none"])
def test_a_denoiser_that_knows_the_noise_finds_the_image_from_any_step_on(sampler: Any, first: int) -> None:
    """The way from the noisy latent to the clean one is then a straight line, which every sampler follows exactly.

    Where this and the pipelines part: they start PNDM and LMS in the middle as if the steps before had been made, and
    leave noise of 0.04 to 0.77 in the image.
    """
    schedule = plan_steps(BETAS, sampler, "model", 20, first)
    source = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(1, 4, 8, 8, generator=source) for _ in range(2))
    samples = schedule.scheduler.add_noise(clean, noise, schedule.timesteps[0].reshape(1))
    for timestep in schedule.timesteps:
        schedule.scheduler.scale_model_input(samples, timestep)
        samples = schedule.scheduler.step(noise, timestep, samples, return_dict=False)[0]
    # Some schedules end at the smallest noise level of training, which is 0.029, instead of at none.
    assert float((samples - clean).std()) < 0.035


def test_things_that_do_not_belong_together_are_problems(sd1: Kit, sdxl: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, positive=said(sdxl, "a"), negative=said(sdxl, "b"))
    assert codes(caught) == [("wrong_family", "negative"), ("wrong_family", "positive")]
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, start=Latent(torch.zeros(1, 16, 8, 8), "sd1"))
    assert codes(caught) == [("wrong_latent", "latent")]
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, start=Latent(torch.zeros(1, 4, 8, 8), "sdxl"))
    assert codes(caught) == [("wrong_latent", "latent")]
    wide = replace(said(sd1, "a"), prompts=(Prompt.of(torch.zeros(2, 77, 32)),))
    with pytest.raises(ProblemError) as caught:
        sampled(sd1, positive=wide, start=latent.empty(sd1.vae, batch=3, ctx=sd1.context))
    assert codes(caught) == [("wrong_batch", "positive")]
    masked = text.set_mask(said(sd1, "a"), Mask(torch.ones(2, 8, 8)))
    with pytest.raises(ProblemError, match="2 masks, and the latent holds 3 images") as caught:
        sampled(sd1, positive=masked, start=latent.empty(sd1.vae, batch=3, ctx=sd1.context))
    assert codes(caught) == [("wrong_batch", "positive")]


def test_a_model_of_flow_matching_is_never_taken_for_one_that_predicts_noise(sd1: Kit) -> None:
    shelf = type(sd1.shelf)(dict(sd1.shelf.held))
    shelf.put("Denoiser", "sd1", sd1.pipeline.unet, {"scheduler": {"_class_name": "FlowMatchEulerDiscreteScheduler"}})
    for sampler in SAMPLERS:
        with pytest.raises(ProblemError, match="flow_prediction") as caught:
            sampled(sd1, BenchContext(shelf), sampler=sampler)
        assert codes(caught) == [("sampler_not_for_model", "sampler")]


def test_auto_is_what_suits_the_model(sd1: Kit) -> None:
    own = FAMILIES["sd1"].presets
    plain = sampled(sd1, steps=0, guidance=0.0, sampler="auto")
    same = {"steps": own.steps, "guidance": own.guidance, "sampler": own.sampler, "scheduler": own.scheduler}
    assert torch.equal(plain.samples, sampled(sd1, **same).samples)


def test_a_sampler_that_is_not_there_is_a_problem(sd1: Kit) -> None:
    for port in ("sampler", "scheduler"):
        with pytest.raises(ProblemError, match="'eulr' in this installation") as caught:
            sampled(sd1, **{port: "eulr"})
        assert codes(caught) == [(f"{port}_unknown", port)]


@pytest.mark.parametrize("guidance", [0, 0.5, 3.5])
def test_a_sampler_of_version_1_means_the_same(guidance: float) -> None:
    values = {"spacing": "karras", "guidance": guidance}
    old = {
        "format": "safelight/1",
        "nodes": {"s": {"type": "sampling.sample", "version": 1, "values": values}},
        "links": [{"from": "x.value", "to": "s.spacing"}],
    }
    new = migrate(Document.loads(json.dumps(old).encode()), load_packs())
    assert new.nodes["s"].version == 2 and str(new.links[0].target) == "s.scheduler"
    wanted = {"steps": 20, "guidance": guidance, "sampler": "dpmpp_2m", "scheduler": "karras", "auto_guidance": False}
    assert new.nodes["s"].values == wanted


def test_a_guidance_of_0_is_none_where_it_does_not_mean_auto(sd1: Kit) -> None:
    """As documents of version 1 meant it, wherever the 0 comes from."""
    none = sampled(sd1, guidance=0.0, auto_guidance=False)
    assert torch.equal(none.samples, sampled(sd1, guidance=1.0).samples)
    assert not torch.equal(none.samples, sampled(sd1, guidance=0.0).samples)


def test_latents_of_sd1_and_sd2_are_of_one_space(sd1: Kit, sd2: Kit) -> None:
    assert sampled(sd2, start=latent.empty(sd1.vae, ctx=sd1.context)).samples.isfinite().all()


def test_inputs_are_left_as_they_are(sd1: Kit) -> None:
    positive, negative = said(sd1, "a red apple"), said(sd1, "dark")
    start = replace(drawn(), mask=torch.ones(1, 1, 8, 8))
    tensors = [positive.prompts[0].embeddings, negative.prompts[0].embeddings, start.samples, start.mask]
    before = [(tensor._version, tensor.clone()) for tensor in tensors if tensor is not None]
    for sampler in SAMPLERS:
        sampled(sd1, positive=positive, negative=negative, start=start, denoise=0.5, sampler=sampler)
    after = [tensor for tensor in tensors if tensor is not None]
    assert all(now._version == version for now, (version, _) in zip(after, before, strict=True))
    assert all(torch.equal(now, copy) for now, (_, copy) in zip(after, before, strict=True))


def test_a_distilled_denoiser_is_told_the_guidance(sd1: Kit) -> None:
    """Latency-consistent denoisers take the guidance as an input instead of a second pass."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config({**sd1.pipeline.unet.config, "time_cond_proj_dim": 16}).eval()
    pipeline = type(sd1.pipeline)(**{**sd1.pipeline.components, "unet": unet, "requires_safety_checker": False})
    pipeline.set_progress_bar_config(disable=True)
    distilled = stocked(pipeline, "sd1")
    made = sampled(distilled, sampler="lcm", guidance=6.0, negative=None)
    pipeline.scheduler = make_scheduler(distilled.shelf.held["Denoiser", "sd1"].settings["scheduler"], "lcm", "model")
    wanted = pipeline(
        "a red apple",
        num_inference_steps=4,
        guidance_scale=6.0,
        generator=[torch.Generator().manual_seed(7)],
        output_type="latent",
    ).images
    assert torch.allclose(made.samples, wanted, atol=1e-5)
    assert distance(made, sampled(distilled, sampler="lcm", guidance=2.0, negative=None)) > 1e-3
