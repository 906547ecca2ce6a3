"""Networks that make images larger: told by their files, tile by tile as at once, and with real weights."""

from __future__ import annotations

import importlib
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import real_weights
from node_bench import BenchContext, codes, offline_store
from safelight.families._clip.tiny import seeded
from safelight.families.files import Header, TensorEntry
from safelight.models.upscalers import ARCHITECTURES, architecture
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes import _tiles, upscale

BUILT: dict[str, tuple[str, dict[str, Any]]] = {
    "ATD": ("ATD", {}),
    "Compact": ("SRVGGNetCompact", {}),
    "DAT": ("DAT", {}),
    "DITN": ("DITN_Real", {}),
    "DRCT": ("DRCT", {}),
    "DRUNet": ("DRUNet", {}),
    "ESRGAN": ("RRDBNet", {}),
    "FBCNN": ("FBCNN", {}),
    "GFPGAN": ("GFPGANv1Clean", {}),
    "HAT": ("HAT", {}),
    "MoSR": ("MoSR", {}),
    "OmniSR": ("OmniSR", {}),
    "PLKSR": ("RealPLKSR", {}),
    "RCAN": ("RCAN", {}),
    "RGT": ("RGT", {}),
    "RealCUGAN": ("UpCunet2x", {}),
    "RestoreFormer": ("RestoreFormer", {}),
    "SAFMN": ("SAFMN", {"dim": 8}),
    "SCUNet": ("SCUNet", {}),
    "SPAN": ("SPAN", {"num_in_ch": 3, "num_out_ch": 3}),
    "Swin2SR": ("Swin2SR", {"window_size": 8}),
    "SwinIR": ("SwinIR", {"window_size": 8}),
}


def network(architecture: str, made: str) -> Any:
    """A class of torch modules that spandrel has for an architecture, by its own name."""
    room = importlib.import_module(f"spandrel.architectures.{architecture}")
    return next(one for one in vars(room).values() if getattr(one, "__name__", "") == made)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BUILT)
def test_a_file_is_told_as_spandrel_tells_it(name: str) -> None:
    made, options = BUILT[name]
    with seeded(1):
        weights = network(name, made)(**options).state_dict()
    header = Header({key: TensorEntry("F32", tuple(one.shape), (0, 0)) for key, one in weights.items()}, {}, 8)
    assert architecture(header) == name
    wrapped = Header({f"params_ema.{key}": one for key, one in header.tensors.items()}, {}, 8)
    assert architecture(wrapped) == name


def test_every_row_has_its_proof() -> None:
    assert {name for name, _ in ARCHITECTURES} - set(BUILT) == {"AuraSR", "NAFNet", "CodeFormer"}, (
        "sizes or a package of their own"
    )


def rrdb(scale: int = 2, channels: int = 3) -> dict[str, torch.Tensor]:
    """A small ESRGAN whose result depends on the whole neighbourhood of a pixel."""
    with seeded(2):
        net = network("ESRGAN", "RRDBNet")(in_nc=channels, out_nc=channels, num_filters=8, num_blocks=1, scale=scale)
    weights = {name: tensor.detach() * 1.5 for name, tensor in net.state_dict().items()}
    return {name: tensor.contiguous() for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    models = folder / "models"
    models.mkdir()
    save_file(rrdb(), models / "double.safetensors")
    save_file({f"params_ema.{name}": one for name, one in rrdb().items()}, models / "wrapped.safetensors")
    lacking = rrdb()
    lacking.pop("model.1.sub.0.RDB2.conv1.0.weight")
    save_file(lacking, models / "lacking.safetensors")
    torch.save({"params": rrdb()}, models / "pickled.pth")
    return folder


@pytest.fixture
def ctx(home: Path) -> BenchContext:
    return BenchContext(models=offline_store(home))


def image(height: int, width: int, batch: int = 1, channels: int = 3) -> Image:
    return Image(torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(3)))


def by_hand(pixels: torch.Tensor) -> torch.Tensor:
    from spandrel import ModelLoader

    return ModelLoader("cpu").load_from_state_dict(rrdb())(pixels.movedim(-1, 1)).movedim(1, -1)


@pytest.mark.parametrize("name", ["double", "wrapped"])
def test_what_it_gives_is_what_the_library_gives(ctx: BenchContext, name: str) -> None:
    given = image(20, 28, batch=2)
    made = upscale.apply(given, upscale.load(upscaler=name, ctx=ctx), ctx=ctx).pixels
    assert made.shape == (2, 40, 56, 3) and made.std() > 0.01
    assert (made - by_hand(given.pixels)).abs().max() <= 1e-6
    assert ctx.steps == [(1, 2), (2, 2)]


def test_pickles_follow_their_rule(home: Path) -> None:
    with pytest.raises(ProblemError) as refused:
        upscale.load(upscaler="pickled.pth", ctx=BenchContext(models=offline_store(home)))
    assert codes(refused) == [("unsafe_weights", "upscaler")]
    ctx = BenchContext(models=offline_store(home, SAFELIGHT_ALLOW_PICKLE="1"))
    given = image(16, 16)
    made = upscale.apply(given, upscale.load(upscaler="pickled.pth", ctx=ctx), ctx=ctx).pixels
    assert (made - by_hand(given.pixels)).abs().max() <= 1e-6


