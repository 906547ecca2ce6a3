"""Images to start from and to fill in: equal to the diffusers pipelines that do the same.

Left out where this and the pipelines part on purpose. PNDM and LMS starting late: the pipelines leave noise in the
image (see test_sampling). Filling in with samplers whose second stage lies between two noise levels (dpm2,
dpm2_ancestral, dpmpp_sde): the pipeline puts the original back there too, with the noise of another level.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import NEGATIVE, PROMPT, SEED, Kit, distance, pipeline_parts, sources, stocked, swapped
from proofs import Proof
from safelight.diffusion.samplers import SAMPLERS
from safelight.sdk import Image, Latent, Mask
from safelight_nodes import sampling, text, vae

STEPS = 5
LATE = [name for name, kind in SAMPLERS.items() if kind.starts_anywhere]
FILLING = [name for name, kind in SAMPLERS.items() if not kind.midpoint]


def call(pipeline: Any, kit: Kit, sampler: str, **more: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    batch = more.pop("batch", 2)
    pipeline.scheduler = swapped(kit, sampler, batch=batch)
    return pipeline(
        prompt=[PROMPT] * batch,
        negative_prompt=[NEGATIVE] * batch,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        generator=sources(batch),
        eta=SAMPLERS[sampler].arguments.get("eta", 0.0),
        output_type="pt",
        **more,
    ).images


def ours(kit: Kit, start: Latent, sampler: Any, denoise: float) -> torch.Tensor:
    ctx = kit.context
    positive, negative = (text.encode(kit.text, text=given, ctx=ctx) for given in (PROMPT, NEGATIVE))
    made = sampling.sample(
        kit.denoiser,
        positive,
        negative,
        start,
        steps=STEPS,
        guidance=5.0,
        sampler=sampler,
        seed=SEED,
        denoise=denoise,
        ctx=ctx,
    )
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


@pytest.mark.parametrize("sampler", LATE)
def test_image_to_image(sd1: Kit, sampler: str, proof: Proof) -> None:
    from diffusers import StableDiffusionImg2ImgPipeline

    samples = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    pipeline = StableDiffusionImg2ImgPipeline(**pipeline_parts(sd1))
    for strength in (0.8, 0.45):
        wanted = call(pipeline, sd1, sampler, image=samples, strength=strength)
        proof.close("sd1", "image to image", distance(ours(sd1, Latent(samples, "sd1"), sampler, strength), wanted), 2)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "ddim", "heun", "euler_ancestral"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_image_to_image_of_each_family(
    family: str, batch: int, sampler: str, proof: Proof, request: pytest.FixtureRequest
) -> None:
    from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

    kit = request.getfixturevalue(family)
    cls = StableDiffusionXLImg2ImgPipeline if family == "sdxl" else StableDiffusionImg2ImgPipeline
    samples = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    wanted = call(cls(**pipeline_parts(kit)), kit, sampler, batch=batch, image=samples, strength=0.8)
    proof.close(family, "image to image", distance(ours(kit, Latent(samples, family), sampler, 0.8), wanted), batch)


def image_and_mask(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(batch, 1, 64, 64)
    mask[..., 32:] = 1
    return pixels, mask


@pytest.fixture
def mean_of_the_vae(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines draw from the VAE's distribution with the generator of the noise; the node takes its mean."""
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_inpaint as inpaint
    from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_inpaint as inpaint_xl

    for module in (inpaint, inpaint_xl):
        monkeypatch.setattr(module, "retrieve_latents", lambda found, generator=None: found.latent_dist.mode())


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("sampler", FILLING)
def test_filling_in_with_an_ordinary_denoiser(sd1: Kit, sampler: str, proof: Proof) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    pixels, mask = image_and_mask()
    start = vae.encode_inpaint(sd1.vae, Image(pixels.movedim(1, -1)), Mask(mask[:, 0]), ctx=sd1.context)
    pipeline = StableDiffusionInpaintPipeline(**pipeline_parts(sd1))
    for strength in (1.0, 0.6):
        if strength < 1 and sampler not in LATE:
            continue
        wanted = call(
            pipeline, sd1, sampler, image=pixels * 2 - 1, mask_image=mask, strength=strength, height=64, width=64
        )
        proof.close("sd1", "masks", distance(ours(sd1, start, sampler, strength), wanted), 2)


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_filling_in_with_each_family(family: str, batch: int, proof: Proof, request: pytest.FixtureRequest) -> None:
    from diffusers import StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline

    kit = request.getfixturevalue(family)
    cls = StableDiffusionXLInpaintPipeline if family == "sdxl" else StableDiffusionInpaintPipeline
    pixels, mask = image_and_mask(batch)
    start = vae.encode_inpaint(kit.vae, Image(pixels.movedim(1, -1)), Mask(mask[:, 0]), ctx=kit.context)
    shown = {"image": pixels * 2 - 1, "mask_image": mask, "height": 64, "width": 64}
    wanted = call(cls(**pipeline_parts(kit)), kit, "euler", batch=batch, strength=0.8, **shown)
    proof.close(family, "masks", distance(ours(kit, start, "euler", 0.8), wanted), batch)


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("sampler", ["euler", "ddim"])
def test_filling_in_with_an_inpainting_denoiser(sd1: Kit, sampler: str, proof: Proof) -> None:
    from diffusers import StableDiffusionInpaintPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config({**sd1.pipeline.unet.config, "in_channels": 9}).eval()
    pipeline = StableDiffusionInpaintPipeline(**{**pipeline_parts(sd1), "unet": unet})
    inpainting = stocked(pipeline, "sd1")
    pixels, mask = image_and_mask()
    start = vae.encode_inpaint(inpainting.vae, Image(pixels.movedim(1, -1)), Mask(mask[:, 0]), ctx=inpainting.context)
    for strength in (1.0, 0.6):
        wanted = call(
            pipeline, inpainting, sampler, image=pixels * 2 - 1, mask_image=mask, strength=strength, height=64, width=64
        )
        proof.close("sd1", "inpainting model", distance(ours(inpainting, start, sampler, strength), wanted), 2)


def test_an_inpainting_denoiser_needs_the_image_around_the_mask(sd1: Kit) -> None:
    from diffusers import UNet2DConditionModel

    from safelight.sdk import ProblemError

    unet = UNet2DConditionModel.from_config({**sd1.pipeline.unet.config, "in_channels": 9}).eval()
    inpainting = stocked(type(sd1.pipeline)(**{**pipeline_parts(sd1), "unet": unet}), "sd1")
    with pytest.raises(ProblemError, match="encode_inpaint"):
        ours(inpainting, Latent(torch.zeros(2, 4, 8, 8), "sd1"), "euler", 1.0)


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - set(FILLING)))
def test_what_is_outside_the_mask_comes_out_as_it_went_in(sd1: Kit, sampler: Any) -> None:
    samples = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    ctx = sd1.context
    positive, negative = (text.encode(sd1.text, text=given, ctx=ctx) for given in (PROMPT, NEGATIVE))
    made = sampling.sample(
        sd1.denoiser, positive, negative, Latent(samples, "sd1", 8, mask), steps=3, sampler=sampler, ctx=ctx
    ).samples
    assert torch.equal(made[..., :4], samples[..., :4])
    assert not torch.allclose(made[..., 4:], samples[..., 4:], atol=0.1)
