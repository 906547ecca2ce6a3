"""Masks: made, changed, put together, and used to paint a part again."""

from __future__ import annotations

import numpy
import pytest
import torch
from scipy import ndimage
from skimage import measure

from safelight.sdk import Image, Mask, ProblemError
from safelight.testing import call
from safelight_nodes.mask import change, facts, inpaint, make


def square(*areas: tuple[int, int, int, int], side: int = 24, value: float = 1.0) -> Mask:
    made = torch.zeros(1, side, side)
    for left, top, width, height in areas:
        made[:, top : top + height, left : left + width] = value
    return Mask(made)


def drawn(height: int = 24, width: int = 24, channels: int = 3, seed: int = 0, count: int = 1) -> Image:
    return Image(torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed)))


def problem(caught: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    (one,) = caught.value.problems
    assert one.message and one.hint
    return one.code, one.port


def test_by_colour() -> None:
    pixels = torch.tensor([[0, 1.0, 0], [0, 0.95, 0.05], [1, 0, 0]]).view(1, 1, 3, 3)
    made = call(make.from_color, Image(pixels), softness=0.0).coverage[0, 0].tolist()
    assert made == [1, 1, 0]
    assert call(make.from_color, Image(pixels), softness=0.0, invert=True).coverage[0, 0].tolist() == [0, 0, 1]
    clear = Image(torch.cat([pixels, torch.zeros(1, 1, 3, 1)], dim=-1))
    assert not call(make.from_color, clear).coverage.any()


def test_by_range() -> None:
    greys = Image(torch.tensor([0.1, 0.3, 0.5, 0.9]).view(1, 1, 4, 1).repeat(1, 1, 1, 3))
    assert call(make.from_range, greys, low=0.3, high=0.5).coverage[0, 0].tolist() == [0, 1, 1, 0]
    soft = call(make.from_range, greys, low=0.5, high=1.0, softness=0.4).coverage[0, 0].tolist()
    assert soft == pytest.approx([0, 0.5, 1, 1], abs=1e-6)
    hues = Image(torch.tensor([[1, 0, 0.1], [1, 0.1, 0], [0, 1, 0], [0, 0, 1.0]]).view(1, 1, 4, 3))
    assert call(make.from_range, hues, channel="hue", low=0.9, high=0.1).coverage[0, 0].tolist() == [1, 1, 0, 0]
    assert call(make.from_range, hues, channel="hue", low=0.3, high=0.4).coverage[0, 0].tolist() == [0, 0, 1, 0]
    assert call(make.from_range, hues, channel="blue", low=0.5).coverage[0, 0].tolist() == [0, 0, 0, 1]
    with pytest.raises(ProblemError) as caught:
        call(make.from_range, greys, low=0.6, high=0.4)
    assert problem(caught) == ("empty_range", "low")


def test_made_of_nothing() -> None:
    assert call(make.solid, width=3, height=2, value=0.25, count=2).coverage.tolist() == [[[0.25] * 3] * 2] * 2
    line = call(make.gradient, width=11, height=2).coverage[0, 0].tolist()
    assert line == pytest.approx([number / 10 for number in range(11)], abs=1e-6)
    hard = call(make.gradient, width=10, height=1, start=0.5, end=0.5, invert=True).coverage[0, 0].tolist()
    assert hard == [1] * 5 + [0] * 5
    with pytest.raises(ProblemError) as caught:
        call(make.gradient, start=0.8, end=0.2)
    assert problem(caught) == ("empty_range", "start")
    disc = call(make.shape, width=80, height=80).coverage
    assert float(disc.sum()) == pytest.approx(numpy.pi * 400, rel=0.02)
    assert torch.allclose(call(make.shape, width=80, height=80, invert=True).coverage, 1 - disc)
    box = call(make.rectangle, width=10, height=8, left=2, top=3, across=20, down=2).coverage
    assert float(box.sum()) == 8 * 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_patches_cover_their_share(share: float) -> None:
    made = call(make.noise, width=96, height=64, size=12.0, share=share, softness=0.0, seed=4).coverage
    assert float(made.mean()) == pytest.approx(share, abs=0.01)
    soft = call(make.noise, width=96, height=64, size=12.0, share=0.5, softness=1.0).coverage
    assert float(soft.mean()) == pytest.approx(0.5, abs=0.05)


def test_two_masks() -> None:
    one, two = Mask(torch.tensor([[[0, 0, 1, 1, 0.5]]])), Mask(torch.tensor([[[0, 1, 0, 1, 0.5]]]))
    wanted = {
        "add": [0, 1, 1, 1, 0.5],
        "intersect": [0, 0, 0, 1, 0.5],
        "subtract": [0, 0, 1, 0, 0.5],
        "exclude": [0, 1, 1, 0, 0.5],
        "multiply": [0, 0, 0, 1, 0.25],
        "difference": [0, 1, 1, 0, 0],
        "average": [0, 0.5, 0.5, 1, 0.5],
    }
    for operation, values in wanted.items():
        assert call(change.combine, one, two, operation=operation).coverage[0, 0].tolist() == values  # type: ignore[arg-type]
    assert call(change.combine, one, Mask(torch.ones(2, 4, 10))).coverage.shape == (2, 1, 5)
    with pytest.raises(ProblemError) as caught:
        call(change.combine, Mask(torch.ones(2, 4, 4)), Mask(torch.ones(3, 4, 4)))
    assert problem(caught) == ("wrong_batch", "second")


def test_values() -> None:
    mask = Mask(torch.tensor([[[0.0, 0.3, 0.6, 1.0]]]))
    assert call(change.invert, mask).coverage[0, 0].tolist() == pytest.approx([1, 0.7, 0.4, 0])
    assert call(change.threshold, mask).coverage[0, 0].tolist() == [0, 0, 1, 1]
    assert call(change.threshold, mask, low=0.2, high=0.8).coverage[0, 0].tolist() == pytest.approx(
        [0, 1 / 6, 2 / 3, 1]
    )
    noise = drawn().pixels[..., 0]
    made = call(change.blur, Mask(noise), sigma=2.0).coverage[0].numpy()
    assert numpy.abs(made - ndimage.gaussian_filter(noise[0].numpy(), 2, mode="nearest", truncate=4)).max() < 1e-5
    assert call(change.resize, mask, width=8, height=4).coverage.shape == (1, 4, 8)


def test_feather_fades_inwards_by_distance() -> None:
    made = call(change.feather, square((4, 4, 12, 12)), pixels=4).coverage[0]
    assert made[10, 4:10].tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875, 1, 1])
    assert float(made[:, :4].sum()) == 0
    whole = Mask(torch.ones(1, 8, 8))
    assert torch.equal(call(change.feather, whole).coverage, whole.coverage)
    edged = call(change.feather, whole, pixels=4, edges=True).coverage[0, 4]
    assert edged.tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])


