"""Upscalers."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import VAE, Context, Image, ImageEncoder, ModelRef, Number, Slider, Upscaler, node

from ..training_values import ImageSet, Weights
from ._fields import Anywhere, Batch, EmaDecay, LearningRate, RandomSeed, Updates, WarmupSteps


class Trained(NamedTuple):
    """An upscaler, and how good it is."""

    weights: Annotated[Weights, "Save it with weights.save_upscaler."]
    sheet: Annotated[Image, "Held-out images, a row each: bicubic, what it makes, the original."]
    psnr: Annotated[float, "Mean PSNR over the held-out images in dB."]
    bicubic: Annotated[float, "The PSNR of bicubic scaling, which it is to beat."]


@node(
    version=1,
    title="Train upscaler",
    tags=("ESRGAN", "Real-ESRGAN", "RRDB", "SRVGGNetCompact", "super resolution", "SRGAN", "from scratch"),
)
def upscaler(
    images: Annotated[ImageSet, "Images to learn from, at the large size."],
    held: Annotated[ImageSet | None, "Images that are held out, to measure by. Without: some of those learned from."],
    start: Annotated[
        ModelRef[Upscaler] | None, "An upscaler to go on from; network, scale, width and blocks are then its own."
    ],
    encoder: Annotated[
        ModelRef[ImageEncoder] | None,
        "An image encoder of CLIP's kind for the perceptual term, such as that of the starter model.",
    ],
    vae: Annotated[
        ModelRef[VAE] | None, "A VAE that some small copies go through, for images that a model with it drew."
    ],
    *,
    network: Annotated[
        Literal["compact", "rrdb"],
        "compact: that of Real-ESRGAN's small models, quick enough for a CPU. rrdb: that of ESRGAN, many times slower.",
    ] = "compact",
    scale: Annotated[Literal["2", "4"], "How many times larger it makes images."] = "4",
    width: Annotated[int, Slider(8, 128), "Channels of a layer; compact learns sooner from 27 on."] = 48,
    blocks: Annotated[int, Slider(1, 64), "Convolutions of compact; blocks of rrdb, of 15 convolutions each."] = 12,
    updates: Updates = 10_000,
    batch: Batch = 16,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 100,
    ema_decay: EmaDecay = 0.998,
    crop: Annotated[int, Number(16, 1024, multiple_of=8), "Side of the random crops of large images, in pixels."] = 128,
    anywhere: Anywhere = 0.25,
    pixel: Annotated[
        float,
        Slider(0, 10, step=0.01, zero="off"),
        "Weight of plain differences of pixels. Where images are flat, much of it teaches to add nothing.",
    ] = 0.1,
    squares: Annotated[
        float, Slider(0, 50, step=1, zero="off"), "Weight of squared differences, which PSNR counts."
    ] = 10.0,
    perceptual: Annotated[
        float,
        Number(0, 100, step=0.01, zero="off"),
        "Weight of how far originals and results look apart to the image encoder.",
    ] = 0.0,
    adversarial: Annotated[
        float,
        Number(0, 10, step=0.001, zero="off"),
        "Weight of a discriminator's judgement: more detail, made up, and a lower PSNR. The paper has 0.005 beside "
        "0.01 of pixels.",
    ] = 0.0,
    spoiled: Annotated[
        float,
        Slider(0, 1, step=0.05, zero="off"),
        "Part of the small copies that are spoiled as set below; the rest is bicubic alone.",
    ] = 0.0,
    blur: Annotated[
        float, Slider(0, 8, step=0.1, zero="off"), "Most blur of these, in pixels of the large image."
    ] = 2.0,
    noise: Annotated[
        float, Slider(0, 0.5, step=0.01, zero="off"), "Largest deviation of noise on these, 1 is white."
    ] = (0.05),
    jpeg: Annotated[int, Slider(0, 95, zero="off"), "Lowest quality of JPEG that these are packed with."] = 50,
    through_vae: Annotated[
        float, Slider(0, 1, step=0.05, zero="off"), "Part of the small copies that go through the VAE."
    ] = 0.5,
    discriminator_width: Annotated[int, Slider(8, 128), "Channels of the discriminator's first layer."] = 32,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Trained:
    """Train a network that makes images two or four times larger, for upscale.load and for other programs.

    It sees crops of large images beside small copies of them. Pixels alone give the best PSNR; the perceptual term and
    a discriminator give more texture. The PSNR of held-out images is kept in training.json as it goes.
    Sources: X. Wang et al., "ESRGAN", 2018, and "Real-ESRGAN", 2021.
    """
    from .._training.upscaler.degradation import Degradation
    from .._training.upscaler.learn import Settings, learn
    from .._training.upscaler.networks import Shape

    settings = Settings(
        Shape(network, int(scale), width, blocks), Degradation(spoiled, blur, noise, jpeg, through_vae), pixel, squares,
        perceptual, adversarial, updates, batch, learning_rate, warmup_steps, ema_decay, crop, anywhere,
        discriminator_width, seed,
    )  # fmt: skip
    return Trained(*learn(images, held, start, encoder, vae, settings, ctx))
