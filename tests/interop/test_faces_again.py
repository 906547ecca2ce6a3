"""The graph of a record of ADetailer runs: a face is painted again, and an image without one stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import real_weights
from safelight.app import Studio
from safelight.graph import Document
from safelight.graph.document import Link, Node, Port
from safelight.interop.reading import read

RECORD = (
    "an apple\nSteps: 1, Sampler: Euler, CFG scale: 1, Seed: 1, Size: 64x64, Model: starter, "
    "ADetailer model: face_yolov8n.pt, ADetailer denoising strength: 0.9, ADetailer steps: 2"
)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    from safetensors.torch import save_file

    home = tmp_path / "home"
    for folder in ("models", "input"):
        (home / folder).mkdir(parents=True)
    for name, weights in real_weights.mtcnn().items():
        save_file(weights, home / "models" / f"{name}.safetensors")
    real_weights.photograph("astronaut.png").crop((100, 0, 356, 256)).save(home / "input" / "face.png")
    return Studio.open(home)


def drawn(studio: Studio, file: str) -> Document:
    """The graph of the record, with a file in the place of what its sampler makes."""
    document = read(RECORD.encode(), studio.media).document
    networks = {"first": "pnet", "second": "rnet", "third": "onet"}
    changed = {Port("faces", port): f"{name}.safetensors" for port, name in networks.items()}
    document = document.with_values({Port("model", "model"): "starter", **changed})
    start = Port("decode", "image")
    links = (Link(Port("file", "image"), one.target) if one.source == start else one for one in document.links)
    nodes = document.nodes | {"file": Node("image.load", values={"file": file})}
    return replace(document, nodes=nodes, links=tuple(links))


def made(studio: Studio, document: Document, folder: Path) -> np.ndarray:
    studio.run(document, output=folder)
    (path,) = folder.rglob("*.png")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_face_is_painted_again_and_the_rest_stays(studio: Studio, tmp_path: Path) -> None:
    before = np.asarray(Image.open(studio.home / "input" / "face.png").convert("RGB")).astype(int)
    after = made(studio, drawn(studio, "face.png"), tmp_path / "out")
    differs = np.abs(after - before).max(axis=2) > 8
    assert 0.02 < differs.mean() < 0.5
    assert not differs[-40:].any(), "below the face"


def test_an_image_without_a_face_stays_as_it_is(studio: Studio, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), (30, 90, 60)).save(studio.home / "input" / "plain.png")
    after = made(studio, drawn(studio, "plain.png"), tmp_path / "out")
    assert after.shape == (64, 96, 3) and (after == (30, 90, 60)).all()
