"""How values are kept: in fewer bytes where that loses nothing, in their file where they are large, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from engine.engine_bench import Engine, doc
from safelight.engine import Cache
from safelight.engine.cache import MISSING, mapped
from safelight.engine.cache.compact import compacted, widened
from safelight.graph import Document
from safelight.sdk import Image, Video, node
from safelight.sdk.pack import Catalogue

CODEC = Catalogue([]).codec
EIGHT = torch.arange(256).repeat(64).to(torch.uint8) / 255
RANDOM = torch.rand(16_384, generator=torch.Generator().manual_seed(1))


def opened(folder: Path, **limits: int) -> Cache:
    return Cache(folder, CODEC, **{"memory_bytes": 64 << 20, "disk_bytes": 1 << 30, **limits})


@pytest.mark.parametrize(
    ("tensor", "way"),
    [
        (EIGHT, "uint8/255"),
        (RANDOM.bfloat16().float(), "bfloat16"),
        (RANDOM.half().float(), "float16"),
        (RANDOM, None),
        (torch.cat([EIGHT, RANDOM[:1]]), None),
        (torch.cat([torch.zeros(300_000), torch.tensor([-0.0])]), "bfloat16"),
        (EIGHT[:1000], None),
        (EIGHT.double(), None),
    ],
)
def test_a_tensor_is_narrowed_only_where_every_bit_comes_back(tensor: torch.Tensor, way: str | None) -> None:
    found = compacted(tensor)
    assert (found and found[1]) == way
    if found:
        back = widened(*found)
        assert back.dtype == torch.float32 and torch.equal(back.view(torch.int32), tensor.view(torch.int32))


def test_what_is_kept_narrow_has_the_digest_and_the_bits_of_the_wide_one(tmp_path: Path) -> None:
    pixels = EIGHT.reshape(1, 64, 64, 4)
    turned = pixels.permute(0, 3, 1, 2)  # in the order of memory it comes back as well
    with_disk, in_memory = opened(tmp_path), Cache(None, CODEC, memory_bytes=1 << 20, disk_bytes=0)
    refs = [with_disk.put(Image(pixels)), with_disk.put(turned)]
    assert refs == [in_memory.put(Image(pixels)), in_memory.put(turned)]
    with_disk.close()
    cache = opened(tmp_path)
    assert cache.info().disk_bytes < (pixels.numel() * 2) * 1.3, "two tensors, a byte an element"
    image, tensor = cache.get(refs[0]), cache.get(refs[1])
    assert torch.equal(image.pixels, pixels) and torch.equal(tensor, turned)
    assert tensor.stride() == turned.stride() and cache.digest(image) == refs[0].digest
    path = next((tmp_path / "values").rglob("*.safetensors"))
    from safetensors.torch import load_file

    assert next(iter(load_file(path).values())).dtype == torch.uint8


def test_an_unknown_way_of_keeping_is_a_miss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = opened(tmp_path)
    ref = cache.put(EIGHT)
    cache.close()
    from safelight.engine.cache import container

    monkeypatch.setattr(container, "WAYS", {})
    cache = opened(tmp_path)
    assert cache.get(ref) is MISSING


def test_a_video_stays_in_its_file_and_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.engine.cache import disk

    monkeypatch.setattr(disk, "LARGE", 1 << 20)
    frames = torch.from_numpy(numpy.random.default_rng(2).integers(0, 255, (12, 180, 320, 3), numpy.uint8))
    cache = opened(tmp_path)
    ref = cache.put(Video(frames, 8.0), 10.0)
    assert cache.info().memory_bytes > frames.numel(), "what was just made is held"
    cache.close()
    cache = opened(tmp_path)
    video = cache.get(ref)
    assert torch.equal(video.frames, frames) and video.fault() is None
    assert cache.info().memory_values == 1 and cache.info().memory_bytes < 2_000
    assert torch.equal(video.images(3, 5).pixels, frames[3:5] / 255)
    video.frames[0] = 7  # a node that must not do this harms itself alone
    other = opened(tmp_path).get(ref)
    assert torch.equal(other.frames, frames)
    path = next((tmp_path / "values").rglob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    assert opened(tmp_path).get(ref) is MISSING, "a flipped bit is found before the value is handed out"


def test_a_file_that_cannot_be_mapped_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.engine.cache import disk

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("not on this file system")

    monkeypatch.setattr(disk, "LARGE", 1 << 10)
    monkeypatch.setattr(mapped.mmap, "mmap", refuse)
    cache = opened(tmp_path)
    ref = cache.put(RANDOM)
    cache.close()
    assert torch.equal(opened(tmp_path).get(ref), RANDOM)


calls: list[str] = []


@node(version=1, category="kept")
def slow(*, size: int = 64) -> Image:
    """Made once."""
    calls.append("slow")
    return Image(torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(3)))


@node(version=1, cheap=True, category="kept")
def half(image: Image) -> Image:
    """Cheaper to make again than to read."""
    calls.append("half")
    return Image(image.pixels[:, ::2].contiguous())


@node(version=1, category="kept")
def mean(image: Image, *, times: float = 1.0) -> float:
    """Needs the value of what is cheap."""
    calls.append("mean")
    return float(image.pixels.mean()) * times


def chain(times: float) -> Document:
    return doc(
        {"slow": "slow", "half": "half", "mean": ("mean", {"times": times})},
        [("slow.image", "half.image"), ("half.image", "mean.image")],
        {"mean": "mean.value"},
        prefix="kept.",
    )


def test_what_is_cheap_is_made_again_after_a_restart_and_only_where_it_is_needed(tmp_path: Path) -> None:
    engine = Engine(tmp_path, Catalogue.of(slow, half, mean))

    def ran(times: float) -> list[str]:
        calls.clear()
        planned = engine.plan(chain(times)).nodes
        engine.run(chain(times))
        assert sorted(calls) == sorted(name for name, found in planned.items() if found.status == "run"), "as planned"
        return list(calls)

    assert ran(1.0) == ["slow", "half", "mean"]
    assert ran(2.0) == ["mean"], "it is held in memory"
    engine.restart()
    assert ran(2.0) == [], "nobody needs its value"
    assert ran(3.0) == ["half", "mean"]
