"""Embeddings of images and texts, and how alike they are."""

from __future__ import annotations

from typing import Annotated, Generic, NamedTuple, TypeVar

from safelight.sdk import Context, FilePick, Image, ImageEncoder, ModelRef, Reader, Slider, node

from .._refusal import refusal
from ..reading_values import Vectors, require_one_space

T = TypeVar("T")


@node(version=1, tags=("CLIP Vision Encode", "image embedding", "CLIP image features", "image vector"))
def embed_images(
    images: Annotated[list[Image], "Each image of each batch gets a vector."],
    model: Annotated[ModelRef[Reader], "The model that reads."],
    *,
    ctx: Context,
) -> Vectors:
    """A vector for each image, by a model of images and texts such as CLIP or SigLIP. What is alike lies close."""
    from .._readers import image_vectors

    if not images:
        raise refusal(code="list_empty", message="There is no image.", hint="Connect one.", port="images")
    with ctx.models.lease(model) as lease:
        return Vectors(image_vectors(lease, images, ctx), lease.component.name)


@node(
    version=1,
    title="Embed images by an encoder",
    tags=("CLIP Vision Encode", "image embedding", "FID features", "image vector"),
)
def embed_by_encoder(
    images: Annotated[list[Image], "Each image of each batch gets a vector."],
    encoder: Annotated[ModelRef[ImageEncoder], "An image encoder alone, such as that of the starter model."],
    *,
    ctx: Context,
) -> Vectors:
    """A vector for each image, by an image encoder that has no text encoder beside it. What is alike lies close."""
    from .._readers import encoder_vectors

    if not images:
        raise refusal(code="list_empty", message="There is no image.", hint="Connect one.", port="images")
    with ctx.models.lease(encoder) as lease:
        return Vectors(encoder_vectors(lease, images, ctx), encoder.source.name)


@node(version=1, tags=("text embedding", "CLIP text features", "sentence embedding", "text vector"))
def embed_texts(
    texts: Annotated[list[str], "Each text gets a vector."],
    model: Annotated[ModelRef[Reader], "The model that reads."],
    *,
    ctx: Context,
) -> Vectors:
    """A vector for each text, by a model of images and texts such as CLIP, or one of sentences."""
    from .._readers import text_vectors

    if not texts:
        raise refusal(code="list_empty", message="There is no text.", hint="Connect one.", port="texts")
    with ctx.models.lease(model) as lease:
        return Vectors(text_vectors(lease, list(texts), ctx), lease.component.name)


@node(
    version=1,
    title="Load vectors",
    tags=("Load face embedding", "InsightFace", "FaceID", "npy", "numpy", "face recognition", "Load embedding file"),
)
def load_vectors(
    *,
    file: Annotated[str, FilePick("any"), "A list of numbers, or several: JSON, or .npy as NumPy saves it."],
    ctx: Context,
) -> Vectors:
    """Read embeddings that another program made, such as those of faces (512 numbers each) for an IP-Adapter FaceID."""
    from .._vector_files import read_vectors

    return Vectors(read_vectors(ctx.files.path(file), file), "a file")


@node(version=1, tags=("CLIP score", "cosine similarity", "compare images", "sort by similarity", "search by image"))
def similarity(
    vectors: Annotated[Vectors, "Of what is compared."],
    target: Annotated[Vectors, "Of what it is compared with; of several, the nearest counts."],
) -> list[float]:
    """How alike each of the first is to the second: the cosine, 1 for the same, near 0 for nothing in common.

    `lists.sort` by it puts images in the order of their likeness to an image or a text.
    """
    require_one_space(vectors, target, "target")
    cosines = vectors.unit() @ target.unit().T
    return [float(value) for value in cosines.max(dim=1).values]


class Distinct(NamedTuple, Generic[T]):
    kept: list[T]
    dropped: list[T]


@node(version=1, title="Drop near duplicates", tags=("deduplicate", "remove similar images", "duplicate finder"))
def deduplicate(
    items: Annotated[list[T], "What the vectors belong to, in the same order."],
    vectors: Annotated[Vectors, "A vector for each item."],
    *,
    threshold: Annotated[float, Slider(0, 1, step=0.005), "Items that are more alike than this count as one."] = 0.95,
) -> Distinct[T]:
    """Leave out what is much like something before it. What is the same bit for bit: `lists.unique`."""
    count = vectors.values.shape[0]
    if count != len(items):
        raise refusal(
            code="length_mismatch",
            message=f"There are {len(items)} items and {count} vectors.",
            hint="Embed these very items; a batch of images has a vector for each image.",
            port="vectors",
        )
    unit = vectors.unit()
    kept: list[int] = []
    for place in range(count):
        if not kept or float((unit[kept] @ unit[place]).max()) <= threshold:
            kept.append(place)
    chosen = set(kept)
    return Distinct([items[place] for place in kept], [item for place, item in enumerate(items) if place not in chosen])
