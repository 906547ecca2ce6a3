"""EXR in and out; without its library, what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from node_bench import BenchContext
from safelight.sdk import Image, ProblemError
from safelight_nodes.image import exr


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(("precision", "most"), [("half", 1e-3), ("float", 1e-6)])
def test_what_is_saved_is_read_back(tmp_path: Path, channels: int, precision: str, most: float) -> None:
    pytest.importorskip("OpenEXR")
    ctx = BenchContext(folder=tmp_path)
    given = 0.1 + 0.9 * torch.rand(1, 6, 5, channels, generator=torch.Generator().manual_seed(1))
    (file,) = exr.save_exr(Image(given), precision=precision, ctx=ctx)  # type: ignore[arg-type]
    assert (file.name, file.media_type, file.width, file.height) == ("safelight_{counter}.exr", "image/x-exr", 5, 6)
    (tmp_path / "a.exr").write_bytes(ctx.saved[file.digest])
    back = exr.load_exr(file="a.exr", ctx=ctx)
    assert back.image.pixels.shape == given.shape and float((back.image.pixels - given).abs().max()) < most
    assert ctx.warned == []
    bright = exr.load_exr(file="a.exr", exposure=4.0, ctx=ctx)
    assert float(bright.image.pixels.max()) == 1 and ctx.warned[0].code == "range_cut"


def test_light_is_linear(tmp_path: Path) -> None:
    library = pytest.importorskip("OpenEXR")
    import numpy

    grey = numpy.full((2, 3), 0.21404114, numpy.float32)  # sRGB 0.5
    with library.File({}, {"Y": grey}) as file:
        file.write(str(tmp_path / "grey.exr"))
    made = exr.load_exr(file="grey.exr", ctx=BenchContext(folder=tmp_path)).image.pixels
    assert torch.allclose(made, torch.tensor(0.5), atol=1e-5)


@pytest.mark.parametrize("data", [b"", b"hello", b"v/1\x01\x02\0\0\0"])
def test_what_is_no_exr_is_told(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("OpenEXR")
    (tmp_path / "a.exr").write_bytes(data)
    with pytest.raises(ProblemError) as caught:
        exr.load_exr(file="a.exr", ctx=BenchContext(folder=tmp_path))
    assert caught.value.problems[0].code == "image_unreadable"


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(ProblemError) as caught:
        exr.save_exr(Image(torch.zeros(1, 2, 2, 3)), ctx=BenchContext(folder=tmp_path))
    assert caught.value.problems[0].code == "needs_package" and "safelight[exr]" in caught.value.problems[0].hint