def test_holes_and_parts_are_those_of_other_libraries() -> None:
    ring = square((2, 2, 12, 12))
    ring.coverage[:, 4:8, 4:8] = 0
    ring.coverage[:, 10, 10] = 0
    filled = call(change.fill_holes, ring).coverage
    assert torch.equal(filled, square((2, 2, 12, 12)).coverage)
    small = call(change.fill_holes, ring, largest=3).coverage
    assert float(small[0, 10, 10]) == 1 and float(small[0, 5, 5]) == 0
    noise = Mask((drawn(seed=3).pixels[..., 0] > 0.7).float())
    numbers = measure.label(noise.coverage[0].numpy(), connectivity=2)
    sizes = numpy.bincount(numbers.ravel())[1:]
    made = call(change.largest_parts, noise).coverage[0].numpy()
    assert made.sum() == sizes.max() and (numbers[made > 0] == numbers[made > 0][0]).all()
    assert int(call(change.largest_parts, noise, count=3).coverage.sum()) == sorted(sizes)[-3:][0] + sum(
        sorted(sizes)[-2:]
    )
    assert not call(change.largest_parts, noise, smallest=10_000).coverage.any()


def test_parts_one_by_one() -> None:
    mask = square((14, 2, 4, 4), (2, 8, 6, 6), (20, 20, 1, 1))
    parts = call(change.split_parts, mask, smallest=2)
    assert [float(part.coverage.sum()) for part in parts] == [36, 16]
    assert [float(part.coverage.sum()) for part in call(change.split_parts, mask, order="top")] == [16, 36]
    assert float(call(change.split_parts, mask, order="size", smallest=1)[0].coverage.sum()) == 36
    soft = call(change.blur, mask, sigma=1.0)
    whole = call(change.split_parts, soft, smallest=2)
    assert torch.allclose(sum(part.coverage for part in whole), soft.coverage, atol=1e-6), "soft edges go with a part"  # type: ignore[arg-type]
    with pytest.raises(ProblemError) as caught:
        call(change.split_parts, Mask(torch.zeros(1, 4, 4)))
    assert problem(caught) == ("empty_mask", "mask")


def test_outlines_are_smoothed_and_drawn() -> None:
    specks = square((4, 4, 10, 10), (20, 20, 1, 1))
    specks.coverage[:, 8, 8] = 0
    opened = call(change.smooth, specks, operation="open", radius=1).coverage
    assert float(opened[0, 20, 20]) == 0
    closed = call(change.smooth, specks, operation="close", radius=1).coverage
    assert float(closed[0, 8, 8]) == 1 and float(closed.sum()) == 101
    line = call(change.outline, square((4, 4, 10, 10)), inwards=1, outwards=1).coverage
    assert float(line.sum()) == 12 * 12 - 8 * 8


def test_facts() -> None:
    box = call(facts.bounding_box, square((3, 5, 7, 2)), margin=1)
    assert box[:4] == (2, 4, 9, 4) and float(box.mask.coverage.sum()) == 36
    told = call(facts.facts, square((0, 0, 12, 24)))
    assert told == (24, 24, 1, 0.5, False)
    assert call(facts.facts, Mask(torch.zeros(2, 4, 5))).empty
    both = call(facts.batch, [square((0, 0, 4, 4)), Mask(torch.ones(2, 6, 6))])
    assert both.coverage.shape == (3, 24, 24) and len(call(facts.split, both)) == 3
    with pytest.raises(ProblemError) as caught:
        call(facts.bounding_box, Mask(torch.zeros(1, 4, 4)))
    assert problem(caught) == ("empty_mask", "mask")


