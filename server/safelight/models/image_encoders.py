"""Image encoders of CLIP and SigLIP, told by their configuration, or by the names in a file: those of transformers or
of open_clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .headers import Header, is_safetensors

PLACES = ("clip_vision", "image_encoder")
"""Folders of model folders in which image encoders lie."""
CLASSES = ("CLIPVisionModelWithProjection", "CLIPVisionModel", "SiglipVisionModel")
BOTH = ("CLIPModel", "SiglipModel")
"""Models of images and texts, which have an image encoder in them."""
_PATCHES = "embeddings.patch_embedding.weight"
_LAYER = "encoder.layers.0.self_attn.q_proj.weight"
_LAYER_WIDE = "encoder.layers.0.mlp.fc1.weight"
_OPEN_CLIP = "transformer.resblocks.0.attn.in_proj_weight"
_LEVELS = ("", "vision_model.", "visual.")
_BEFORE = ("", "model.", "clip.", "clip_vision_model.", "image_encoder.")
_DEEP = ("perceiver_resampler.proj_in", "proj_in", "proj.0", "redux_up")
"""What the projection of an IP-Adapter reads an image encoder's states with."""


class Sight(NamedTuple):
    """What tells image encoders apart: the channels of their states, and of their summary (0 where there is none, or
    where it does not matter)."""

    hidden: int = 0
    summary: int = 0

    def serves(self, wanted: Sight) -> bool:
        return self.hidden == wanted.hidden if wanted.hidden else self.summary == wanted.summary


_KNOWN: Mapping[Sight, str] = {
    Sight(1280, 1024): "CLIP-ViT-H-14 (models/image_encoder of h94/IP-Adapter)",
    Sight(1664, 1280): "CLIP-ViT-bigG-14 (sdxl_models/image_encoder of h94/IP-Adapter)",
    Sight(1024, 768): "CLIP-ViT-L-14 (openai/clip-vit-large-patch14)",
    Sight(1152): "SigLIP so400m at 384 pixels (google/siglip-so400m-patch14-384)",
}


def wanted_by(adapter: Header) -> Sight:
    """The image encoder that an IP-Adapter was trained with; one without channels for those that need none."""
    summary = adapter.shape("image_proj.proj.weight")[1:]
    deep = next(filter(None, (adapter.shape(f"image_proj.{name}.weight")[1:] for name in _DEEP)), ())
    if not summary and "image_proj.norm.weight" in adapter.tensors and not _looks_deep(adapter):
        return Sight()
    return Sight(0, summary[0]) if summary else Sight(*deep[:1])


def _looks_deep(adapter: Header) -> bool:
    return any(f"image_proj.{name}.weight" in adapter.tensors for name in (*_DEEP[:2], "proj.3"))


def said(wanted: Sight) -> str:
    """What a user calls such an image encoder."""
    known = next((name for sight, name in _KNOWN.items() if sight.serves(wanted)), "")
    channels = f"with {wanted.hidden} channels" if wanted.hidden else f"with a summary of {wanted.summary} numbers"
    return known or f"the one of its repository, {channels}"


def near(places: Iterable[Path]) -> Iterator[Path]:
    """Folders and files below these that may be image encoders, in order."""
    for place in places:
        if (place / "config.json").is_file() or place.is_file():
            yield place
            continue
        files = sorted(path for path in place.rglob("*") if path.name == "config.json" or is_safetensors(path))
        configured = {path.parent for path in files if path.name == "config.json"}
        yield from sorted(configured)
        yield from (path for path in files if is_safetensors(path) and path.parent not in configured)


def sight_in(header: Header) -> Sight | None:
    """What the image encoder in a file is; None when there is none."""
    start = start_of(header)
    if start is None:
        return None
    names = Names(header, start)
    return Sight(names.shape("conv1.weight" if names.open_clip else _PATCHES)[0], names.summary)


def sight_told(config: Mapping[str, Any]) -> Sight | None:
    """What the image encoder of a folder with this `config.json` is; None when it is of none."""
    made = str((config.get("architectures") or [""])[0])
    if made not in (*CLASSES, *BOTH):
        return None
    vision = config.get("vision_config") or config
    hidden = vision.get("hidden_size", 768)
    return Sight(hidden, config.get("projection_dim", 512) if made in (CLASSES[0], BOTH[0]) else 0)


class Names:
    """The names of an image encoder in a file, which begin with `start`."""

    def __init__(self, header: Header, start: str) -> None:
        self._header = header
        self._start = start
        self.open_clip = start + _OPEN_CLIP in header.tensors

    def shape(self, name: str) -> tuple[int, ...]:
        return self._header.shape(self._start + name)

    @property
    def layers(self) -> int:
        begin = f"{self._start}{'transformer.resblocks.' if self.open_clip else 'encoder.layers.'}"
        numbers = {name.removeprefix(begin).split(".")[0] for name in self._header.tensors if name.startswith(begin)}
        return len(numbers)

    @property
    def siglip(self) -> bool:
        return f"{self._start}head.probe" in self._header.tensors

    @property
    def summary(self) -> int:
        if self.open_clip:
            return (0, 0, *self.shape("proj"))[-1]
        before = self._start.removesuffix("vision_model.")
        return (*self._header.shape(f"{before}visual_projection.weight"), 0)[0]

    def config(self) -> dict[str, Any]:
        """What transformers is told of it; the releases fill in what no shape tells."""
        first = self.shape("conv1.weight" if self.open_clip else _PATCHES)
        hidden, patch = first[0], first[-1]
        places = self.shape("positional_embedding" if self.open_clip else "embeddings.position_embedding.weight")[0]
        side = round((places - (0 if self.siglip else 1)) ** 0.5)
        wide = self.shape("transformer.resblocks.0.mlp.c_fc.weight" if self.open_clip else _LAYER_WIDE)[0]
        found = {
            "hidden_size": hidden,
            "intermediate_size": wide,
            "num_hidden_layers": self.layers,
            "num_attention_heads": 12 if hidden == 768 else 16,
            "patch_size": patch,
            "image_size": side * patch,
        }
        if self.siglip:
            # 27 patches of 14 pixels are cut from 384: what is left over is not looked at.
            return {**found, "image_size": 384 if (side, patch) == (27, 14) else side * patch}
        # The one that OpenAI trained; the others are of open_clip.
        act = "quick_gelu" if (hidden, self.summary) == (1024, 768) else "gelu"
        return {**found, "hidden_act": act, "projection_dim": self.summary or 512}


def start_of(header: Header) -> str | None:
    """What stands before the names of an image encoder; None when there is none."""
    for before in _BEFORE:
        for level in _LEVELS:
            start = before + level
            if all(start + name in header.tensors for name in (_PATCHES, _LAYER)):
                return start
            if all(start + name in header.tensors for name in ("conv1.weight", _OPEN_CLIP, "class_embedding")):
                return start
    return None
