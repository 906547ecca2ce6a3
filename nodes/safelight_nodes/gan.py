"""Images of generators that were trained against a discriminator: one step from random numbers to an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

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
        "A folder that weights.save_gan wrote, or what others publish: a file of DCGAN, StyleGAN2 or StyleGAN3, or "
        "BigGAN-deep with its config.json.",
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[GAN]:
    """Choose a generator that was trained as a GAN."""
    source, _ = found(ctx, model, "gan", "model")
    return ModelRef("GAN", "", source, "", precision)


def _telling(ctx: Context, count: int, before: int = 0) -> Callable[[int], None]:
    """Tells that so many of `count` are done, beside those `before`, and stops where the run is cancelled."""

    def told(done: int) -> None:
        ctx.check_cancelled()
        ctx.progress(before + done, count)

    return told


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
    from ._training.gan.drawing import drawn

    with leased(ctx, model) as held:
        labels = held.labels(label, batch)
        z = held.latents(seeds(seed, batch), truncation)
        return image(drawn(held.network, z, labels, truncation, _telling(ctx, batch)))


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
    from ._training.gan.drawing import between, drawn, walked

    with leased(ctx, model) as held:
        chosen = held.labels(label, 1)
        labels = None if chosen is None else chosen.expand(steps)
        ends = held.latents((seed, to_seed), truncation)
        if hasattr(held.network, "styles"):
            return image(walked(held.network, ends, chosen, truncation, steps, _telling(ctx, steps)))
        return image(drawn(held.network, between(ends[0], ends[1], steps), labels, told=_telling(ctx, steps)))


@node(version=1, title="Mix styles with GAN", tags=("style mixing", "StyleGAN", "coarse and fine", "crossover"))
def mix(
    model: Model,
    *,
    seed: Annotated[int, Seed(), "Of what is coarse: pose and shape."] = 0,
    fine_seed: Annotated[int, Seed(), "Of what is fine: colours and texture. The next image has the next seed."] = 1,
    batch: Annotated[int, Slider(1, 256), "Number of images."] = 8,
    crossover: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "Part of the layers, from the coarsest on, that keep the style of the first seed. 1: all of them.",
    ] = 0.4,
    truncation: Truncation = 1.0,
    label: Label = "",
    ctx: Context,
) -> Image:
    """Draw images with what is coarse in one seed and what is fine in others, by a StyleGAN.

    Source: T. Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019.
    """
    from ._gan import image, leased, seeds
    from ._refusal import refusal
    from ._training.gan.drawing import mixed

    with leased(ctx, model) as held:
        if not hasattr(held.network, "styles"):
            name = model.source.name
            message, hint = f"{name!r} has no styles that could be mixed.", "Choose a StyleGAN, or use gan.interpolate."
            raise refusal(code="wrong_model", message=message, hint=hint, port="model", value=name)
        labels = held.labels(label, batch)
        coarse, fine = held.latents((seed,), truncation), held.latents(seeds(fine_seed, batch), truncation)
        return image(mixed(held.network, coarse, fine, labels, truncation, crossover, _telling(ctx, batch)))


class Projected(NamedTuple):
    image: Annotated[Image, "What the generator comes nearest with, an image for each."]
    distance: Annotated[list[float], "Root of the mean squared difference of each, 0 to 1: 0 is equal."]


@node(version=1, title="Project into GAN", tags=("inversion", "Image2StyleGAN", "find latent", "GAN inversion"))
def project(
    model: Model,
    image: Annotated[Image, "What to look for; it is scaled to the side of the generator."],
    *,
    steps: Annotated[int, Slider(1, 2000), "Steps of the search."] = 200,
    seed: Annotated[int, Seed(), "Where the first guesses come from."] = 0,
    label: Label = "",
    ctx: Context,
) -> Projected:
    """Find what a generator can draw that is nearest to an image: how well it comes back tells what it has learned.

    Random numbers, or the style, are moved until what they draw differs least. Source: R. Abdal et al.,
    "Image2StyleGAN", 2019, without its perceptual loss.
    """
    import torch

    from ._gan import image as as_image
    from ._gan import leased
    from ._pixels import flattened, resized
    from ._training.gan.projection import projected

    made: list[torch.Tensor] = []
    count = len(image.pixels)
    with leased(ctx, model) as held:
        side = held.side
        wanted = resized(flattened(image.pixels, 1.0), side, side, "crop", "lanczos").clamp(0, 1).movedim(-1, 1)
        labels = held.labels(label, count)

        for place in range(count):
            told = _telling(ctx, count * steps, place * steps)
            chosen = None if labels is None else labels[place : place + 1]
            one = wanted[place : place + 1]
            made.append(projected(held.network, one, held.latent, chosen, steps, seed, told))
    found = torch.cat(made)
    return Projected(as_image(found), [float(one) for one in (found - wanted).square().mean((1, 2, 3)).sqrt()])