@pytest.mark.parametrize("size", [(0, 0), (64, 64), (96, 0), (0, 40), (96, 48)])
def test_a_part_goes_out_and_comes_back(size: tuple[int, int]) -> None:
    image, mask = drawn(60, 80), Mask(torch.zeros(1, 60, 80))
    mask.coverage[:, 20:30, 50:70] = 1
    cut = call(inpaint.crop, image, mask, width=size[0], height=size[1], feather=4)
    height, width = cut.image.pixels.shape[1:3]
    assert height % 8 == 0 and width % 8 == 0 and cut.mask.coverage.shape[1:] == (height, width)
    if all(size):
        assert (width, height) == size
    left, top, wide, tall = cut.cutout.left, cut.cutout.top, cut.cutout.width, cut.cutout.height
    assert left <= 50 and left + wide >= 70 and top <= 20 and top + tall >= 30
    painted = Image(torch.zeros_like(cut.image.pixels))
    made = call(inpaint.stitch, cut.cutout, painted).pixels
    assert torch.allclose(made[:, 22:28, 52:68], torch.tensor(0.0), atol=0.2), "the masked part is the new one"
    outside = torch.ones(60, 80, dtype=torch.bool)
    outside[14:36, 44:76] = False
    assert torch.equal(made[0][outside], image.pixels[0][outside]), "the rest is as it was"
    whole = call(inpaint.stitch, cut.cutout, painted, whole=True).pixels
    assert float(whole[:, top : top + tall, left : left + wide].abs().max()) == 0


def test_what_is_not_painted_again_comes_back_as_it_was() -> None:
    image = drawn(48, 48)
    cut = call(inpaint.crop, image, square((10, 10, 16, 16), side=48), multiple_of=1)
    assert torch.allclose(call(inpaint.stitch, cut.cutout, cut.image).pixels, image.pixels, atol=1e-6)
    two = Mask(torch.cat([square((10, 10, 16, 16), side=48).coverage, square((12, 12, 20, 20), side=48).coverage]))
    several = call(inpaint.crop, image, two, multiple_of=1)
    one = Image(several.image.pixels[:1])
    assert torch.allclose(
        call(inpaint.stitch, several.cutout, one).pixels, image.pixels.expand(2, -1, -1, -1), atol=1e-6
    )
    edge = call(inpaint.crop, image, square((0, 0, 10, 10), side=48), context=1.0, multiple_of=1, feather=8)
    made = call(inpaint.stitch, edge.cutout, Image(torch.zeros_like(edge.image.pixels))).pixels
    assert float(made[0, 0, 0].max()) == 0, "nothing fades at the edge of the image"
    with pytest.raises(ProblemError) as caught:
        call(inpaint.crop, image, Mask(torch.zeros(1, 48, 48)))
    assert problem(caught) == ("empty_mask", "mask")


def test_room_to_paint_in() -> None:
    image = drawn(10, 12)
    made = call(inpaint.outpaint, image, left=4, top=0, right=3, bottom=2, feather=4)
    assert torch.equal(made.image.pixels[:, :10, 4:16], image.pixels)
    assert torch.equal(made.image.pixels[0, 3, :4], image.pixels[0, 3, :1].expand(4, 3))
    mask = made.mask.coverage[0]
    assert bool((mask[:, :4] == 1).all()) and bool((mask[10:] == 1).all()) and float(mask[0, 9]) == 0
    assert mask[0, 4:8].tolist() == pytest.approx([0.875, 0.625, 0.375, 0.125])


def test_a_mask_is_put_on_a_canvas() -> None:
    small = Mask(torch.arange(1.0, 7).view(1, 2, 3) / 6)
    canvas = Mask(torch.ones(1, 4, 5))
    made = call(change.place, small, canvas, x=1, y=1).coverage
    assert torch.equal(made, torch.nn.functional.pad(small.coverage, (1, 1, 1, 1)))
    cut = call(change.place, small, canvas, x=-2, y=3).coverage
    assert cut[0, 3, 0] == small.coverage[0, 0, 2] and int((cut > 0).sum()) == 1
    assert not call(change.place, small, canvas, x=5).coverage.any()


def test_each_edge_fades_by_its_own_width() -> None:
    whole = Mask(torch.ones(1, 4, 8))
    made = call(change.fade_edges, whole, left=4, right=2).coverage[0]
    assert made[0].tolist() == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 0.5])
    assert torch.equal(made[0], made[3])
    down = call(change.fade_edges, whole, bottom=4).coverage[0, :, 3]
    assert down.tolist() == pytest.approx([1, 0.75, 0.5, 0.25])
    assert torch.equal(call(change.fade_edges, whole).coverage, whole.coverage)
