"""Figures are smooth, differ by their seed, and their garment is where its mask says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from safelight.testing import call
from safelight_nodes.image.figures import Figures, figure

GARMENTS = ("upper_body", "lower_body", "dress")


def drawn(**values: Any) -> Figures:
    given: dict[str, Any] = {"width": 96, "height": 144, **values}
    return call(figure, **given)


@pytest.mark.parametrize("garment", GARMENTS)
def test_a_garment_is_one_colour_under_the_light_and_its_mask_is_smooth(garment: str) -> None:
    """Image by light is the flat colour again, and inside the mask it is one alone."""
    made = drawn(count=3, garment=garment, seed=5)
    assert made.image.pixels.shape == made.light.pixels.shape == (3, 144, 96, 3)
    for image, light, worn in zip(made.image.pixels, made.light.pixels, made.mask.coverage, strict=True):
        inside = worn == 1
        assert 0.04 < inside.float().mean() < 0.25
        flat = (image / light)[inside]
        assert flat.std(dim=0).max() < 0.01, "light and folds lie in the light alone"
        assert (light[inside].std(dim=0) > 0.02).all(), "and there are some"
        edge = (worn > 0) & (worn < 1)
        assert 0.05 < edge.sum() / inside.sum() < 0.6, "the edge is smooth, and no blur"
    assert (made.light.pixels[:, 0] == 1).all(), "no light falls on the wall"


def test_what_is_worn_changes_nothing_else_and_masks_do_not_overlap() -> None:
    top, below, dress = (drawn(count=2, garment=garment, seed=11) for garment in GARMENTS)
    assert torch.equal(top.image.pixels, below.image.pixels), "the mask alone differs"
    assert ((top.mask.coverage + below.mask.coverage) <= 1 + 1 / 128).all()
    away = (top.image.pixels - dress.image.pixels).abs().amax(-1)
    assert not away[:, :28].any() and away.any(), "the head is that of the same person"


def test_image_k_of_a_batch_is_the_single_image_of_its_seed_and_all_differ() -> None:
    several, one = drawn(count=6, seed=3), drawn(seed=7)
    assert torch.equal(several.image.pixels[4], one.image.pixels[0])
    assert torch.equal(several.mask.coverage[4], one.mask.coverage[0])
    assert len({tuple(image.flatten().tolist()) for image in several.image.pixels}) == 6


@pytest.mark.parametrize(("width", "height"), [(64, 64), (400, 64), (64, 400)])
def test_figures_fit_into_any_size(width: int, height: int) -> None:
    """Nothing of them touches the edges: there is the wall alone."""
    for seed in range(6):
        image = drawn(width=width, height=height, seed=seed).image.pixels[0]
        for line in (image[0], image[-1], image[:, 0], image[:, -1]):
            assert (line - image[0, 0]).abs().max() < 0.15
        assert (image - image[0, 0]).abs().max() > 0.2
