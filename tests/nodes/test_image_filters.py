"""Blurs, details and effects, against formulas and other libraries."""

from __future__ import annotations

import cv2
import numpy
import pytest
import torch
from PIL import Image as pillow
from PIL import ImageFilter
from scipy import ndimage

from safelight.sdk import Image, Mask
from safelight.testing import call
from safelight_nodes._measures import noise_of
from safelight_nodes.image import blur, detail, effects, phantoms


def drawn(height: int = 24, width: int = 30, channels: int = 3, seed: int = 0) -> Image:
    return Image(torch.rand(1, height, width, channels, generator=torch.Generator().manual_seed(seed)))


def point(side: int = 33) -> Image:
    pixels = torch.zeros(1, side, side, 3)
    pixels[:, side // 2, side // 2] = 1
    return Image(pixels)


def flat(value: float = 0.4) -> Image:
    return Image(torch.full((1, 20, 20, 3), value))


BLURS = [
    (blur.gaussian_blur, {"sigma": 2.0}),
    (blur.box_blur, {"radius": 2}),
    (blur.lens_blur, {"radius": 4}),
    (blur.lens_blur, {"radius": 5, "blades": 6}),
    (blur.motion_blur, {"length": 7, "angle": 30.0}),
    (blur.bilateral_blur, {}),
]


@pytest.mark.parametrize(("node", "values"), BLURS)
def test_blurs_keep_what_is_even_and_weigh_colours_by_opacity(node: object, values: dict[str, object]) -> None:
    assert torch.allclose(call(node, flat(), **values).pixels, flat().pixels, atol=1e-4)  # type: ignore[arg-type]
    half = torch.zeros(1, 16, 16, 4)
    half[:, :, :8] = torch.tensor([1.0, 0, 0, 1])
    made = call(node, Image(half), **values).pixels  # type: ignore[arg-type]
    if node is not blur.bilateral_blur:
        seen = made[..., 3] > 0.05
        assert torch.allclose(made[..., 0][seen], torch.tensor(1.0), atol=1e-3), "nothing dark comes from what is clear"


def test_blurs_are_those_of_scipy() -> None:
    image = drawn()
    planes = image.pixels[0].numpy()
    made = call(blur.gaussian_blur, image, sigma=2.0).pixels[0].numpy()
    wanted = ndimage.gaussian_filter(planes, (2, 2, 0), mode="nearest", truncate=4)
    assert numpy.abs(made - wanted).max() < 1e-5
    made = call(blur.box_blur, image, radius=3).pixels[0].numpy()
    assert numpy.abs(made - ndimage.uniform_filter(planes, (7, 7, 1), mode="nearest")).max() < 1e-5
    assert call(blur.gaussian_blur, image, sigma=0.0).pixels.equal(image.pixels)


def test_a_point_of_light_becomes_a_disc_or_a_line() -> None:
    disc = call(blur.lens_blur, point(), radius=5).pixels[0, ..., 0]
    seen = disc > float(disc.max()) / 2
    assert abs(int(seen.sum()) - numpy.pi * 25) < 14 and bool(seen[16, 11:22].all())
    corners = call(blur.lens_blur, point(), radius=8, blades=3).pixels[0, ..., 0] > 0.01
    assert int(corners.sum()) < int((call(blur.lens_blur, point(), radius=8).pixels[0, ..., 0] > 0.01).sum()) * 0.6
    line = call(blur.motion_blur, point(), length=9, angle=0.0).pixels[0, ..., 0]
    assert line[16, 12:21].tolist() == pytest.approx([1 / 9] * 9, abs=1e-4)
    upright = call(blur.motion_blur, point(), length=9, angle=90.0).pixels[0, ..., 0]
    assert torch.allclose(line.T, upright, atol=1e-5)
    rising = call(blur.motion_blur, point(), length=15, angle=45.0).pixels[0, ..., 0]
    assert rising[12, 20] > 0.01 and rising[12, 12] < 1e-3, "counter-clockwise: up on the right"


def test_depth_says_where_the_lens_is_out_of_focus() -> None:
    image = drawn()
    mask = torch.zeros(1, 24, 30)
    mask[:, :, 15:] = 1
    made = call(blur.lens_blur, image, Mask(mask), radius=3).pixels
    assert torch.equal(made[:, :, :15], image.pixels[:, :, :15])
    assert torch.equal(made[:, :, 15:], call(blur.lens_blur, image, radius=3).pixels[:, :, 15:])


def test_bilateral_keeps_edges() -> None:
    step = torch.full((1, 20, 20, 3), 0.2)
    step[:, :, 10:] = 0.8
    noisy = Image((step + 0.02 * torch.randn(step.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1))
    made = call(blur.bilateral_blur, noisy, tolerance=0.1).pixels
    assert float((made - step).abs().mean()) < 0.5 * float((noisy.pixels - step).abs().mean())
    assert float(made[0, :, 10].mean() - made[0, :, 9].mean()) > 0.57


def test_sharpening_is_an_unsharp_mask() -> None:
    image = Image(0.3 + 0.4 * drawn().pixels)
    soft = call(blur.gaussian_blur, image, sigma=1.0).pixels
    made = call(detail.sharpen, image, amount=0.5, sigma=1.0).pixels
    assert torch.allclose(made, image.pixels + 0.5 * (image.pixels - soft), atol=1e-5)
    assert torch.equal(call(detail.sharpen, image, threshold=0.5).pixels, image.pixels)
    made = call(detail.high_pass, image, sigma=1.0).pixels
    assert torch.allclose(made, 0.5 + image.pixels - soft, atol=1e-5)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_the_median_is_that_of_scipy(radius: int) -> None:
    image = Image((drawn().pixels * 255).round() / 255)
    made = call(detail.median, image, radius=radius).pixels[0].numpy()
    side = 2 * radius + 1
    assert (
        numpy.abs(made - ndimage.median_filter(image.pixels[0].numpy(), (side, side, 1), mode="nearest")).max() < 1e-6
    )


@pytest.mark.parametrize("method", ["non_local_means", "total_variation"])
def test_noise_is_measured_and_removed(method: str) -> None:
    across = torch.linspace(0.2, 0.8, 64).view(1, 1, 64, 1).repeat(1, 64, 1, 3)
    noisy = call(effects.add_noise, Image(across), amount=0.06, seed=3)
    assert noise_of(noisy.pixels[0]) == pytest.approx(0.06, rel=0.1)
    made = call(detail.denoise, noisy, method=method).pixels  # type: ignore[arg-type]
    assert float((made - across).square().mean()) < 0.3 * float((noisy.pixels - across).square().mean())
    assert noise_of(torch.zeros(2, 2, 3)) == 0


def test_edges() -> None:
    step = torch.zeros(1, 8, 8, 3)
    step[:, :, 4:] = 1
    made = call(detail.find_edges, Image(step)).pixels[0, 4, :, 0].tolist()
    assert made == pytest.approx([0, 0, 0, 1, 1, 0, 0, 0], abs=1e-6)
    assert float((call(detail.find_edges, flat(), method="emboss").pixels - 0.5).abs().max()) < 1e-5
    image = drawn()
    light = (image.pixels[0] @ torch.tensor([0.2126, 0.7152, 0.0722])).numpy()
    wanted = numpy.abs(cv2.Laplacian(light, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)).clip(0, 1)
    made = call(detail.find_edges, image, method="laplacian").pixels[0, ..., 0].numpy()
    assert numpy.abs(made - wanted).max() < 1e-5


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "salt_pepper", "film"])
def test_noise_is_as_strong_as_was_asked_for(kind: str) -> None:
    plain = Image(torch.full((1, 128, 128, 3), 0.5))
    made = call(effects.add_noise, plain, kind=kind, amount=0.1, seed=5).pixels  # type: ignore[arg-type]
    if kind == "salt_pepper":
        assert float((made != 0.5).float().mean()) == pytest.approx(0.1, abs=0.01)
        assert set(made.unique().tolist()) == {0.0, 0.5, 1.0}
    else:
        assert float(made.std()) == pytest.approx(0.1, rel=0.03)
    other = call(effects.add_noise, plain, kind=kind, amount=0.1, seed=6).pixels  # type: ignore[arg-type]
    assert not torch.equal(made, other)
    same = call(effects.add_noise, plain, kind=kind, grey=True).pixels  # type: ignore[arg-type]
    assert torch.equal(same[..., 0], same[..., 2])


