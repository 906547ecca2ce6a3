from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import FAMILIES, BenchContext, Kit, Shelf, recipe
from safelight.diffusion import autoencoder
from safelight.diffusion.autoencoder import Codec, blend_tiles
from safelight.diffusion.guidance import _weight
from safelight.diffusion.latents import on_canvas
from safelight.sdk import Area, Image, Latent, Mask, Problem, ProblemError, Prompt
from safelight_nodes import latent, vae


def pixels(height: int = 64, width: int = 64, batch: int = 1, channels: int = 3) -> torch.Tensor:
    return torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(3))


def problem(caught: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    (one,) = caught.value.problems
    return one.code, one.port


@pytest.fixture(scope="module")
def deep() -> BenchContext:
    """An autoencoder like that of the starter model: five levels, so 16 pixels a cell, and 16 channels."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    model = AutoencoderKL(
        latent_channels=16,
        block_out_channels=(4, 4, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        norm_num_groups=1,
        sample_size=128,
        scaling_factor=1.167,
    ).eval()
    shelf = Shelf()
    shelf.put("VAE", "deep", model)
    return BenchContext(shelf)


def test_an_empty_latent_is_as_the_vae_says(sd1: Kit, deep: BenchContext) -> None:
    plain = latent.empty(sd1.vae, batch=2, ctx=sd1.context)
    assert tuple(plain.samples.shape) == (2, 4, 8, 8)
    assert (plain.family, plain.downsampling, plain.noise) == ("sd1", 8, 0.0)
    other = latent.empty(recipe("VAE", "sd1", "deep"), width=160, ctx=deep)
    assert tuple(other.samples.shape) == (1, 16, 8, 10)
    assert other.downsampling == 16
    assert not other.samples.any()


def test_sizes_between_cells_are_problems_with_the_nearest_good_size(deep: BenchContext) -> None:
    with pytest.raises(ProblemError) as caught:
        latent.empty(recipe("VAE", "sd1", "deep"), width=100, height=129, ctx=deep)
    found = [(one.code, one.port, one.hint) for one in caught.value.problems]
    assert found == [
        ("size_not_a_multiple", "width", "The nearest one is 96."),
        ("size_not_a_multiple", "height", "The nearest one is 128."),
    ]


def test_decode_and_encode_are_those_of_diffusers(sd1: Kit, sdxl: Kit) -> None:
    for kit in (sd1, sdxl):
        model, given = kit.pipeline.vae, pixels()
        made = vae.encode(kit.vae, Image(given), ctx=kit.context)
        with torch.no_grad():
            mean = (
                model.encode(given.movedim(-1, 1).contiguous() * 2 - 1).latent_dist.mode() * model.config.scaling_factor
            )
            back = model.decode(mean / model.config.scaling_factor).sample
        assert torch.allclose(made.samples, mean, atol=1e-6)
        wanted = (back / 2 + 0.5).clamp(0, 1).movedim(1, -1)
        assert torch.allclose(vae.decode(kit.vae, made, ctx=kit.context).pixels, wanted, atol=1e-5)


def test_a_draw_of_the_vae_is_seeded_a_image(sd1: Kit) -> None:
    given = pixels(batch=2)
    both = vae.encode(sd1.vae, Image(given), sampled=True, seed=5, ctx=sd1.context).samples
    second = vae.encode(sd1.vae, Image(given[1:]), sampled=True, seed=6, ctx=sd1.context).samples
    assert torch.allclose(both[1:], second, atol=1e-6)
    assert not torch.allclose(both, vae.encode(sd1.vae, Image(given), ctx=sd1.context).samples, atol=1e-4)
    model = sd1.pipeline.vae
    with torch.no_grad():
        found = model.encode(given[:1].movedim(-1, 1) * 2 - 1).latent_dist
    wanted = found.sample(torch.Generator().manual_seed(5)) * model.config.scaling_factor
    assert torch.allclose(both[:1], wanted, atol=1e-6)


def test_statistics_of_the_latents_are_undone_as_in_the_pipelines(sd1: Kit) -> None:
    from diffusers import AutoencoderKL

    changes = {"latents_mean": [0.1, -0.2, 0.3, 0.4], "latents_std": [1.5, 0.5, 2.0, 1.0]}
    model = AutoencoderKL.from_config({**sd1.pipeline.vae.config, **changes}).eval()
    codec = Codec(FAMILIES["sd1"], model, torch.device("cpu"), torch.float32, model.config.scaling_factor)
    samples = torch.randn(1, 4, 4, 4)
    assert torch.allclose(codec._scaled(codec._unscaled(samples)), samples, atol=1e-5)
    mean, deviation = (torch.tensor(changes[name]).view(1, 4, 1, 1) for name in ("latents_mean", "latents_std"))
    assert torch.allclose(codec._unscaled(samples), samples * deviation / model.config.scaling_factor + mean)
    moved = AutoencoderKL.from_config({**sd1.pipeline.vae.config, "shift_factor": 0.1}).eval()
    codec = Codec(FAMILIES["sd1"], moved, torch.device("cpu"), torch.float32, moved.config.scaling_factor)
    assert torch.allclose(codec._unscaled(samples), samples / model.config.scaling_factor + 0.1)
    assert torch.allclose(codec._scaled(codec._unscaled(samples)), samples, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (16, 200), (33, 47)])
@pytest.mark.parametrize(("side", "overlap"), [(16, 4), (24, 8), (16, 0)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_tiles_of_a_local_map_join_without_a_trace(size: tuple[int, int], side: int, overlap: int, scale: int) -> None:
    """Blending weights add up to one everywhere, to the very edges."""
    given = torch.rand(1, 3, *size)

    def convert(tile: torch.Tensor) -> torch.Tensor:
        assert max(tile.shape[-2:]) <= side
        return tile.repeat_interleave(scale, -1).repeat_interleave(scale, -2)

    assert torch.allclose(blend_tiles(given, side, overlap, convert, scale), convert_all(given, scale), atol=1e-5)


def convert_all(given: torch.Tensor, scale: int) -> torch.Tensor:
    return given.repeat_interleave(scale, -1).repeat_interleave(scale, -2)


def test_tiles_that_disagree_fade_into_each_other() -> None:
    """Tiles of 0 and 1 give a ramp, never a jump."""
    values = iter(range(100))

    def convert(tile: torch.Tensor) -> torch.Tensor:
        return torch.full_like(tile, float(next(values) % 2))

    row = blend_tiles(torch.zeros(1, 1, 16, 40), 16, 4, convert, 1)[0, 0, 0]
    assert float(row.diff().abs().max()) <= 0.25
    assert float(row.min()) == 0.0
    assert float(row.max()) == 1.0


def test_tiled_decoding_and_encoding_stay_near_the_whole(sd1: Kit) -> None:
    """The attention and norms of the tiny VAE see a tile instead of the whole, hence near and not equal."""
    given = Image(pixels(256, 192))
    whole = vae.encode(sd1.vae, given, ctx=sd1.context)
    tiled = vae.encode(sd1.vae, given, tile=128, ctx=sd1.context)
    assert tiled.samples.shape == whole.samples.shape
    assert float((tiled.samples - whole.samples).abs().mean()) < 0.2 * float(whole.samples.std())
    one = vae.decode(sd1.vae, whole, ctx=sd1.context).pixels
    other = vae.decode(sd1.vae, whole, tile=128, ctx=sd1.context).pixels
    assert one.shape == other.shape == (1, 256, 192, 3)
    assert float((one - other).abs().mean()) < 0.4 * float(one.std())
    jumps = [(shown[:, 1:] - shown[:, :-1]).abs().mean(dim=(0, 2, 3)) for shown in (one, other)]
    assert float(jumps[1].max()) < 1.5 * float(jumps[0].max()), "no seams"


def test_large_images_are_tiled_by_themselves(sd1: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(autoencoder, "TILE_PIXELS", 64)
    given = Latent(torch.randn(1, 4, 16, 16), "sd1")
    automatic = vae.decode(sd1.vae, given, ctx=sd1.context).pixels
    assert torch.equal(automatic, vae.decode(sd1.vae, given, tile=64, ctx=sd1.context).pixels)
    image = Image(pixels(128, 128))
    automatic = vae.encode(sd1.vae, image, ctx=sd1.context).samples
    assert torch.equal(automatic, vae.encode(sd1.vae, image, tile=64, ctx=sd1.context).samples)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("full"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 7.00 GB)"),
    ],
)
def test_running_out_of_memory_leads_to_tiles(sd1: Kit, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    sizes: list[int] = []
    real = sd1.pipeline.vae.decode

    def decode(given: torch.Tensor, **more: Any) -> Any:
        sizes.append(given.shape[-1])
        if given.shape[-1] > 8:
            raise error
        return real(given, **more)

    monkeypatch.setattr(sd1.pipeline.vae, "decode", decode)
    made = vae.decode(sd1.vae, Latent(torch.randn(1, 4, 16, 16), "sd1"), ctx=sd1.context)
    assert tuple(made.pixels.shape) == (1, 128, 128, 3)
    assert sizes[0] == 16 and max(sizes[1:]) == 8


def test_where_there_is_no_room_for_the_whole_there_may_be_for_tiles(sd1: Kit) -> None:
    asked: list[int] = []

    class Small(Shelf):
        def lease(self, ref: Any, scratch: int = 0) -> Any:
            asked.append(scratch)
            if scratch > 2_000_000_000:
                raise ProblemError(Problem(code="out_of_memory", message="There is no room."))
            return super().lease(ref, scratch)

    small = BenchContext(Small(sd1.shelf.held))
    given = Latent(torch.zeros(1, 4, 8, 8), "sd1", downsampling=256)
    assert vae.decode(sd1.vae, given, ctx=small).pixels.shape[0] == 1
    assert len(asked) == 2 and asked[1] < asked[0]


def test_other_errors_are_not_taken_for_a_lack_of_memory(sd1: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(given: torch.Tensor, **more: Any) -> Any:
        raise RuntimeError("something else")

    monkeypatch.setattr(sd1.pipeline.vae, "decode", decode)
    with pytest.raises(RuntimeError, match="something else"):
        vae.decode(sd1.vae, Latent(torch.randn(1, 4, 8, 8), "sd1"), ctx=sd1.context)


def test_a_vae_that_overflows_in_half_precision_is_leased_in_full(sdxl: Kit) -> None:
    import copy

    shelf = Shelf(dict(sdxl.shelf.held))
    half = copy.deepcopy(sdxl.pipeline.vae).half()

    class Choosing(Shelf):
        def lease(self, ref: Any, scratch: int = 0) -> Any:
            self.put("VAE", "sdxl", sdxl.pipeline.vae if ref.precision == "float32" else half)
            return super().lease(ref, scratch)

    choosing = Choosing(shelf.held)
    given = Latent(torch.randn(1, 4, 8, 8), "sdxl")
    made = vae.decode(sdxl.vae, given, ctx=BenchContext(choosing))
    assert torch.equal(made.pixels, vae.decode(sdxl.vae, given, ctx=sdxl.context).pixels)
    assert [ref.precision for ref in choosing.leased] == ["auto", "float32"]


def test_sizes_that_do_not_fit_are_cropped_scaled_or_refused(sd1: Kit) -> None:
    odd = Image(pixels(70, 85))
    cropped = vae.encode(sd1.vae, odd, fit="crop", ctx=sd1.context).samples
    wanted = vae.encode(sd1.vae, Image(odd.pixels[:, 3:67, 2:82]), ctx=sd1.context).samples
    assert torch.equal(cropped, wanted)
    assert tuple(vae.encode(sd1.vae, odd, fit="resize", ctx=sd1.context).samples.shape) == (1, 4, 8, 10)
    with pytest.raises(ProblemError, match="80 x 64") as caught:
        vae.encode(sd1.vae, odd, fit="refuse", ctx=sd1.context)
    assert problem(caught) == ("size_not_a_multiple", "image")
    with pytest.raises(ProblemError):
        vae.encode(sd1.vae, Image(pixels(4, 64)), fit="crop", ctx=sd1.context)


def test_images_between_cells_come_back_in_their_size_and_place(sd1: Kit) -> None:
    odd = Image(pixels(70, 85))
    made = vae.encode(sd1.vae, odd, ctx=sd1.context)
    assert tuple(made.samples.shape) == (1, 4, 9, 11) and made.size == (70, 85)
    edges = torch.nn.functional.pad(odd.pixels.movedim(-1, 1), (0, 3, 0, 2), mode="replicate").movedim(1, -1)
    whole = vae.encode(sd1.vae, Image(edges), ctx=sd1.context)
    assert torch.equal(made.samples, whole.samples) and whole.size is None
    back = vae.decode(sd1.vae, made, ctx=sd1.context).pixels
    assert torch.equal(back, vae.decode(sd1.vae, whole, ctx=sd1.context).pixels[:, :70, :85])
    assert vae.encode(sd1.vae, Image(pixels(3, 64)), ctx=sd1.context).size == (3, 64)
    twice = latent.resize(made, scale=2)
    assert twice.size == (140, 170) and vae.decode(sd1.vae, twice, ctx=sd1.context).pixels.shape[1:3] == (140, 170)


def test_masks_lie_where_the_image_lies(sd1: Kit) -> None:
    """A mask of an image between cells is padded with it, whether its size is the image's or another."""
    odd = Image(pixels(68, 68))
    mask = torch.zeros(1, 68, 68)
    mask[..., 32:] = 1
    wanted = [0.0] * 4 + [1.0] * 5
    made = vae.encode_inpaint(sd1.vae, odd, Mask(mask), ctx=sd1.context)
    assert made.mask is not None and made.mask[0, 0, 0].tolist() == wanted
    plain = vae.encode(sd1.vae, odd, ctx=sd1.context)
    later = latent.set_mask(plain, Mask(mask))
    assert later.mask is not None and torch.equal(later.mask, made.mask)
    half = latent.set_mask(plain, Mask(mask[:, ::2, ::2]))
    assert half.mask is not None and half.mask[0, 0, 0].tolist() == pytest.approx(wanted, abs=0.06)
    for prompt in (Prompt({}, mask=mask), Prompt({}, area=Area(32 / 68, 0, 36 / 68, 1))):
        assert _weight(prompt, plain, torch.device("cpu"))[0, 0, 0].tolist() == wanted
    assert on_canvas(mask[:, None], plain)[0, 0, 0].tolist() == [0.0] * 32 + [1.0] * 40


def test_one_image_serves_several_masks_and_other_counts_are_a_problem(sd1: Kit) -> None:
    one, two = Image(pixels()), Image(pixels(batch=2))
    masks = torch.zeros(3, 64, 64)
    masks[1:] = 1
    made = vae.encode_inpaint(sd1.vae, one, Mask(masks), ctx=sd1.context)
    assert made.mask is not None and made.masked is not None
    assert len(made.samples) == len(made.mask) == len(made.masked) == 3
    single = vae.encode_inpaint(sd1.vae, two, Mask(masks[:1]), ctx=sd1.context)
    assert single.masked is not None and len(single.samples) == len(single.masked) == 2
    with pytest.raises(ProblemError, match="2 in image, 3 in mask") as caught:
        vae.encode_inpaint(sd1.vae, two, Mask(masks), ctx=sd1.context)
    assert problem(caught) == ("wrong_batch", "mask")


def test_transparent_parts_become_white(sd1: Kit) -> None:
    clear = torch.cat([pixels(), torch.zeros(1, 64, 64, 1)], dim=-1)
    made = vae.encode(sd1.vae, Image(clear), ctx=sd1.context).samples
    assert torch.equal(made, vae.encode(sd1.vae, Image(torch.ones(1, 64, 64, 3)), ctx=sd1.context).samples)


def test_a_latent_of_another_model_is_a_problem(sd1: Kit, deep: BenchContext) -> None:
    with pytest.raises(ProblemError) as caught:
        vae.decode(recipe("VAE", "sd1", "deep"), Latent(torch.zeros(1, 4, 8, 8), "sd1"), ctx=deep)
    assert problem(caught) == ("wrong_latent", "vae")


def test_an_inpainting_latent_holds_mask_and_greyed_image(sd1: Kit) -> None:
    image, mask = pixels(), torch.zeros(1, 32, 32)
    mask[:, :16] = 1
    made = vae.encode_inpaint(sd1.vae, Image(image), Mask(mask), ctx=sd1.context)
    assert made.mask is not None and made.masked is not None
    assert tuple(made.mask.shape) == (1, 1, 8, 8)
    assert made.mask[..., :3, :].eq(1).all() and made.mask[..., 5:, :].eq(0).all()
    assert torch.equal(made.samples, vae.encode(sd1.vae, Image(image), ctx=sd1.context).samples)
    assert not torch.equal(made.samples, made.masked)


def test_masks_are_averaged_over_the_pixels_of_a_cell() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[:, :, :20] = 1
    made = latent.set_mask(Latent(torch.zeros(2, 4, 8, 8), "sd1"), Mask(mask))
    assert made.mask is not None
    assert made.mask[0, 0, 0].tolist() == [1, 1, 0.5, 0, 0, 0, 0, 0]
    with pytest.raises(ProblemError):
        latent.set_mask(Latent(torch.zeros(2, 4, 8, 8), "sd1"), Mask(torch.zeros(3, 8, 8)))


def test_latents_are_scaled_repeated_and_picked() -> None:
    given = Latent(torch.randn(2, 4, 8, 6), "sd1", 8, mask=torch.rand(2, 1, 8, 6))
    scaled = latent.resize(given, scale=1.5)
    assert tuple(scaled.samples.shape) == (2, 4, 12, 9)
    assert scaled.mask is not None and tuple(scaled.mask.shape) == (2, 1, 12, 9)
    flat = Latent(torch.full((1, 4, 8, 8), 2.0), "sd1")
    for method in ("bicubic", "bilinear", "nearest"):
        for scale in (0.5, 2.0):
            assert torch.allclose(latent.resize(flat, scale=scale, method=method).samples, torch.tensor(2.0))
    many = latent.repeat(given, times=3)
    assert torch.equal(many.samples[1], given.samples[0]) and torch.equal(many.samples[3], given.samples[1])
    assert many.mask is not None and many.mask.shape[0] == 6
    picked = latent.select(many, index=3)
    assert torch.equal(picked.samples[0], given.samples[1])
    with pytest.raises(ProblemError, match="6 images"):
        latent.select(many, index=6)


def _silent(sd1: Kit) -> BenchContext:
    """The autoencoder of a file that tells no family, and so no scale."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL.from_config({**sd1.pipeline.vae.config, "scaling_factor": None}).eval()
    model.load_state_dict(sd1.pipeline.vae.state_dict())
    shelf = Shelf()
    shelf.put("VAE", "silent", model)
    return BenchContext(shelf)


def test_a_vae_that_tells_no_family_goes_by_the_latent(sd1: Kit) -> None:
    context = _silent(sd1)
    own = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    wanted = vae.decode(sd1.vae, Latent(own * 0.18215, "sd1", 8), ctx=sd1.context).pixels
    for family, scale in (("sd1", 0.18215), ("sd2", 0.18215), ("sdxl", 0.13025)):
        got = vae.decode(recipe("VAE", "", "silent"), Latent(own * scale, family, 8), ctx=context).pixels
        assert torch.allclose(got, wanted, atol=1e-5), family


def test_a_vae_that_tells_no_family_needs_one_to_encode(sd1: Kit) -> None:
    context = _silent(sd1)
    with pytest.raises(ProblemError) as caught:
        vae.encode(recipe("VAE", "", "silent"), Image(pixels()), ctx=context)
    assert problem(caught) == ("vae_family_unknown", "vae")
    plain = vae.encode(sd1.vae, Image(pixels()), ctx=sd1.context).samples
    wide = vae.encode(recipe("VAE", "sdxl", "silent"), Image(pixels()), ctx=context)
    assert wide.family == "sdxl" and torch.allclose(wide.samples / 0.13025, plain / 0.18215, atol=1e-5)


def test_a_vae_of_another_family_than_the_latent_is_a_problem(sd1: Kit, sdxl: Kit) -> None:
    with pytest.raises(ProblemError) as caught:
        vae.decode(sdxl.vae, Latent(torch.zeros(1, 4, 4, 4), "sd1", 8), ctx=sdxl.context)
    assert problem(caught) == ("wrong_family", "vae")
    # Those of versions 1 and 2 are alike.
    vae.decode(sd1.vae, Latent(torch.zeros(1, 4, 4, 4), "sd2", 8), ctx=sd1.context)
