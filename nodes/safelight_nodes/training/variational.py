"""Variational autoencoders with one flat vector."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Context, ImageEncoder, ModelRef, Number, Slider, node

from ..training_values import ImageSet, Weights
from ._fields import Anywhere, Batch, EmaDecay, LearningRate, RandomSeed, Updates, WarmupSteps


@node(
    version=1,
    title="Train variational autoencoder",
    tags=("VAE", "beta-VAE", "ELBO", "Kingma Welling", "generative model", "anomaly detection", "from scratch"),
)
def vae(
    images: ImageSet,
    encoder: Annotated[
        ModelRef[ImageEncoder] | None,
        "An image encoder of CLIP's kind for the perceptual term, such as that of the starter model.",
    ] = None,
    *,
    side: Annotated[Literal["16", "32", "48", "64"], "Side of the images in pixels; they are scaled to it."] = "32",
    latent: Annotated[int, Slider(1, 1024), "Numbers that stand for an image."] = 64,
    beta: Annotated[
        float,
        Number(0, 1000, step=0.1),
        "Weight of the KL divergence. 1 is the ELBO; more makes latent numbers independent of each other and images "
        "blurred, less sharpens what comes back and spoils what is drawn.",
    ] = 1.0,
    beta_warmup: Annotated[
        int, Number(0, 1_000_000, zero="off"), "Updates over which beta rises to its value, so that nothing collapses."
    ] = 500,
    free_bits: Annotated[
        float,
        Number(0, 10, step=0.01, zero="off"),
        "Nats of KL divergence that each latent number has for nothing, against numbers that say nothing.",
    ] = 0.0,
    likelihood: Annotated[
        Literal["logistic", "gaussian"],
        "Distribution of a byte around what the decoder says. logistic forgives the far ones, and so is sharper.",
    ] = "logistic",
    perceptual: Annotated[
        float,
        Number(0, 1000, step=0.1, zero="off"),
        "Weight of the perceptual term: nats for each unit of cosine distance of a patch. The result is no ELBO then.",
    ] = 0.0,
    updates: Updates = 5_000,
    batch: Batch = 64,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 100,
    ema_decay: EmaDecay = 0.998,
    anywhere: Anywhere = 0.0,
    width: Annotated[int, Slider(4, 256), "Channels of the first level."] = 32,
    widest: Annotated[int, Slider(4, 1024), "Each level doubles the channels, up to so many."] = 128,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Annotated[Weights, "Save it with weights.save_variational."]:
    """Train an autoencoder whose latent is one vector from a normal distribution: it draws, compares and scores images.

    It is not the VAE of latent diffusion: that one (training.autoencoder) keeps where things are. The loss is the
    negative ELBO in bits a byte; samples show images, what comes back of them, and images that are drawn.
    Source: D. Kingma and M. Welling, "Auto-Encoding Variational Bayes", 2013.
    """
    from safelight.diffusion.variational import Shape

    from .._training.variational import Settings, learn

    settings = Settings(
        Shape(int(side), latent, width, widest, likelihood), beta, beta_warmup, free_bits, perceptual, updates, batch,
        learning_rate, warmup_steps, ema_decay, anywhere, seed,
    )  # fmt: skip
    return learn(images, encoder, settings, ctx)
