"""Versions of a model that need fewer steps."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import VAE, Context, Denoiser, ModelRef, Slider, TextEncoder, node

from ..training_values import ImageSet, Weights
from ._fields import COURSE_TO_2, Batch, EmaDecay, LearningRate, RandomSeed, Updates, WarmupSteps


@node(
    version=2,
    title="Train few-step LoRA",
    migrations={1: COURSE_TO_2},
    tags=("LCM", "distillation", "Train LoRA", "consistency", "turbo"),
)
def few_step(
    model: Annotated[ModelRef[Denoiser], "The model to make faster."],
    text: Annotated[ModelRef[TextEncoder], "Its text encoder."],
    prompts: Annotated[ImageSet, "Captions are drawn from it; its images are not looked at."],
    vae: Annotated[ModelRef[VAE] | None, "Its VAE; only to show samples while it learns."],
    *,
    steps: Annotated[int, Slider(1, 16), "Steps that the result will make an image in."] = 4,
    inner: Annotated[int, Slider(1, 20), "Steps of the model that each of them stands for."] = 5,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 3.0,
    rank: Annotated[int, Slider(1, 128), "Rank of the LoRA: its size and its powers."] = 6,
    updates: Updates = 1500,
    batch: Batch = 32,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 50,
    ema_decay: EmaDecay = 0.995,
    explicit: Annotated[float, Slider(0, 1, step=0.05), "Part of the captions that say style and background."] = 0.5,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora; sample with ddim, guidance 1 and so many steps."]:
    """Distil a model into a LoRA that makes an image in a few steps, without guidance.

    The model draws images in many steps, the LoRA learns to jump over most of them (progressive distillation). Needs
    no images, only prompts.
    """
    from .._training.few_step import Settings, distil

    settings = Settings(
        steps, inner, guidance, rank, updates, batch, learning_rate, warmup_steps, ema_decay, explicit, seed
    )
    return distil(model, text, prompts, vae, settings, ctx)
