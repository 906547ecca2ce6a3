"""Generators of GANs: folders that were trained here, and what others publish, told by names and shapes."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

KIND = "SafelightGAN"
"""The class that the `config.json` of a folder names."""
_FIRST = "main.0.weight"


class Sign(NamedTuple):
    """A published layout, and names that all must be there; one of a tuple, where there are several."""

    published: str
    names: tuple[tuple[str, ...], ...]


_SIGNS = (
    # stylegan2-ada-pytorch, and stylegan3, which writes both.
    Sign("stylegan2", (("mapping.fc0.weight",), ("synthesis.b4.const",), ("synthesis.b4.conv1.affine.weight",))),
    # stylegan2-pytorch.
    Sign("stylegan2", (("style.1.weight",), ("input.input",), ("conv1.conv.modulation.weight",), ("to_rgb1.bias",))),
    Sign("stylegan3", (("mapping.fc0.weight",), ("synthesis.input.freqs",), ("synthesis.input.affine.weight",))),
    # pytorch-pretrained-biggan, with spectral normalisation beside the weights or folded into them.
    Sign(
        "biggan_deep",
        (
            ("embeddings.weight",),
            ("generator.gen_z.weight_orig", "generator.gen_z.weight"),
            ("generator.layers.0.bn_0.running_means",),
            ("generator.layers.0.conv_3.bias",),
        ),
    ),
)
_PREFIXES = ("", "g_ema.", "G_ema.", "module.")
"""What stands before the names: files of a training hold the averaged weights beside others."""
_BESIDE = ("latent_avg",)
"""What such files keep beside the weights, and belongs to them: the mean style."""
_BIGGAN = ("z_dim", "class_embed_dim", "channel_width", "num_classes", "layers")
"""What the configuration says that lies beside the weights of BigGAN."""
_HOLDS_CODE = (b"torch_utils.persistence", b"dnnlib.tflib.network")
"""What the pickles of StyleGAN's makers begin with: classes that bring their source, and make themselves of it."""
_LOOKED_AT = 1 << 16


def told(header: Header) -> dict[str, Any]:
    """The configuration of the generator in a file, told by its names and shapes; empty for anything else.

    Of a published layout it says in `published` which one it is, and in `prefix` what stands before its names.
    """
    for prefix in _PREFIXES:
        for sign in _SIGNS:
            if all(any(prefix + name in header.tensors for name in names) for names in sign.names):
                return {"_class_name": KIND, "published": sign.published, "prefix": prefix}
    return _dcgan(header)


def is_biggan(config: Mapping[str, Any]) -> bool:
    """Whether a `config.json` is that of BigGAN-deep, which names no class."""
    return all(name in config for name in _BIGGAN)


def beside(path: Path) -> Path | None:
    """The configuration of a single file of BigGAN: `NAME-config.json` of `NAME-pytorch_model.bin`, or `NAME.json`."""
    stem = path.name[: -len(path.suffix)]
    names = [stem.replace("pytorch_model", "config")] if "pytorch_model" in stem else []
    places = (path.with_name(f"{name}.json") for name in (*names, stem))
    return next((place for place in places if place.is_file()), None)


def part_of(config: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Of the names of a file, those that belong to the generator."""
    prefix = str(config.get("prefix", ""))
    return [name for name in names if name.startswith(prefix) or name in _BESIDE]


def refuse_code(name: str, path: Path) -> None:
    """Stops at the pickles that the makers of StyleGAN publish: opening one runs the code that it holds.

    Raises:
        ProblemError: `unsafe_weights`, with the way to safetensors.
    """
    if path.suffix.lower() != ".pkl":
        return
    with path.open("rb") as file:
        first = file.read(_LOOKED_AT)
    if not any(mark in first for mark in _HOLDS_CODE):
        return
    target = path.with_suffix(".safetensors").name
    # As legacy.py reads both kinds of them.
    script = (
        "import legacy; from safetensors.torch import save_file; "
        f"G = legacy.load_network_pkl(open({path.name!r}, 'rb'))['G_ema']; "
        f"save_file({{n: t.clone().contiguous() for n, t in G.state_dict().items()}}, {target!r})"
    )
    message = f"{name!r} is a pickle of StyleGAN's makers: it holds code, which opening it would run. It is not opened."
    hint = (
        "Get it as safetensors, or convert it where that may run, in a checkout of NVlabs/stylegan3 with safetensors "
        f"installed: {shlex.join(['python', '-c', script])}"
    )
    raise ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))


def _dcgan(header: Header) -> dict[str, Any]:
    """That of DCGAN: kernels of 4 x 4 in `main.0`, `main.3`, ..., the first from random numbers to 4 pixels, each
    further one to twice the side, the last to three colours, and a batch normalisation behind each but the last.
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
