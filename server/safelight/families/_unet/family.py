"""The families of Stable Diffusion whose denoiser is a UNet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families.base import FileKind, Files, Folder, Held, Loaded, Lora, Parts
from safelight.families.files import Header

from . import detect
from .generation import Generation

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel


class UNetFamily(Generation):
    """One generation of Stable Diffusion."""

    def is_pipeline(self, folder: Folder) -> bool:
        return detect.is_pipeline(self, folder)

    def parts(self, folder: Folder) -> Parts:
        del folder
        weights = ("unet", "vae", *(tower.part for tower in self.towers))
        return Parts(weights, tuple(tower.tokenizer for tower in self.towers))

    def component(self, folder: Folder) -> FileKind | None:
        return detect.component(self, folder.config(""))

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        return detect.claims(self, kind, name, header)

    def text_sorts(self) -> tuple[tuple[str, bool], ...]:
        return tuple((tower.sort, False) for tower in self.towers)

    def load(self, kind: str, files: Files) -> Loaded:
        from . import loading

        return loading.load(self, kind, files)

    def prefixes(self, kind: str) -> tuple[str, ...]:
        return {
            "Denoiser": ("model.diffusion_model.",),
            "VAE": ("first_stage_model.",),
            "TextEncoder": ("cond_stage_model.", "conditioner."),
            "ControlNet": ("",),
        }[kind]

    def step_bytes(self, files: Files, shape: Sequence[int], itemsize: int) -> int:
        from .loading import config_of
        from .working_memory import working_bytes

        return working_bytes(config_of(self, files), shape, itemsize)

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import UNetDenoiser

        return UNetDenoiser(self, held)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import CLIPText

        return CLIPText(self, held)

    def vae(self, held: Held) -> VAEModel:
        from safelight.diffusion.autoencoder import Codec

        module = held.modules["vae"]
        told = module.config.scaling_factor
        scaling = self.latent.scaling if told is None else told
        return Codec(self, module, held.device, held.dtype, scaling, wraps=held.ref.wraps)

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        from .lora import read

        return read(self, name, tensors, modules)

    def layer_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        listed = list(names)
        found = super().layer_names(part, module, listed)
        if part != "unet":
            return found
        from .original import original_names

        made = original_names(listed, module.config.layers_per_block)
        return {original.replace(".", "_"): name for original, name in made} | found

    def block_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        """As in the layout of the original releases: `in0` and on, `mid`, `out0` and on."""
        listed = list(names)
        if part != "unet":
            return super().block_names(part, module, listed)
        from .original import original_names

        words = {"input_blocks": "in", "output_blocks": "out", "middle_block": "mid"}
        found = dict.fromkeys(listed, "base")
        for original, name in original_names(listed, module.config.layers_per_block):
            first, number, *_ = (*original.split("."), "")
            if first in words:
                found[name] = words[first] + ("" if first == "middle_block" else number)
        return found

    def attach_lora(self, part: str, module: Any, lora: Lora, adapter: str) -> None:
        from .lora import attach

        attach(part, module, lora, adapter)

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        from .tiny import write

        return write(self, folder, seed)
