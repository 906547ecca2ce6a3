"""Models that fill the hole of an image."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from safelight.sdk import VAE, Context, ModelRef, Slider, node

from ..training_values import ImageSet, Weights
from ._fields import Devices, EmaDecay, RandomSeed, WarmupSteps
from ._tuning import (
    Accumulate,
    Checkpointing,
    DropCaptions,
    FewUpdates,
    Gamma,
    Optimiser,
    Rate,
    RateSchedule,
    SmallBatch,
    TunedModel,
    TunedText,
)


@node(
    version=1,
    title="Train inpainting model",
    tags=("inpaint", "inpainting", "outpaint", "mask", "fill", "fine-tuning", "LoRA", "9 channels"),
)
def inpainting(
    model: TunedModel,
    text: TunedText,
    vae: Annotated[ModelRef[VAE], "Its VAE: images, and what is left of them around their holes, are encoded by it."],
    images: Annotated[ImageSet, "The images to learn from: the more different ones, the better."],
    *,
    rank: Annotated[
        int,
        Slider(0, 128, zero="all weights"),
        "Rank of a LoRA that learns in the place of the model's weights: a small file, to be laid on the model.",
    ] = 0,
    holes: Annotated[
        Literal["mixed", "boxes", "ellipses", "strokes"],
        "What is cut out of the images: boxes, ellipses, strokes of a brush, or each in turn.",
    ] = "mixed",
    smallest: Annotated[float, Slider(0.05, 1, step=0.05), "Smallest side of a hole, as a part of the image's."] = 0.2,
    largest: Annotated[float, Slider(0.05, 1, step=0.05), "Largest side of a hole, as a part of the image's."] = 0.9,
    whole: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "Part of the examples that are all hole: the prompt alone says what is there, as before.",
    ] = 0.1,
    updates: FewUpdates = 1000,
    batch: SmallBatch = 16,
    accumulate: Accumulate = 1,
    devices: Devices = 1,
    learning_rate: Rate = 1e-4,
    warmup_steps: WarmupSteps = 50,
    schedule: RateSchedule = "cosine",
    optimiser: Optimiser = "adamw",
    ema_decay: EmaDecay = 0.99,
    gamma: Gamma = 5.0,
    drop_captions: DropCaptions = 0.1,
    checkpointing: Checkpointing = False,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_finetuned; a LoRA with weights.save_lora."]:
    """Train a model to fill holes: it sees what is left of an image, and paints what the prompt says into the rest.

    The first convolution of the denoiser is widened: beside the noisy latent it takes the hole, and the latent of the
    image with the hole greyed out. Samples show images, their holes, and these filled. For Stable Diffusion 1, 2, XL.
    Source: R. Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", 2022.
    """
    from .._training.holes import Holes
    from .._training.inpainting import Given, Settings, learn

    settings = Settings(
        rank, updates, batch, accumulate, learning_rate, warmup_steps, schedule, optimiser, ema_decay, gamma,
        drop_captions, checkpointing, seed,
    )  # fmt: skip
    cut = Holes(holes, min(smallest, largest), max(smallest, largest), whole)
    work = partial(learn, Given(model, text, vae, images), cut, settings)
    return ctx.models.spread(work, ctx, devices)
