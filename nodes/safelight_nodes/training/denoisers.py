"""Denoisers, of latents with prompts and of pixels without."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import VAE, Context, Denoiser, ModelRef, Number, Slider, TextEncoder, Toggle, node

from ..training_values import ImageSet, LatentSet, Tokenizer, Weights
from ._fields import (
    BOTH_TO_2,
    Anywhere,
    Batch,
    Devices,
    EmaDecay,
    LearningRate,
    RandomSeed,
    TextLayers,
    TextWidth,
    Updates,
    WarmupSteps,
)


class Model(NamedTuple):
    """What weights.save_model wants, beside a VAE."""

    denoiser: Weights
    text: Annotated[Weights, "Its text encoder."]
    tokenizer: Tokenizer


@node(
    version=2,
    title="Train denoiser",
    migrations={1: BOTH_TO_2},
    tags=("Train UNet", "diffusion", "flow matching", "from scratch"),
)
def denoiser(
    latents: Annotated[LatentSet, "The images, encoded."],
    images: Annotated[ImageSet, "The very set that was encoded: captions are drawn from it."],
    tokenizer: Annotated[Tokenizer | None, "For a new text encoder, which then learns along."],
    start: Annotated[ModelRef[Denoiser] | None, "A denoiser to go on from; its text encoder is needed, too."],
    text: Annotated[ModelRef[TextEncoder] | None, "A text encoder that was trained before."],
    vae: Annotated[ModelRef[VAE] | None, "Only to show samples while it learns."],
    *,
    learn_text: Annotated[bool, Toggle(), "Let the given text encoder learn along. Off: it stays as it is."] = False,
    updates: Updates = 40_000,
    batch: Batch = 64,
    devices: Devices = 1,
    learning_rate: LearningRate = 8e-4,
    warmup_steps: WarmupSteps = 300,
    schedule: Annotated[
        Literal["cosine", "linear", "constant"],
        "How the learning rate falls after the warm-up steps. constant: not at all.",
    ] = "cosine",
    ema_decay: EmaDecay = 0.9995,
    prediction: Annotated[
        Literal["v_prediction", "epsilon"], "What a new model predicts: the velocity, or the noise."
    ] = "v_prediction",
    gamma: Annotated[float, Slider(1, 50, step=0.5), "Cut-off of the weighting by signal to noise (min-SNR)."] = 5.0,
    beta_end: Annotated[
        float,
        Number(0.001, 0.1, step=0.001),
        "Noise of the last timestep of a new model. 0.012 is Stable Diffusion's; small latents need more to hide all.",
    ] = 0.03,
    width: Annotated[int, Slider(8, 1024), "Channels of the first level of a new denoiser."] = 128,
    widest: Annotated[int, Slider(8, 2048), "Each level doubles the channels, up to so many."] = 240,
    levels: Annotated[int, Slider(1, 5), "Levels of a new denoiser."] = 2,
    heads: Annotated[int, Slider(1, 32), "Heads of each attention of a new denoiser."] = 4,
    text_width: TextWidth = 256,
    text_layers: TextLayers = 3,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Model:
    """Train a denoiser on encoded images and their captions: the heart of a Stable Diffusion model.

    Every tenth caption is left empty, so that the model can be guided. Samples show the same captions from the same
    noise each time.
    """
    from .._training.denoiser import Settings, learn

    settings = Settings(
        learn_text, updates, batch, learning_rate, warmup_steps, schedule, ema_decay, prediction, gamma, beta_end,
        width, widest, levels, heads, text_width, text_layers, seed,
    )  # fmt: skip
    work = partial(learn, latents, images, tokenizer, start, text, vae, settings)
    return Model(*ctx.models.spread(work, ctx, devices))


@node(
    version=1,
    title="Train DDPM",
    tags=("Train UNet", "diffusion", "unconditional", "pixels", "from scratch", "denoising diffusion"),
)
def pixel_denoiser(
    images: ImageSet,
    *,
    prediction: Annotated[
        Literal["epsilon", "v_prediction", "sample"], "What it predicts: the noise, the velocity, or the image."
    ] = "epsilon",
    updates: Updates = 10_000,
    batch: Batch = 64,
    learning_rate: LearningRate = 4e-4,
    warmup_steps: WarmupSteps = 200,
    ema_decay: EmaDecay = 0.999,
    side: Annotated[
        int, Number(0, 512, multiple_of=8, zero="as they are"), "Side of the images in pixels; they are scaled to it."
    ] = 32,
    anywhere: Anywhere = 0.0,
    width: Annotated[int, Number(8, 1024, multiple_of=8), "Channels of the first level."] = 64,
    widest: Annotated[int, Number(8, 2048, multiple_of=8), "Each level doubles the channels, up to so many."] = 192,
    levels: Annotated[int, Slider(1, 6), "Levels; each but the first halves the side."] = 3,
    layers: Annotated[int, Slider(1, 4), "Layers of a level."] = 1,
    attention: Annotated[
        int,
        Number(0, 512, zero="none"),
        "Levels of so many pixels a side or fewer attend: 16 as in the paper; 8 takes a third of the time on a CPU.",
    ] = 16,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_pixel_model."]:
    """Train a model that draws images from noise, in pixels and without prompts, as in the paper that began it.

    One training serves all samplers: run the saved model with ddpm in 1,000 steps, or with ddim in 50 or 20.
    Source: J. Ho et al., "Denoising Diffusion Probabilistic Models", 2020.
    """
    from .._training.pixel_denoiser import Settings, learn

    settings = Settings(
        prediction, updates, batch, learning_rate, warmup_steps, ema_decay, side, anywhere, width, widest, levels,
        layers, seed, attention,
    )  # fmt: skip
    return learn(images, settings, ctx)
