"""Generators that learn against a discriminator."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Choice, Context, Number, Slider, Toggle, node

from ..training_values import ImageSet, Weights
from ._fields import Anywhere, Batch, EmaDecay, LearningRate, RandomSeed, Updates

_CLASSES = {"architecture": ["biggan", "stylegan2"]}


@node(
    version=1,
    title="Train GAN",
    tags=("DCGAN", "WGAN-GP", "StyleGAN", "BigGAN", "SNGAN", "LSGAN", "adversarial", "unconditional", "from scratch"),
)
def gan(
    images: ImageSet,
    *,
    architecture: Annotated[
        Literal["dcgan", "resnet", "stylegan2", "biggan"],
        "The networks. stylegan2: a mapping network and styles; biggan: classes and self-attention. Both are small.",
    ] = "dcgan",
    loss: Annotated[
        Literal["non_saturating", "hinge", "least_squares", "wgan_gp"],
        "What both sides minimise. wgan_gp: the Wasserstein distance with a gradient penalty.",
    ] = "non_saturating",
    classes: Annotated[
        Literal["none", "style", "group", "subject"],
        Choice(shown_if=_CLASSES),
        "What the generator is told of each image, so that it can be asked for it.",
    ] = "none",
    updates: Updates = 10_000,
    batch: Batch = 64,
    learning_rate: LearningRate = 2e-4,
    discriminator_learning_rate: Annotated[
        float,
        Number(1e-7, 1, step=1e-5),
        "Learning rate of the discriminator. Two to four times that of the generator is usual (two time scales).",
    ] = 2e-4,
    discriminator_updates: Annotated[
        int, Slider(1, 20), "Updates of the discriminator before each one of the generator. wgan_gp needs about 5."
    ] = 1,
    gradient_penalty: Annotated[
        float, Slider(0, 100, step=0.5, shown_if={"loss": "wgan_gp"}), "Weight of the gradient penalty."
    ] = 10.0,
    r1: Annotated[
        float,
        Slider(0, 100, step=0.1, zero="off"),
        "Weight of R1, the squared gradient at real images. stylegan2 needs it: about 1 at 32 pixels.",
    ] = 0.0,
    spectral_norm: Annotated[
        bool, Toggle(), "Keep each layer of the discriminator from growing: its largest singular value stays at 1."
    ] = False,
    label_smoothing: Annotated[
        float,
        Slider(0, 0.5, step=0.05, shown_if={"loss": ["non_saturating", "least_squares"]}),
        "Real images are meant to be scored so much below 1, which keeps the discriminator from being too sure.",
    ] = 0.0,
    unrolled_steps: Annotated[
        int,
        Slider(0, 10, zero="off", advanced=True),
        "The generator answers to a discriminator that is so many updates ahead. Slow, and against collapse.",
    ] = 0,
    style_mixing: Annotated[
        float,
        Slider(0, 1, step=0.05, advanced=True, shown_if={"architecture": "stylegan2"}),
        "Part of the images whose finer levels have the style of another.",
    ] = 0.9,
    ema_decay: EmaDecay = 0.999,
    side: Annotated[
        int, Number(8, 256, multiple_of=8), "Side of the images in pixels: 16, 32 or 64. They are scaled to it."
    ] = 32,
    anywhere: Anywhere = 0.0,
    latent: Annotated[int, Slider(2, 512), "Random numbers that an image is made of."] = 128,
    width: Annotated[
        int, Number(4, 512, multiple_of=4), "Channels at the full side; each level below doubles them."
    ] = 64,
    widest: Annotated[int, Number(4, 2048, multiple_of=4, advanced=True), "No level has more channels."] = 512,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "The generator. Save it with weights.save_gan."]:
    """Train a generator of images against a discriminator, which learns to tell them from real ones.

    It draws an image in one step, from 16 to 64 pixels. Neither loss says how good images are: look at the samples, and
    measure them (metrics.diversity, metrics.kernel). Sources: A. Radford et al. 2015 (dcgan), I. Gulrajani et al. 2017
    (resnet, wgan_gp), T. Karras et al. 2020 (stylegan2), A. Brock et al. 2018 (biggan), L. Metz et al. 2016 (unrolled).
    """
    from .._training.gan.learn import Settings, learn

    settings = Settings(
        architecture, loss, classes, updates, batch, learning_rate, discriminator_learning_rate, discriminator_updates,
        gradient_penalty, r1, spectral_norm, label_smoothing, unrolled_steps, style_mixing, ema_decay, side, anywhere,
        latent, width, widest, seed,
    )  # fmt: skip
    return learn(images, settings, ctx)
