"""The refiner of Stable Diffusion XL, alone and taking over from the base model, as the pipelines have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import CLOSE, FAMILIES, NEGATIVE, PROMPT, SEED, Kit, codes, distance, sources, stocked, swapped
from proofs import Proof
from safelight.sdk import Latent, ProblemError
from safelight_nodes import latent, sampling, text, vae

STEPS = 5


@pytest.fixture(scope="module")
def refiner(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    from diffusers import StableDiffusionXLImg2ImgPipeline

    folder: Path = FAMILIES["sdxl_refiner"].tiny(tmp_path_factory.mktemp("refiner"), 8)
    pipeline = StableDiffusionXLImg2ImgPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return stocked(pipeline, "sdxl_refiner")


def arguments(batch: int) -> dict[str, Any]:
    return {
        "prompt": [PROMPT] * batch,
        "negative_prompt": [NEGATIVE] * batch,
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0,
        "generator": sources(batch),
    }


def prompts(kit: Kit, ctx: Any) -> tuple[Any, Any]:
    return text.encode(kit.text, text=PROMPT, ctx=ctx), text.encode(kit.text, text=NEGATIVE, ctx=ctx)


def test_the_refiner_with_perturbed_attention(refiner: Kit, proof: Proof) -> None:
    from diffusers import StableDiffusionXLPAGImg2ImgPipeline

    samples = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    pipeline = StableDiffusionXLPAGImg2ImgPipeline(**refiner.pipeline.components, requires_aesthetics_score=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = swapped(refiner, "euler", batch=3)
    sizes = {"original_size": (64, 64), "target_size": (64, 64), "negative_original_size": (64, 64)}
    wanted = pipeline(image=samples, strength=0.6, output_type="pt", pag_scale=3.0, **arguments(3), **sizes).images
    ctx = refiner.context
    made = sampling.sample(
        refiner.denoiser, *prompts(refiner, ctx), Latent(samples, "sdxl"), steps=STEPS, guidance=5.0, sampler="euler",
        seed=SEED, denoise=0.6, guider=sampling.guider(kind="pag"), ctx=ctx,
    )  # fmt: skip
    found = vae.decode(refiner.vae, made, ctx=ctx).pixels.movedim(-1, 1)
    proof.close("sdxl_refiner", "guider pag", distance(found, wanted), 3)


@pytest.mark.parametrize("scores", [None, (8.0, 1.0)])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_refiner_alone(refiner: Kit, batch: int, scores: tuple[float, float] | None, proof: Proof) -> None:
    samples = torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(9))
    more = {} if scores is None else {"aesthetic_score": scores[0], "negative_aesthetic_score": scores[1]}
    refiner.pipeline.scheduler = swapped(refiner, "euler", batch=batch)
    # Latents are 8 x 8; the sizes told are those of the image.
    sizes = {"original_size": (64, 64), "target_size": (64, 64), "negative_original_size": (64, 64)}
    wanted = refiner.pipeline(image=samples, strength=0.6, output_type="pt", **arguments(batch), **sizes, **more).images
    ctx = refiner.context
    positive, negative = prompts(refiner, ctx)
    if scores is not None:
        positive, negative = text.set_score(positive, score=scores[0]), text.set_score(negative, score=scores[1])
    made = sampling.sample(
        refiner.denoiser, positive, negative, Latent(samples, "sdxl"), steps=STEPS, guidance=5.0, sampler="euler",
        seed=SEED, denoise=0.6, ctx=ctx,
    )  # fmt: skip
    found = vae.decode(refiner.vae, made, ctx=ctx).pixels.movedim(-1, 1)
    proof.close("sdxl_refiner", "image to image", distance(found, wanted), batch)


def handed_over(base: Kit, refiner: Kit, batch: int, sampler: Any) -> torch.Tensor:
    begun = latent.empty(base.vae, batch=batch, ctx=base.context)
    given: dict[str, Any] = {"steps": STEPS, "guidance": 5.0, "sampler": sampler, "seed": SEED}
    half = sampling.sample_part(
        base.denoiser, *prompts(base, base.context), begun, end_step=4, **given, ctx=base.context
    )
    assert half.noise > 0
    return sampling.sample_part(
        refiner.denoiser, *prompts(refiner, refiner.context), half, start_step=4, **given, ctx=refiner.context
    ).samples


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m"])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_base_model_hands_over_to_the_refiner(
    sdxl: Kit, refiner: Kit, batch: int, sampler: Any, proof: Proof
) -> None:
    for kit in (sdxl, refiner):
        kit.pipeline.scheduler = swapped(kit, sampler, batch=batch)
    half = sdxl.pipeline(denoising_end=0.8, output_type="latent", **arguments(batch)).images
    sizes = {"original_size": (64, 64), "target_size": (64, 64), "negative_original_size": (64, 64)}
    wanted = refiner.pipeline(image=half, denoising_start=0.8, output_type="latent", **arguments(batch), **sizes).images
    # A latent is about as large as a pixel is, times 4.
    found = distance(handed_over(sdxl, refiner, batch, sampler), wanted)
    proof.close("sdxl_refiner", "hand-over from the base model", found, batch, bar=4 * CLOSE)


def test_it_reads_no_prompts_of_the_base_model(sdxl: Kit, refiner: Kit) -> None:
    ctx = refiner.context
    start = latent.empty(refiner.vae, ctx=ctx)
    with pytest.raises(ProblemError) as caught:
        sampling.sample(refiner.denoiser, *prompts(sdxl, sdxl.context), start, steps=2, ctx=ctx)
    assert codes(caught) == [("wrong_family", "negative"), ("wrong_family", "positive")]
