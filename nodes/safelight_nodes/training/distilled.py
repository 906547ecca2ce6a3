"""Models distilled from themselves: for fewer steps, and for other words."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Context, Denoiser, ModelRef, Number, Slider, Text, TextEncoder, Toggle, node

from ..training_values import ImageSet, Weights
from ._fields import (
    COURSE_TO_2,
    Batch,
    Captioned,
    EmaDecay,
    ItsText,
    Latents,
    LearningRate,
    RandomSeed,
    Rank,
    Shown,
    Updates,
    WarmupSteps,
)

_Faster = Annotated[ModelRef[Denoiser], "The model to make faster."]


@node(
    version=2,
    title="Train few-step LoRA",
    migrations={1: COURSE_TO_2},
    tags=("progressive distillation", "distillation", "Train LoRA", "turbo"),
)
def few_step(
    model: _Faster,
    text: ItsText,
    prompts: Annotated[ImageSet, "Captions are drawn from it; its images are not looked at."],
    vae: Shown,
    *,
    steps: Annotated[int, Slider(1, 16), "Steps that the result will make an image in."] = 4,
    inner: Annotated[int, Slider(1, 20), "Steps of the model that each of them stands for."] = 5,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 3.0,
    rank: Rank = 6,
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


@node(
    version=1,
    title="Train consistency LoRA",
    tags=("LCM", "LCM-LoRA", "latent consistency", "distillation", "Train LoRA", "few steps"),
)
def consistency(
    latents: Latents,
    images: Captioned,
    model: _Faster,
    text: ItsText,
    vae: Shown,
    *,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 3.0,
    guidance_spread: Annotated[
        float,
        Slider(0, 10, step=0.5),
        "Each image draws its guidance up to so much below or above. 0: all have the same.",
    ] = 0.0,
    intervals: Annotated[
        int,
        Slider(10, 200),
        "Parts of the way from noise to image; a step of the model goes over one. 50 are those that lcm samples at.",
    ] = 50,
    target: Annotated[
        Literal["student", "average"],
        "Who says what the next place leads to: the LoRA as it is, as for LCM-LoRA, or the average of its weights.",
    ] = "average",
    huber: Annotated[
        float, Number(1e-5, 10, step=1e-3), "Differences well below it count squared, all others plain (pseudo-Huber)."
    ] = 0.001,
    rank: Rank = 16,
    updates: Updates = 2000,
    batch: Batch = 16,
    learning_rate: LearningRate = 1e-4,
    warmup_steps: WarmupSteps = 50,
    ema_decay: EmaDecay = 0.95,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora; sample with lcm, guidance 1, in 1 to 8 steps."]:
    """Distil a model into a LoRA that jumps to the end from anywhere, so that 1 to 8 steps make an image.

    From neighbouring places of a way of the model, guided, it learns to predict the same end (latent consistency).
    Source: S. Luo et al., "Latent Consistency Models" and "LCM-LoRA", 2023.
    """
    from .._training.consistency import Settings, learn

    settings = Settings(
        guidance, guidance_spread, intervals, target, huber, rank, updates, batch, learning_rate, warmup_steps,
        ema_decay, seed,
    )  # fmt: skip
    return learn(latents, images, model, text, vae, settings, ctx)


@node(
    version=1,
    title="Train adversarial LoRA",
    tags=("ADD", "LADD", "turbo", "SDXL Turbo", "adversarial diffusion distillation", "GAN", "Train LoRA", "few steps"),
)
def adversarial(
    latents: Latents,
    images: Captioned,
    model: _Faster,
    text: ItsText,
    vae: Shown,
    *,
    steps: Annotated[int, Slider(1, 8), "Steps that the result will make an image in."] = 4,
    guidance: Annotated[
        float, Slider(1, 15, step=0.5), "The guidance that is learned along; the result needs none."
    ] = 3.0,
    distillation: Annotated[
        float,
        Slider(0, 20, step=0.1, zero="off"),
        "Weight of what the model itself would make of the result, beside the discriminator's 1. 2.5 in the paper.",
    ] = 2.5,
    r1: Annotated[
        float,
        Slider(0, 10, step=0.01, zero="off"),
        "Weight of R1, the squared gradient of the discriminator at what it sees of real images.",
    ] = 0.0,
    noise_level: Annotated[
        float,
        Slider(-3, 3, step=0.1, advanced=True),
        "How noisy the images are that the discriminator looks at: higher ones show the layout, lower ones details.",
    ] = 0.0,
    rank: Rank = 16,
    width: Annotated[
        int, Slider(8, 512, advanced=True), "Channels of the discriminator's heads on what the model sees."
    ] = 64,
    updates: Updates = 2000,
    batch: Batch = 16,
    learning_rate: LearningRate = 2e-4,
    discriminator_learning_rate: Annotated[
        float, Number(1e-7, 1, step=1e-5), "Learning rate of the discriminator."
    ] = 1e-3,
    warmup_steps: WarmupSteps = 50,
    ema_decay: EmaDecay = 0.98,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora; sample with lcm, guidance 1 and so many steps."]:
    """Distil a model into a LoRA for few steps, against a discriminator that knows real images by the model's own eyes.

    The LoRA answers to the discriminator, and to what the guided model would make of its images. Look at the samples:
    only the curve of the distillation is meant to fall. Sources: A. Sauer et al., "Adversarial Diffusion Distillation",
    2023, and its latent form, 2024.
    """
    from .._training.rivals import Settings, learn

    settings = Settings(
        steps, guidance, distillation, r1, noise_level, rank, width, updates, batch, learning_rate,
        discriminator_learning_rate, warmup_steps, ema_decay, seed,
    )  # fmt: skip
    return learn(latents, images, model, text, vae, settings, ctx)


@node(
    version=1,
    title="Train LoRA of words",
    tags=("synonyms", "plural", "language", "text encoder", "knowledge distillation", "AltCLIP", "Train LoRA"),
)
def words(
    model: Annotated[ModelRef[Denoiser], "The model that is told; it stays as it is."],
    text: Annotated[ModelRef[TextEncoder], "Its text encoder, which learns."],
    prompts: Annotated[ImageSet, "Captions that keep their meaning, and names to count; its images are not looked at."],
    kept: Annotated[ImageSet | None, "More captions that keep their meaning."],
    *,
    wordings: Annotated[
        str,
        Text(multiline=True),
        "A line each: the new words, an equals sign, the words that are known, as in “kitty = cat”.",
    ] = "",
    counted: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "Part of what is new that counts: “three apples” comes to mean “three apple”, for models that know numbers and "
        "names, and no plurals. With no wordings it is all of it.",
    ] = 0.0,
    grow: Annotated[
        bool, Toggle(), "Things keep their size, and images of several are larger; as in dataset.compose."
    ] = False,
    guidance: Annotated[float, Slider(1, 15, step=0.5), "The guidance of the images on whose way it learns."] = 2.0,
    hold: Annotated[
        float, Slider(0, 10, step=0.5), "How much captions that keep their meaning count beside the new words."
    ] = 2.0,
    rank: Rank = 16,
    updates: Updates = 1000,
    batch: Annotated[int, Slider(1, 512), "New captions of an update; as many keep their meaning."] = 16,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 50,
    ema_decay: EmaDecay = 0.99,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_words."]:
    """Teach a text encoder new words for what it knows: a LoRA, in minutes, and without an image.

    What the model draws when it is told the known words is what it learns to draw when it is told the new ones.
    Source: Z. Chen et al., "AltCLIP", 2022.
    """
    from .._training.wordings import Settings, learn

    settings = Settings(
        wordings, counted, grow, guidance, hold, rank, updates, batch, learning_rate, warmup_steps, ema_decay, seed
    )  # fmt: skip
    return learn(model, text, prompts, kept, settings, ctx)
