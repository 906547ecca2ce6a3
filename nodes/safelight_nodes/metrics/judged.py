"""Images by themselves, as networks judge them that were trained on other images.

A result says whose judgement it is.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from safelight.sdk import Context, Image, ModelPick, Number, Seed, node

from .._preprocessing import leased
from .._refusal import refusal
from ..reading_values import Vectors


class ClassScore(NamedTuple):
    mean: Annotated[float, "Of all parts; between 1 and the number of classes."]
    deviation: Annotated[float, "The standard deviation among the parts; 0 where there is one."]
    name: Annotated[str, "What was measured, and by which classifier."]


class AestheticScores(NamedTuple):
    mean: Annotated[float, "Of all images."]
    values: Annotated[list[float], "One for each image, about 1 to 10."]
    name: Annotated[str, "What was measured, by which file, and over whose vectors."]


@node(
    version=1,
    title="Inception Score",
    tags=("IS", "inception", "class score", "quality of a set", "diversity", "image classifier"),
)
def inception_score(
    images: Annotated[list[Image], "Each image of each batch counts."],
    *,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "InceptionV3 as torchvision has it, in a file, or an image classifier of transformers: a folder or hub id.",
    ] = "inception_v3_google-0cc3c7bd.pth",
    splits: Annotated[int, Number(1, 100), "Into how many parts the set is split; papers take 10 of 50,000."] = 10,
    seed: Annotated[int, Seed(), "Where the order comes from that images are split in."] = 0,
    ctx: Context,
) -> ClassScore:
    """How sure a classifier is of each image, and how much the classes of a set differ: more is better.

    It is exp of the mean KL divergence of the classes of an image from those of all. By another network than
    InceptionV3 it is called a class score: numbers of different networks cannot be compared, and those of torchvision's
    weights lie near, not at, those of the network of 2015. Source: T. Salimans et al., "Improved Techniques for
    Training GANs", 2016; torchmetrics.
    """
    from .._judges import CLASSIFIERS, logits_of, scored

    count = sum(len(image.pixels) for image in images)
    if count < max(2, splits):
        message = f"There are {count} images, and at least {max(2, splits)} are needed."
        raise refusal(code="too_few_images", message=message, hint="Connect more, or split less.", port="images")
    with leased(ctx, model, CLASSIFIERS, "an image classifier", side=299) as lease:
        logits, name = logits_of(lease, images, ctx)
        own = lease.component.sort == "inception_v3"
    mean, deviation = scored(logits, splits, seed)
    return ClassScore(mean, deviation, f"{'Inception Score' if own else 'class score'} over {name}")


@node(
    version=1,
    title="Aesthetic score",
    tags=("LAION aesthetics", "improved aesthetic predictor", "aesthetic predictor", "beauty", "sort by aesthetics"),
)
def aesthetic(
    vectors: Annotated[Vectors, "Vectors of images by CLIP ViT-L/14 (reading.embed_images)."],
    *,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "The predictor, a file: linear layers over vectors, as the improved aesthetic predictor of LAION has them.",
    ] = "sac+logos+ava1-l14-linearMSE.pth",
    ctx: Context,
) -> AestheticScores:
    """How much people would like images, by a predictor that was trained on their ratings: about 1 to 10.

    It reads the vectors that it was trained on, and no others: those of CLIP ViT-L/14 of OpenAI, brought to a length of
    1. Source: C. Schuhmann, "Improved Aesthetic Predictor", 2022.
    """
    from .._judges import rated

    with leased(ctx, model, ("aesthetic",), "an aesthetic predictor") as lease:
        network: Any = lease.component.network
        wanted, given = next(iter(network["layers"].values())).in_features, vectors.values.shape[1]
        if wanted != given:
            message = f"{model!r} reads vectors of {wanted} numbers, and those of {vectors.model!r} have {given}."
            hint = "Embed the images with the model that the predictor was trained on, such as CLIP ViT-L/14."
            raise refusal(code="wrong_family", message=message, hint=hint, port="vectors")
        values = rated(lease, vectors.unit())
        name = f"aesthetic score by {lease.component.name} over {vectors.model}"
    return AestheticScores(sum(values) / len(values), values, name)
