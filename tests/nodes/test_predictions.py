"""What a model predicts, said by the user; and what suits models that were distilled for few steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from node_bench import FAMILIES, NEGATIVE, PROMPT, SEED, Kit, codes, distance, recipe, sampled, sources
from proofs import Proof
from safelight.diffusion.samplers import make_scheduler
from safelight.families import Held
from safelight.families._unet.loading import UNKNOWN, default_scheduler
from safelight.families._unet.presets import FEW_STEPS, told_by
from safelight.sdk import ProblemError
from safelight_nodes import latent, model_settings, sampling, text, vae


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_velocity_that_no_file_tells(sdxl: Kit, zero_snr: bool, sampler: Any, batch: int, proof: Proof) -> None:
    """As a pipeline whose scheduler says so; with guidance brought back to the contrast of no guidance."""
    settings = {**sdxl.pipeline.scheduler.config, "prediction_type": "v_prediction"}
    settings["_use_default_values"] = []
    if zero_snr:
        settings |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    pipeline = type(sdxl.pipeline)(
        **{**sdxl.pipeline.components, "scheduler": make_scheduler(settings, sampler, "model")}
    )
    pipeline.set_progress_bar_config(disable=True)
    wanted = pipeline(
        prompt=[PROMPT] * batch, negative_prompt=[NEGATIVE] * batch, num_inference_steps=4, guidance_scale=5.0,
        guidance_rescale=0.7, generator=sources(batch), output_type="pt",
    ).images  # fmt: skip
    ctx = sdxl.context
    said = model_settings.set_prediction(sdxl.denoiser, zero_snr=zero_snr)
    made = sampling.sample(
        said, *(text.encode(sdxl.text, text=given, ctx=ctx) for given in (PROMPT, NEGATIVE)),
        latent.empty(sdxl.vae, batch=batch, ctx=ctx), steps=4, guidance=5.0, sampler=sampler, seed=SEED,
        guidance_rescale=0.7, ctx=ctx,
    )  # fmt: skip
    found = vae.decode(sdxl.vae, made, ctx=ctx).pixels.movedim(-1, 1)
    proof.close("sdxl", "velocity, zero SNR" if zero_snr else "velocity", distance(found, wanted), batch)


def test_said_twice_the_last_counts(sd1: Kit) -> None:
    back = model_settings.set_prediction(model_settings.set_prediction(sd1.denoiser), prediction="noise")
    assert back == model_settings.set_prediction(sd1.denoiser, prediction="noise") != sd1.denoiser


def test_a_model_of_which_nothing_tells_asks(sd2: Kit) -> None:
    kit = replace(sd2, shelf=replace(sd2.shelf, held=dict(sd2.shelf.held)))
    found = kit.shelf.held["Denoiser", "sd2"]
    settings = {**found.settings, "scheduler": default_scheduler(UNKNOWN)}
    kit.shelf.held["Denoiser", "sd2"] = replace(found, settings=settings)
    with pytest.raises(ProblemError) as caught:
        sampled(kit)
    assert codes(caught) == [("prediction_unknown", "model")]
    assert "models.set_prediction" in caught.value.problems[0].hint
    said = sampled(kit, model=model_settings.set_prediction(kit.denoiser))
    assert distance(
        said.samples, sampled(kit, model=model_settings.set_prediction(kit.denoiser, prediction="noise")).samples
    )


def presets(kit: Kit, name: str = "some", **settings: Any) -> Any:
    found = kit.shelf.held["Denoiser", kit.family]
    told = {"scheduler": {**default_scheduler(), **settings.pop("scheduler", {})}, **settings}
    held = Held(recipe("Denoiser", kit.family, name), {"unet": found.component}, told, found.device, found.dtype)
    return FAMILIES[kit.family].denoiser(held).presets


TRAILING = {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"}


@pytest.mark.parametrize(
    ("settings", "sampler", "scheduler"),
    [
        ({"scheduler": TRAILING}, "euler_ancestral", "trailing"),
        ({"scheduler": {**TRAILING, "_class_name": "EulerDiscreteScheduler"}}, "euler", "trailing"),
        ({"scheduler": {"_class_name": "LCMScheduler"}}, "lcm", "model"),
        ({"scheduler": {"_class_name": "TCDScheduler"}}, "tcd", "model"),
        (told_by({"modelspec.title": "SDXL-Lightning 4 steps"}), "euler", "trailing"),
        (told_by({"modelspec.architecture": "stable-diffusion-xl-turbo"}), "euler_ancestral", "trailing"),
        (told_by({"modelspec.title": "Hyper_SDXL 8"}), "tcd", "model"),
    ],
)
def test_a_model_for_few_steps_is_told_by_its_files(sdxl: Kit, settings: Any, sampler: str, scheduler: str) -> None:
    found = presets(sdxl, **settings)
    assert (found.steps, found.guidance, found.sampler, found.scheduler) == (4, 1.0, sampler, scheduler)
    assert "distilled" in found.note
    make_scheduler({**default_scheduler(), **settings.get("scheduler", {})}, found.sampler, found.scheduler)


def test_names_are_hints_and_other_models_stay_as_they_are(sdxl: Kit) -> None:
    own = FAMILIES["sdxl"].presets
    named = presets(sdxl, "models/DreamShaperXL_Lightning.safetensors")
    assert replace(named, note="") == own and "lightning" in named.note
    zero = {**TRAILING, "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    for plain in (presets(sdxl), presets(sdxl, scheduler=zero), presets(sdxl, "hyperrealism_turbotrain")):
        assert plain == own
    assert told_by({"modelspec.title": "Hyperrealism"}) == {} and FEW_STEPS not in told_by({})


def test_auto_says_what_it_takes(sd1: Kit) -> None:
    kit = replace(sd1, shelf=replace(sd1.shelf, held=dict(sd1.shelf.held)))
    found = kit.shelf.held["Denoiser", "sd1"]
    scheduler = {**found.settings["scheduler"], **TRAILING}
    kit.shelf.held["Denoiser", "sd1"] = replace(found, settings={"scheduler": scheduler})
    told = kit.context
    made = sampled(kit, told, steps=0, guidance=0.0, sampler="auto", scheduler="auto")
    assert [(problem.code, problem.level) for problem in told.warned] == [("few_steps_model", "warning")]
    assert told.steps[-1] == (4, 4)
    silent = kit.context
    chosen = sampled(kit, silent, steps=4, guidance=1.0, sampler="euler_ancestral", scheduler="trailing")
    assert silent.warned == [] and distance(made.samples, chosen.samples) == 0
