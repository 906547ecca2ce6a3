"""The painting node: strokes, areas and regions on layers, at any size, and what is no painting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight.sdk import Image, Paint
from safelight.sdk.paintings import read_painting

torch = pytest.importorskip("torch")

from safelight_nodes.image.paint import paint  # noqa: E402


def painting(*layers: list[dict[str, Any]] | dict[str, Any], side: int = 32) -> str:
    made = [layer if isinstance(layer, dict) else {"marks": layer} for layer in layers]
    return json.dumps({"width": side, "height": side, "layers": made})


def line(color: str | None, *spots: float) -> dict[str, Any]:
    return {"kind": "stroke", "color": color, "spots": list(spots)}


RED, BLUE = "#ff0000", "#0000ff"


def test_an_empty_painting_is_the_sheet_and_leaves_an_image_bit_for_bit() -> None:
    drawn = paint(width=20, height=10, background="#336699")
    assert drawn.image.pixels.shape == (1, 10, 20, 3)
    assert torch.allclose(drawn.image.pixels[0, 0, 0], torch.tensor([0x33, 0x66, 0x99]) / 255)
    assert drawn.mask.coverage.abs().max() == 0
    given = torch.rand(2, 8, 8, 3)
    assert torch.equal(paint(Image(given.clone())).image.pixels, given)


def test_a_stroke_is_as_wide_as_its_brush_and_its_edge_is_smooth() -> None:
    drawn = paint(painting=painting([line(RED, 4, 16, 4, 28, 16, 4)]), width=32, height=32)
    column = drawn.mask.coverage[0, :, 16]
    assert column[12:20].min() == 1 and column[:11].max() == 0 and column[21:].max() == 0
    assert drawn.mask.coverage[0, 12, 0] == 0, "the cap is round"
    edge = drawn.mask.coverage[0, :, 2]
    assert ((edge > 0) & (edge < 1)).any()
    assert torch.equal(drawn.image.pixels[0, 16, 16], torch.tensor([1.0, 0, 0]))
    # Area of the stroke: a rectangle and two half discs.
    assert drawn.mask.coverage.sum().item() == pytest.approx(24 * 8 + 3.14159 * 16, rel=0.04)


def test_layers_lie_upon_each_other_with_their_opacity_and_erasing_is_of_one_layer() -> None:
    whole = {"kind": "area", "color": RED, "points": [0, 0, 32, 0, 32, 32, 0, 32]}
    upper = {"marks": [{**whole, "color": BLUE}, line(None, 16, 16, 6)], "opacity": 0.5}
    drawn = paint(painting=painting([whole], upper), width=32, height=32)
    assert torch.allclose(drawn.image.pixels[0, 2, 2], torch.tensor([0.5, 0, 0.5]), atol=1e-6)
    assert torch.equal(drawn.image.pixels[0, 16, 16], torch.tensor([1.0, 0, 0])), "erased down to the lower layer"
    hidden = paint(painting=painting([whole], {**upper, "visible": False}), width=32, height=32)
    assert torch.equal(hidden.image.pixels[0, 2, 2], torch.tensor([1.0, 0, 0]))


def test_regions_are_whole_pixels_and_everything_grows_with_the_sheet() -> None:
    region = {"kind": "region", "color": RED, "runs": [2 * 32 + 4, 8, 3 * 32 + 4, 8]}
    drawn = paint(painting=painting([region]), width=32, height=32)
    assert torch.equal(drawn.mask.coverage[0].nonzero()[[0, -1]], torch.tensor([[2, 4], [3, 11]]))
    assert drawn.mask.coverage.sum() == 16
    larger = paint(Image(torch.zeros(1, 64, 96, 3)), painting=painting([region]))
    assert larger.mask.coverage.sum() == 16 * 2 * 3
    assert larger.mask.coverage[0, 4:8, 12:36].min() == 1


def test_transparent_images_become_opaque_where_they_are_painted() -> None:
    drawn = paint(Image(torch.zeros(2, 32, 32, 4)), painting=painting([line(RED, 16, 16, 8)]))
    assert drawn.image.pixels.shape == (2, 32, 32, 4)
    assert torch.equal(drawn.image.pixels[1, 16, 16], torch.tensor([1.0, 0, 0, 1]))
    assert drawn.image.pixels[1, 0, 0, 3] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("xx", "malformed"),
        ('{"width": 0, "height": 4}', "width"),
        ('{"width": 4, "height": 4, "layers": [{"marks": [{"kind": "spray"}]}]}', "spray"),
        (painting([line("red", 1, 1, 1)]), "color"),
        (painting([line(RED, 1, 1)]), "no multiple of 3"),
        (painting([{"kind": "region", "color": RED, "runs": [1020, 8]}]), "beyond"),
    ],
)
def test_what_is_no_painting_is_told_before_a_run(text: str, said: str) -> None:
    fault = Paint().complaint(text)
    assert fault is not None and fault.code == "bad_value" and said in fault.message
    with pytest.raises(ValueError):
        read_painting(text)


def test_what_is_one_is_taken() -> None:
    assert Paint().complaint("") is None
    assert Paint().complaint(painting([line(None, 1, 2, 3)])) is None


def region(prompt: str, color: str, *points: float, **rest: Any) -> dict[str, Any]:
    marks = [{"kind": "area", "color": color, "points": list(points)}]
    return {"prompt": prompt, "color": color, "marks": marks, **rest}


LEFT = (0, 0, 16, 0, 16, 32, 0, 32)
RIGHT = (16, 0, 32, 0, 32, 32, 16, 32)


def test_regions_are_what_masks_and_combining_give(sd1: Any) -> None:
    from safelight.sdk import Mask
    from safelight_nodes.text import combine, encode, set_mask
    from safelight_nodes.text_regions import regions

    text = painting(
        region("a red apple", RED, *LEFT, strength=0.5),
        region("a green pear", BLUE, 16, 0, 32, 0, 32, 16, 16, 16, opacity=0.3),
        region("never", RED, *RIGHT, visible=False),
        {"prompt": "not painted yet", "color": RED},
    )
    made = regions(sd1.text, painting=text, rest="a table", width=32, height=32, ctx=sd1.context)
    left, right = torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)
    left[..., :16] = 1
    right[..., :16, 16:] = 1
    parts = [("a red apple", left, 0.5), ("a green pear", right, 1.0), ("a table", 1 - left - right, 1.0)]
    first, second, third = (
        set_mask(encode(sd1.text, text=said, ctx=sd1.context), Mask(mask), strength=strength)
        for said, mask, strength in parts
    )
    wanted = combine(combine(first, second), third)
    assert len(made.prompts) == 3 and made.family == wanted.family
    for one, other in zip(made.prompts, wanted.prompts, strict=True):
        away = (one.mask - other.mask).abs()
        # The edge of an area is drawn smoothly, over the pixels at 16.
        away[..., 16], away[..., 16, :] = 0, 0
        assert one.strength == other.strength and away.max() < 1e-6
        assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_the_rest_speaks_only_where_nothing_else_does(sd1: Any) -> None:
    from safelight_nodes.text_regions import regions

    whole = region("a red apple", RED, 0, 0, 32, 0, 32, 32, 0, 32)
    covered = regions(sd1.text, painting=painting(whole), rest="a table", width=32, height=32, ctx=sd1.context)
    assert [prompt.mask.min().item() for prompt in covered.prompts] == [1.0]
    empty = regions(sd1.text, rest="a table", width=32, height=32, ctx=sd1.context)
    assert [prompt.mask.min().item() for prompt in empty.prompts] == [1.0]
    silent = regions(
        sd1.text, painting=painting({**whole, "strength": 0}), rest="a table", width=32, height=32, ctx=sd1.context
    )
    assert [prompt.strength for prompt in silent.prompts] == [0.0, 1.0] and silent.prompts[1].mask.min() == 1
    image = Image(torch.zeros(1, 20, 40, 3))
    sized = regions(sd1.text, image, painting=painting(region("a pear", RED, *LEFT)), ctx=sd1.context)
    assert sized.prompts[0].mask.shape == (1, 20, 40)
    assert sized.prompts[0].mask[0, :, :20].min() == 1 and sized.prompts[0].mask[0, :, 21:].max() == 0


@pytest.mark.parametrize(
    "layer", [{"strength": 11}, {"strength": -1}, {"color": "red"}, {"prompt": 3}, {"prompts": "a"}]
)
def test_a_region_that_is_none_is_refused(layer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"layers\[0\]|prompts"):
        read_painting(painting({"marks": [], **layer}))
