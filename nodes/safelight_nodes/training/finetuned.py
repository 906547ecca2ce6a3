"""Models that learn a subject or a style of one's own from a few images."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from safelight.sdk import Context, Number, Slider, Text, node

from ..training_values import Weights
from ._fields import Devices, EmaDecay, RandomSeed, Rank, WarmupSteps
from ._tuning import (
    Accumulate,
    Checkpointing,
    DropCaptions,
    Examples,
    FewUpdates,
    Flip,
    Gamma,
    NoiseOffset,
    Optimiser,
    Prior,
    PriorWeight,
    Rate,
    RateSchedule,
    Shown,
    SmallBatch,
    TunedModel,
    TunedText,
    TunedVAE,
)


@node(
    version=1,
    title="Train LoRA",
    tags=("LoRA", "fine-tuning", "DreamBooth", "style", "subject", "TrainLoraNode", "kohya", "personalize"),
)
def lora(
    model: TunedModel,
    text: TunedText,
    vae: TunedVAE,
    images: Examples,
    prior: Prior,
    *,
    rank: Rank = 8,
    alpha: Annotated[
        float, Number(0, 256, step=1, zero="as the rank", advanced=True), "Alpha: the LoRA counts alpha / rank."
    ] = 0.0,
    targets: Annotated[
        Literal["blocks", "attention"],
        "Where it is laid: beside all matrices and kernels of the model's blocks, or those of attentions alone.",
    ] = "blocks",
    dropout: Annotated[
        float, Slider(0, 0.9, step=0.05, zero="off", advanced=True), "Part of its inputs that a pass leaves out."
    ] = 0.0,
    text_rate: Annotated[
        float,
        Slider(0, 1, step=0.05, zero="off"),
        "Lets CLIP's text encoders learn along, at this part of the learning rate.",
    ] = 0.0,
    updates: FewUpdates = 600,
    batch: SmallBatch = 4,
    accumulate: Accumulate = 1,
    devices: Devices = 1,
    learning_rate: Rate = 1e-3,
    warmup_steps: WarmupSteps = 20,
    schedule: RateSchedule = "cosine",
    optimiser: Optimiser = "adamw",
    ema_decay: EmaDecay = 0.95,
    gamma: Gamma = 5.0,
    noise_offset: NoiseOffset = 0.0,
    drop_captions: DropCaptions = 0.05,
    flip: Flip = False,
    prior_weight: PriorWeight = 1.0,
    checkpointing: Checkpointing = False,
    prompt: Shown = "",
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_lora."]:
    """Train a LoRA: a small file beside a model that teaches it a subject or a style from ten images or so.

    Works for Stable Diffusion 1, 2 and XL and for the families of transformers that make images.
    Source: E. Hu et al., "LoRA", 2021.
    """
    from .._training.finetune import Settings
    from .._training.lora import Given, Lora, learn_lora

    settings = Settings(
        updates, batch, accumulate, learning_rate, warmup_steps, schedule, optimiser, ema_decay, gamma, noise_offset,
        drop_captions, flip, prior_weight, checkpointing, seed,
    )  # fmt: skip
    given = Given(model, text, vae, images, prior, prompt)
    work = partial(learn_lora, given, Lora(rank, alpha, targets, dropout, text_rate), settings)
    return ctx.models.spread(work, ctx, devices)


@node(
    version=1,
    title="Train DreamBooth",
    tags=("DreamBooth", "fine-tuning", "full fine-tune", "subject", "prior preservation", "personalize"),
)
def dreambooth(
    model: TunedModel,
    text: TunedText,
    vae: TunedVAE,
    images: Examples,
    prior: Prior,
    *,
    updates: FewUpdates = 300,
    batch: SmallBatch = 4,
    accumulate: Accumulate = 1,
    devices: Devices = 1,
    learning_rate: Rate = 5e-5,
    warmup_steps: WarmupSteps = 20,
    schedule: RateSchedule = "constant",
    optimiser: Optimiser = "adamw",
    ema_decay: EmaDecay = 0.95,
    gamma: Gamma = 5.0,
    noise_offset: NoiseOffset = 0.0,
    drop_captions: DropCaptions = 0.05,
    flip: Flip = False,
    prior_weight: PriorWeight = 1.0,
    checkpointing: Checkpointing = False,
    prompt: Shown = "",
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_finetuned."]:
    """Train all weights of a denoiser on a few images of one subject, and hold it to what it knew of its class.

    Caption the images with a rare word and the class, such as "a zwx dog", and let the model make the images of the
    class ("a dog"). Source: N. Ruiz et al., "DreamBooth", 2022.
    """
    from .._training.finetune import Settings
    from .._training.lora import Given, learn_whole

    settings = Settings(
        updates, batch, accumulate, learning_rate, warmup_steps, schedule, optimiser, ema_decay, gamma, noise_offset,
        drop_captions, flip, prior_weight, checkpointing, seed,
    )  # fmt: skip
    work = partial(learn_whole, Given(model, text, vae, images, prior, prompt), settings)
    return ctx.models.spread(work, ctx, devices)


@node(
    version=1,
    title="Train textual inversion",
    tags=("textual inversion", "embedding", "new word", "token", "personalize"),
)
def textual_inversion(
    model: TunedModel,
    text: TunedText,
    vae: TunedVAE,
    images: Examples,
    *,
    vectors: Annotated[int, Slider(1, 32), "Vectors that the word consists of: each takes the place of a token."] = 4,
    initial: Annotated[
        str, Text(), "Words that say roughly what the images show: the vectors begin as theirs."
    ] = "toy",
    captions: Annotated[
        str,
        Text(multiline=True),
        "Captions, one a line: {} is the new word, {caption} what the image set says of the image.",
    ] = "{}\na photo of {}\nan image of {}",
    updates: FewUpdates = 600,
    batch: SmallBatch = 4,
    accumulate: Accumulate = 1,
    devices: Devices = 1,
    learning_rate: Rate = 5e-3,
    warmup_steps: WarmupSteps = 20,
    schedule: RateSchedule = "cosine",
    optimiser: Optimiser = "adamw",
    ema_decay: EmaDecay = 0.95,
    gamma: Gamma = 5.0,
    noise_offset: NoiseOffset = 0.0,
    flip: Flip = False,
    prompt: Annotated[str, Text(multiline=True), "The prompt of the samples; {} is the new word."] = "{}",
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_embedding."]:
    """Learn a new word for prompts from a few images: the model stays as it is, and the result is a few kilobytes.

    For Stable Diffusion 1, 2 and XL. Source: R. Gal et al., "An Image is Worth One Word", 2022.
    """
    from .._training.finetune import Settings
    from .._training.inversion import Word, learn_word
    from .._training.lora import Given

    settings = Settings(
        updates, batch, accumulate, learning_rate, warmup_steps, schedule, optimiser, ema_decay, gamma, noise_offset,
        0.0, flip, 0.0, False, seed,
    )  # fmt: skip
    given = Given(model, text, vae, images, None, prompt)
    work = partial(learn_word, given, Word(vectors, initial, captions), settings)
    return ctx.models.spread(work, ctx, devices)