def test_dithering_keeps_to_a_palette_and_to_the_mean() -> None:
    across = Image(torch.linspace(0, 1, 64).view(1, 1, 64, 1).repeat(1, 32, 1, 3))
    for method in ("floyd_steinberg", "ordered", "none"):
        made = call(effects.dither, across, colors=4, method=method).pixels  # type: ignore[arg-type]
        assert len(made.view(-1, 3).unique(dim=0)) <= 4
        if method != "none":
            assert float(made.mean()) == pytest.approx(0.5, abs=0.06)
    given = pillow.fromarray((across.pixels[0] * 255).round().byte().numpy())
    wanted = given.quantize(palette=given.quantize(4, pillow.Quantize.MEDIANCUT, dither=pillow.Dither.NONE))
    made = call(effects.dither, across, colors=4).pixels[0]
    assert numpy.array_equal((made * 255).round().byte().numpy(), numpy.array(wanted.convert("RGB")))


def test_blocks_are_averages() -> None:
    image = drawn(10, 13)
    made = call(effects.pixelate, image, size=4).pixels
    assert torch.allclose(made[0, 1, 2], image.pixels[0, :4, :4].mean(dim=(0, 1)), atol=1e-6)
    assert torch.allclose(made[0, 9, 12], image.pixels[0, 8:, 12:].mean(dim=(0, 1)), atol=1e-6)


