"""Preprocessors with random weights, in files named as their makers' are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.families._clip.tiny import seeded
from safelight.models.preprocessors import NETWORKS

FILES = {
    "hed": "ControlNetHED.safetensors",
    "pidinet": "table5_pidinet.safetensors",
    "teed": "5_model.safetensors",
    "lineart": "sk_model.safetensors",
    "mlsd": "mlsd_large_512_fp32.safetensors",
    "mtcnn_propose": "pnet.safetensors",
    "mtcnn_refine": "rnet.safetensors",
    "mtcnn_output": "onet.safetensors",
}
"""Those that are small enough to be made in a test, each as it lies there once it was converted."""


def network(sort: str, seed: int = 0) -> Any:
    """A network with weights of this seed, ready to compute."""
    row = next(row for row in NETWORKS if row.sort == sort)
    with seeded(seed):
        made = row.build()
        for parameter in made.parameters():
            if sort != "hed" and parameter.dim() < 2:
                parameter.data.add_(0.01)
    return made.eval().requires_grad_(False)


def write(sort: str, folder: Path, seed: int = 0) -> Path:
    """Its weights as a file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILES[sort]
    save_file({name: tensor.contiguous().clone() for name, tensor in network(sort, seed).state_dict().items()}, path)
    return path
