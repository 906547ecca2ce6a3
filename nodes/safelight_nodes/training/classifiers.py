"""Classifiers, that say which of several classes an image is of."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Context, Image, Number, Slider, node

from ..training_values import ImageSet, Weights
from ._fields import Anywhere, Batch, LearningRate, RandomSeed, Updates, WarmupSteps


class Classifier(NamedTuple):
    """A classifier, and how good it is."""

    classifier: Annotated[Weights, "Save it with weights.save_classifier."]
    sheet: Annotated[Image, "Images that it is judged by, what it takes them for, and how often which for which."]
    accuracy: Annotated[float, "Share of these images that it takes for what they are, in 0..1."]


@node(
    version=1,
    title="Train classifier",
    tags=("image classification", "ResNet", "labels", "feature extractor", "confusion matrix", "from scratch"),
)
def classifier(
    images: Annotated[ImageSet, "Images of two classes or more."],
    test: Annotated[
        ImageSet | None, "Images to judge by, of the same classes; then none of the others are held out."
    ] = None,
    *,
    classes: Annotated[
        Literal["subject", "group", "style"],
        "What is told: the subject (of images with captions: the caption), its group, or the style.",
    ] = "subject",
    updates: Updates = 1_000,
    batch: Batch = 32,
    learning_rate: LearningRate = 1e-3,
    warmup_steps: WarmupSteps = 50,
    side: Annotated[
        int,
        Number(0, 512, multiple_of=8, zero="as they are"),
        "Side of the images in pixels; they are scaled to it. What is small is seen better in images made larger.",
    ] = 64,
    moved: Annotated[
        float,
        Slider(0, 0.5, step=0.01, zero="off"),
        "Images are moved by up to this part of their side, made smaller and turned, another way each time.",
    ] = 0.1,
    anywhere: Anywhere = 0.2,
    held_out: Annotated[
        float,
        Slider(0, 0.5, step=0.01, zero="none"),
        "Part of the images that is not learned from, but judged by; of each class one image is always learned. "
        "0: it is judged by what it has learned.",
    ] = 0.2,
    width: Annotated[int, Number(8, 512, multiple_of=8), "Channels of the first level; each doubles them."] = 32,
    levels: Annotated[int, Slider(1, 5), "Levels; each but the first halves the side."] = 3,
    layers: Annotated[int, Slider(1, 4), "Layers of a level, of two convolutions each."] = 1,
    seed: RandomSeed = 0,
    ctx: Context,
) -> Classifier:
    """Train a network that tells classes apart: a small ResNet, from nothing.

    Saved, reading.classify takes it, and reading.embed_by_classifier makes the vectors of it that distances of sets are
    measured by. Source: K. He et al., "Deep Residual Learning for Image Recognition", 2015.
    """
    from .._training.classifier import Settings, learn

    settings = Settings(
        classes, updates, batch, learning_rate, warmup_steps, side, moved, anywhere, held_out, width, levels, layers,
        seed,
    )  # fmt: skip
    return Classifier(*learn(images, test, settings, ctx))