def test_vignette_glow_and_fringes() -> None:
    white = Image(torch.ones(1, 21, 21, 3))
    made = call(effects.vignette, white, strength=1.0, start=0.5).pixels[0, ..., 0]
    assert float(made[10, 10]) == 1 and float(made[0, 0]) < 0.05
    assert bool((call(effects.vignette, Image(torch.zeros(1, 9, 9, 3)), strength=-1.0).pixels[0, 0, 0] > 0.5).all())
    dark = flat(0.3)
    assert torch.allclose(call(effects.glow, dark, threshold=0.6).pixels, dark.pixels, atol=1e-6)
    assert float(call(effects.glow, point(), sigma=2.0, strength=2.0).pixels[0, 16, 19, 0]) > 0.01
    image = drawn()
    made = call(effects.chromatic_aberration, image, amount=4.0).pixels
    assert torch.equal(made[..., 1], image.pixels[..., 1]) and not torch.allclose(made[..., 0], image.pixels[..., 0])
    assert torch.allclose(call(effects.chromatic_aberration, flat()).pixels, flat().pixels, atol=1e-5)


def test_pillow_agrees_on_the_box() -> None:
    image = Image((drawn(40, 40).pixels * 255).round() / 255)
    wanted = pillow.fromarray((image.pixels[0] * 255).byte().numpy()).filter(ImageFilter.BoxBlur(2))
    made = call(blur.box_blur, image, radius=2).pixels[0]
    assert float((made - torch.from_numpy(numpy.array(wanted)) / 255).abs().max()) < 2 / 255


@pytest.mark.parametrize("operation", ["erode", "dilate", "open", "close", "gradient", "top_hat", "bottom_hat"])
def test_morphology_is_that_of_scipy(operation: str) -> None:
    image = drawn(12, 17)
    made = call(detail.morphology, image, operation=operation, radius=2).pixels[0]  # type: ignore[arg-type]
    change = {
        **{"erode": ndimage.grey_erosion, "dilate": ndimage.grey_dilation, "open": ndimage.grey_opening},
        **{"close": ndimage.grey_closing, "gradient": ndimage.morphological_gradient, "top_hat": ndimage.white_tophat},
        "bottom_hat": ndimage.black_tophat,
    }[operation]
    inner = slice(4, -4)  # libraries differ in what lies beyond the edge
    for channel in range(3):
        wanted = change(image.pixels[0, ..., channel].numpy(), size=(5, 5))
        assert made[inner, inner, channel].numpy() == pytest.approx(wanted[inner, inner], abs=1e-6)


def test_rician_noise_is_that_of_the_size_of_a_complex_number() -> None:
    """On black its mean is sigma times the root of pi / 2 (Rayleigh); on white it is nearly Gaussian."""
    black, bright = Image(torch.zeros(1, 200, 200, 3)), Image(torch.full((1, 200, 200, 3), 0.5))
    made = call(effects.add_noise, black, kind="rician", amount=0.05, seed=1).pixels
    assert float(made.mean()) == pytest.approx(0.05 * (numpy.pi / 2) ** 0.5, rel=0.02)
    assert float(made.std()) == pytest.approx(0.05 * (2 - numpy.pi / 2) ** 0.5, rel=0.02)
    made = call(effects.add_noise, bright, kind="rician", amount=0.05, seed=1).pixels
    assert float(made.square().mean()) == pytest.approx(0.5**2 + 2 * 0.05**2, rel=0.01)
    assert float(made.std()) == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("method", ["telea", "navier_stokes"])
