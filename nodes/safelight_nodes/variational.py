"""Variational autoencoders with one flat vector: drawing, bringing back, going from one image to another, scoring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Context, Image, ModelPick, ModelRef, ProblemError, Seed, Slider, Variational, node

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.diffusion.variational import FlatAutoencoder

_Model = Annotated[ModelRef[Variational], "The autoencoder (variational.load, weights.save_variational)."]
_Given = Annotated[Image, "Scaled to the side that it was trained at; what is transparent lies on white."]
_NoiseSeed = Annotated[int, Seed(), "Where the random numbers start."]


class Anomaly(NamedTuple):
    values: Annotated[list[float], "One for each image; more is odder."]
    map: Annotated[Image, "Where: the difference from what comes back. White is the largest of the batch."]
    reconstruction: Annotated[Image, "What comes back, in the size of the image."]


@node(version=1, title="Load variational autoencoder", light=True, tags=("Load VAE", "beta-VAE", "ELBO"))
def load(
    *,
    model: Annotated[str, ModelPick("variational"), "A folder that weights.save_variational has written."],
    ctx: Context,
) -> ModelRef[Variational]:
    """Choose an autoencoder that training.vae has made: one with a flat vector, not the VAE of a diffusion model."""
    from .models import found

    source, _ = found(ctx, model, "variational", "model")
    # A likelihood is a difference of near numbers, for which half precision has too few digits.
    return ModelRef("Variational", "", source, "", "float32")


@node(version=1, title="Sample from a VAE", tags=("VAE sample", "generate", "prior", "latent vector"))
def sample(
    model: _Model,
    *,
    batch: Annotated[int, Slider(1, 256), "Number of images."] = 16,
    temperature: Annotated[
        float, Slider(0, 2, step=0.05), "Deviation of the vectors. 1 is the prior; less stays nearer to the mean image."
    ] = 1.0,
    seed: _NoiseSeed = 0,
    ctx: Context,
) -> Image:
    """Draw images that the autoencoder makes of random vectors. Image k has the vector of seed + k."""
    from safelight.diffusion.noise import draw, generators

    with _leased(ctx, model) as found:
        return Image(found.decode(temperature * draw(generators(seed, batch), (found.latent,))))


@node(version=1, title="Reconstruct by a VAE", tags=("VAE encode decode", "round trip", "compress"))
def reconstruct(
    image: _Given,
    model: _Model,
    *,
    temperature: Annotated[
        float,
        Slider(0, 2, step=0.05),
        "0 takes the mean of the vector. 1 draws it as the encoder is unsure of it.",
    ] = 0.0,
    seed: _NoiseSeed = 0,
    ctx: Context,
) -> Image:
    """Turn images into vectors and back: what is lost is what the vector does not say."""
    from safelight.diffusion.noise import draw, generators

    with _leased(ctx, model) as found:
        mean, deviation = found.encode(_prepared(image, found))
        noise = draw(generators(seed, len(mean)), (found.latent,))
        return Image(found.decode(mean + temperature * deviation * noise))


@node(version=1, title="Interpolate by a VAE", tags=("latent interpolation", "morph", "slerp", "in-between"))
def interpolate(
    first: Annotated[Image, "Where it starts; the first image of a batch."],
    second: Annotated[Image, "Where it ends; the first image of a batch."],
    model: _Model,
    *,
    steps: Annotated[int, Slider(2, 256), "Number of images, both ends counted."] = 9,
    path: Annotated[
        Literal["spherical", "straight"],
        "spherical turns the vector at an even pace and keeps its length, as vectors of the prior have it. straight "
        "goes through the middle, where images are plainer.",
    ] = "spherical",
    ctx: Context,
) -> Image:
    """Go from one image to another through images that the autoencoder takes for likely.

    Source of the spherical path: T. White, "Sampling Generative Networks", 2016.
    """
    with _leased(ctx, model) as found:
        ends = [found.encode(_prepared(Image(one.pixels[:1]), found))[0][0] for one in (first, second)]
        return Image(found.decode(between(ends[0], ends[1], steps, path == "spherical")))


@node(
    version=1,
    title="Anomaly score",
    tags=("anomaly detection", "outlier", "out of distribution", "defect detection", "ELBO", "novelty"),
)
def anomaly(
    image: _Given,
    model: _Model,
    *,
    score: Annotated[
        Literal["elbo", "error"],
        "elbo: the negative ELBO in bits a byte, which knows how likely the vector is. error: the mean squared "
        "difference from what comes back.",
    ] = "elbo",
    draws: Annotated[int, Slider(1, 64), "Vectors drawn for each image, whose ELBOs are averaged."] = 8,
    seed: _NoiseSeed = 0,
    ctx: Context,
) -> Anomaly:
    """Score how unlike its training images an image is, and show where.

    Images of little detail may score low though they are odd: few bits describe them. Source: J. An and S. Cho,
    "Variational Autoencoder based Anomaly Detection using Reconstruction Probability", 2015.
    """
    from safelight.diffusion.noise import draw, generators
    from safelight.diffusion.variational import bits_per_dimension

    from ._pixels import resized

    with _leased(ctx, model) as found:
        pixels = _prepared(image, found)
        told = found.score(pixels, draw(generators(seed, len(pixels)), (draws, found.latent)))
        again = (told.middle / 2 + 0.5).clamp(0, 1)
        apart = again - (told.x / 2 + 0.5)
        if score == "elbo":
            values = [bits_per_dimension(float(elbo), found.side) for elbo in told.elbo]
        else:
            values = [float(one) for one in apart.square().mean((1, 2, 3))]
    where = apart.abs().mean(1, keepdim=True)
    where = (where / where.max().clamp(min=1e-6)).expand(-1, 3, -1, -1)
    height, width = image.pixels.shape[1:3]
    shown = [
        Image(resized(one.movedim(1, -1).contiguous(), height, width, "stretch", "nearest")) for one in (where, again)
    ]
    return Anomaly(values, shown[0], shown[1])


def between(first: Tensor, second: Tensor, steps: int, spherical: bool) -> Tensor:
    """Vectors (steps, N) from one (N,) to another.

    Spherical: the direction turns at an even pace, and the length goes evenly from one to the other. Where both point
    the same way, or opposite ways, there is no one arc, and the way is straight.
    """
    import torch

    at = torch.linspace(0, 1, steps)[:, None]
    straight = torch.lerp(first[None], second[None], at)
    lengths = first.norm(), second.norm()
    if not spherical or min(float(length) for length in lengths) < 1e-6:
        return straight
    cosine = float((first / lengths[0]) @ (second / lengths[1]))
    if abs(cosine) > 1 - 1e-5:
        return straight
    angle = torch.tensor(cosine).acos()
    turned = ((1 - at) * angle).sin() * (first / lengths[0]) + (at * angle).sin() * (second / lengths[1])
    return turned / angle.sin() * torch.lerp(lengths[0], lengths[1], at)


def _prepared(image: Image, model: FlatAutoencoder) -> Tensor:
    """(B, S, S, 3) in 0..1."""
    from ._pixels import flattened, resized

    return resized(flattened(image.pixels, 1.0), model.side, model.side, "stretch", "bilinear")


@contextmanager
def _leased(ctx: Context, model: ModelRef[Variational]) -> Iterator[FlatAutoencoder]:
    """The autoencoder in memory; what is wrong with its files is told at the port."""
    try:
        with ctx.models.lease(model) as lease:
            yield lease.component
    except ProblemError as error:
        raise ProblemError(problem.at(port=problem.port or "model") for problem in error.problems) from None
