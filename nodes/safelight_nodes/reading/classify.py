"""Which class images are of, by a classifier, and what it sees in them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Context, Image, ModelPick, Text, node

from .._preprocessing import leased
from .._refusal import refusal
from ..reading_values import Vectors

_Model = Annotated[
    str,
    ModelPick("preprocessor"),
    "An image classifier of transformers: a folder, such as weights.save_classifier writes, or a hub id. Or "
    "InceptionV3 as torchvision has it, in a file.",
]
_Images = Annotated[list[Image], "Each image of each batch counts."]


class Classified(NamedTuple):
    """What a classifier takes images for."""

    names: Annotated[list[str], "The likeliest class of each image."]
    probabilities: Annotated[list[float], "How likely that class is, or the one that was asked for; 0..1."]
    classes: Annotated[list[str], "All classes that there are."]


@node(
    version=1,
    title="Classify images",
    tags=("image classification", "ResNet", "ViT", "label", "predict", "probabilities"),
)
def classify(
    images: _Images,
    *,
    model: _Model,
    class_name: Annotated[
        str, Text(), "A class: the probabilities are those of it, for metrics.auroc. Empty: those of the likeliest."
    ] = "",
    ctx: Context,
) -> Classified:
    """Say which of its classes a classifier takes each image for, and how likely it finds it.

    It knows no others: an image of something else is called what it is nearest to. Probabilities are those of its last
    layer (softmax), which are often surer than they are right.
    """
    from .._judges import CLASSIFIERS, class_names, logits_of

    _require_images(images)
    with leased(ctx, model, CLASSIFIERS, "an image classifier", side=299) as lease:
        logits, _ = logits_of(lease, images, ctx)
        classes = class_names(lease, logits.shape[1])
    if class_name and class_name not in classes:
        some = ", ".join(map(repr, classes[:12]))
        message = f"{model!r} has no class {class_name!r}."
        raise refusal(code="not_a_choice", message=message, hint=f"It has {some}.", port="class_name", value=class_name)
    chances = logits.softmax(1)
    best = chances.argmax(1)
    asked = chances[:, classes.index(class_name)] if class_name else chances.max(1).values
    return Classified([classes[int(one)] for one in best], [float(one) for one in asked], classes)


@node(
    version=1,
    title="Embed images by a classifier",
    tags=("FID features", "Inception features", "feature extractor", "image embedding", "image vector"),
)
def embed_by_classifier(images: _Images, *, model: _Model, ctx: Context) -> Vectors:
    """A vector for each image: what a classifier's last layer looks at. Images that it would take for one lie close.

    Over those of InceptionV3 the Frechet distance is near what papers call FID; the weights of torchvision are others.
    """
    from .._judges import CLASSIFIERS, features_of

    _require_images(images)
    with leased(ctx, model, CLASSIFIERS, "an image classifier", side=299) as lease:
        return Vectors(*features_of(lease, images, ctx))


def _require_images(images: list[Image]) -> None:
    if not sum(len(image.pixels) for image in images):
        raise refusal(code="list_empty", message="There is no image.", hint="Connect one.", port="images")
