"""How various a set of images is, beside the one that it should be like."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Image, Slider, node

from .._refusal import refusal
from ..reading_values import Vectors, require_one_space


class Diversity(NamedTuple):
    collapsed: Annotated[bool, "Whether the images are far less various than the real ones."]
    said: Annotated[str, "All of it, in words."]
    distance: Annotated[float, "Mean distance of two images, as a part of that of two real ones: 1 is as various."]
    duplicates: Annotated[float, "Share of the images that have a near duplicate among them."]
    real_duplicates: Annotated[float, "The same of the real ones, which a good set comes near to."]
    reached: Annotated[int, "How many different real images are the nearest one to an image."]
    real_reached: Annotated[int, "How many are the nearest other one to a real image."]
    colors: Annotated[int, "How many of the 23 colours with a name the images have for a mean."]
    real_colors: Annotated[int, "The same of the real ones."]


@node(
    version=1,
    title="Diversity",
    tags=("mode collapse", "GAN", "near duplicates", "coverage", "variety", "MS-SSIM diversity", "mode dropping"),
)
def diversity(
    images: Annotated[list[Image], "Images that were made; each of each batch counts."],
    real: Annotated[list[Image], "Images that they should be like, drawn at random (dataset.draw): about as many."],
    vectors: Annotated[Vectors | None, "Vectors of the images: these are compared, and not the pixels."] = None,
    real_vectors: Annotated[Vectors | None, "Vectors of the real images by the same model."] = None,
    *,
    near: Annotated[
        float,
        Slider(0.01, 1, step=0.01),
        "Images that are nearer than this part of the mean distance of two real ones are near duplicates.",
    ] = 0.15,
    least: Annotated[
        float,
        Slider(0, 1, step=0.05),
        "A collapse is a distance below this part of the real one, so many more near duplicates, or half this part of "
        "the real images reached.",
    ] = 0.5,
) -> Diversity:
    """Tell whether a model makes the same image again and again: the collapse that no loss of a GAN shows.

    Distances are those of vectors, where both sets have them, else of the pixels at 16 x 16. A set without a collapse
    may still leave out much: `reached`, and `recall` of metrics.precision_recall, say how much of the real set it is
    near to. Source: E. Richardson and Y. Weiss, "On GANs and GMMs", 2018, for counting by the nearest real image.
    """
    import torch

    from .._diversity import apart, duplicates, mean_colors, others_reached, rows

    ours, theirs = rows(images), rows(real)
    colors, real_colors = mean_colors(ours), mean_colors(theirs)
    for port, found in (("images", ours), ("real", theirs)):
        if len(found) < 2:
            message = f"There are {len(found)} images, and at least 2 are needed."
            raise refusal(code="too_few_images", message=message, hint="Connect more.", port=port)
    if (vectors is None) != (real_vectors is None):
        port = "vectors" if vectors is None else "real_vectors"
        message = "Vectors of one of the two sets are missing."
        raise refusal(code="length_mismatch", message=message, hint="Embed both sets, or none.", port=port)
    if vectors is not None and real_vectors is not None:
        require_one_space(vectors, real_vectors, "real_vectors")
        for port, some, found in (("vectors", vectors, ours), ("real_vectors", real_vectors, theirs)):
            if len(some.values) != len(found):
                message = f"There are {len(found)} images and {len(some.values)} vectors."
                raise refusal(code="length_mismatch", message=message, hint="Embed these very images.", port=port)
        ours, theirs = vectors.unit(), real_vectors.unit()
    inner, scale = apart(ours), apart(theirs)
    share = inner / scale if scale else 1.0
    repeated, usual = duplicates(ours, near * scale), duplicates(theirs, near * scale)
    reached, usually = len(torch.cdist(ours, theirs).argmin(1).unique()), others_reached(theirs)
    # Sets of unequal sizes reach as much as the smaller one can.
    expected = usually * min(1.0, len(ours) / len(theirs))
    collapsed = share < least or repeated - usual > least or reached < expected * least / 2
    said = (
        f"{'Collapsed' if collapsed else 'No collapse'}: distance {share:.2f} of the real one, near duplicates "
        f"{repeated:.0%} (real: {usual:.0%}), nearest to {reached} of {len(theirs)} real images "
        f"(real: {usually}), {colors} colours (real: {real_colors})."
    )
    return Diversity(collapsed, said, share, repeated, usual, reached, usually, colors, real_colors)
