"""Images of generators that were trained against a discriminator: one step from random numbers to an image."""

from __future__ import annotations

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
        side = held.shape.side
        wanted = resized(flattened(image.pixels, 1.0), side, side, "crop", "lanczos").clamp(0, 1).movedim(-1, 1)
        labels = held.labels(label, count)

        for place in range(count):

            def told(step: int, place: int = place) -> None:
                ctx.check_cancelled()
                ctx.progress(place * steps + step, count * steps)

            chosen = None if labels is None else labels[place : place + 1]
            one = wanted[place : place + 1]
            made.append(projected(held.network, one, held.shape.latent, chosen, steps, seed, told))
    found = torch.cat(made)
    return Projected(as_image(found), [float(one) for one in (found - wanted).square().mean((1, 2, 3)).sqrt()])
