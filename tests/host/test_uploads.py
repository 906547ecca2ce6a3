"""What is kept of images from outside: the image, with its quality, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from safelight.host.uploads import Upload
from safelight.host.uploads import accept as looked_at
from safelight.media.registry import built_in
from safelight.sdk import ProblemError
from safelight.sdk.image_files import FORMATS, read_image
from tiny_images import chunk, decoded, encoded, exif, png, profile

MEDIA = built_in()
embed = MEDIA.embed


def accept(name: str, data: bytes) -> Upload:
    return looked_at(name, data, MEDIA)


def thumbnail(data: bytes, side: int) -> bytes:
    form = MEDIA.sniff(data)
    return MEDIA.thumbnail(data, form.media_type if form is not None else "image/x-tga", side)


SECRET = "a secret place"


def photo(mode: str = "RGB", size: tuple[int, int] = (37, 29)) -> Image.Image:
    drawn = numpy.random.default_rng(5).integers(0, 255, (4, 5, len(Image.new(mode, (1, 1)).getbands())))
    return Image.fromarray(drawn.astype(numpy.uint8).squeeze(), mode).resize(size, Image.Resampling.BICUBIC)


def told(**more: object) -> dict[str, object]:
    return {"exif": exif(1, maker=SECRET), **more}


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", SECRET)
    return info


def moving(form: str) -> bytes:
    frames = [photo(), photo().rotate(180)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)


CLEAN: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: encoded(photo(), "JPEG", quality=40, **told(comment=SECRET.encode())),
    "jpeg progressive": lambda: encoded(photo(), "JPEG", progressive=True, **told()),
    "jpeg grey": lambda: encoded(photo("L"), "JPEG", **told()),
    "jpeg cmyk": lambda: encoded(photo("CMYK"), "JPEG", **told()),
    "jpeg with restarts": lambda: encoded(photo(), "JPEG", restart_marker_blocks=1, **told()),
    "jpeg of two images": lambda: encoded(photo(), "MPO", save_all=True, append_images=[photo()], **told()),
    "webp": lambda: encoded(photo(), "WEBP", quality=40, **told(xmp=SECRET.encode())),
    "webp with alpha": lambda: encoded(photo("RGBA"), "WEBP", quality=40, **told()),
    "webp lossless": lambda: encoded(photo("RGBA"), "WEBP", lossless=True, **told()),
    "png": lambda: encoded(photo(), **told(pnginfo=texts())),
    "png grey with alpha": lambda: encoded(photo("LA"), **told(pnginfo=texts())),
    "png palette": lambda: encoded(photo().quantize(8), **told(transparency=3)),
    "png of 16 bits": lambda: png(numpy.arange(1200).reshape(10, 40, 3) * 50, 16),
    "png by a colour": lambda: png(numpy.array([[[255, 0, 0], [1, 2, 3]]]), 8, (255, 0, 0)),
    "png in motion": lambda: moving("PNG"),
}


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_images_keep_their_encoded_pixels_and_lose_all_else(kind: str) -> None:
    data = embed(CLEAN[kind](), f"image/{kind.split(maxsplit=1)[0]}", "{}") + b"PK\x05\x06" + SECRET.encode()
    kept = accept(f"a.{kind.split(maxsplit=1)[0]}", data)
    assert (kept.name, kept.workflow) == (f"a.{kind.split(maxsplit=1)[0]}", "{}")
    before, after = decoded(data), decoded(kept.data)
    size = kept.measures.width, kept.measures.height
    assert (after.mode, after.size) == (before.mode, before.size) == (before.mode, size)
    assert before.tobytes() == after.tobytes()
    assert numpy.array_equal(read_image(data).pixels, read_image(kept.data).pixels)
    assert SECRET.encode() not in kept.data and len(kept.data) < len(data)
    assert accept("a", kept.data).data == kept.data


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_file_that_holds_nothing_but_the_image_is_kept_byte_for_byte(form: str) -> None:
    data = encoded(photo(), form)
    assert accept(f"a.{form.lower()}", data).data == data


@pytest.mark.parametrize("kind", CLEAN)
def test_damaged_files_are_problems_or_whole_images(kind: str) -> None:
    source, whole = random.Random(3), CLEAN[kind]()
    for _ in range(15):
        data = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            kept = accept("a.png", bytes(data))
        except ProblemError:
            continue
        assert read_image(kept.data).size == (kept.measures.width, kept.measures.height)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_what_would_lose_keeps_orientation_and_profile(form: str) -> None:
    data = encoded(photo(), form, exif=exif(6, maker=SECRET), icc_profile=profile())
    kept = accept("a", data)
    assert decoded(kept.data).tobytes() == decoded(data).tobytes()
    assert dict(decoded(kept.data).getexif()) == {0x0112: 6}
    assert decoded(kept.data).info["icc_profile"] == profile()
    assert (kept.measures.width, kept.measures.height) == (29, 37)
    assert numpy.array_equal(read_image(kept.data).pixels, read_image(data).pixels)


def test_16_bits_keep_orientation_and_profile_too() -> None:
    data = png(numpy.arange(600).reshape(10, 20, 3) * 100, 16, profile=profile())
    data = data[:33] + chunk(b"eXIf", exif(8).removeprefix(b"Exif\0\0")) + data[33:]
    kept = accept("a.png", data)
    assert kept.data[24] == 16 and (kept.measures.width, kept.measures.height) == (10, 20)
    assert numpy.array_equal(read_image(kept.data).pixels, read_image(data).pixels)
    assert read_image(kept.data).profile == profile()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA"])
def test_a_png_with_a_profile_is_brought_to_srgb(mode: str) -> None:
    image = Image.new("RGB", (8, 8), (64, 64, 64))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    data = encoded(image, icc_profile=profile("GRAY" if mode.startswith("L") else "RGB"))
    kept = decoded(accept("a.png", data).data)
    assert kept.convert("RGB").getpixel((1, 1)) == (137, 137, 137)
    assert "icc_profile" not in kept.info
    assert kept.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")


def test_lossless_images_are_turned_upright() -> None:
    upright = ImageOps.exif_transpose(decoded(encoded(photo(), exif=exif(6))))
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        kept = accept("a", encoded(photo(), form, exif=exif(6), **options))
        assert decoded(kept.data).tobytes() == upright.tobytes()
        assert kept.name == "a.png" and not dict(decoded(kept.data).getexif())


@pytest.mark.parametrize("form", [one.name for one in FORMATS])
def test_everything_that_is_read_can_be_uploaded(form: str) -> None:
    Image.init()
    if form not in Image.SAVE:
        pytest.skip(f"Pillow does not write {form} here")
    own = next(one for one in FORMATS if one.name == form)
    data = encoded(photo(size=(32, 32)), form)
    kept = accept(f"a{own.suffixes[0]}", data)
    assert numpy.array_equal(read_image(kept.data).pixels, read_image(data).pixels)
    assert kept.name == ("a" + own.suffixes[0] if form in ("PNG", "JPEG", "WEBP") else "a.png")


def test_deep_images_of_other_formats_become_png_of_16_bits() -> None:
    import cv2

    samples = (numpy.arange(60).reshape(4, 5, 3) * 1000).astype(numpy.uint16)
    kept = accept("a.tif", cv2.imencode(".tif", samples[..., ::-1])[1].tobytes())
    assert kept.name == "a.png" and kept.data[24] == 16
    assert read_image(kept.data).pixels * 65535 == pytest.approx(samples, abs=0.5)


@pytest.mark.parametrize("form", ["WEBP", "GIF"])
def test_what_moves_keeps_moving_and_loses_all_else(form: str) -> None:
    hidden = {"xmp": SECRET.encode(), **told()} if form == "WEBP" else {"comment": SECRET.encode()}
    frames = [photo(), photo().rotate(180)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], lossless=True, duration=200, **hidden)
    assert SECRET.encode() in data
    kept = accept("a", data + SECRET.encode())
    assert kept.name == f"a.{form.lower()}" and SECRET.encode() not in kept.data
    assert (kept.measures.frames, kept.measures.seconds) == (2, pytest.approx(0.4))
    before, after = decoded(data), decoded(kept.data)
    for number in (0, 1):
        before.seek(number)
        after.seek(number)
        assert after.convert("RGB").tobytes() == before.convert("RGB").tobytes()


def test_an_upload_that_ends_early_is_a_problem() -> None:
    for kind in ("jpeg", "jpeg progressive", "webp", "png"):
        data = CLEAN[kind]()
        with pytest.raises(ProblemError) as caught:
            accept("a.png", data[: len(data) * 3 // 4])
        assert caught.value.problems[0].code == "image_damaged"


def test_thumbnails_are_upright_and_in_srgb() -> None:
    image = Image.new("RGB", (48, 32), "blue")
    image.paste("red", (0, 0, 16, 32))
    small = decoded(thumbnail(encoded(image, "JPEG", quality=95, exif=exif(6)), 24)).convert("RGB")
    assert small.size == (16, 24)
    assert small.getpixel((8, 2))[0] > 200 and small.getpixel((8, 20))[2] > 200  # type: ignore[index]
    flat = decoded(thumbnail(encoded(Image.new("RGB", (64, 64), (64, 64, 64)), "JPEG", icc_profile=profile()), 64))
    assert flat.convert("RGB").getpixel((9, 9)) == pytest.approx((137, 137, 137), abs=3)


def test_every_format_has_a_thumbnail_and_other_files_have_none() -> None:
    for form in ("TGA", "TIFF", "BMP", "QOI"):
        assert decoded(thumbnail(encoded(photo(), form), 16)).size == (16, 13)
    for data in (b"", b"hello", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(ProblemError) as caught:
            thumbnail(data, 16)
        assert caught.value.problems[0].code == "no_thumbnail"


def test_thumbnails_of_16_bits_are_not_white() -> None:
    ramp = numpy.linspace(0, 65535, 64).round().astype(int).reshape(1, 64, 1).repeat(8, 0)
    for samples in (ramp, ramp.repeat(3, -1)):
        levels = numpy.asarray(decoded(thumbnail(png(samples, 16), 64)).convert("L")).astype(int)[4]
        assert levels == pytest.approx(numpy.linspace(0, 255, 64), abs=6)


def test_texts_and_other_files_are_as_before() -> None:
    for text in (b"hello", b"P1 is not BM"):
        assert (accept("a.txt", text).name, accept("a.txt", text).data) == ("a.txt", text)
    for name, data in (("a.png", b"hello"), ("a.pt", b"\x80\x04"), ("a.tga", b"hello"), ("a.svg", b"<svg/>")):
        with pytest.raises(ProblemError) as caught:
            accept(name, data)
        assert caught.value.problems[0].code == "upload_type"
