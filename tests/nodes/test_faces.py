"""Faces: found with real weights, turned upright, mended and put back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import real_weights
from node_bench import BenchContext, codes, offline_store
from safelight.models import ModelStore
from safelight.sdk import Image, ModelRef, ProblemError, Source
from safelight_nodes import _faces
from safelight_nodes.faces import repair


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    real_weights.write_mtcnn(folder / "models")
    return folder


class Store(ModelStore):
    """A store that has a network for faces as well: one that turns colours round."""

    faces = True

    def lease(self, ref: Any, scratch: int = 0) -> Any:
        if ref.kind != "Upscaler":
            return super().lease(ref, scratch)
        from contextlib import nullcontext

        class Network:
            faces = self.faces

            def __call__(self, pixels: Any) -> Any:
                assert pixels.shape == (1, 512, 512, 3)
                return 1 - pixels

        return nullcontext(SimpleNamespace(component=Network()))


def bench(home: Path) -> BenchContext:
    return BenchContext(models=offline_store(home, Store))


@pytest.fixture(scope="module")
def photo() -> Image:
    pixels = np.array(real_weights.photograph("astronaut.png").crop((100, 0, 356, 256)))
    wall = np.full_like(pixels, 128)
    return Image(torch.from_numpy(np.stack([pixels, wall])).float() / 255)


RESTORER: Any = ModelRef("Upscaler", "", Source("file", "GFPGAN.safetensors"))


def test_a_face_is_found_where_it_is(home: Path, photo: Image) -> None:
    """Its box and its points, as facenet-pytorch gives them of the whole photograph, less what was cut off."""
    ctx = bench(home)
    found = repair.find(photo, smallest=40, ctx=ctx)
    assert found.number == 1 and json.loads(found.boxes[1]) == [] and ctx.steps == [(1, 2), (2, 2)]
    (face,) = json.loads(found.boxes[0])
    box = face["left"], face["top"], face["left"] + face["width"], face["top"] + face["height"]
    assert box == pytest.approx((81, 62, 168, 172), abs=5) and face["score"] > 0.99
    points = [(105.0, 101.7), (146.8, 103.7), (124.7, 129.0), (101.7, 139.1), (145.3, 141.9)]
    assert np.abs(np.array(face["points"]) - np.array(points)).max() < 2
    assert found.mask.coverage[0, 117, 124] == 1 and found.mask.coverage[0, 10, 10] == 0
    assert not found.mask.coverage[1].any()


def test_a_mended_face_is_put_back_and_the_rest_stays(home: Path, photo: Image) -> None:
    ctx = bench(home)
    made = repair.repair(photo, RESTORER, feather=0.2, ctx=ctx)
    assert made.number == 1 and torch.equal(made.image.pixels[1], photo.pixels[1])
    outside = made.mask.coverage[0] == 0
    assert outside.float().mean() > 0.2 and torch.equal(made.image.pixels[0][outside], photo.pixels[0][outside])
    nose = slice(120, 136), slice(116, 132)
    assert made.mask.coverage[0][nose].min() == 1
    assert (made.image.pixels[0][nose] - (1 - photo.pixels[0][nose])).abs().mean() < 0.02
    half = repair.repair(photo, RESTORER, feather=0.2, strength=0.5, ctx=bench(home))
    assert (half.image.pixels[0][nose] - 0.5).abs().mean() < 0.02


def test_a_network_that_is_not_for_faces_is_refused(home: Path, photo: Image) -> None:
    ctx = bench(home)
    ctx.models.faces = False
    with pytest.raises(ProblemError) as wrong:
        repair.repair(photo, RESTORER, ctx=ctx)
    assert codes(wrong) == [("wrong_model", "restorer")]


def test_without_weights_it_is_told_where_they_are(tmp_path: Path, photo: Image) -> None:
    with pytest.raises(ProblemError) as missing:
        repair.find(photo, ctx=bench(tmp_path))
    assert codes(missing) == [("model_missing", "first")]
    assert "facenet-pytorch" in (missing.value.problems[0].hint or "")


def test_a_turned_face_is_upright_and_back_again() -> None:
    angle, scale = math.radians(25), 0.6
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points = (np.array(_faces._TEMPLATE) * scale) @ turn.T + (300, 40)
    way = _faces.upright(points)
    assert np.allclose(points @ way[:, :2].T + way[:, 2], _faces._TEMPLATE, atol=1e-6)
    smooth = np.indices((600, 700)).transpose(1, 2, 0) / 700
    image = np.concatenate([smooth, smooth[..., :1]], axis=-1).astype(np.float32)
    back, share = _faces.put_back(image, _faces.cut_out(image, way), way, 0.2, 1.0)
    assert share.max() == pytest.approx(1) and np.abs(back - image).max() < 0.01
