"""Motion modules: videos from a model of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import Context, Denoiser, ModelRef, Motion, Slider, node

from ._refusal import refusal


@node(
    version=1,
    title="Apply motion module",
    light=True,
    tags=("AnimateDiff", "ADE_UseEvolvedSampling", "ADE_ApplyAnimateDiffModel", "text to video", "GIF", "loop"),
)
def apply(
    model: ModelRef[Denoiser],
    motion: ModelRef[Motion],
    *,
    strength: Annotated[
        float, Slider(0, 1.5, step=0.05), "How much frames count for each other. 1: as learned; 0: images on their own."
    ] = 1.0,
    ctx: Context,
) -> ModelRef[Denoiser]:
    """Let a model of images draw videos: a batch of latents becomes the frames of one video.

    Set the batch of the empty latent to the number of frames, and put video.from_images behind the decoded images. For
    models of Stable Diffusion 1, 2 and XL; LoRAs, ControlNets and IP-Adapters act as they do without it, on all frames.
    Source: Y. Guo et al., "AnimateDiff: Animate Your Personalized Text-to-Image Diffusion Models without Specific
    Tuning", 2023.
    """
    family = ctx.models.families.get(model.family)
    if family is None or not family.moves:
        told = family.title if family is not None else model.family or "an unknown family"
        message = f"Models of {told} take no motion module."
        hint = "Take a model of Stable Diffusion 1, 2 or XL, or one that was made for videos."
        raise refusal(code="feature_not_in_family", message=message, hint=hint, port="model", value=model.family)
    # A strength of nothing is no module, so what was made without it is found again.
    if not strength:
        return replace(model, motion=None, motion_strength=1.0)
    return replace(model, motion=motion, motion_strength=strength)