def test_tiles_leave_no_seams(ctx: BenchContext) -> None:
    """What a network sees of the neighbours is less than the overlap here, so the result is that of the whole."""
    given = image(128, 192)
    model = upscale.load(upscaler="double", ctx=ctx)
    whole = upscale.apply(given, model, tile=256, ctx=ctx).pixels
    tiled = upscale.apply(given, model, tile=64, overlap=32, ctx=ctx).pixels
    assert ctx.steps[-1] == (15, 15)
    butted = upscale.apply(given, model, tile=64, overlap=0, ctx=ctx).pixels
    assert (tiled - whole).abs().max() < 1e-6
    assert (butted - whole).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("length", "side", "overlap"), [(100, 64, 16), (65, 64, 32), (129, 64, 32), (1000, 64, 0), (5, 9, 2)]
)
def test_tiles_cover_and_their_shares_add_up(length: int, side: int, overlap: int) -> None:
    pieces = list(_tiles.spans(length, side, overlap))
    assert pieces[0][0] == 0 and pieces[-1][1] == length and all(end - begin <= side for begin, end in pieces)
    assert all(one[1] - two[0] >= overlap for one, two in pairwise(pieces))
    total = torch.zeros(length * 3)
    for (begin, end), share in zip(pieces, _tiles.fades(pieces, 3), strict=True):
        total[begin * 3 : end * 3] += share
    assert (total - 1).abs().max() < 1e-6


def test_factor_and_transparency(ctx: BenchContext) -> None:
    given = image(16, 24, channels=4)
    made = upscale.apply(given, upscale.load(upscaler="double", ctx=ctx), factor=1.5, ctx=ctx).pixels
    assert made.shape == (1, 24, 36, 4) and made.min() >= 0 and made.max() <= 1


def test_it_stops_between_tiles(home: Path) -> None:
    ctx = BenchContext(models=offline_store(home), cancel_at=2)
    with pytest.raises(Cancelled):
        upscale.apply(image(200, 200), upscale.load(upscaler="double", ctx=ctx), tile=64, ctx=ctx)


def test_smaller_tiles_when_memory_runs_out(ctx: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[int] = []
    plain = _tiles._tiled

    def tiled(pixels: Any, network: Any, side: int, *rest: Any) -> Any:
        sides.append(side)
        if side > 128:
            raise torch.OutOfMemoryError("none left")
        return plain(pixels, network, side, *rest)

    monkeypatch.setattr(_tiles, "_tiled", tiled)
    given = image(130, 130)
    made = upscale.apply(given, upscale.load(upscaler="double", ctx=ctx), ctx=ctx).pixels
    assert sides == [512, 512, 256, 256, 128] and made.shape == (1, 260, 260, 3)


def test_damaged_and_other_files_are_told(home: Path, ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as damaged:
        upscale.apply(image(8, 8), upscale.load(upscaler="lacking", ctx=ctx), ctx=ctx)
    assert codes(damaged) == [("model_incomplete", "upscaler")]
    with pytest.raises(ProblemError) as other:
        upscale.load(upscaler="starter", ctx=ctx)
    assert codes(other) == [("wrong_model", "upscaler")]


def test_real_esrgan_draws_edges_as_sharp_as_a_photograph_has(tmp_path: Path) -> None:
    """64 pixels of photographs, four times larger, with the real weights of x4plus. Its edges are nearer to the
    original's than those of bicubic scaling; it is no better in PSNR, for which it was not trained."""
    from PIL import Image as Pillow

    (tmp_path / "models").mkdir()
    save_file(real_weights.real_esrgan(), tmp_path / "models" / "RealESRGAN_x4plus.safetensors")
    ctx = BenchContext(models=offline_store(tmp_path))
    model = upscale.load(upscaler="RealESRGAN_x4plus", ctx=ctx)
    for name, left, top in (("coffee.png", 150, 60), ("astronaut.png", 90, 30)):
        original = real_weights.photograph(name).crop((left, top, left + 256, top + 256))
        small = original.resize((64, 64), Pillow.Resampling.BOX)
        bicubic = pixels_of(small.resize((256, 256), Pillow.Resampling.BICUBIC))
        made = upscale.apply(Image(pixels_of(small)[None]), model, ctx=ctx).pixels[0]
        truth = pixels_of(original)
        assert made.shape == truth.shape
        assert abs(math.log(edges(made) / edges(truth))) < 0.5 * abs(math.log(edges(bicubic) / edges(truth)))
        assert ((made - truth) ** 2).mean() < 10**-2.1, "and it is the same image"


def pixels_of(image: Any) -> torch.Tensor:
    import numpy

    return torch.from_numpy(numpy.asarray(image, dtype=numpy.float32) / 255)


def edges(pixels: torch.Tensor) -> float:
    """The energy of the gradient of the brightness."""
    grey = pixels.mean(-1)
    return float((grey.diff(dim=0) ** 2).mean() + (grey.diff(dim=1) ** 2).mean())


def test_codeformer_is_told_and_needs_its_own_package(tmp_path: Path) -> None:
    from importlib.util import find_spec

    names = ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight", "encoder.blocks.0.weight")
    (tmp_path / "models").mkdir()
    save_file({f"params_ema.{name}": torch.zeros(1) for name in names}, tmp_path / "models" / "codeformer.safetensors")
    ctx = BenchContext(models=offline_store(tmp_path))
    model = upscale.load(upscaler="codeformer", ctx=ctx)
    with pytest.raises(ProblemError) as missing:
        upscale.apply(image(8, 8), model, ctx=ctx)
    wanted = "model_incomplete" if find_spec("spandrel_extra_arches") else "needs_package"
    assert codes(missing) == [(wanted, "upscaler")]
    assert "S-Lab" in missing.value.problems[0].message or wanted == "model_incomplete"
