from __future__ import annotations

import io
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image as Images
from PIL import ImageCms

from node_bench import BenchContext
from safelight.sdk import Image, Mask, ProblemError, image_files
from safelight.sdk.image_files import FORMATS
from safelight_nodes._files import checked_name
from safelight_nodes.image import crops, detail, files, geometry, layers, lists, masks, sheets
from safelight_nodes.mask import change
from tiny_images import png, profile


@pytest.fixture
def ctx(tmp_path: Path) -> BenchContext:
    return BenchContext(folder=tmp_path)


def bytes_image(height: int = 6, width: int = 5, channels: int = 3, seed: int = 0) -> torch.Tensor:
    drawn = torch.rand(1, height, width, channels, generator=torch.Generator().manual_seed(seed))
    return (drawn * 255).round() / 255


def written(pil_image: Images.Image, ctx: BenchContext, name: str, **more: object) -> str:
    assert ctx.folder is not None
    pil_image.save(ctx.folder / name, **more)
    return name


def code(caught: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    (one,) = caught.value.problems
    return one.code, one.port


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("kind", "suffix"), [("png", ".png"), ("webp", ".webp")])
def test_what_is_saved_without_loss_is_read_back_exactly(
    ctx: BenchContext, kind: str, suffix: str, channels: int
) -> None:
    given = bytes_image(channels=channels)
    (file,) = files.save(Image(given), name="a/b_{counter}", format=kind, quality=100, ctx=ctx)  # type: ignore[arg-type]
    assert (file.name, file.width, file.height, file.keep, file.embed) == (
        "a/b_{counter}" + suffix,
        5,
        6,
        True,
        "workflow",
    )
    assert ctx.folder is not None
    (ctx.folder / "back").write_bytes(ctx.saved[file.digest])
    back = files.load(file="back", ctx=ctx)
    assert torch.equal(back.image.pixels, given)
    assert back.image.pixels.dtype == torch.float32


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_the_same_pixels_give_the_same_bytes(ctx: BenchContext, kind: str) -> None:
    given = Image(bytes_image(40, 30))
    first, second = (files.save(given, format=kind, ctx=ctx)[0] for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert len(ctx.saved) == 1


def test_jpeg_puts_white_behind_transparency_and_obeys_quality(ctx: BenchContext) -> None:
    clear = Image(torch.zeros(1, 16, 16, 4))
    (file,) = files.save(clear, format="jpeg", ctx=ctx)
    assert (file.media_type, file.name) == ("image/jpeg", "safelight_{counter}.jpg")
    with Images.open(io.BytesIO(ctx.saved[file.digest])) as back:
        assert back.getpixel((3, 3)) == (255, 255, 255)
    noisy = Image(bytes_image(64, 64))
    sizes = [files.save(noisy, format="jpeg", quality=quality, ctx=ctx)[0].size for quality in (10, 50, 95)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]


def test_a_batch_becomes_several_files_with_names_of_their_own(ctx: BenchContext) -> None:
    given = Image(torch.cat([bytes_image(seed=seed) for seed in range(3)]))
    made = files.save(given, name="fixed", ctx=ctx)
    assert [file.name for file in made] == ["fixed_1.png", "fixed_2.png", "fixed_3.png"]
    assert [file.name for file in files.save(given, ctx=ctx)] == ["safelight_{counter}.png"] * 3
    assert len({file.digest for file in made}) == 3


def test_previews_are_not_kept(ctx: BenchContext) -> None:
    (file,) = files.preview(Image(bytes_image()), ctx=ctx)
    assert (file.keep, file.embed, file.media_type) == (False, "nothing", "image/png")


def test_values_are_rounded_and_clipped_to_bytes(ctx: BenchContext) -> None:
    given = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 2.0]).view(1, 1, 6, 1).repeat(1, 1, 1, 3)
    (file,) = files.save(Image(given), ctx=ctx)
    with Images.open(io.BytesIO(ctx.saved[file.digest])) as back:
        assert [back.getpixel((x, 0))[0] for x in range(6)] == [0, 0, 0, 1, 255, 255]  # type: ignore[index]


