"""Images against the ones that they should be, pixel by pixel.

Computed by torchmetrics, whose functions these nodes call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from safelight.sdk import Image, node

from .._refusal import refusal

if TYPE_CHECKING:
    from torch import Tensor

Measured = Annotated[Image, "The images to be measured."]
Reference = Annotated[Image, "What they should be: as many of the same size, or one for all."]
_MOST_DECIBELS = 100.0
_SCALES = 5
_WINDOW = 11


class Scores(NamedTuple):
    mean: Annotated[float, "Of all images."]
    values: Annotated[list[float], "One for each image."]


@node(version=1, title="PSNR", tags=("peak signal to noise ratio", "compare images", "decibel"))
def psnr(image: Measured, reference: Reference) -> Scores:
    """Peak signal-to-noise ratio in decibels: more is nearer, 100 stands for equal.

    It is -10 log10 of the mean squared error of all pixels and channels, 0 to 1. What is transparent lies on white.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    ours, theirs = pairs(image, reference)
    found = peak_signal_noise_ratio(ours, theirs, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return scores_of(found.clamp(max=_MOST_DECIBELS))


@node(version=1, title="SSIM", tags=("structural similarity", "compare images"))
def ssim(image: Measured, reference: Reference) -> Scores:
    """Structural similarity: 1 is equal. It compares light, contrast and structure in windows of 11 x 11 pixels.

    Source: Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    ours, theirs = pairs(image, reference, _WINDOW)
    found = structural_similarity_index_measure(ours, theirs, data_range=1.0, reduction="none")
    assert not isinstance(found, tuple)
    return scores_of(found)


@node(version=1, title="MS-SSIM", tags=("multi-scale structural similarity", "compare images"))
def ms_ssim(image: Measured, reference: Reference) -> Scores:
    """Structural similarity at five sizes, each half of the one before: 1 is equal.

    Source: Z. Wang et al., "Multi-scale Structural Similarity for Image Quality Assessment", 2003.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    ours, theirs = pairs(image, reference, _WINDOW * 2 ** (_SCALES - 1))
    return scores_of(multiscale_structural_similarity_index_measure(ours, theirs, data_range=1.0, reduction="none"))


def scores_of(found: Tensor) -> Scores:
    values = [float(one) for one in found.reshape(-1)]
    return Scores(sum(values) / len(values), values)


def pairs(image: Image, reference: Image, least: int = 1) -> tuple[Tensor, Tensor]:
    """Both as (B, 3, H, W), in 0..1 and float32. Raises ProblemError where they do not go together."""
    from .._pixels import common_batch, flattened

    ours, theirs = (flattened(one.pixels, 1.0).movedim(-1, 1) for one in (image, reference))
    if ours.shape[2:] != theirs.shape[2:]:
        sizes = " and ".join(f"{one.shape[3]} x {one.shape[2]}" for one in (ours, theirs))
        hint = "Bring one to the size of the other with image.resize: what is measured then is that image."
        raise refusal(code="wrong_size", message=f"Images of {sizes} cannot be compared.", hint=hint, port="reference")
    if min(ours.shape[2:]) < least:
        message = f"An image of {ours.shape[3]} x {ours.shape[2]} pixels is too small: it needs {least} a side."
        raise refusal(code="wrong_size", message=message, hint="Measure larger images.", port="image")
    count = common_batch(image=len(ours), reference=len(theirs))
    return ours.expand(count, -1, -1, -1), theirs.expand(count, -1, -1, -1)
