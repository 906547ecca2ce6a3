"""The files of one model as its family reads them, and weights into modules that were built without any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.families.base import FileKind, Rows
from safelight.families.files import Header, Vocabulary

from .headers import read_header
from .layout import LATENT_RGB, Layout, Part, read_json
from .vocabularies import vocabulary_in
from .weights import Target, fill, tensors

if TYPE_CHECKING:
    import torch


class ModelFiles:
    """Implements `families.Files` for a layout."""

    def __init__(self, layout: Layout, target: Target | None) -> None:
        """Without a `target` nothing can be loaded: headers and configurations alone are read."""
        self.layout = layout
        self._target = target

    @property
    def target(self) -> Target:
        assert self._target is not None, "this one reads no weights"
        return self._target

    @property
    def name(self) -> str:
        return self.layout.root.name

    @property
    def kind(self) -> FileKind:
        return self.layout.kind

    @property
    def family(self) -> str:
        return self.layout.family

    @property
    def single(self) -> bool:
        return self.layout.single

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.layout.parts)

    @property
    def dtype(self) -> torch.dtype:
        return self.target.dtype

    @property
    def device(self) -> torch.device:
        return self.target.device

    def config(self, part: str) -> dict[str, Any]:
        found = self.layout.parts.get(part)
        return read_json(found.config) if found is not None and found.config is not None else {}

    def latent_rgb(self) -> Rows:
        beside = self.layout.parts.get("", Part()).others
        rows = [file for file in beside if file.name == LATENT_RGB]
        return msgspec.json.decode(rows[0].read_bytes()) if rows else ()

    def folder(self, part: str) -> Path:
        return next(self.layout.parts[part].files()).parent

    def header(self, part: str = "") -> Header:
        return read_header(self.layout.parts[part].weights[0])

    def vocabulary(self, part: str = "") -> Vocabulary | None:
        return vocabulary_in(self.layout.parts[part].weights[0])

    def tensors(self, part: str = "", prefix: str | tuple[str, ...] = "") -> dict[str, Any]:
        return dict(tensors(self.layout.parts[part].weights, self.target, lambda name: name.startswith(prefix)))

    def empty(self, make: Callable[[], Any]) -> Any:
        return empty(make)

    def build(self, part: str, make: Callable[[], Any]) -> Any:
        found = self.layout.parts[part]
        shown = str(found.config.parent) if found.config is not None else self.name
        return filled(empty(make), tensors(found.weights, self.target), self.target, shown)

    def filled(self, make: Callable[[], Any], given: Mapping[str, Any]) -> Any:
        return filled(empty(make), given.items(), self.target, self.name)


def filled(module: Any, given: Any, target: Target, shown: str) -> Any:
    """A module made by `empty`, with its weights put in, ready to be used."""
    import torch

    deprecated = _deprecated_attention(module)
    # transformers leaves this level out of CLIPTextModel since version 5; files have it, or not.
    level = "text_model."
    has_level = hasattr(module, "text_model")

    def rename(name: str) -> str:
        for old, new in deprecated.items():
            if name.startswith(old):
                return new + name.removeprefix(old)
        return level + name if has_level else name.removeprefix(level)

    fill(module, given, shown, rename)
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:
            owner = module.get_submodule(name.rpartition(".")[0])
            assert name.endswith("position_ids"), name
            owner.position_ids = torch.arange(buffer.shape[-1], device=target.device).expand(buffer.shape)
    return module.eval().requires_grad_(False)


def empty(make: Any) -> Any:
    """What `make` builds, with all tensors on the meta device: nothing is allocated or initialised."""
    import torch

    with torch.device("meta"):
        return make()


def _deprecated_attention(module: Any) -> dict[str, str]:
    """Names that old autoencoders have for the projections of their attention, and today's."""
    parts = {"query.": "to_q.", "key.": "to_k.", "value.": "to_v.", "proj_attn.": "to_out.0."}
    return {
        f"{path}.{old}": f"{path}.{new}"
        for path, inner in module.named_modules()
        if getattr(inner, "_from_deprecated_attn_block", False)
        for old, new in parts.items()
    }
