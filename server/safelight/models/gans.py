"""Generators of GANs: folders that were trained here, and single files in the layout of DCGAN that most others have."""

from __future__ import annotations

import itertools
from typing import Any

from safelight.families.files import Header

KIND = "SafelightGAN"
"""The class that the `config.json` of a folder names."""
_FIRST = "main.0.weight"


def told(header: Header) -> dict[str, Any]:
    """The configuration of the generator in a file, told by its names and shapes; empty for anything else.

    It is DCGAN's: kernels of 4 x 4 in `main.0`, `main.3`, ..., the first from random numbers to 4 pixels, each further
    one to twice the side, the last to three colours, and a batch normalisation behind each but the last.
    """
    kernels = [header.shape(_FIRST)]
    while shape := header.shape(f"main.{3 * len(kernels)}.weight"):
        kernels.append(shape)
    names = {f"main.{3 * place}.weight" for place in range(len(kernels))}
    names |= {
        f"main.{3 * place + 1}.{name}"
        for place in range(len(kernels) - 1)
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    found = {name for name in header.tensors if not name.endswith(".num_batches_tracked")}
    if found != names or len(kernels) < 2 or any(len(shape) != 4 or shape[2:] != (4, 4) for shape in kernels):
        return {}
    if any(one[1] != after[0] for one, after in itertools.pairwise(kernels)) or kernels[-1][1] != 3:
        return {}
    return {
        "_class_name": KIND,
        "architecture": "dcgan",
        "side": 2 << len(kernels),
        "latent": kernels[0][0],
        "width": kernels[-1][0],
        "widest": kernels[0][1],
        "classes": [],
    }
