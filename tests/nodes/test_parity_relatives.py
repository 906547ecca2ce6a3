"""Denoisers that see more than their latent: equal to the diffusers pipelines, and resumed to equal bits.

Inpainting (9 channels), editing by instructions (8) and depth (5), with one image and three.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import CLOSE, NEGATIVE, PROMPT, SEED, Kit, codes, distance, pipeline_parts, sources, stocked, swapped
from proofs import Proof
from safelight.sdk import Cancelled, Image, Mask, ProblemError
from safelight_nodes import guide, latent, sampling, text, vae

STEPS, SIDE = 3, 64
SAMPLERS = ("euler", "dpmpp_2m")


def relative(kit: Kit, cls: Any, channels: int, **more: Any) -> Kit:
    """A pipeline of the kit's parts whose random denoiser takes so many channels."""
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(channels)
        unet = UNet2DConditionModel.from_config({**kit.pipeline.unet.config, "in_channels": channels}).eval()
    parts = {**pipeline_parts(kit), "unet": unet, **more}
    if "depth_estimator" in more:
        parts = {name: part for name, part in parts.items() if "safety" not in name and name != "image_encoder"}
    if "Pix2Pix" in cls.__name__ and kit.family == "sdxl":
        parts = {name: part for name, part in parts.items() if name not in ("image_encoder", "feature_extractor")}
    return stocked(cls(**parts), kit.family)


def theirs(kit: Kit, sampler: str, batch: int, **more: Any) -> torch.Tensor:
    kit.pipeline.set_progress_bar_config(disable=True)
    kit.pipeline.scheduler = swapped(kit, sampler, batch=batch)
    given: dict[str, Any] = {
        "prompt": [PROMPT] * batch,
        "negative_prompt": [NEGATIVE] * batch,
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0,
        "generator": sources(batch),
        "output_type": "pt",
        **more,
    }
    return kit.pipeline(**given).images


def ours(kit: Kit, start: Any, sampler: Any, shown: Any = None, ctx: Any = None, **more: Any) -> torch.Tensor:
    ctx = ctx or kit.context
    positive, negative = (text.encode(kit.text, text=given, ctx=ctx) for given in (PROMPT, NEGATIVE))
    if shown is not None:
        positive = shown(positive)
    given: dict[str, Any] = {"steps": STEPS, "guidance": 5.0, "seed": SEED, **more}
    made = sampling.sample(kit.denoiser, positive, negative, start, sampler=sampler, **given, ctx=ctx)
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


