"""Tone and colour, against formulas and other libraries."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image as pillow
from PIL import ImageFilter
from skimage import exposure as reference

from safelight.sdk import Image, Mask, ProblemError
from safelight.testing import BenchContext, call
from safelight_nodes._colours import from_hsl, from_linear, to_hsl, to_linear
from safelight_nodes.image import color, tone


def drawn(height: int = 12, width: int = 17, channels: int = 3, seed: int = 0, count: int = 1) -> Image:
    return Image(torch.rand(count, height, width, channels, generator=torch.Generator().manual_seed(seed)))


def grey(*values: float) -> Image:
    return Image(torch.tensor(values, dtype=torch.float32).view(1, 1, -1, 1).repeat(1, 1, 1, 3))


def shades(image: Image) -> list[float]:
    return image.pixels[0, 0, :, 0].tolist()


def problem(caught: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    (one,) = caught.value.problems
    assert one.message and one.hint
    return one.code, one.port


def test_levels_follow_the_formula_and_leave_the_rest_alone() -> None:
    made = call(tone.levels, grey(0.1, 0.2, 0.5, 0.9), black=0.2, white=0.8, gamma=2.0, lowest=0.1, highest=0.9)
    assert shades(made) == pytest.approx([0.1, 0.1, 0.1 + 0.8 * 0.5**0.5, 0.9], abs=1e-6)
    image = drawn(channels=4)
    red = call(tone.levels, image, black=0.3, channel="red").pixels
    assert torch.equal(red[..., 1:], image.pixels[..., 1:]) and not torch.equal(red[..., 0], image.pixels[..., 0])
    assert call(tone.levels, image).pixels is not None
    with pytest.raises(ProblemError) as caught:
        call(tone.levels, image, black=0.5, white=0.5)
    assert problem(caught) == ("empty_range", "black")


def test_a_curve_goes_through_its_points_and_never_overshoots() -> None:
    made = shades(call(tone.curves, grey(0, 0.25, 0.5, 0.75, 1), points="0 0.1, 0.25 0.2, 0.75 0.8, 1 1"))
    assert [made[0], made[1], made[3], made[4]] == pytest.approx([0.1, 0.2, 0.8, 1], abs=1e-6)
    line = shades(call(tone.curves, grey(*numpy.linspace(0, 1, 99)), points="0 0, 0.1 0, 0.2 1, 1 1"))
    assert line == sorted(line) and min(line) >= 0 and max(line) <= 1
    assert shades(call(tone.curves, grey(0.05, 0.3), points="0.1 0.2, 1 1"))[0] == pytest.approx(0.2)


@pytest.mark.parametrize("points", ["", "0 0", "0 0, 1", "0 0, 0 1", "0 0, 1 2", "0 0, x 1", "0.5 0, 0.2 1"])
def test_what_is_no_curve_is_told(points: str) -> None:
    with pytest.raises(ProblemError) as caught:
        call(tone.curves, grey(0.5), points=points)
    assert problem(caught) == ("bad_curve", "points")


def test_brightness_contrast_exposure_and_invert() -> None:
    assert shades(call(tone.brightness_contrast, grey(0.4, 0.6), contrast=2.0, brightness=0.1)) == pytest.approx(
        [0.4, 0.8], abs=1e-6
    )
    twice = call(tone.exposure, grey(0.3, 0.5), stops=1.0).pixels
    assert torch.allclose(to_linear(twice), 2 * to_linear(grey(0.3, 0.5).pixels), atol=1e-6)
    image = drawn(channels=4)
    made = call(tone.invert, image).pixels
    assert torch.equal(made[..., :3], 1 - image.pixels[..., :3]) and torch.equal(made[..., 3], image.pixels[..., 3])


def test_light_and_hsl_go_there_and_back_as_other_libraries_do() -> None:
    colours = drawn(6, 6).pixels
    assert torch.allclose(from_linear(to_linear(colours)), colours, atol=1e-6)
    hue, saturation, lightness = to_hsl(colours)
    for place in range(6):
        wanted = colorsys.rgb_to_hls(*colours[0, place, 0].tolist())
        got = (float(hue[0, place, 0]), float(lightness[0, place, 0]), float(saturation[0, place, 0]))
        assert got == pytest.approx(wanted, abs=1e-5)
    assert torch.allclose(from_hsl(hue, saturation, lightness), colours, atol=1e-5)


def test_auto_levels_reach_both_ends_and_keep_one_shade() -> None:
    made = call(tone.auto_levels, grey(0.2, 0.3, 0.4), cut=0.0)
    assert shades(made) == pytest.approx([0, 0.5, 1], abs=1e-6)
    assert torch.equal(call(tone.auto_levels, grey(0.3, 0.3)).pixels, grey(0.3, 0.3).pixels)
    cast = Image(torch.stack([drawn().pixels[..., 0] * scale for scale in (1.0, 0.5, 0.2)], dim=-1))
    each = call(tone.auto_levels, cast, cut=0.0, each_channel=True).pixels
    assert torch.allclose(each[..., 0], each[..., 2], atol=1e-5)


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("luma", 0.2126 * 1 + 0.7152 * 0.5),
        ("luminance", float(from_linear(torch.tensor(0.2126 + 0.7152 * float(to_linear(torch.tensor(0.5))))))),
        ("average", 0.5),
        ("lightness", 0.5),
    ],
)
def test_ways_to_grey(method: str, wanted: float) -> None:
    made = call(tone.greyscale, Image(torch.tensor([1.0, 0.5, 0.0]).view(1, 1, 1, 3)), method=method)  # type: ignore[arg-type]
    assert made.pixels[0, 0, 0].tolist() == pytest.approx([wanted] * 3, abs=1e-5)


def test_few_shades() -> None:
    made = call(tone.posterize, drawn(), shades=3).pixels
    assert set(made.unique().tolist()) == {0.0, 0.5, 1.0}
    assert shades(call(tone.threshold, grey(0.4, 0.5, 0.6), level=0.5)) == [0, 1, 1]
    two = Image(torch.cat([torch.full((1, 4, 8, 3), 0.2), torch.full((1, 4, 8, 3), 0.35)], dim=2))
    assert call(tone.threshold, two, method="otsu").pixels[0, 0, :, 0].tolist() == [0] * 8 + [1] * 8
    ends = call(tone.gradient_map, grey(0, 1), dark="#ff0000", bright="#0000ff").pixels[0, 0]
    assert torch.allclose(ends, torch.tensor([[1.0, 0, 0], [0, 0, 1]]), atol=1e-6)


def test_hues_turn() -> None:
    red = Image(torch.tensor([1.0, 0, 0, 0.5]).view(1, 1, 1, 4))
    assert call(color.hue_saturation, red, hue=120.0).pixels[0, 0, 0].tolist() == pytest.approx([0, 1, 0, 0.5])
    image = drawn()
    plain = call(color.hue_saturation, image, saturation=0.0).pixels
    assert torch.allclose(plain[..., 0], (image.pixels.amax(-1) + image.pixels.amin(-1)) / 2, atol=1e-6)
    assert bool((call(color.hue_saturation, image, lightness=1.0).pixels == 1).all())
    assert torch.allclose(
        call(color.hue_saturation, image, hue=180.0, saturation=1.0).pixels.amax(-1), image.pixels.amax(-1), atol=1e-5
    )


def test_vibrance_leaves_grey_and_strengthens_weak_colours_more() -> None:
    assert torch.allclose(call(color.vibrance, grey(0.3), amount=1.0).pixels, grey(0.3).pixels, atol=1e-6)
    weak = Image(torch.tensor([0.5, 0.45, 0.45]).view(1, 1, 1, 3))
    made = call(color.vibrance, weak, amount=1.0).pixels[0, 0, 0]
    assert float(made.max() - made.min()) == pytest.approx(0.05 * 1.95, abs=1e-5)


def test_white_is_balanced() -> None:
    image = drawn()
    assert torch.allclose(call(color.white_balance, image, kelvin=6500).pixels, image.pixels, atol=1e-5)
    warm = call(color.white_balance, grey(0.5), kelvin=9000).pixels[0, 0, 0]
    cool = call(color.white_balance, grey(0.5), kelvin=3500).pixels[0, 0, 0]
    assert warm[0] > warm[2] and cool[0] < cool[2]
    cast = Image(image.pixels * torch.tensor([1.0, 0.8, 0.6]))
    light = to_linear(call(color.white_balance, cast, method="grey_world").pixels).mean(dim=(0, 1, 2))
    assert float(light.max() - light.min()) < 0.02  # but for what is clipped
    neutral = Image(torch.tensor([0x80, 0x60, 0x40]).view(1, 1, 1, 3) / 255)
    made = call(color.white_balance, neutral, method="neutral", neutral="#806040").pixels[0, 0, 0]
    assert float(made.max() - made.min()) < 1e-4
    white = torch.full((1, 10, 10, 3), 0.2)
    white[0, 0, 0] = torch.tensor([0.9, 0.8, 0.7])
    made = call(color.white_balance, Image(white), method="white_patch").pixels[0, 0, 0]
    assert float(made.max() - made.min()) < 1e-4


def test_colours_are_matched() -> None:
    image, other = drawn(seed=1), Image(drawn(9, 30, seed=2).pixels ** 3 * torch.tensor([0.9, 0.5, 0.3]))
    made = call(color.match_colors, image, other, method="histogram").pixels[0].numpy()
    wanted = reference.match_histograms(image.pixels[0].numpy(), other.pixels[0].numpy(), channel_axis=-1)
    assert numpy.abs(made - wanted).max() < 1e-6
    soft = Image(0.3 + 0.2 * image.pixels), Image(0.4 + 0.2 * other.pixels)
    made = call(color.match_colors, *soft, method="covariance").pixels[0].view(-1, 3)
    like = soft[1].pixels[0].view(-1, 3)
    assert torch.allclose(made.mean(0), like.mean(0), atol=1e-4)
    assert torch.allclose(made.T.cov(), like.T.cov(), atol=2e-4)
    from skimage.color import rgb2lab

    lab = rgb2lab(call(color.match_colors, *soft, method="reinhard").pixels[0].numpy())
    like = rgb2lab(soft[1].pixels[0].numpy())
    assert numpy.abs(lab.mean((0, 1)) - like.mean((0, 1))).max() < 0.6
    assert torch.equal(call(color.match_colors, image, other, strength=0.0).pixels, image.pixels)
    with pytest.raises(ProblemError) as caught:
        call(color.match_colors, drawn(count=2), drawn(count=3))
    assert problem(caught) == ("wrong_batch", "reference")


def cube(size: int, change: object, head: str = "") -> str:
    steps = [step / (size - 1) for step in range(size)]
    rows = [change(r, g, b) for b in steps for g in steps for r in steps]  # type: ignore[operator]
    return f"TITLE test\n# a comment\nLUT_3D_SIZE {size}\n{head}" + "".join(f"{r} {g} {b}\n" for r, g, b in rows)


def test_a_table_is_applied_as_pillow_does(tmp_path: Path) -> None:
    context = BenchContext(folder=tmp_path)
    image = Image((drawn().pixels * 255).round() / 255)
    (tmp_path / "same.cube").write_text(cube(5, lambda r, g, b: (r, g, b)))
    assert torch.allclose(call(color.apply_lut, image, file="same.cube", ctx=context).pixels, image.pixels, atol=1e-6)

    def change(r: float, g: float, b: float) -> tuple[float, float, float]:
        return b * 0.8, r**2, 1 - g

    (tmp_path / "odd.cube").write_text(cube(7, change))
    made = call(color.apply_lut, image, file="odd.cube", ctx=context).pixels[0]
    table = ImageFilter.Color3DLUT.generate(7, change)
    wanted = pillow.fromarray((image.pixels[0] * 255).byte().numpy()).filter(table)
    assert float((made - torch.from_numpy(numpy.array(wanted)) / 255).abs().max()) < 1.5 / 255
    (tmp_path / "one.cube").write_text("LUT_1D_SIZE 3\n0 0 0\n0.25 0.5 0.75\n1 1 1\n")
    made = call(color.apply_lut, grey(0.25, 0.5), file="one.cube", ctx=context).pixels[0, 0]
    assert torch.allclose(made, torch.tensor([[0.125, 0.25, 0.375], [0.25, 0.5, 0.75]]), atol=1e-6)
    (tmp_path / "wide.cube").write_text("LUT_1D_SIZE 2\nDOMAIN_MIN 0.5 0.5 0.5\nDOMAIN_MAX 1 1 1\n0 0 0\n1 1 1\n")
    assert shades(call(color.apply_lut, grey(0.2, 0.75), file="wide.cube", ctx=context)) == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello world", "LUT_3D_SIZE 2\n0 0 0\n", "LUT_3D_SIZE 999\n", "LUT_1D_SIZE 2\n0 0\n1 1\n"),
        *("LUT_1D_SIZE x\n", "LUT_1D_SIZE\n", "LUT_1D_SIZE 2\n0 0 nan\n1 1 1\n"),
        "LUT_1D_SIZE 2\nDOMAIN_MIN 1 1 1\n0 0 0\n1 1 1\n",
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.cube").write_text(text)
    with pytest.raises(ProblemError) as caught:
        call(color.apply_lut, grey(0.5), file="a.cube", ctx=BenchContext(folder=tmp_path))
    assert problem(caught) == ("bad_lut", "file")


def test_channels_part_and_meet() -> None:
    image = drawn(channels=4)
    parts = call(color.split_channels, image)
    assert torch.equal(call(color.merge_channels, *parts).pixels, image.pixels)
    assert bool((call(color.split_channels, drawn()).alpha.coverage == 1).all())
    half = Mask(torch.full((1, 12, 17), 0.5))
    assert torch.allclose(call(color.set_alpha, image, half).pixels[..., 3], image.pixels[..., 3] / 2)
    assert torch.equal(call(color.set_alpha, image, half, multiply=False).pixels[..., 3], half.coverage)
