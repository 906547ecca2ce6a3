"""Images against the ones that they should be, as people see them: by what trained networks see.

Computed by torchmetrics, which has the weights that were trained for it; those of the backbone come from a file. The
backbone stands on the result: numbers over different ones cannot be compared.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Context, ModelPick, node

from .images import Measured, Reference, pairs

_LEAST = 32


class PerceptualScores(NamedTuple):
    mean: Annotated[float, "Of all images."]
    values: Annotated[list[float], "One for each image."]
    name: Annotated[str, "What was measured, and with which backbone."]


@node(
    version=1,
    title="LPIPS",
    tags=("learned perceptual image patch similarity", "perceptual distance", "compare images", "AlexNet", "VGG"),
)
def lpips(
    image: Measured,
    reference: Reference,
    *,
    model: Annotated[
        str,
        ModelPick("preprocessor"),
        "The backbone, a file of torchvision: AlexNet, as most papers have it, VGG16 (vgg16-397923af.pth) or "
        "SqueezeNet 1.1 (squeezenet1_1-b8a52dc0.pth).",
    ] = "alexnet-owt-7be5be79.pth",
    ctx: Context,
) -> PerceptualScores:
    """How far images look apart to a network that was tuned on people's judgement: 0 is equal, less is nearer.

    Source: R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018, version
    0.1; torchmetrics. The file needs the features of the backbone alone.
    """
    from .._backbones import BACKBONES, apart, lpips_of

    ours, theirs = pairs(image, reference, _LEAST)
    said = "AlexNet, VGG16 or SqueezeNet 1.1"
    values, backbone = apart(ctx, model, tuple(BACKBONES), said, lpips_of, ours, theirs, normalize=True)
    return PerceptualScores(sum(values) / len(values), values, f"LPIPS over {backbone}")


@node(
    version=1,
    title="DISTS",
    tags=("deep image structure and texture similarity", "perceptual distance", "compare images", "texture"),
)
def dists(
    image: Measured,
    reference: Reference,
    *,
    model: Annotated[
        str, ModelPick("preprocessor"), "The backbone: VGG16 as torchvision has it, in a file."
    ] = "vgg16-397923af.pth",
    ctx: Context,
) -> PerceptualScores:
    """How far images are apart in structure and texture: 0 is equal. Grass beside other grass is near.

    Its authors bring the shorter side to 256 pixels first; here images are measured as they come. Source: K. Ding
    et al., "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020; torchmetrics.
    """
    from .._backbones import apart, dists_of

    ours, theirs = pairs(image, reference, _LEAST)
    values, backbone = apart(ctx, model, ("vgg16",), "a VGG16", lambda _, features: dists_of(features), ours, theirs)
    return PerceptualScores(sum(values) / len(values), values, f"DISTS over {backbone}")