def pixels(batch: int) -> torch.Tensor:
    return torch.rand(batch, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def mask(batch: int) -> torch.Tensor:
    """Begins and ends between the cells of the latent, and has grey in it."""
    found = torch.zeros(batch, 1, SIDE, SIDE)
    found[..., 3:29, 18:59] = 1
    found[..., 40:45, 5:50] = 0.4
    found[..., 50:55, 5:50] = 0.7
    return found


@pytest.fixture
def mean_of_the_vae(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines draw from the VAE's distribution with the generator of the noise; the node takes its mean."""
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_depth2img as depth
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_inpaint as inpaint
    from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_inpaint as inpaint_xl

    for module in (depth, inpaint, inpaint_xl):
        monkeypatch.setattr(module, "retrieve_latents", lambda found, generator=None: found.latent_dist.mode())


def inpainting(kit: Kit) -> Kit:
    from diffusers import StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline

    classes = StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline
    return relative(kit, classes[kit.family == "sdxl"], 9)


def editing(kit: Kit) -> Kit:
    from diffusers import StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline

    classes = StableDiffusionInstructPix2PixPipeline, StableDiffusionXLInstructPix2PixPipeline
    return relative(kit, classes[kit.family == "sdxl"], 8)


def led_by_depth(kit: Kit) -> Kit:
    from diffusers import StableDiffusionDepth2ImgPipeline
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=32,
                       patch_size=16, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[4, 4, 4, 4],
                       fusion_hidden_size=4)  # fmt: skip
    more = {"depth_estimator": DPTForDepthEstimation(config), "feature_extractor": DPTImageProcessor()}
    return relative(kit, StableDiffusionDepth2ImgPipeline, 5, **more)


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_inpainting(family: str, batch: int, sampler: str, proof: Proof, request: pytest.FixtureRequest) -> None:
    """With a mask off the grid of the latent, of which each cell is painted or not."""
    kit = inpainting(request.getfixturevalue(family))
    given = Image(pixels(batch).movedim(1, -1)), Mask(mask(batch)[:, 0])
    start = vae.encode_inpaint(kit.vae, *given, ctx=kit.context)
    more = {"image": pixels(batch) * 2 - 1, "mask_image": mask(batch), "height": SIDE, "width": SIDE}
    for strength in (1.0, 0.6):
        wanted = theirs(kit, sampler, batch, strength=strength, **more)
        found = distance(ours(kit, start, sampler, denoise=strength), wanted)
        proof.close(family, "inpainting model", found, batch)


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_whole_image_by_an_inpainting_model(family: str, proof: Proof, request: pytest.FixtureRequest) -> None:
    kit = inpainting(request.getfixturevalue(family))
    with pytest.raises(ProblemError, match="inpainting model") as caught:
        ours(kit, latent.empty(kit.vae, ctx=kit.context), "euler")
    assert codes(caught) == [("inpainting_latent_needed", "latent")]
    assert "for_inpainting" in caught.value.problems[0].hint
    start = latent.empty(kit.vae, batch=3, for_inpainting=True, ctx=kit.context)
    given = {"image": torch.zeros(3, 3, SIDE, SIDE), "mask_image": torch.ones(3, 1, SIDE, SIDE)}
    wanted = theirs(kit, "euler", 3, strength=1.0, height=SIDE, width=SIDE, **given)
    proof.close(family, "inpainting model", distance(ours(kit, start, "euler"), wanted), 3)


@pytest.mark.parametrize("guidance", [(5.0, 1.5), (5.0, 1.0), (5.0, 3.0), (1.0, 1.5)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_editing(
    family: str, batch: int, guidance: tuple[float, float], proof: Proof, request: pytest.FixtureRequest
) -> None:
    kit = editing(request.getfixturevalue(family))
    start = vae.encode(kit.vae, Image(pixels(batch).movedim(1, -1)), ctx=kit.context)
    for sampler in SAMPLERS:
        wanted = theirs(kit, sampler, batch, image=pixels(batch) * 2 - 1, guidance_scale=guidance[0],
                        image_guidance_scale=guidance[1])  # fmt: skip
        made = ours(
            kit, start, sampler, lambda said: guide.edit(said, start, image_guidance=guidance[1]), guidance=guidance[0]
        )
        proof.close(family, "edit model", distance(made, wanted), batch)


@pytest.mark.usefixtures("mean_of_the_vae")
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("batch", [1, 3])
def test_depth(sd2: Kit, batch: int, sampler: str, proof: Proof) -> None:
    kit = led_by_depth(sd2)
    near = torch.rand(batch, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    start = vae.encode(kit.vae, Image(pixels(batch).movedim(1, -1)), ctx=kit.context)
    more = {"image": pixels(batch) * 2 - 1, "depth_map": near, "strength": 0.8}
    wanted = theirs(kit, sampler, batch, guidance_scale=3.0, **more)
    grey = Image(near[..., None].expand(-1, -1, -1, 3).contiguous())
    made = ours(kit, start, sampler, lambda said: guide.depth(said, grey), denoise=0.8, guidance=3.0)
    proof.close("sd2", "depth model", distance(made, wanted), batch)
    far = Image(1 - grey.pixels)
    other = ours(kit, start, sampler, lambda said: guide.depth(said, far), denoise=0.8, guidance=3.0)
    assert distance(made, other) > 100 * CLOSE


def test_what_is_missing_or_cannot_be_seen_is_told(sd1: Kit, sd2: Kit) -> None:
    start = latent.empty(sd1.vae, ctx=sd1.context)

    def refused(kit: Kit, begun: Any, shown: Any = None) -> list[tuple[str, str | None]]:
        with pytest.raises(ProblemError) as caught:
            ours(kit, begun, "euler", shown)
        return codes(caught)

    assert refused(editing(sd1), start) == [("shown_missing", "positive")]
    assert refused(led_by_depth(sd2), start) == [("shown_missing", "positive")]
    larger = latent.empty(sd1.vae, width=128, ctx=sd1.context)
    assert refused(editing(sd1), start, lambda said: guide.edit(said, larger)) == [("wrong_size", "latent")]
    several = latent.empty(sd1.vae, batch=3, ctx=sd1.context)
    assert refused(editing(sd1), start, lambda said: guide.edit(said, several)) == [("wrong_batch", "positive")]
    for kit in (sd1, inpainting(sd1)):
        assert refused(kit, start, lambda said: guide.edit(said, start)) == [("feature_not_in_family", "positive")]
    positive, negative = (text.encode(sd1.text, text=given, ctx=sd1.context) for given in (PROMPT, NEGATIVE))
    with pytest.raises(ProblemError, match="no input for an image"):
        sampling.sample(sd1.denoiser, positive, guide.edit(negative, start), start, steps=2, ctx=sd1.context)


def test_an_edit_inside_a_mask_leaves_the_rest_as_it_was(sd1: Kit) -> None:
    kit = editing(sd1)
    inside = torch.zeros(1, SIDE, SIDE)
    inside[..., SIDE // 2 :] = 1
    start = latent.set_mask(vae.encode(kit.vae, Image(pixels(1).movedim(1, -1)), ctx=kit.context), Mask(inside))
    positive, negative = (text.encode(kit.text, text=given, ctx=kit.context) for given in (PROMPT, NEGATIVE))
    made = sampling.sample(
        kit.denoiser, guide.edit(positive, start), negative, start, steps=2, sampler="euler", ctx=kit.context
    ).samples
    assert torch.equal(made[..., :4], start.samples[..., :4])
    assert not torch.allclose(made[..., 4:], start.samples[..., 4:], atol=0.1)


def test_a_new_mask_is_the_hole_of_an_inpainting_model(sd1: Kit) -> None:
    given = Image(pixels(1).movedim(1, -1)), Mask(torch.zeros(1, SIDE, SIDE))
    start = vae.encode_inpaint(sd1.vae, *given, ctx=sd1.context)
    assert start.hole is not None and start.hole.sum() == 0
    again = latent.set_mask(start, Mask(mask(1)[:, 0]))
    wanted = vae.encode_inpaint(sd1.vae, given[0], Mask(mask(1)[:, 0]), ctx=sd1.context)
    assert again.hole is not None and wanted.hole is not None and torch.equal(again.hole, wanted.hole)
    assert set(again.hole.unique().tolist()) == {0.0, 1.0}
    assert again.mask is not None and len(again.mask.unique()) > 2, "an ordinary denoiser keeps its soft edges"


@pytest.mark.parametrize("make", [inpainting, editing])
def test_stopped_it_ends_in_the_same_bits(sd1: Kit, make: Any) -> None:
    kit = make(sd1)
    given = Image(pixels(3).movedim(1, -1)), Mask(mask(3)[:, 0])
    start = vae.encode_inpaint(kit.vae, *given, ctx=kit.context)
    shown = (lambda said: guide.edit(said, start)) if make is editing else None
    whole = ours(kit, start, "euler_ancestral", shown)
    stopped = kit.context
    stopped.keep_at, stopped.cancel_at = 2, 2
    with pytest.raises(Cancelled):
        ours(kit, start, "euler_ancestral", shown, stopped)
    resumed = kit.context
    resumed.state = stopped.kept[0]
    assert torch.equal(ours(kit, start, "euler_ancestral", shown, resumed), whole)
