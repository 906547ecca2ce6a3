"""Tokenizers, autoencoders and the two encoders of CLIP."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import VAE, Context, ImageEncoder, ModelRef, Number, Slider, TextEncoder, Toggle, node

from ..training_values import ImageSet, Tokenizer, Weights
from ._fields import (
    BOTH_TO_2,
    IMAGES_TO_2,
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


class Towers(NamedTuple):
    """The two encoders of a CLIP model."""

    image: Annotated[Weights, "The image encoder; save it with weights.save_image_encoder."]
    text: Annotated[Weights, "The text encoder; the given one, where one was given."]
    tokenizer: Tokenizer


@node(version=2, title="Train tokenizer", migrations={1: IMAGES_TO_2}, tags=("BPE", "vocabulary", "byte pair encoding"))
def tokenizer(
    images: ImageSet,
    *,
    vocabulary: Annotated[int, Number(600, 100_000), "Number of tokens; 514 are single bytes and marks."] = 2048,
    length: Annotated[int, Slider(8, 512), "Tokens of a prompt; longer ones are cut, or encoded in parts."] = 32,
    seed: RandomSeed = 0,
) -> Tokenizer:
    """Learn which letters go together from captions, in the form of CLIP's tokenizer. Any text can be encoded."""
    from .._training.tokenizer import corpus, learn, to_files

    return Tokenizer(to_files(learn(corpus(images, seed), vocabulary, length)))


@node(version=2, title="Train autoencoder", migrations={1: BOTH_TO_2}, tags=("Train VAE", "KL", "reconstruction"))
def autoencoder(
    images: ImageSet,
    start: Annotated[ModelRef[VAE] | None, "An autoencoder to go on from. Without one, a new one is made."],
    *,
    learn: Annotated[
        Literal["all", "decoder"],
        "decoder: the encoder stays as it is, so latents, and denoisers that were trained on them, stay valid.",
    ] = "all",
    updates: Updates = 10_000,
    batch: Batch = 12,
    devices: Devices = 1,
    learning_rate: LearningRate = 5e-4,
    warmup_steps: WarmupSteps = 100,
    ema_decay: EmaDecay = 0.998,
    crop: Annotated[
        int,
        Number(0, 2048, multiple_of=8, zero="off"),
        "Side of random crops in pixels, which are cheaper. 0: whole images.",
    ] = 0,
    anywhere: Anywhere = 0.5,
    squares: Annotated[
        float, Slider(0, 50, step=1), "Weight of squared differences, which PSNR counts, beside that of plain ones, 1."
    ] = 10.0,
    edges: Annotated[float, Slider(0, 5, step=0.1), "Weight of the difference of gradients: sharper edges."] = 0.5,
    kl: Annotated[
        float,
        Number(0, 1, step=1e-4),
        "Weight of the pull on the latents' distribution: mean 0, little noise.",
    ] = 1e-3,
    noise: Annotated[float, Slider(0, 1, step=0.01), "Deviation of the noise on the latents while learning."] = 0.05,
    anchor: Annotated[
        float,
        Number(0, 100, step=0.1, zero="off"),
        "Weight that holds latents near those of the autoencoder it starts from, so that a denoiser that was trained "
        "on the old ones adapts quickly. 0: free.",
    ] = 0.0,
    standardise: Annotated[
        bool, Toggle(), "At the end, give latents mean 0 and deviation 1 in every channel. Not where they are held."
    ] = True,
    width: Annotated[int, Slider(4, 256), "Channels of the first level of a new autoencoder."] = 16,
    widest: Annotated[int, Slider(4, 1024), "Each level doubles the channels, up to so many."] = 128,
    levels: Annotated[int, Slider(2, 6), "Levels of a new one. 5 make latents of a sixteenth of the side."] = 5,
    channels: Annotated[int, Slider(1, 64), "Latent channels of a new one."] = 16,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_vae."]:
    """Train an autoencoder: from images to latents and back.

    The loss is the difference of pixels and of gradients, and a pull on the latents' distribution. Samples show
    images above and what comes back below; the PSNR is kept in the model's training.json.
    """
    from .._training.autoencoder import Settings
    from .._training.autoencoder import learn as train

    settings = Settings(
        learn, updates, batch, learning_rate, warmup_steps, ema_decay, crop, anywhere, squares, edges, kl, noise,
        anchor, standardise and not (start and anchor), width, widest, levels, channels, seed,
    )  # fmt: skip
    return ctx.models.spread(partial(train, images, start, settings), ctx, devices)


@node(
    version=2,
    title="Train CLIP",
    migrations={1: BOTH_TO_2},
    tags=("Train CLIP", "contrastive", "text encoder", "image encoder"),
)
def clip(
    images: ImageSet,
    tokenizer: Annotated[Tokenizer | None, "For a new text encoder."],
    text: Annotated[ModelRef[TextEncoder] | None, "A text encoder to fit the image encoder to; it stays as it is."],
    start: Annotated[ModelRef[ImageEncoder] | None, "An image encoder to go on from. Without one, a new one is made."],
    *,
    updates: Updates = 1500,
    batch: Batch = 192,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 150,
    ema_decay: EmaDecay = 0.998,
    width: Annotated[int, Slider(16, 1280), "Channels of the image encoder."] = 192,
    layers: Annotated[int, Slider(1, 32), "Layers of the image encoder."] = 4,
    patch: Annotated[int, Slider(4, 32), "Side of the patches that the image is cut into, in pixels."] = 16,
    text_width: TextWidth = 256,
    text_layers: TextLayers = 3,
    soft: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "Part of the images that is made soft, so that generated ones, which lack fine lines, are known as well.",
    ] = 0.0,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Towers:
    """Train an image encoder and a text encoder to agree on which caption belongs to which image.

    A batch is a puzzle: every caption has to find its image among all of the batch, so larger batches teach more.
    """
    from .._training.towers import Settings, learn

    settings = Settings(
        updates,
        batch,
        learning_rate,
        warmup_steps,
        ema_decay,
        width,
        layers,
        patch,
        text_width,
        text_layers,
        soft,
        seed,
    )
    return Towers(*learn(images, tokenizer, text, start, settings, ctx))
