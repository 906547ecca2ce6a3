"""Sets of images against sets, by the vectors that a model gives them.

A result says whose vectors were compared: a Frechet distance is an FID only over those of the Inception network that
the papers use, so none of these is called so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from safelight.sdk import Number, node

from .._refusal import refusal
from ..reading_values import Vectors, require_one_space

if TYPE_CHECKING:
    from torch import Tensor

_Made = Annotated[Vectors, "Vectors of the images that were made."]
_Real = Annotated[Vectors, "Vectors of the images that they should be like, by the same model."]


class Distance(NamedTuple):
    value: Annotated[float, "0 for equal sets; it can be compared for one model, and sets of one size, only."]
    name: Annotated[str, "What was measured, and over whose vectors."]


class Coverage(NamedTuple):
    precision: Annotated[float, "Share of made images that lie among the real ones: how good they are."]
    recall: Annotated[float, "Share of real images that lie among the made ones: how much of them is covered."]


class TextScores(NamedTuple):
    mean: Annotated[float, "Of all pairs."]
    values: Annotated[list[float], "One for each pair."]


@node(version=1, title="Frechet distance", tags=("FID", "Fréchet Inception Distance", "FD-DINOv2", "quality of a set"))
def frechet(made: _Made, real: _Real) -> Distance:
    """How far two sets of images are apart, each taken as a normal distribution of vectors.

    It is |a - b|^2 + tr(A + B - 2 (A B)^1/2) of means and covariances. Thousands of images make it steady; few make
    it too large. Source: M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017; torchmetrics.
    """
    # The formula alone: the class around it wants a network and images.
    from torchmetrics.image.fid import _compute_fid  # pyright: ignore[reportPrivateUsage]

    ours, theirs = _sets(made, real, 2)
    found = _compute_fid(*(one for vectors in (ours, theirs) for one in (vectors.mean(0), _covariance(vectors))))
    return Distance(max(0.0, float(found)), f"Frechet distance over {made.model}")


@node(version=1, title="Kernel distance", tags=("KID", "Kernel Inception Distance", "maximum mean discrepancy", "MMD"))
def kernel(made: _Made, real: _Real) -> Distance:
    """How far two sets of images are apart, by a polynomial kernel of degree 3: less biased where there are few.

    The unbiased estimate may lie a little below 0. Source: M. Binkowski et al., "Demystifying MMD GANs", 2018;
    torchmetrics.
    """
    from torchmetrics.image.kid import poly_mmd

    ours, theirs = _sets(made, real, 2)
    count = min(len(ours), len(theirs))  # the estimate takes sets of one size
    return Distance(float(poly_mmd(theirs[:count], ours[:count])), f"kernel distance over {made.model}")


@node(version=1, title="Precision and recall", tags=("improved precision", "manifold", "diversity", "coverage"))
def precision_recall(
    made: _Made,
    real: _Real,
    *,
    neighbors: Annotated[int, Number(1, 100), "How many neighbours a ball around a vector reaches to."] = 3,
) -> Coverage:
    """How good images are, and how much of what they should be like they cover.

    Around each vector is a ball up to its k-th neighbour in its own set; the balls of a set are where it lies. Source:
    T. Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019.
    """
    ours, theirs = _sets(made, real, neighbors + 1)
    return Coverage(_among(ours, theirs, neighbors), _among(theirs, ours, neighbors))


@node(
    version=1, title="ROC AUC", tags=("AUROC", "area under the curve", "anomaly detection", "separation", "threshold")
)
def auroc(
    odd: Annotated[list[float], "Scores of what should score high, such as odd images."],
    usual: Annotated[list[float], "Scores of what should score low."],
) -> float:
    """How well a score tells two sets apart: the part of all pairs in which the odd one scores higher.

    1 is always, 0.5 is chance. A tie counts half. It is the area under the ROC curve; torchmetrics.
    """
    import torch
    from torchmetrics.functional.classification import binary_auroc

    for port, values in (("odd", odd), ("usual", usual)):
        if not values:
            raise refusal(code="list_empty", message="There is no number.", hint="Connect some.", port=port)
    values = torch.tensor([*odd, *usual], dtype=torch.float64)
    # Ranks: torchmetrics takes numbers beyond 0..1 for logits, and would round them.
    ranks = torch.unique(values, return_inverse=True)[1].double() / len(values)
    return float(binary_auroc(ranks, torch.tensor([1] * len(odd) + [0] * len(usual))))


@node(version=1, title="CLIP score", tags=("text alignment", "prompt following", "CLIPScore"))
def clip_score(
    images: Annotated[Vectors, "Vectors of images (reading.embed_images)."],
    texts: Annotated[Vectors, "Vectors of their texts by the same model (reading.embed_texts); one serves all."],
) -> TextScores:
    """How well images fit their texts: 100 times the cosine of their vectors, and 0 below it.

    Source: J. Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", 2021, in the scale
    that torchmetrics and most reports have.
    """
    require_one_space(images, texts, "texts")
    ours, theirs = images.unit(), texts.unit()
    if len(theirs) not in (1, len(ours)):
        message = f"There are {len(ours)} images and {len(theirs)} texts."
        raise refusal(code="length_mismatch", message=message, hint="Give one text for each, or one.", port="texts")
    values = [float(one) for one in (100 * (ours * theirs).sum(1)).clamp_min(0)]
    return TextScores(sum(values) / len(values), values)


def _covariance(vectors: Tensor) -> Tensor:
    centred = vectors - vectors.mean(0)
    return centred.T @ centred / (len(vectors) - 1)


def _among(some: Tensor, others: Tensor, neighbors: int) -> float:
    """The share of `some` that lie in a ball around one of `others`."""
    import torch

    # The nearest to each is itself.
    reach = torch.cdist(others, others).kthvalue(neighbors + 1, dim=1).values
    return float((torch.cdist(some, others) <= reach).any(1).float().mean())


def _sets(made: Vectors, real: Vectors, least: int) -> tuple[Tensor, Tensor]:
    require_one_space(made, real, "real")
    for port, vectors in (("made", made), ("real", real)):
        if len(vectors.values) < least:
            message = f"There are {len(vectors.values)} vectors, and at least {least} are needed."
            raise refusal(code="too_few_images", message=message, hint="Connect more images.", port=port)
    return made.values.double(), real.values.double()
