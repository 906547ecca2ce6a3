"""Images of generators that were trained against a discriminator: one step from random numbers to an image."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import GAN, Context, Image, ModelPick, ModelRef, Seed, Slider, Text, node

from .models import PrecisionChoice, found

Model = Annotated[ModelRef[GAN], "The generator."]
Truncation = Annotated[
    float,
    Slider(0.05, 1, step=0.05),
    "Below 1 the random numbers, or the style, keep nearer to the mean: better images, and more alike.",
]
Label = Annotated[
    str,
    Text(placeholder="all"),
    "Of a generator that knows classes: which ones, with commas between them, in turn. Empty: all.",
]


@node(version=1, title="Load GAN", light=True, tags=("generator", "StyleGAN", "DCGAN", "BigGAN", "load model"))
def load(
    *,
    model: Annotated[
        str,
        ModelPick("gan"),
        "A folder that weights.save_gan wrote, or a file with the weights of a DCGAN (main.0.weight and so on).",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[GAN]:
    """Choose a generator that was trained as a GAN."""
    source, _ = found(ctx, model, "gan", "model")
    return ModelRef("GAN", "", source, "", precision)


@node(version=1, title="Generate with GAN", tags=("StyleGAN", "DCGAN", "BigGAN", "sample", "random image", "latent"))
def generate(
    model: Model,
    *,
    seed: Annotated[int, Seed(), "Where the random numbers start; the next image has the next seed."] = 0,
    batch: Annotated[int, Slider(1, 256), "Number of images."] = 16,
    truncation: Truncation = 1.0,
    label: Label = "",
    ctx: Context,
) -> Image:
    """Draw images from random numbers, in one step: as large as the generator was trained for."""
    from ._gan import image, leased, seeds
    from ._training.gan.drawing import drawn, latents

    with leased(ctx, model) as held:
        labels = held.labels(label, batch)
        styled = hasattr(held.network, "styles")
        z = latents(seeds(seed, batch), held.shape.latent, 1.0 if styled else truncation)
        return image(drawn(held.network, z, labels, truncation))


@node(version=1, title="Interpolate with GAN", tags=("latent walk", "morph", "StyleGAN", "slerp", "between two seeds"))
def interpolate(
    model: Model,
    *,
    seed: Annotated[int, Seed(), "Of the first image."] = 0,
    to_seed: Annotated[int, Seed(), "Of the last image."] = 1,
    steps: Annotated[int, Slider(2, 256), "Number of images, with the first and the last."] = 8,
    truncation: Truncation = 1.0,
    label: Label = "",
    ctx: Context,
) -> Image:
    """Draw images on the way from one seed to another: where a generator has learned well, each is a good image.

    Styles change in a straight line, random numbers on an arc; a class is the same all the way.
    """
    from ._gan import image, leased
    from ._training.gan.drawing import between, drawn, latents, walked

    with leased(ctx, model) as held:
        chosen = held.labels(label, 1)
        labels = None if chosen is None else chosen.expand(steps)
        if hasattr(held.network, "styles"):
            z = latents((seed, to_seed), held.shape.latent)
            return image(walked(held.network, z, chosen, truncation, steps))
        ends = latents((seed, to_seed), held.shape.latent, truncation)
        return image(drawn(held.network, between(ends[0], ends[1], steps), labels))