@pytest.mark.parametrize(
    "name", ["a", "a_{counter}", "a/b/c", "été 苹果", "v1.2", " padded ", "a.b_{counter}", "x.png"]
)
def test_names_that_are_fine(name: str) -> None:
    assert checked_name(name, "png", FORMATS[:3]) == name.strip().removesuffix(".png")


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "../a", "a/../b", "..", "a/..", "/etc/passwd", "\\a", "a\\..\\b", "~/a", "C:/a", "c:a"),
        *("a\0b", "a\nb", "a:b", "a*b", "a?b", 'a"b', "a<b", "a|b", "con", "CON.png", "a/nul", "com1", "lpt9.x"),
        *("a/", "a//b", "./a", "a/./b", "a.", "a /b", "a/ b", "{nope}", "{counter", "a" * 151, "a.jpg", "a.webp"),
    ],
)
def test_names_that_are_not(ctx: BenchContext, name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        files.save(Image(bytes_image()), name=name, ctx=ctx)
    assert code(caught) == ("bad_file_name", "name")
    assert caught.value.problems[0].hint
    assert ctx.saved == {}


def test_a_camera_that_was_turned_is_turned_back(ctx: BenchContext) -> None:
    pil_image = Images.new("RGB", (4, 2))
    pil_image.putpixel((0, 0), (255, 0, 0))
    exif = Images.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise
    found = files.load(file=written(pil_image, ctx, "a.png", exif=exif), ctx=ctx).image.pixels
    assert tuple(found.shape) == (1, 4, 2, 3)
    assert found[0, 0, 1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("mode", "channels"),
    [
        ("1", 3),
        ("L", 3),
        ("LA", 4),
        ("P", 3),
        ("RGB", 3),
        ("RGBA", 4),
        ("CMYK", 3),
        ("YCbCr", 3),
        ("I;16", 3),
        ("F", 3),
    ],
)
def test_every_kind_of_image_becomes_rgb_or_rgba(ctx: BenchContext, mode: str, channels: int) -> None:
    grey = Images.linear_gradient("L").resize((32, 32))
    pil_image = Images.new("I;16", (32, 32)) if mode == "I;16" else grey.convert(mode)
    found = files.load(file=written(pil_image, ctx, "a.tiff"), ctx=ctx)
    assert tuple(found.image.pixels.shape) == (1, 32, 32, channels)
    assert float(found.image.pixels.min()) >= 0
    assert float(found.image.pixels.max()) <= 1


def test_sixteen_bits_are_kept(ctx: BenchContext) -> None:
    values = numpy.array([[0, 1, 257, 65535]], dtype=numpy.uint16)
    found = files.load(file=written(Images.fromarray(values), ctx, "a.png"), ctx=ctx).image.pixels[0, 0, :, 0]
    assert torch.allclose(found * 65535, torch.tensor([0.0, 1.0, 257.0, 65535.0]), atol=0.01)


def test_a_palette_with_transparency_keeps_it(ctx: BenchContext) -> None:
    pil_image = Images.new("P", (2, 1))
    pil_image.putpalette([255, 0, 0, 0, 255, 0])
    pil_image.putpixel((1, 0), 1)
    found = files.load(file=written(pil_image, ctx, "a.png", transparency=1), ctx=ctx)
    assert found.image.pixels[0, 0].tolist() == [[1, 0, 0, 1], [0, 1, 0, 0]]
    assert found.mask.coverage[0, 0].tolist() == [1, 0]


def test_the_mask_of_an_opaque_image_is_white(ctx: BenchContext) -> None:
    found = files.load(file=written(Images.new("RGB", (2, 3)), ctx, "a.png"), ctx=ctx)
    assert torch.equal(found.mask.coverage, torch.ones(1, 3, 2))


def test_colours_are_brought_to_srgb(ctx: BenchContext) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    kept = files.load(file=written(Images.new("RGB", (2, 2), (9, 9, 9)), ctx, "a.png", icc_profile=profile), ctx=ctx)
    assert kept.image.pixels[0, 0, 0].tolist() == pytest.approx([9 / 255] * 3), "a profile that does not fit is ignored"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = files.load(file=written(Images.new("RGB", (2, 2), (9, 99, 199)), ctx, "b.png", icc_profile=srgb), ctx=ctx)
    assert (same.image.pixels[0, 0, 0] * 255).round().tolist() == pytest.approx([9, 99, 199], abs=1)


def test_what_the_first_reader_left_out_is_read(ctx: BenchContext) -> None:
    assert ctx.folder is not None
    palette = Images.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 64, 64, 64])
    palette.save(ctx.folder / "a.png", icc_profile=profile())
    assert (files.load(file="a.png", ctx=ctx).image.pixels * 255).round()[0, 0, 0].tolist() == [137] * 3
    (ctx.folder / "b.png").write_bytes(png(numpy.array([[[1, 700, 65535]]]), 16))
    deep = files.load(file="b.png", ctx=ctx).image.pixels[0, 0, 0] * 65535
    assert deep.tolist() == pytest.approx([1, 700, 65535], abs=0.1)
    (ctx.folder / "c.png").write_bytes(png(numpy.array([[[9], [3]]]), 4, (9,)))
    assert files.load(file="c.png", ctx=ctx).mask.coverage[0, 0].tolist() == [0, 1]


