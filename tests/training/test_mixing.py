"""Weights between those of a model and of another, or of what a training made of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import codes
from safelight.app import Studio
from safelight.graph import Document
from safelight.sdk import ProblemError
from safelight_nodes._training.mixing import mixed
from safelight_nodes.training_values import Weights


def weights(kind: str = "UNet2DConditionModel", **tensors: Any) -> Weights:
    found = {name: torch.tensor(values) for name, values in tensors.items()}
    return Weights(kind, {"of": kind}, found, ((1, 0.5),), {"seed": 3})


def test_each_number_lies_between_and_the_rest_is_as_the_second_says() -> None:
    first, second = weights(a=[0.0, 1.0], count=[1]), weights(a=[1.0, 3.0], count=[2])
    made = mixed(first, second, 0.25)
    assert made.tensors["a"].tolist() == [0.25, 1.5] and made.tensors["count"].tolist() == [2]
    assert (made.kind, made.config, made.curve) == (second.kind, second.config, second.curve)
    assert made.about == {"seed": 3, "mixed": 0.25}
    assert second.tensors["a"].tolist() == [1.0, 3.0], "as it was"
    assert torch.equal(mixed(first, second, 0.0).tensors["a"], first.tensors["a"])
    assert torch.equal(mixed(first, second, 1.0).tensors["a"], second.tensors["a"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (weights("lora", a=[0.0]), weights("lora", a=[0.0])),
        (weights("AutoencoderKL", a=[0.0]), weights(a=[0.0])),
        (weights(a=[0.0]), weights(a=[0.0, 1.0])),
        (weights(a=[0.0]), weights(b=[0.0])),
        (weights(a=[0.0], b=[0.0]), weights(a=[0.0])),
        (weights(a=[0.0]), weights(a=[0.0], b=[0.0])),
    ],
)
def test_what_is_not_built_alike_is_refused(first: Weights, second: Weights) -> None:
    with pytest.raises(ProblemError) as caught:
        mixed(first, second, 0.5)
    assert codes(caught) == [("wrong_weights", "second")]


def test_two_models_are_merged_and_the_merged_one_draws(home: Path, studio: Studio, tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel
    from safetensors.torch import load_file

    other = home / "models" / "other"
    if not other.exists():
        shutil.copytree(home / "models" / "tiny", other)
        unet: Any = UNet2DConditionModel.from_pretrained(other / "unet")
        with torch.no_grad():
            for parameter in unet.parameters():
                parameter.add_(0.5)
        unet.save_pretrained(other / "unet")
    document = Document.parse(
        {
            "format": "safelight/1",
            "nodes": {
                "one": {"type": "models.load", "values": {"model": "tiny"}},
                "two": {"type": "models.load", "values": {"model": "other"}},
                "first": {"type": "weights.take"},
                "second": {"type": "weights.take"},
                "mix": {"type": "weights.mix", "values": {"share": 0.5}},
                "save": {"type": "weights.save_finetuned", "values": {"name": "merged", "precision": "float32"}},
            },
            "links": [
                {"from": "one.model", "to": "first.model"},
                {"from": "two.model", "to": "second.model"},
                {"from": "first.weights", "to": "mix.first"},
                {"from": "second.weights", "to": "mix.second"},
                {"from": "mix.weights", "to": "save.weights"},
                *({"from": f"one.{part}", "to": f"save.{part}"} for part in ("model", "text", "vae")),
            ],
        }
    )
    assert studio.run(document, output=tmp_path).result.problems == []
    files = [home / "models" / name / "unet" / "diffusion_pytorch_model.safetensors" for name in ("tiny", "merged")]
    before, merged = (load_file(path) for path in files)
    assert all(torch.allclose(merged[name], tensor + 0.25, atol=1e-6) for name, tensor in before.items())
    drawn = studio.read("text_to_image").with_inputs({"model": "merged", "steps": 1})
    assert studio.run(drawn, output=tmp_path).result.problems == []
