"""Subjects cut out by networks in ONNX files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_mattes
from node_bench import BenchContext, codes, offline_store
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes._mattes import matte_of, size_for, subject_colours
from safelight_nodes.mask.matte import matte

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FACTORS = torch.tensor([0.5, 1.0, 0.25])
PIXELS = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def bench(models: Path, **options: Any) -> BenchContext:
    return BenchContext(models=offline_store(models.parent), **options)


def wanted(pixels: torch.Tensor, mean: Any, deviation: Any) -> torch.Tensor:
    return (((pixels - torch.tensor(mean)) / torch.tensor(deviation)) @ FACTORS).sigmoid()


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
AROUND_ZERO = ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
MINUS_ONE = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("size", "options", "given", "scale"),
    [
        ((64, 64), {}, {}, IMAGENET),  # as U2-Net
        ((64, 64), {}, {"values": "around_zero"}, AROUND_ZERO),
        (("h", "w"), {}, {"resolution": 64}, MINUS_ONE),  # as MODNet
        (("h", "w"), {"attention": True}, {"resolution": 0}, IMAGENET),  # as BiRefNet
        ((64, 64), {"logits": True}, {}, IMAGENET),
    ],
)
def test_a_map_is_what_the_network_gives(size: Any, options: Any, given: Any, scale: Any, models: Path) -> None:
    tiny_mattes.write(models / "any.onnx", size, **options)
    ctx = bench(models)
    found = matte(Image(PIXELS), model="any.onnx", clean_edges=False, **given, ctx=ctx)
    assert (found.mask.coverage - wanted(PIXELS, *scale)).abs().max() < 1e-4
    assert torch.equal(found.image.pixels[..., :3], PIXELS)
    assert torch.equal(found.image.pixels[..., 3], found.mask.coverage)
    assert ctx.steps == [(1, 2), (2, 2)]


def test_an_image_is_brought_to_the_size_of_the_network_and_its_map_back(models: Path) -> None:
    """One of 1024 pixels and no attention is as IS-Net."""
    tiny_mattes.write(models / "isnet-general-use.onnx", (1024, 1024), half=True)
    wide = PIXELS[:1, :30].clone()
    wide[:, :, :20] = 0.1
    found = matte(Image(wide), ctx=bench(models)).mask.coverage
    assert found.shape == (1, 30, 64)
    flat = wanted(torch.full((3,), 0.1), *AROUND_ZERO)
    assert (found[:, :, :18] - flat).abs().max() < 2e-3 and found[:, :, 24:].std() > 0.01


def test_what_was_transparent_stays_so(models: Path) -> None:
    tiny_mattes.write(models / "any.onnx")
    alpha = torch.linspace(0, 1, 64).expand(1, 64, 64)
    given = Image(torch.cat([PIXELS[:1], alpha[..., None]], dim=-1))
    found = matte(given, model="any.onnx", clean_edges=False, ctx=bench(models))
    on_white = PIXELS[:1] * alpha[..., None] + 1 - alpha[..., None]
    assert (found.mask.coverage - wanted(on_white, *IMAGENET)).abs().max() < 1e-4
    assert torch.equal(found.image.pixels[..., 3], found.mask.coverage * alpha)


def test_colours_of_edges_are_those_of_the_subject() -> None:
    """A red disk with a soft edge before blue: half transparent pixels are red, and not violet."""
    down, across = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    soft = ((30 - ((down - 48) ** 2 + (across - 48) ** 2).sqrt()) / 12 + 0.5).clamp(0, 1)
    red, blue = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.1, 0.9])
    image = red * soft[..., None] + blue * (1 - soft[..., None])
    found = subject_colours(image, soft)
    edge = (soft > 0.1) & (soft < 0.9)
    before, after = ((one[edge] - red).abs().amax(dim=-1) for one in (image, found))
    assert before.mean() > 0.3 and after.mean() < before.mean() / 8 and after.max() < 0.1
    assert torch.equal(found[soft == 1], image[soft == 1])


def test_sizes_of_a_network_for_any() -> None:
    class Any_:
        height = width = 0

    assert size_for(Any_, 300, 451, 512) == (512, 768)
    assert size_for(Any_, 300, 451, 0) == (288, 448)
    assert size_for(Any_, 8, 4000, 0) == (32, 4000)


def test_numbers_that_are_none_are_the_background() -> None:
    class Odd:
        height = width = 32
        operators = frozenset[str]()

        def __call__(self, pixels: Any) -> Any:
            return [torch.full((1, 1, 32, 32), float("nan"))]

    assert not matte_of(Odd(), PIXELS[0], "auto", 512).any()


def test_without_the_file_it_is_told_where_it_is(models: Path) -> None:
    with pytest.raises(ProblemError) as missing:
        matte(Image(PIXELS), ctx=bench(models))
    assert codes(missing) == [("model_missing", "model")]
    assert "safelight models download https://github.com/" in (missing.value.problems[0].hint or "")
    with pytest.raises(ProblemError) as missing:
        matte(Image(PIXELS), model="mine.onnx", ctx=bench(models))
    assert "github" not in (missing.value.problems[0].hint or "")


def test_without_the_package_it_is_told_what_to_install(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_mattes.write(models / "any.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProblemError) as missing:
        matte(Image(PIXELS), model="any.onnx", ctx=bench(models))
    assert codes(missing) == [("needs_package", "model")]
    assert "pip install 'safelight[onnx]'" in (missing.value.problems[0].hint or "")


def test_a_network_that_cannot_be_run_is_a_problem(models: Path) -> None:
    """Its layout is right, its inside is not: the weights are for one channel."""
    import onnx

    path = tiny_mattes.write(models / "any.onnx")
    made = onnx.load(str(path))
    made.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(made, str(path))
    with pytest.raises(ProblemError) as wrong:
        matte(Image(PIXELS), model="any.onnx", ctx=bench(models))
    assert [problem.code for problem in wrong.value.problems] == ["weights_damaged"]
    assert "NoSuchOperator" in wrong.value.problems[0].message


def test_the_store_counts_a_network_and_lets_it_go(models: Path) -> None:
    import gc
    import weakref

    path = tiny_mattes.write(models / "any.onnx")
    store = offline_store(models.parent)
    ctx = BenchContext(models=store)
    matte(Image(PIXELS), model="any.onnx", ctx=ctx)
    (held,) = store.loaded()
    assert held.bytes == path.stat().st_size
    (entry,) = store._shelf
    session = weakref.ref(entry.value.loaded.component.network.session)
    del entry
    store.clear()
    gc.collect()
    assert store.loaded() == [] and session() is None


def test_it_can_be_cancelled(models: Path) -> None:
    tiny_mattes.write(models / "any.onnx")
    ctx = bench(models, cancel_at=1)
    with pytest.raises(Cancelled):
        matte(Image(PIXELS), model="any.onnx", ctx=ctx)
    assert ctx.steps == [(1, 2)]


def test_isnet_with_its_real_weights_cuts_out_a_person(tmp_path: Path) -> None:
    """On a photograph: head, suit and helmet are in, the wall, the flag and the rocket are out."""
    import real_weights

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "isnet-general-use.onnx").write_bytes(real_weights.isnet())
    photo = torch.from_numpy(np.array(real_weights.photograph("astronaut.png"))).float() / 255
    found = matte(Image(photo[None]), ctx=bench(tmp_path / "models"))
    mask = found.mask.coverage[0]
    for place in ((100, 225), (300, 180), (400, 350)):
        assert mask[place] > 0.9
    for place in ((60, 20), (60, 130), (100, 395), (330, 480), (250, 40)):
        assert mask[place] < 0.1
    assert mask.mean().item() == pytest.approx(0.534, abs=0.02)
    assert ((mask > 0.1) & (mask < 0.9)).float().mean() < 0.03, "its edges are sharp"
