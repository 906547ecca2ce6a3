"""Networks that measures use, with made-up weights, in files named as their makers' are; and a tiny classifier."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from safelight.models.preprocessors import NETWORKS

FILES = {
    "squeezenet": "squeezenet1_1-b8a52dc0.safetensors",
    "vgg16": "vgg16-397923af.safetensors",
    "alexnet": "alexnet-owt-7be5be79.safetensors",
    "inception_v3": "inception_v3_google-0cc3c7bd.safetensors",
    "aesthetic": "sac+logos+ava1-l14-linearMSE.safetensors",
}
WIDTHS = (8, 12, 6, 4, 1)
"""Of the vectors that the tiny predictor reads, and of what its layers make of them."""


def write(sort: str, folder: Path, seed: int = 0) -> Path:
    """Random weights of a network, a predictor over vectors of `WIDTHS`, as a file."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    if sort == "aesthetic":
        shapes: dict[str, tuple[int, ...]] = {}
        for number, (given, made) in zip((0, 2, 4, 7), pairwise(WIDTHS), strict=True):
            shapes |= {f"layers.{number}.weight": (made, given), f"layers.{number}.bias": (made,)}
    else:
        row = next(row for row in NETWORKS if row.sort == sort)
        with torch.device("meta"):
            made = row.build()
        shapes = {name: tuple(one.shape) for name, one in made.state_dict().items() if one.is_floating_point()}

    def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) < 2:  # biases, and those of normalization
            return torch.ones(shape) if name.endswith(("bn.weight", "running_var")) else torch.zeros(shape)
        wide = shape[1] * (shape[2] * shape[3] if len(shape) == 4 else 1)
        return torch.randn(shape, generator=generator) * (2 / wide) ** 0.5

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILES[sort]
    save_file({name: drawn(name, shape) for name, shape in shapes.items()}, path)
    return path


def tiny_classifier(folder: Path, seed: int = 0) -> Path:
    """A ResNet of five classes."""
    import torch
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(seed)
    config = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=5, num_channels=3
    )
    made = ResNetForImageClassification(config)
    made.classifier[1].weight.data.mul_(20)
    made.save_pretrained(folder)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=1.0).save_pretrained(folder)
    return folder
