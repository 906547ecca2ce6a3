"""A workflow of ComfyUI runs, and makes what the same workflow of ours makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comfyui_files import api, canvas
from safelight.app import Studio
from safelight.graph import Port
from safelight.interop.reading import read


@pytest.mark.parametrize("make", [api, lambda: canvas()[0].data], ids=["api", "canvas"])
def test_text_to_image(make: Any, tmp_path: Path) -> None:
    with Studio.open(tmp_path / "home") as studio:
        document = read(json.dumps(make()).encode(), studio.media).document
        loader = next(name for name, node in document.nodes.items() if node.type == "models.load")
        document = document.with_values({Port(loader, "model"): "starter"})
        ours = studio.read("text_to_image")
        sampler = next(name for name, node in ours.nodes.items() if node.type == "sampling.sample")
        canvas_ = next(name for name, node in ours.nodes.items() if node.type == "latent.empty")
        set_values = {"steps": 4, "guidance": 2.0, "seed": 5, "sampler": "dpmpp_2m", "scheduler": "karras"}
        set_values |= {"formulas": "k-diffusion"}
        ours = ours.with_inputs({"prompt": "a red apple"}).with_values(
            {Port(sampler, name): value for name, value in set_values.items()}
            | {Port(canvas_, "width"): 128, Port(canvas_, "height"): 128}
        )
        images = [_pixels(studio, one, tmp_path / str(number)) for number, one in enumerate((document, ours))]
    assert images[0] == images[1]


def _pixels(studio: Studio, document: Any, folder: Path) -> bytes:
    from PIL import Image

    studio.run(document, output=folder)
    (file,) = folder.rglob("*.png")
    with Image.open(file) as image:
        return image.tobytes()
