"""Small random IP-Adapters beside the plain one of tiny_models: Plus, and those for faces (FaceID)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FACE, PATCHES = 512, 32
"""Numbers of a face, channels of the image encoder's states."""


class Drawing:
    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.source) / shape[-1] ** 0.5

    def norm(self, name: str, width: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": 1 + self(width), f"{name}.bias": self(width)}

    def linear(self, name: str, inputs: int, outputs: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": self(outputs, inputs), f"{name}.bias": self(outputs)}


def _looking(draw: Drawing, width: int) -> dict[str, torch.Tensor]:
    """The layers that look at the patches of an image, under their published names."""
    found: dict[str, torch.Tensor] = {}
    for layer in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            found |= draw.norm(f"layers.{layer}.{norm}", width)
        found |= {
            f"layers.{layer}.0.to_q.weight": draw(64, width),
            f"layers.{layer}.0.to_kv.weight": draw(128, width),
            f"layers.{layer}.0.to_out.weight": draw(width, 64),
            f"layers.{layer}.1.1.weight": draw(4 * width, width),
            f"layers.{layer}.1.3.weight": draw(width, 4 * width),
        }
    return found


def resampler(width: int, hidden: int = 64) -> dict[str, torch.Tensor]:
    """The projection of an IP-Adapter Plus."""
    draw = Drawing(8)
    found = {"latents": draw(1, 4, hidden)}
    found |= draw.linear("proj_in", PATCHES, hidden) | draw.linear("proj_out", hidden, width)
    return found | draw.norm("norm_out", width) | _looking(draw, hidden)


def face_projection(kind: str, width: int) -> dict[str, torch.Tensor]:
    """That of a FaceID, `plain` or `plus`."""
    draw = Drawing(8)
    found = draw.linear("proj.0", FACE, 2 * FACE) | draw.linear("proj.2", 2 * FACE, 4 * width)
    found |= draw.norm("norm", width)
    if kind == "plain":
        return found
    inner = draw.linear("proj_in", PATCHES, width) | draw.linear("proj_out", width, width)
    inner |= draw.norm("norm_out", width) | _looking(draw, width)
    return found | {f"perceiver_resampler.{name}": tensor for name, tensor in inner.items()}


def lora(unet: Any) -> dict[str, torch.Tensor]:
    """What a FaceID changes in the denoiser."""
    draw, found = Drawing(9), {}
    for number, name in enumerate(unet.attn_processors):
        attention = unet.get_submodule(name.removesuffix(".processor"))
        layers = {"to_q": attention.to_q, "to_k": attention.to_k, "to_v": attention.to_v, "to_out": attention.to_out[0]}
        for layer, module in layers.items():
            found[f"{number}.{layer}_lora.down.weight"] = draw(2, module.in_features)
            found[f"{number}.{layer}_lora.up.weight"] = draw(module.out_features, 2)
    return found


def flat(weights: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """As a file has them."""
    return {f"{part}.{name}": tensor for part, named in weights.items() for name, tensor in named.items()}


def written(plain: Path, unet: Path) -> None:
    """Writes beside a plain IP-Adapter for the denoiser in the folder `unet` the Plus, FaceID and FaceID Plus."""
    import diffusers

    library: Any = diffusers
    changed = lora(library.UNet2DConditionModel.from_pretrained(unet))
    with safe_open(plain, "pt") as file:
        given, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118  no dictionary: it has only keys()
    width = given["image_proj.norm.weight"].shape[0]
    attention = {name.removeprefix("ip_adapter."): given[name] for name in given if name.startswith("ip_adapter.")}
    for name, projection, more in (
        ("plus", resampler(width), {}),
        ("face", face_projection("plain", width), changed),
        ("face_plus", face_projection("plus", width), changed),
    ):
        weights = flat({"image_proj": projection, "ip_adapter": attention | more})
        save_file(weights, plain.with_name(f"{name}.safetensors"), metadata)