def test_a_scratch_is_filled_from_its_sides_and_nothing_else_changes(method: str) -> None:
    ramp = torch.linspace(0, 1, 40).repeat(30, 1)[None, ..., None].repeat(1, 1, 1, 3)
    ramp[..., 1] = ramp[..., 1].flip(2)
    scratched, mask = ramp.clone(), torch.zeros(1, 30, 40)
    scratched[:, 14:16, 5:35] = 1.0
    mask[:, 14:16, 5:35] = 1
    made = call(detail.heal, Image(scratched), Mask(mask), method=method).pixels
    assert (made - ramp).abs().max() < 0.03 < (scratched - ramp).abs().max()
    assert torch.equal(made[mask == 0], scratched[mask == 0])
    clear = torch.cat([scratched, torch.ones(1, 30, 40, 1)], dim=-1)
    assert torch.allclose(call(detail.heal, Image(clear), Mask(mask), method=method).pixels[..., :3], made, atol=1e-6)
    two = call(detail.heal, Image(scratched), Mask(torch.cat([mask, mask * 0])), method=method).pixels
    assert torch.equal(two[0], made[0]) and torch.equal(two[1], scratched[0])


def test_phantoms_are_those_of_shepp_and_logan_where_nothing_varies() -> None:
    """As scikit-image has it, up to the edges of its pixels, which are not smooth."""
    from skimage.data import shepp_logan_phantom
    from skimage.transform import resize

    made = call(phantoms.phantom, count=1, size=400, variation=0.0, lesions=0.0)
    wanted = torch.from_numpy(shepp_logan_phantom()).float()
    assert made.image.pixels.shape == (1, 400, 400, 3) and made.counts == [0] and not made.lesions.coverage.any()
    assert (made.image.pixels[0, ..., 0] - wanted).abs().mean() < 0.01
    small = call(phantoms.phantom, count=1, size=48, variation=0.0, lesions=0.0).image.pixels[0, ..., 0]
    assert numpy.abs(small.numpy() - resize(shepp_logan_phantom(), (48, 48), anti_aliasing=True)).mean() < 0.05


def test_phantoms_differ_and_their_lesions_are_where_they_are_said_to_be() -> None:
    made = call(phantoms.phantom, count=12, size=64, lesions=1.0, variation=1.0, seed=4)
    healthy = call(phantoms.phantom, count=12, size=64, lesions=0.0, variation=1.0, seed=4)
    assert set(made.counts) == {1, 2, 3} and healthy.counts == [0] * 12
    assert ((made.image.pixels - healthy.image.pixels).abs().amax(-1) > 0).eq(
        made.lesions.coverage > 0
    ).float().mean() > 0.999
    inside = made.lesions.coverage == 1
    assert inside.any() and (made.image.pixels[..., 0][inside] >= 0.5).all()
    assert len({tuple(one.flatten().tolist()) for one in healthy.image.pixels}) == 12
    alone = call(phantoms.phantom, count=1, size=64, lesions=1.0, variation=1.0, seed=9)
    assert torch.equal(alone.image.pixels[0], made.image.pixels[5]), "image 5 of seed 4 is that of seed 9"


def test_black_is_black_again_when_rician_noise_is_taken_out() -> None:
    clean = call(phantoms.phantom, count=1, size=96, lesions=0.0, seed=2).image
    noisy = call(effects.add_noise, clean, kind="rician", amount=0.08, grey=True, seed=1)
    for method in ("non_local_means", "total_variation"):
        plain, told = (
            call(detail.denoise, noisy, strength=0.08, method=method, rician=way).pixels for way in (False, True)
        )
        black = clean.pixels == 0
        assert told[black].mean() < 0.45 * plain[black].mean()
        assert (told - clean.pixels).square().mean() < 0.6 * (plain - clean.pixels).square().mean()


@pytest.mark.parametrize("method", ["navier_stokes", "telea"])
def test_healed_rims_of_cut_outs_keep_their_colour(method: str) -> None:
    """What lies hidden beside them, mostly black, does not bleed in."""
    pixels = torch.zeros(1, 40, 40, 4)
    pixels[:, :, :20] = torch.tensor([0.9, 0.2, 0.1, 1.0])
    mask = torch.zeros(1, 40, 40)
    mask[:, 18:22] = 1.0
    made = call(detail.heal, Image(pixels), Mask(mask), method=method).pixels
    seen = made[0, 18:22][made[0, 18:22, :, 3] > 0.1]
    assert (seen[:, :3] - torch.tensor([0.9, 0.2, 0.1])).abs().max() < 0.05
