"""Image files become the same pixels wherever they are read: upright, in sRGB, with their transparency and depth."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy
import pytest
from PIL import Image, ImageCms, ImageOps

from safelight.sdk import image_files
from safelight.sdk.image_files import FORMATS, ImageFault, image_format, image_size, read_image
from tiny_images import chunk, encoded, exif, png, profile

COLOUR = (120, 180, 60)


def by_lcms(colour: tuple[int, ...], written: bytes) -> list[int]:
    """What the profile says of a colour, by the library itself."""
    one = Image.new("RGB" if len(colour) == 3 else "L", (1, 1), colour if len(colour) == 3 else colour[0])
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(written)), ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(one, source, target, outputMode="RGB")
    assert found is not None
    return list(found.getpixel((0, 0)))  # type: ignore[arg-type]


def palette() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *COLOUR])
    return image


def sixteen(*channels: int) -> numpy.ndarray:
    return numpy.full((4, 4, len(channels)), [one * 257 for one in channels])


RGB, GREY = profile(), profile("GRAY")
WITH_PROFILE = {
    "rgb": (lambda: encoded(Image.new("RGB", (4, 4), COLOUR), icc_profile=RGB), COLOUR, RGB),
    "rgba": (lambda: encoded(Image.new("RGBA", (4, 4), (*COLOUR, 100)), icc_profile=RGB), COLOUR, RGB),
    "palette": (lambda: encoded(palette(), icc_profile=RGB), COLOUR, RGB),
    "palette and alpha": (lambda: encoded(palette(), icc_profile=RGB, transparency=0), COLOUR, RGB),
    "grey": (lambda: encoded(Image.new("L", (4, 4), 64), icc_profile=GREY), (64,), GREY),
    "grey and alpha": (lambda: encoded(Image.new("LA", (4, 4), (64, 100)), icc_profile=GREY), (64,), GREY),
    "grey by an rgb profile": (lambda: encoded(Image.new("L", (4, 4), 64), icc_profile=RGB), (64, 64, 64), RGB),
    "grey of 16 bits": (lambda: png(sixteen(64), 16, profile=GREY), (64,), GREY),
    "grey and alpha of 16 bits": (lambda: png(sixteen(64, 100), 16, profile=GREY), (64,), GREY),
    "rgb of 16 bits": (lambda: png(sixteen(*COLOUR), 16, profile=RGB), COLOUR, RGB),
    "jpeg": (lambda: encoded(Image.new("RGB", (8, 8), COLOUR), "JPEG", quality=100, icc_profile=RGB), COLOUR, RGB),
    "webp": (lambda: encoded(Image.new("RGB", (8, 8), COLOUR), "WEBP", lossless=True, icc_profile=RGB), COLOUR, RGB),
    "tiff": (lambda: encoded(Image.new("RGB", (8, 8), COLOUR), "TIFF", icc_profile=RGB), COLOUR, RGB),
}


@pytest.mark.parametrize("case", WITH_PROFILE)
def test_colours_are_brought_to_srgb_in_every_mode(case: str) -> None:
    make, colour, written = WITH_PROFILE[case]
    found = read_image(make())
    wanted = by_lcms(colour, written)
    assert max(abs(one - part) for one, part in zip(wanted, (*colour, *colour, *colour), strict=False)) > 15
    assert found.pixels[1, 1, :3].astype(int) == pytest.approx(wanted, abs=2 if case == "jpeg" else 0)
    assert found.profile == written
    if "alpha" in case or case == "rgba":
        assert found.pixels[1, 1, 3] == (255 if "palette" in case else 100)


@pytest.mark.parametrize(
    "written", [b"nonsense", profile("CMYK"), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]
)
def test_a_profile_that_is_broken_or_unfit_or_srgb_changes_nothing(written: bytes) -> None:
    found = read_image(encoded(Image.new("RGB", (4, 4), COLOUR), icc_profile=written))
    assert found.pixels[0, 0].tolist() == list(COLOUR) and found.profile is None


def test_lab_and_cmyk_become_rgb() -> None:
    lab = read_image(encoded(Image.new("LAB", (4, 4), (200, 128, 128)), "TIFF"))
    assert numpy.ptp(lab.pixels[0, 0].astype(int)) < 12 and 180 < lab.pixels[0, 0, 1] < 210
    cmyk = read_image(encoded(Image.new("CMYK", (4, 4), (255, 0, 0, 0)), "TIFF"))
    assert cmyk.pixels[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(("bits", "key"), [(1, 1), (2, 2), (4, 9), (8, 100), (16, 1000)])
def test_a_grey_that_is_transparent(bits: int, key: int) -> None:
    samples = numpy.array([[[key], [key - 1]]])
    found = read_image(png(samples, bits, (key,)))
    assert (found.pixels[..., 3] == 0).tolist() == [[True, False]]
    assert float(found.pixels[0, 1, 3]) == (1 if bits == 16 else 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_colour_that_is_transparent(bits: int) -> None:
    top = 2**bits - 1
    samples = numpy.array([[[top, 0, 0], [top, 0, 10], [0, 0, 0]]])
    found = read_image(png(samples, bits, (top, 0, 0)))
    assert (found.pixels[..., 3] > 0).tolist() == [[False, True, True]]


def test_the_colour_is_looked_for_before_a_profile_changes_it() -> None:
    samples = numpy.array([[[255, 0, 0], list(COLOUR)]])
    found = read_image(png(samples, 8, (255, 0, 0), profile=RGB))
    assert found.pixels[0, :, 3].tolist() == [0, 255]
    assert found.pixels[0, 1, :3].tolist() == by_lcms(COLOUR, RGB)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_kept(channels: int) -> None:
    samples = numpy.random.default_rng(1).integers(0, 65536, (5, 7, channels))
    found = read_image(png(samples, 16)).pixels
    grey = channels < 3
    wanted = numpy.repeat(samples[..., :1], 3, -1) if grey else samples[..., :3]
    if channels == 2:  # the depth of the opacity is that of the colours, or of a byte
        assert found[..., 3] * 65535 == pytest.approx(samples[..., 1], abs=258)
    assert found[..., :3] * 65535 == pytest.approx(wanted, abs=0.5)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_cameras_are_turned_back(form: str, orientation: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (48, 32), "blue")
    image.paste("red", (0, 0, 16, 16))
    options = {"PNG": {}, "JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "TIFF": {}}[form]
    data = encoded(image, form, exif=exif(orientation), **options)
    with Image.open(io.BytesIO(data)) as opened:
        wanted = numpy.asarray(ImageOps.exif_transpose(opened))
    found = read_image(data)
    assert numpy.array_equal(found.pixels, wanted) and found.orientation == orientation
    assert found.size == ((32, 48) if orientation >= 5 else (48, 32))
    (tmp_path / "a").write_bytes(data)
    assert image_size(tmp_path / "a") == found.size


def test_sixteen_bits_are_turned_as_well() -> None:
    samples = numpy.arange(12).reshape(2, 6, 1) * 1000
    data = png(samples, 16)
    turned = data[:33] + chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + data[33:]
    assert read_image(turned).pixels.shape == (6, 2, 3)
    assert read_image(turned).pixels[0, 1, 0] * 65535 == pytest.approx(0)
    assert read_image(turned).pixels[0, 0, 0] * 65535 == pytest.approx(6000)


@pytest.mark.parametrize("form", [one.name for one in FORMATS])
def test_every_format_is_told_by_its_first_bytes_and_read(form: str) -> None:
    Image.init()
    if form not in Image.SAVE:
        pytest.skip(f"Pillow does not write {form} here")
    data = encoded(Image.new("RGB", (32, 32), COLOUR), form)
    told = image_format(data)
    assert told is None if form == "TGA" else told is not None and told.name == form
    found = read_image(data)
    assert found.format.name == form and found.size == (32, 32)
    assert found.pixels[9, 9].astype(int) == pytest.approx(COLOUR, abs=6)


@pytest.mark.parametrize("data", [b"", b"hello", b"<html>" * 100, bytes(5000), b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF8"])
def test_what_is_no_image_is_told(data: bytes) -> None:
    with pytest.raises(ImageFault) as caught:
        read_image(data)
    assert caught.value.kind == "unknown"


def test_the_size_of_what_is_no_image_is_none(tmp_path: Path) -> None:
    for data in (b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        (tmp_path / "a").write_bytes(data)
        assert image_size(tmp_path / "a") == (0, 0)
    assert image_size(tmp_path / "missing") == (0, 0)


def test_damaged_and_huge_ones_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoded(Image.effect_noise((64, 64), 50))
    with pytest.raises(ImageFault) as caught:
        read_image(whole[: len(whole) // 2])
    assert caught.value.kind == "damaged"
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    monkeypatch.setattr(image_files, "MAX_PIXELS", 4095)
    for data in (bomb, whole):
        with pytest.raises(ImageFault) as caught:
            read_image(data)
        assert caught.value.kind == "too_large"