def test_the_first_frame_of_a_moving_image_is_read(ctx: BenchContext) -> None:
    frames = [Images.new("RGB", (2, 2), color) for color in ((255, 0, 0), (0, 255, 0))]
    name = written(frames[0], ctx, "a.gif", save_all=True, append_images=frames[1:])
    assert files.load(file=name, ctx=ctx).image.pixels[0, 0, 0, :3].tolist() == [1, 0, 0]


def test_images_with_too_many_pixels_are_not_unpacked(ctx: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_PIXELS", 100)
    with pytest.raises(ProblemError, match="20 x 20") as caught:
        files.load(file=written(Images.new("RGB", (20, 20)), ctx, "a.png"), ctx=ctx)
    assert code(caught) == ("image_too_large", "file")


def test_a_decompression_bomb_is_a_problem(ctx: BenchContext) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    assert ctx.folder is not None
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (ctx.folder / "bomb.png").write_bytes(data)
    with pytest.raises(ProblemError) as caught:
        files.load(file="bomb.png", ctx=ctx)
    assert code(caught) == ("image_too_large", "file")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_a_problem(ctx: BenchContext, data: bytes) -> None:
    assert ctx.folder is not None
    (ctx.folder / "a.png").write_bytes(data)
    with pytest.raises(ProblemError, match=r"a\.png") as caught:
        files.load(file="a.png", ctx=ctx)
    assert code(caught) == ("image_unreadable", "file")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.tiff"])
def test_a_file_that_ends_early_is_a_problem(ctx: BenchContext, name: str) -> None:
    assert ctx.folder is not None
    pil_image = Images.effect_noise((64, 64), 50).convert("RGB")
    written(pil_image, ctx, name)
    data = (ctx.folder / name).read_bytes()
    (ctx.folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ProblemError) as caught:
        files.load(file=name, ctx=ctx)
    assert code(caught) == ("image_unreadable", "file")


@pytest.mark.parametrize("method", ["lanczos", "bicubic", "bilinear", "nearest"])
def test_resizing(method: str) -> None:
    flat = Image(torch.full((2, 10, 20, 4), 0.25))
    made = geometry.resize(flat, width=30, method=method).pixels  # type: ignore[arg-type]
    assert tuple(made.shape) == (2, 15, 30, 4)
    assert torch.allclose(made, torch.tensor(0.25), atol=1e-5)
    assert geometry.resize(flat) is flat


@pytest.mark.parametrize("method", ["lanczos", "bicubic", "bilinear"])
def test_what_is_transparent_lends_no_colour_to_its_neighbours(method: str) -> None:
    half = torch.zeros(1, 8, 10, 4)
    half[:, :, :5] = torch.tensor([1.0, 0, 0, 1])
    made = geometry.resize(Image(half), width=5, height=4, method=method).pixels  # type: ignore[arg-type]
    seen = made[..., 3] > 0.01
    assert torch.allclose(made[..., 0][seen], torch.tensor(1.0), atol=1e-5)
    assert float(made[0, 1, 2, 3]) == pytest.approx(0.5, abs=0.01)
    hidden = torch.zeros(1, 8, 10, 4)
    hidden[..., 1] = 0.5
    kept = geometry.resize(Image(hidden), width=5, method=method).pixels  # type: ignore[arg-type]
    assert torch.allclose(kept[..., 1], torch.tensor(0.5), atol=1e-5), "what is hidden everywhere stays what it was"


@pytest.mark.parametrize("method", ["lanczos", "bicubic", "bilinear"])
def test_shrinking_averages_fine_patterns(method: str) -> None:
    stripes = torch.zeros(1, 64, 64, 3)
    stripes[:, :, ::2] = 1
    made = geometry.resize(Image(stripes), width=16, height=16, method=method).pixels  # type: ignore[arg-type]
    assert float((made[:, :, 2:-2] - 0.5).abs().max()) < 0.05


def test_lanczos_is_that_of_pillow() -> None:
    given = bytes_image(20, 30)
    made = geometry.resize(Image(given), width=12, height=9).pixels
    pil_image = Images.fromarray((given[0] * 255).to(torch.uint8).numpy()).resize((12, 9), Images.Resampling.LANCZOS)
    wanted = torch.from_numpy(numpy.array(pil_image)).float() / 255
    assert float((made[0] - wanted).abs().max()) < 3 / 255


def test_fitting_by_cutting_or_padding() -> None:
    wide = torch.zeros(1, 10, 20, 3)
    wide[:, :, 10:] = 1
    cut = geometry.resize(Image(wide), width=10, height=10, fit="crop", method="nearest").pixels
    assert tuple(cut.shape) == (1, 10, 10, 3)
    assert cut[0, 0, :, 0].tolist() == [0] * 5 + [1] * 5
    padded = geometry.resize(Image(torch.ones(1, 10, 20, 3)), width=20, height=20, fit="pad", method="nearest").pixels
    assert padded[0, :, 0, 0].tolist() == [0] * 5 + [1] * 10 + [0] * 5


def test_cropping() -> None:
    given = bytes_image()
    assert torch.equal(crops.crop(Image(given), left=1, top=2, width=3).pixels, given[:, 2:, 1:4])
    with pytest.raises(ProblemError) as caught:
        crops.crop(Image(given), left=4, width=3)
    assert code(caught) == ("area_outside", "left")


def test_a_mask_is_read_by_its_brightness(ctx: BenchContext) -> None:
    grey = Images.frombytes("L", (2, 2), bytes([0, 51, 204, 255]))
    read = files.load_mask(file=written(grey, ctx, "grey.png"), ctx=ctx).coverage
    assert torch.allclose(read, torch.tensor([[[0.0, 0.2], [0.8, 1.0]]]), atol=1e-6)
    clear = Images.new("RGBA", (2, 1), "white")
    clear.putpixel((0, 0), (255, 255, 255, 0))
    read = files.load_mask(file=written(clear, ctx, "clear.png"), ctx=ctx).coverage
    assert torch.allclose(read, torch.tensor([[[0.0, 1.0]]]), atol=1e-6)


def test_compositing_keeps_what_the_mask_leaves_out() -> None:
    base, over = bytes_image(), torch.rand(1, 6, 5, 3)
    coverage = torch.zeros(1, 6, 5)
    coverage[0, :3] = 1
    coverage[0, 3, 0] = 0.5
    made = layers.composite(Image(base), Image(over), Mask(coverage)).pixels
    assert torch.equal(made[:, 4:], base[:, 4:]) and torch.equal(made[:, :3], over[:, :3])
    assert torch.allclose(made[0, 3, 0], (base[0, 3, 0] + over[0, 3, 0]) / 2)
    small = layers.composite(Image(base), Image(torch.ones(2, 3, 3, 4)), Mask(torch.ones(1, 12, 10))).pixels
    assert tuple(small.shape) == (2, 6, 5, 4) and torch.allclose(small, torch.ones_like(small))
    with pytest.raises(ProblemError, match="2 in base, 3 in over, 1 in mask") as caught:
        layers.composite(Image(base.repeat(2, 1, 1, 1)), Image(over.repeat(3, 1, 1, 1)), Mask(coverage))
    assert code(caught) == ("wrong_batch", "over")


def test_compositing_weighs_colours_by_their_opacity() -> None:
    clear, red = torch.zeros(1, 1, 3, 4), torch.tensor([1.0, 0, 0, 1]).expand(1, 1, 3, 4)
    mask = Mask(torch.tensor([[[0.0, 0.5, 1.0]]]))
    for below, above in ((clear, red), (red.clone(), clear)):
        made = layers.composite(Image(below), Image(above), mask).pixels
        assert made[0, 0, 1].tolist() == [1, 0, 0, 0.5]
        assert torch.equal(made[0, 0, 0], below[0, 0, 0]) and torch.equal(made[0, 0, 2], above[0, 0, 2])
    drawn = bytes_image(channels=4)
    none = layers.composite(Image(drawn), Image(1 - drawn), Mask(torch.zeros(1, 6, 5))).pixels
    assert torch.equal(none, drawn)


def test_masks_and_images() -> None:
    given = bytes_image(channels=4)
    assert torch.equal(masks.to_mask(Image(given), channel="alpha").coverage, given[..., 3])
    assert torch.equal(masks.to_mask(Image(given), channel="red", invert=True).coverage, 1 - given[..., 0])
    assert torch.allclose(masks.to_mask(Image(torch.ones(1, 2, 2, 3))).coverage, torch.ones(1, 2, 2))
    assert torch.equal(masks.to_mask(Image(given[..., :3]), channel="alpha").coverage, torch.ones(1, 6, 5))
    shown = masks.from_mask(Mask(given[..., 3])).pixels
    assert torch.equal(shown[..., 0], given[..., 3]) and shown.shape[-1] == 3
    flat = layers.flatten(Image(torch.zeros(1, 1, 1, 4)), background="#ff8000").pixels
    assert torch.allclose(flat[0, 0, 0], torch.tensor([1, 128 / 255, 0]))


def test_masks_grow_shrink_and_soften() -> None:
    mask = torch.zeros(1, 21, 21)
    mask[:, 10, 10] = 1
    grown = change.grow(Mask(mask), pixels=3).coverage
    assert int(grown.sum()) == 49
    assert torch.equal(change.grow(Mask(grown), pixels=-3).coverage, mask)
    soft = change.grow(Mask(grown), pixels=0, blur=6).coverage
    assert float(soft.sum()) == pytest.approx(49, rel=1e-3)
    assert 0 < float(soft[0, 10, 6]) < float(soft[0, 10, 8]) < 1
    whole = torch.ones(1, 8, 8)
    assert torch.allclose(change.grow(Mask(whole), pixels=0, blur=20).coverage, whole)


def test_edges_are_white_lines_on_black() -> None:
    given = torch.zeros(2, 32, 32, 3)
    given[:, :, 16:] = 1
    made = detail.canny(Image(given)).pixels
    assert tuple(made.shape) == (2, 32, 32, 3)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    columns = made[0, :, :, 0].sum(dim=0)
    assert columns.argmax() in (15, 16) and int((columns > 0).sum()) == 1
    with pytest.raises(ProblemError):
        detail.canny(Image(given), low=200, high=100)


def test_batches_are_put_together_and_taken_apart() -> None:
    one, two = bytes_image(seed=1), bytes_image(seed=2)
    both = lists.batch([Image(one), Image(two)])
    assert [torch.equal(part.pixels, wanted) for part, wanted in zip(lists.split(both), (one, two), strict=True)] == [
        True,
        True,
    ]
    with pytest.raises(ProblemError, match="5 x 6") as caught:
        lists.batch([Image(one), Image(bytes_image(7, 7))])
    assert code(caught) == ("wrong_batch", "images")
    with pytest.raises(ProblemError, match="no images"):
        lists.batch([])


def test_inputs_are_left_as_they_are(ctx: BenchContext) -> None:
    pixels, coverage = bytes_image(32, 32, 4), torch.rand(1, 32, 32)
    before = (pixels._version, coverage._version, pixels.clone(), coverage.clone())
    given, mask = Image(pixels), Mask(coverage)
    for kind in ("png", "webp", "jpeg"):
        files.save(given, format=kind, ctx=ctx)  # type: ignore[arg-type]
    files.preview(given, ctx=ctx)
    for method in ("lanczos", "nearest", "bicubic"):
        geometry.resize(given, width=7, fit="pad", method=method)  # type: ignore[arg-type]
    crops.crop(given, left=2)
    layers.flatten(given)
    detail.canny(given)
    masks.to_mask(given, invert=True)
    change.grow(mask, pixels=2, blur=2)
    masks.from_mask(mask)
    layers.composite(given, given, mask)
    assert (pixels._version, coverage._version) == before[:2]
    assert torch.equal(pixels, before[2]) and torch.equal(coverage, before[3])


def test_a_grid_lays_images_out_in_rows() -> None:
    red, two = torch.zeros(1, 4, 6, 3), torch.zeros(2, 4, 6, 4)
    red[..., 0] = 1
    two[0, ..., 1] = two[0, ..., 3] = 1  # green, and one that cannot be seen
    sheet = sheets.grid([Image(red), Image(two)], columns=2, gap=1, background="#0000ff").pixels
    assert sheet.shape == (1, 2 * 4 + 3, 2 * 6 + 3, 3)
    assert torch.equal(sheet[0, 1:5, 1:7], red[0])
    assert sheet[0, 1:5, 8:14].unique(dim=0).tolist() == [[[0.0, 1.0, 0.0]] * 6]
    blue = torch.tensor([0.0, 0.0, 1.0])
    assert (sheet[0, 6:] == blue).all(), "the unseen image and the empty place show the background"
    assert (sheet[0, [0, 5]] == blue).all() and (sheet[0, :, [0, 7, 14]] == blue).all()


def test_a_grid_is_about_square_and_smaller_images_stand_in_the_middle() -> None:
    assert sheets.grid([Image(torch.zeros(7, 2, 2, 3))], gap=0).pixels.shape == (1, 6, 6, 3)
    assert sheets.grid([Image(torch.zeros(2, 2, 2, 3))], columns=9, gap=0).pixels.shape == (1, 2, 4, 3)
    small = sheets.grid([Image(torch.zeros(1, 4, 4, 3)), Image(torch.zeros(1, 2, 2, 3))], gap=0).pixels[0, :, 4:, 0]
    assert small.tolist() == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    with pytest.raises(ProblemError) as caught:
        sheets.grid([])
    assert code(caught) == ("wrong_batch", "images")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_written_and_read_back(ctx: BenchContext, kind: str, channels: int) -> None:
    given = torch.rand(1, 6, 5, channels, generator=torch.Generator().manual_seed(2))
    given = (given.double() * 65535).round().div(65535).float()
    (file,) = files.save(Image(given), format=kind, depth="16", ctx=ctx)  # type: ignore[arg-type]
    assert ctx.folder is not None
    (ctx.folder / "back").write_bytes(ctx.saved[file.digest])
    back = files.load(file="back", ctx=ctx).image.pixels
    assert back.shape == given.shape and float((back - given).abs().max()) < 1e-6
    (file,) = files.save(Image(given), format=kind, ctx=ctx)  # type: ignore[arg-type]
    (ctx.folder / "small").write_bytes(ctx.saved[file.digest])
    plain = files.load(file="small", ctx=ctx).image.pixels
    assert torch.equal(plain, ((given * 255).round() / 255))


def test_what_a_file_says_of_itself(ctx: BenchContext) -> None:
    import json

    from PIL.PngImagePlugin import PngInfo

    from safelight.media import xmp
    from safelight_nodes.image.metadata import read_metadata

    assert ctx.folder is not None
    info = PngInfo()
    info.add_text("parameters", "a red apple\nSteps: 20")
    written(Images.new("RGB", (4, 3)), ctx, "a.png", pnginfo=info)
    marked = xmp.put((ctx.folder / "a.png").read_bytes(), "image/png", xmp.packet())
    (ctx.folder / "a.png").write_bytes(marked)
    found = read_metadata(file="a.png", ctx=ctx)
    assert found[1:] == ("a red apple\nSteps: 20", "trainedAlgorithmicMedia", 4, 3)
    exif = Images.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8825)[1] = "N"
    written(Images.new("RGB", (4, 2)), ctx, "b.jpg", exif=exif)
    found = read_metadata(file="b.jpg", ctx=ctx)
    told = json.loads(found.json)
    assert told["exif"] == {"Make": "A maker", "Orientation": 6, "ExposureTime": 0.01, "GPSLatitudeRef": "N"}
    assert (found.width, found.height, found.origin, told["format"]) == (2, 4, "", "JPEG")
    Images.new("RGB", (5, 4)).save(ctx.folder / "d.tga")
    told = read_metadata(file="d.tga", ctx=ctx)
    assert (told.width, told.height, json.loads(told.json)["format"]) == (5, 4, "TGA")
    (ctx.folder / "c.png").write_bytes(b"no image")
    with pytest.raises(ProblemError) as caught:
        read_metadata(file="c.png", ctx=ctx)
    assert code(caught) == ("image_unreadable", "file")


def test_an_image_is_as_large_as_it_fits_within() -> None:
    wide = Image(torch.rand(1, 10, 20, 3))
    for (width, height), wanted in {(10, 10): (5, 10), (40, 10): (10, 20), (0, 5): (5, 10), (40, 40): (20, 40)}.items():
        made = geometry.resize(wide, width=width, height=height, fit="inside").pixels
        assert made.shape[1:3] == wanted
    assert torch.equal(geometry.resize(wide, width=40, height=10, fit="inside").pixels, wide.pixels)
