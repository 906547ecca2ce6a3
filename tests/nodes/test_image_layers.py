"""Blend modes, places, sizes, tiles, drawing and sheets, against formulas and other libraries."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
import torch
from PIL import Image as pillow
from PIL import ImageChops

from safelight.sdk import Image, Mask, ProblemError
from safelight.testing import BenchContext, call
from safelight_nodes import _sheets
from safelight_nodes._blending import Mode, Operator
from safelight_nodes.image import crops, draw, geometry, layers, lists, sheets, tiles

MODES = Mode.__args__  # type: ignore[attr-defined]
OPERATORS = Operator.__args__  # type: ignore[attr-defined]


def drawn(height: int = 12, width: int = 17, channels: int = 3, seed: int = 0, count: int = 1) -> Image:
    whole = torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed))
    return Image((whole * 255).round() / 255)


def problem(caught: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    (one,) = caught.value.problems
    assert one.message and one.hint
    return one.code, one.port


def separable(mode: str, b: float, s: float) -> float:
    """B(cb, cs) of W3C Compositing and Blending Level 1, section 10.1, written once more with numbers."""
    if mode == "overlay":
        return separable("hard_light", s, b)
    if mode == "hard_light":
        return separable("multiply", b, 2 * s) if s <= 0.5 else separable("screen", b, 2 * s - 1)
    if mode == "soft_light":
        d = ((16 * b - 12) * b + 4) * b if b <= 0.25 else math.sqrt(b)
        return b - (1 - 2 * s) * b * (1 - b) if s <= 0.5 else b + (2 * s - 1) * (d - b)
    if mode == "color_dodge":
        return 0 if b == 0 else 1 if s == 1 else min(1, b / (1 - s))
    if mode == "color_burn":
        return 1 if b == 1 else 0 if s == 0 else 1 - min(1, (1 - b) / s)
    return {
        "normal": s,
        "multiply": b * s,
        "screen": b + s - b * s,
        "darken": min(b, s),
        "lighten": max(b, s),
        "difference": abs(b - s),
        "exclusion": b + s - 2 * b * s,
        "add": min(1, b + s),
        "subtract": max(0, b - s),
        "divide": 1 if s == 0 else min(1, b / s),
    }[mode]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("hue", "saturation", "color", "luminosity")])
def test_separable_blend_modes_are_those_of_the_w3c(mode: str) -> None:
    values = (0.0, 0.2, 0.25, 0.5, 0.6, 1.0)
    pairs = list(itertools.product(values, values))
    base, over = (
        Image(torch.tensor([pair[side] for pair in pairs]).view(1, 1, -1, 1).repeat(1, 1, 1, 3)) for side in (0, 1)
    )
    made = call(layers.blend, base, over, mode=mode).pixels[0, 0, :, 1].tolist()  # type: ignore[arg-type]
    assert made == pytest.approx([separable(mode, *pair) for pair in pairs], abs=1e-6)


def lum(c: list[float]) -> float:
    return 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2]


def set_lum(c: list[float], target: float) -> list[float]:
    c = [part + target - lum(c) for part in c]
    light, low, high = lum(c), min(c), max(c)
    if low < 0:
        c = [light + (part - light) * light / (light - low) for part in c]
    if high > 1:
        c = [light + (part - light) * (1 - light) / (high - light) for part in c]
    return c


def set_sat(c: list[float], target: float) -> list[float]:
    low, high = min(c), max(c)
    return [(part - low) * target / (high - low) if high > low else 0.0 for part in c]


def sat(c: list[float]) -> float:
    return max(c) - min(c)


@pytest.mark.parametrize("mode", ["hue", "saturation", "color", "luminosity"])
def test_the_others_are_too(mode: str) -> None:
    base, over = drawn(4, 5, seed=1), drawn(4, 5, seed=2)
    made = call(layers.blend, base, over, mode=mode).pixels.view(-1, 3)  # type: ignore[arg-type]
    for b, s, got in zip(
        base.pixels.view(-1, 3).tolist(), over.pixels.view(-1, 3).tolist(), made.tolist(), strict=True
    ):
        wanted = {
            "hue": lambda b, s: set_lum(set_sat(s, sat(b)), lum(b)),
            "saturation": lambda b, s: set_lum(set_sat(b, sat(s)), lum(b)),
            "color": lambda b, s: set_lum(s, lum(b)),
            "luminosity": lambda b, s: set_lum(b, lum(s)),
        }[mode](b, s)
        assert got == pytest.approx(wanted, abs=1e-5)


def test_pillow_agrees_on_some() -> None:
    base, over = drawn(seed=3), drawn(seed=4)
    one, two = (pillow.fromarray((image.pixels[0] * 255).round().byte().numpy()) for image in (base, over))
    ways = {"multiply": ImageChops.multiply, "screen": ImageChops.screen, "difference": ImageChops.difference}
    for mode, way in ways.items():
        made = call(layers.blend, base, over, mode=mode).pixels[0]  # type: ignore[arg-type]
        assert float((made - torch.from_numpy(numpy.array(way(one, two))) / 255).abs().max()) < 1.5 / 255


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_are_those_of_porter_and_duff(operator: str) -> None:
    below, above = torch.tensor([0.2, 0.4, 0.6, 0.7]), torch.tensor([0.9, 0.1, 0.3, 0.4])
    a, b = 0.4, 0.7
    fa, fb = {
        "over": (1, 1 - a),
        "atop": (b, 1 - a),
        "in": (b, 0),
        "out": (1 - b, 0),
        "xor": (1 - b, 1 - a),
        "lighter": (1, 1),
        "copy": (1, 0),
        "clear": (0, 0),
        "destination": (0, 1),
        "destination_over": (1 - b, 1),
        "destination_atop": (1 - b, a),
        "destination_in": (0, a),
        "destination_out": (0, 1 - a),
    }[operator]
    made = call(
        layers.blend,
        Image(below.view(1, 1, 1, 4)),
        Image(above.view(1, 1, 1, 4)),
        operator=operator,  # type: ignore[arg-type]
    ).pixels[0, 0, 0]
    alpha = min(1, a * fa + b * fb)
    assert float(made[3]) == pytest.approx(alpha, abs=1e-6)
    if alpha:
        wanted = ((a * fa * above[:3] + b * fb * below[:3]) / alpha).clamp(0, 1)
        assert made[:3].tolist() == pytest.approx(wanted.tolist(), abs=1e-6)


def test_a_mask_and_opacity_keep_the_rest_bit_for_bit() -> None:
    base, over = drawn(), drawn(seed=1)
    mask = torch.zeros(1, 12, 17)
    mask[:, :6] = 1
    made = call(layers.blend, base, over, Mask(mask), opacity=0.5).pixels
    assert torch.equal(made[:, 6:], base.pixels[:, 6:]) and made.shape[-1] == 3
    assert torch.allclose(made[:, :6], (base.pixels[:, :6] + over.pixels[:, :6]) / 2, atol=1e-6)
    with pytest.raises(ProblemError) as caught:
        call(layers.blend, drawn(count=2), drawn(count=3))
    assert problem(caught) == ("wrong_batch", "over")


def test_an_image_is_put_in_its_place() -> None:
    base, sticker = Image(torch.zeros(1, 40, 60, 3)), Image(torch.ones(1, 10, 20, 3))
    made = call(layers.place, base, sticker, x=0.5, y=0.5).pixels[0, ..., 0]
    assert torch.equal(made, torch.nn.functional.pad(torch.ones(10, 20), (20, 20, 15, 15)))
    turned = call(layers.place, base, sticker, angle=90.0).pixels[0, ..., 0]
    assert torch.allclose(turned, torch.nn.functional.pad(torch.ones(20, 10), (25, 25, 10, 10)), atol=1e-4)
    small = call(layers.place, base, sticker, scale=0.5).pixels[0, ..., 0]
    assert float(small.sum()) == pytest.approx(50, rel=0.05)
    half = Mask(torch.cat([torch.ones(1, 10, 10), torch.zeros(1, 10, 10)], dim=2))
    assert float(call(layers.place, base, sticker, half).pixels[0, ..., 0].sum()) == pytest.approx(100, rel=0.02)


def test_sizes_in_proportion() -> None:
    image = drawn(20, 40)
    assert call(geometry.scale, image, factor=0.5).pixels.shape == (1, 10, 20, 3)
    assert call(geometry.scale, image, by="longer_side", side=10).pixels.shape == (1, 5, 10, 3)
    assert call(geometry.scale, image, by="shorter_side", side=10).pixels.shape == (1, 10, 20, 3)
    assert call(geometry.scale, image, by="megapixels", megapixels=0.0032).pixels.shape == (1, 40, 80, 3)
    assert call(geometry.scale, image, factor=1.1, multiple_of=8).pixels.shape == (1, 24, 48, 3)
    with pytest.raises(ProblemError) as caught:
        call(geometry.scale, drawn(2000, 2000), factor=64.0)
    assert problem(caught) == ("size_too_large", "factor")
    assert call(geometry.size, drawn(3, 5, 4, count=2)) == (5, 3, 2, 4)


def test_turns_are_those_of_numpy() -> None:
    image = drawn(4, 6)
    pixels = image.pixels[0].numpy()
    ways = {
        "horizontal": numpy.fliplr(pixels),
        "vertical": numpy.flipud(pixels),
        "turn_left": numpy.rot90(pixels),
        "turn_right": numpy.rot90(pixels, -1),
        "turn_around": numpy.rot90(pixels, 2),
        "transpose": pixels.swapaxes(0, 1),
    }
    for way, wanted in ways.items():
        assert numpy.array_equal(call(geometry.flip, image, way=way).pixels[0].numpy(), wanted), way  # type: ignore[arg-type]


def test_rotating_by_quarters_is_exact_and_by_less_keeps_the_middle() -> None:
    image = drawn(8, 12)
    made = call(geometry.rotate, image, angle=90.0).pixels
    assert made.shape == (1, 12, 8, 4)
    assert torch.allclose(made[..., :3], image.pixels.transpose(1, 2).flip(1), atol=1e-4)
    plain = call(geometry.rotate, Image(torch.full((1, 9, 9, 3), 0.3)), angle=30.0, around="edge", expand=False).pixels
    assert torch.allclose(plain, torch.tensor(0.3), atol=1e-5)
    grown = call(geometry.rotate, Image(torch.ones(1, 20, 20, 3)), angle=45.0).pixels
    assert grown.shape[1:3] == (29, 29) and float(grown[..., 3].sum()) == pytest.approx(400, rel=0.02)


def test_transform_and_perspective() -> None:
    image = drawn(20, 20)
    assert torch.allclose(call(geometry.transform, image).pixels, image.pixels, atol=1e-5)
    moved = call(geometry.transform, image, move_x=0.25, around="wrap").pixels
    assert torch.allclose(moved, image.pixels.roll(5, 2), atol=1e-4)
    near = call(geometry.transform, image, zoom=2.0).pixels
    assert torch.allclose(near[0, 10:12, 10:12].mean(dim=(0, 1)), image.pixels[0, 10, 10], atol=0.25)
    corners = ("left_top", "right_top", "right_bottom", "left_bottom")
    same = {
        f"{name}_{axis}": float(value)
        for name, at in zip(corners, [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True)
        for axis, value in zip("xy", at, strict=True)
    }
    assert torch.allclose(call(geometry.perspective, image, **same).pixels[..., :3], image.pixels, atol=1e-4)
    smooth = call(draw.gradient, width=64, height=64)
    there = call(geometry.perspective, smooth, around="edge")
    back = call(geometry.perspective, there, straighten=True, around="edge").pixels
    assert float((back - smooth.pixels)[:, 8:-8, 8:-8].abs().max()) < 0.05
    with pytest.raises(ProblemError) as caught:
        call(geometry.perspective, image, left_top_x=0.9, right_top_x=0.1)
    assert problem(caught) == ("bad_corners", "left_top_x")


@pytest.mark.parametrize(("fill", "mode"), [("edge", "edge"), ("reflect", "reflect"), ("wrap", "wrap")])
def test_padding_is_that_of_numpy(fill: str, mode: str) -> None:
    image = drawn(5, 7)
    made = call(geometry.pad, image, left=9, top=3, right=2, bottom=4, fill=fill).pixels[0].numpy()  # type: ignore[arg-type]
    assert numpy.array_equal(made, numpy.pad(image.pixels[0].numpy(), ((3, 4), (9, 2), (0, 0)), mode=mode))  # type: ignore[call-overload]


def test_borders_of_a_colour_and_moves_around() -> None:
    made = call(geometry.pad, drawn(2, 2), left=1, top=0, right=0, bottom=0, color="#ff0000").pixels
    assert made.shape == (1, 2, 3, 3) and made[0, 0, 0].tolist() == [1, 0, 0]
    assert call(geometry.pad, drawn(2, 2), fill="transparent").pixels[0, 0, 0].tolist() == [0] * 4
    assert torch.equal(
        call(geometry.offset, drawn(4, 4), x=0.5, y=0.25).pixels, drawn(4, 4).pixels.roll((1, 2), (1, 2))
    )


def test_crops() -> None:
    image = drawn(30, 40)
    assert torch.equal(call(crops.crop_to_ratio, image).pixels, image.pixels[:, :, 5:35])
    assert call(crops.crop_to_ratio, image, across=16.0, down=9.0, y=0.0).pixels.equal(image.pixels[:, :22])
    framed = torch.ones(1, 20, 20, 3)
    framed[:, 5:8, 6:15] = 0.2
    assert call(crops.trim, Image(framed)).pixels.shape == (1, 3, 9, 3)
    assert call(crops.trim, Image(framed), margin=2).pixels.shape == (1, 7, 13, 3)
    with pytest.raises(ProblemError) as caught:
        call(crops.trim, Image(torch.ones(1, 4, 4, 3)))
    assert problem(caught) == ("nothing_left", "image")
    mask = torch.zeros(1, 30, 40)
    mask[:, 10:12, 20:25] = 1
    assert torch.equal(call(crops.crop_to_mask, image, Mask(mask), margin=1).pixels, image.pixels[:, 9:13, 19:26])
    with pytest.raises(ProblemError) as caught:
        call(crops.crop_to_mask, image, Mask(mask * 0))
    assert problem(caught) == ("empty_mask", "mask")


def test_tiles_come_apart_and_together() -> None:
    image = drawn(50, 70)
    cut = call(tiles.split_tiles, image, width=32, height=24, overlap=8)
    assert (cut.columns, cut.rows, len(cut.tiles)) == (3, 3, 9)
    back = call(tiles.merge_tiles, cut.tiles, image, width=32, height=24, overlap=8).pixels
    assert torch.allclose(back, image.pixels, atol=1e-6)
    grown = [Image(tile.pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)) for tile in cut.tiles]
    back = call(tiles.merge_tiles, grown, image, width=32, height=24, overlap=8).pixels
    assert torch.allclose(back, image.pixels.repeat_interleave(2, 1).repeat_interleave(2, 2), atol=1e-6)
    with pytest.raises(ProblemError) as caught:
        call(tiles.merge_tiles, cut.tiles[:-1], image, width=32, height=24, overlap=8)
    assert problem(caught) == ("wrong_tiles", "tiles")
    for other in (drawn(24, 31), Image(cut.tiles[0].pixels.repeat(2, 1, 1, 1))):
        with pytest.raises(ProblemError) as caught:
            call(tiles.merge_tiles, [*cut.tiles[:-1], other], image, width=32, height=24, overlap=8)
        assert problem(caught) == ("wrong_batch", "tiles")
    with pytest.raises(ProblemError) as caught:
        call(tiles.split_tiles, image, width=16, height=16, overlap=16)
    assert problem(caught) == ("bad_overlap", "overlap")


def test_textures_repeat() -> None:
    image = drawn(6, 8)
    assert torch.equal(call(tiles.tile, image, columns=3, rows=2).pixels, image.pixels.repeat(1, 2, 3, 1))
    mirrored = call(tiles.tile, image, mirror="both").pixels
    assert torch.equal(mirrored[:, 5], mirrored[:, 6]) and torch.equal(mirrored[:, :, 7], mirrored[:, :, 8])
    bricks = call(tiles.tile, image, shift=0.5).pixels
    assert torch.equal(bricks[:, 6:], image.pixels.repeat(1, 1, 2, 1).roll(4, 2))
    ramp = call(draw.gradient, width=100, height=20)
    made = call(tiles.make_seamless, ramp, blend=0.3, direction="horizontal").pixels[0, 0, :, 0]
    assert len(made) == 70 and abs(float(made[0] - made[-1])) < 0.05, "the ends meet"
    assert float((made[1:] - made[:-1]).abs().max()) < 0.1


def test_grounds() -> None:
    assert call(draw.solid, width=3, height=2, color="#336699", count=2).pixels[1, 1, 2].tolist() == pytest.approx(
        [0.2, 0.4, 0.6]
    )
    assert call(draw.solid, width=2, height=2, opacity=0.5).pixels.shape == (1, 2, 2, 4)
    line = call(draw.gradient, width=11, height=3).pixels[0, 1, :, 0].tolist()
    assert line == pytest.approx([number / 10 for number in range(11)], abs=1e-6)
    upwards = call(draw.gradient, width=5, height=9, angle=90.0).pixels[0, :, 2, 0]
    assert float(upwards[0]) > float(upwards[-1]), "counter-clockwise: 90 degrees is up"
    assert float(call(draw.gradient, width=9, height=9, kind="radial").pixels[0, 4, 4, 0]) == 0
    turned = call(draw.gradient, width=64, height=64, kind="conic").pixels[0, ..., 0]
    assert [round(float(turned[y, x]), 1) for y, x in ((8, 8), (8, 56), (56, 8), (56, 56))] == [0.4, 0.1, 0.6, 0.9]
    board = call(draw.pattern, width=4, height=4, size=2, first="#000000", second="#ffffff").pixels[0, ..., 0]
    assert board.tolist() == [[0, 0, 1, 1]] * 2 + [[1, 1, 0, 0]] * 2


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("rectangle", 1.0),
        ("ellipse", math.pi / 4),
        ("triangle", 0.5),
        ("line", None),
        ("star", None),
        ("polygon", None),
    ],
)
def test_shapes_have_their_size(kind: str, share: float | None) -> None:
    made = call(draw.shape, kind=kind, width=80, height=60, down=0.5 if kind != "line" else 0.0)  # type: ignore[arg-type]
    area = float(made.mask.coverage.sum())
    if share is not None:
        assert area == pytest.approx(40 * 30 * share, rel=0.02)
    assert area > 30 and made.image.pixels.shape == (1, 60, 80, 4)
    ring = call(draw.shape, kind="ellipse", outline=2.0, width=80, height=80)
    assert float(ring.mask.coverage.sum()) == pytest.approx(math.pi * (20**2 - 18**2), rel=0.05)
    on = call(draw.shape, drawn(20, 20), color="#00ff00", opacity=0.5).image.pixels
    assert torch.allclose(on[0, 10, 10], drawn(20, 20).pixels[0, 10, 10] / 2 + torch.tensor([0, 0.5, 0]), atol=1e-5)
    assert torch.equal(on[0, 0], drawn(20, 20).pixels[0, 0])


def test_texts_stand_where_they_should(tmp_path: object) -> None:
    for anchor, (x, y) in {"top_left": (0, 0), "bottom_right": (1, 1), "middle": (0.5, 0.5)}.items():
        made = call(draw.text, text="Hi", size=20.0, anchor=anchor, width=200, height=100, margin=4, outline=0.0)  # type: ignore[arg-type]
        rows, columns = made.mask.coverage[0].nonzero().unbind(1)
        middle = float(columns.float().mean()) / 200, float(rows.float().mean()) / 100
        assert abs(middle[0] - (0.5 + (x - 0.5) * 0.85)) < 0.06 and abs(middle[1] - (0.5 + (y - 0.5) * 0.75)) < 0.06
        assert int(rows.min()) >= 3 and int(rows.max()) <= 96
    long = call(draw.text, text="many words in one line " * 4, size=20.0, width=200, height=200, margin=4)
    tall = long.mask.coverage[0].any(dim=1).sum()
    assert int(tall) > 60, "lines are broken"
    assert not call(draw.text, text="", width=20, height=20).mask.coverage.any()


def test_a_font_that_is_none(tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "a.ttf").write_text("no font")
    with pytest.raises(ProblemError) as caught:
        call(draw.text, font="a.ttf", ctx=BenchContext(folder=folder))
    assert problem(caught) == ("bad_font", "font")


def test_batches() -> None:
    four = Image(torch.arange(4).float().view(4, 1, 1, 1).repeat(1, 2, 2, 3) / 4)

    def order(image: Image) -> list[float]:
        return (image.pixels[:, 0, 0, 0] * 4).tolist()

    assert order(call(lists.pick, four, start=1, count=2)) == [1, 2]
    assert order(call(lists.pick, four, start=-1)) == [3]
    assert order(call(lists.pick, four, count=0, step=2)) == [0, 2]
    with pytest.raises(ProblemError) as caught:
        call(lists.pick, four, start=4)
    assert problem(caught) == ("no_such_image", "start")
    assert order(call(lists.reverse, four)) == [3, 2, 1, 0]
    assert order(call(lists.reverse, four, there_and_back=True)) == [0, 1, 2, 3, 2, 1]
    assert order(call(lists.repeat, four, times=2)) == [0, 1, 2, 3, 0, 1, 2, 3]
    assert order(call(lists.repeat, four, times=2, order="each")) == [0, 0, 1, 1, 2, 2, 3, 3]
    mixed = call(lists.shuffle, four, seed=1)
    assert sorted(order(mixed)) == [0, 1, 2, 3] and order(mixed) != [0, 1, 2, 3]
    assert order(call(lists.sort, mixed)) == [0, 1, 2, 3]
    assert order(call(lists.sort, mixed, descending=True)) == [3, 2, 1, 0]


def test_images_are_sorted_by_what_they_look_like() -> None:
    soft = torch.full((1, 16, 16, 3), 0.5)
    sharp = call(draw.pattern, width=16, height=16, size=2).pixels
    both = Image(torch.cat([sharp, soft]))
    for by in ("sharpness", "contrast"):
        assert torch.equal(call(lists.sort, both, by=by).pixels[0], soft[0])  # type: ignore[arg-type]
    hues = Image(torch.tensor([[0, 0, 1.0], [0, 1, 0], [1, 0.1, 0]]).view(3, 1, 1, 3).repeat(1, 4, 4, 1))
    assert torch.equal(call(lists.sort, hues, by="hue").pixels, hues.pixels.flip(0))


def test_images_are_joined() -> None:
    one, two = drawn(10, 20), drawn(20, 10, seed=1)
    assert call(sheets.join, [one, two]).pixels.shape == (1, 10, 25, 3)
    assert call(sheets.join, [one, two], direction="down", gap=2).pixels.shape == (1, 10 + 2 + 40, 20, 3)
    padded = call(sheets.join, [one, two], fit="pad").pixels
    assert padded.shape == (1, 20, 30, 3) and torch.equal(padded[:, 5:15, :20], one.pixels)
    assert torch.equal(padded[:, :5, :20], torch.ones(1, 5, 20, 3))
    assert call(sheets.join, [one, drawn(10, 20, 4, count=3)]).pixels.shape == (3, 10, 40, 4)
    with pytest.raises(ProblemError) as caught:
        call(sheets.join, [drawn(count=2), drawn(count=3)])
    assert problem(caught) == ("wrong_batch", "images")


def test_images_are_compared() -> None:
    one, two = drawn(20, 30), drawn(20, 30, seed=1)
    assert torch.equal(call(sheets.compare, one, two).pixels, torch.cat([one.pixels, two.pixels], dim=2))
    far = call(sheets.compare, one, two, view="difference", gain=2.0).pixels
    assert torch.allclose(far, ((one.pixels - two.pixels).abs() * 2).clamp(max=1))
    halves = call(sheets.compare, one, two, view="split").pixels
    assert torch.equal(halves[:, :, :14], one.pixels[:, :, :14]) and torch.equal(
        halves[:, :, 16:], two.pixels[:, :, 16:]
    )
    same = call(sheets.compare, one, one, view="heat").pixels
    assert len(same.view(-1, 3).unique(dim=0)) == 1
    assert call(sheets.compare, drawn(60, 90), drawn(60, 90), labels=True).pixels.shape == (1, 60, 180, 3)


def test_a_grid_has_labels_and_sheets() -> None:
    images = [Image(torch.full((1, 30, 40, 3), number / 8)) for number in range(8)]
    made = call(sheets.labelled_grid, images, columns=["a", "b"], rows=["x", "y"], sheets=["one", "two"], gap=4).pixels
    assert made.shape[0] == 2
    assert call(sheets.labelled_grid, images, gap=0).pixels.shape == (1, 90, 120, 3)
    assert float(made[1, -5, -5, 0]) == pytest.approx(7 / 8), "row by row, sheet by sheet"
    assert float((made[0, :40] < 0.5).float().mean()) > 0.005, "letters are written"
    named = call(sheets.labelled_grid, images, names=["a name that is much too long for so small an image"] * 8).pixels
    assert named.shape[1] > 3 * 60
    with pytest.raises(ProblemError) as caught:
        call(sheets.labelled_grid, images, columns=["a"], rows=["b"], sheets=["c"])
    assert problem(caught) == ("too_few_labels", "sheets")


def test_a_label_that_is_a_whole_prompt_is_cut_with_few_measurements() -> None:
    class Font:
        asked = 0

        def getlength(self, text: str) -> float:
            self.asked += 1
            return 7.0 * len(text)

    font = Font()
    assert _sheets.shortened("a" * 5000, font, 70) == "a" * 7 + "..."
    assert font.asked < 30
    assert _sheets.broken("aa bb cc dd", font, 35) == "aa bb\ncc dd"
    assert _sheets.broken("aa bb cc dd ee ff gg hh", font, 35) == "aa bb\ncc dd\nee..."
    font.asked = 0
    assert _sheets.broken("word " * 1000, font, 70).count("\n") == 2
    assert font.asked < 2100, "each word once"
    assert _sheets.shortened("a" * 10, font, 70) == "a" * 10
    assert _sheets.shortened("a" * 10, font, 5) == "..."


def test_an_image_is_pasted_pixel_for_pixel() -> None:
    base, over = drawn(), drawn(4, 6, seed=1)
    made = call(layers.paste, base, over, x=3, y=2).pixels
    assert torch.equal(made[:, 2:6, 3:9], over.pixels)
    made[:, 2:6, 3:9] = base.pixels[:, 2:6, 3:9]
    assert torch.equal(made, base.pixels)
    cut = call(layers.paste, base, over, x=-2, y=-1).pixels
    assert torch.equal(cut[:, :3, :4], over.pixels[:, 1:, 2:]) and torch.equal(cut[:, 3:], base.pixels[:, 3:])
    assert torch.equal(call(layers.paste, base, over, x=17).pixels, base.pixels)
    half = torch.zeros(1, 4, 6)
    half[..., :3] = 0.5
    mixed = call(layers.paste, base, over, Mask(half)).pixels
    assert torch.allclose(mixed[:, :4, :3], (base.pixels[:, :4, :3] + over.pixels[..., :3, :]) / 2)
    assert torch.equal(mixed[:, :, 3:], base.pixels[:, :, 3:])


def test_what_is_transparent_in_a_pasted_image_is_not_seen() -> None:
    base, over = drawn(), drawn(4, 6, 4, seed=1)
    over.pixels[..., 3] = 0
    over.pixels[:, 0, 0, 3] = 1
    made = call(layers.paste, base, over).pixels
    assert made.shape[-1] == 3 and torch.equal(made[:, 0, 0], over.pixels[:, 0, 0, :3])
    assert torch.equal(made[:, 1:], base.pixels[:, 1:])


def standing() -> Image:
    """An upright red bar with nothing around it, its foot in row 40."""
    pixels = torch.zeros(1, 64, 64, 4)
    pixels[:, 10:40, 28:36] = torch.tensor([1.0, 0, 0, 1])
    return Image(pixels)


def middle_of(cover: torch.Tensor) -> tuple[float, float]:
    """Row and column of the middle of what is covered, (H, W)."""
    rows, columns = torch.arange(cover.shape[0]) + 0.5, torch.arange(cover.shape[1]) + 0.5
    return float((cover.sum(1) * rows).sum() / cover.sum()), float((cover.sum(0) * columns).sum() / cover.sum())


@pytest.mark.parametrize(
    ("angle", "right", "up"), [(0.0, 1, 0), (90.0, 0, 1), (180.0, -1, 0), (-90.0, 0, -1), (45.0, 1, 1)]
)
def test_a_shadow_lies_on_the_ground_where_it_falls(angle: float, right: int, up: int) -> None:
    given = standing()
    made = call(layers.shadow, given, angle=angle, length=0.5, softness=0.0, opacity=1.0).pixels
    assert torch.allclose(made[given.pixels[..., 3] == 1], torch.tensor([1.0, 0, 0, 1])), "the subject is in front"
    fallen = made[0, ..., 3] * (made[0, ..., 0] < 0.5)
    row, column = middle_of(fallen)
    # A bar of 30 rows falls as far as 15, so the middle of its shadow lies half of that from its foot.
    reach = 7.5 / (2**0.5 if right and up else 1)
    if not up:  # what lies straight beside it is seen where the bar is not
        assert fallen[34:42].sum() > 0.9 * fallen.sum()
    assert (column - 32) * right > 2 if right else abs(column - 32) < 0.5
    if up < 0:
        assert row == pytest.approx(40 + reach, abs=0.7)


def test_a_shadow_behind_is_the_outline_moved_and_softer_ones_are_as_much() -> None:
    given = standing()
    made = call(layers.shadow, given, kind="behind", angle=0.0, length=0.25, softness=0.0, color="#0000ff", opacity=0.5)
    wanted = torch.zeros(64, 64)
    wanted[10:40, 44:52] = 0.5
    outside = given.pixels[0, ..., 3] == 0
    assert torch.allclose(made.pixels[0, ..., 3][outside], wanted[outside], atol=1e-4)
    assert torch.allclose(made.pixels[0, 20, 48], torch.tensor([0.0, 0, 1, 0.5]), atol=1e-4)
    soft = call(layers.shadow, given, kind="behind", angle=0.0, length=0.25, softness=0.03, opacity=0.5)
    assert float((soft.pixels[0, ..., 3] * outside).sum()) == pytest.approx(float(wanted.sum()), rel=0.05)
    nothing = Image(torch.zeros(1, 16, 16, 4))
    assert not call(layers.shadow, nothing).pixels[..., 3].any()
