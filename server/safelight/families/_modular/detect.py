"""Which files of weights are of a family: whole models and denoisers in one file, LoRAs."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._original.vae import channels as vae_channels
from safelight.families._original.vae import vae_prefix
from safelight.families.base import FileKind, unsupported
from safelight.families.files import PREFIXES

from .lora import modules_in

if TYPE_CHECKING:
    from safelight.families.files import Header


@dataclass(frozen=True)
class Blocks:
    """The layers of `transformer_blocks`, which many families have and LoRAs of them change.

    `parts` are how the names of all of them begin, `own` those that no other family has; dots are underscores.
    `widths` are what the narrowest of them take in, in published models, `last` the numbers that the last block of a
    LoRA may have: attentions are called alike in all families, and told by these alone. A LoRA that fits several is of
    none, until it is laid beside a model.
    """

    parts: tuple[str, ...]
    widths: tuple[int, ...]
    last: Container[int]
    own: tuple[str, ...] = ()

    def claims(self, changed: Mapping[str, int]) -> bool:
        """Whether a LoRA that changes these layers, each with so many channels in, is of this family."""
        found = [(int(one[1]), one[2], width) for name, width in changed.items() if (one := _BLOCK.match(name))]
        if not found or not all(part.startswith(self.parts) for _, part, _ in found):
            return False
        if any(part.startswith(self.own) for _, part, _ in found):
            return True
        return max(number for number, *_ in found) in self.last and min(width for *_, width in found) in self.widths


JOINT = ("attn_to_q", "attn_to_k", "attn_to_v", "attn_to_out", "attn_to_add_out", "attn_add_")
"""The layers of an attention of two streams, of images and of texts."""
_BLOCK = re.compile(r"transformer_blocks_(\d+)_(.+)")


@dataclass(frozen=True)
class Signs:
    """What tells the files of a family.

    `names` are sets of names of tensors of which one must be there whole, `lora` how the names of what a LoRA changes
    may begin. `shared` are such beginnings that other families have as well: `widths` of what they take in tell them
    apart. `blocks` are what it has in `transformer_blocks`. `others` are parts of names by which a relative of the
    family is told; dots of both are underscores here.
    `adapters` are sets of names of which one must be there whole in an IP-Adapter.
    `get` is a model of the family on the hub, for one that is read in the layout of diffusers alone.
    """

    names: tuple[tuple[str, ...], ...]
    lora: tuple[str, ...]
    others: tuple[str, ...]
    shared: tuple[str, ...] = ()
    widths: Container[int] = ()
    blocks: Blocks | None = None
    adapters: tuple[tuple[str, ...], ...] = ()
    get: str = ""


WHOLE = ("first_stage_model.", "vae.", "text_encoders.", "cond_stage_model.", "conditioner.")
"""How the names of what goes with a denoiser begin in a whole model's file."""


def claims(signs: Signs, title: str, kind: FileKind, name: str, header: Header, channels: int) -> bool:
    """Whether a file is of the family that has these signs and this title, and latents of so many channels.

    Raises:
        ProblemError: `unsupported_family` for a model in one file where folders alone are read, with where to get it.
    """
    if kind == "vae":
        return not signs.get and vae_prefix(header) == "" and vae_channels(header) == channels
    flat = [key.replace(".", "_") for key in header.tensors]
    if any(other in key for key in flat for other in signs.others):
        return False
    if kind == "ip_adapter":
        return any(all(name in header.tensors for name in wanted) for wanted in signs.adapters)
    if kind == "lora":
        changed = modules_in(header)
        if any(module.startswith(signs.lora) for module in changed):
            return True
        if signs.blocks is not None and signs.blocks.claims(changed):
            return True
        return any(module.startswith(signs.shared) and width in signs.widths for module, width in changed.items())
    if kind not in ("pipeline", "unet") or denoiser_prefix(signs, header) is None:
        return False
    if signs.get:
        hint = (
            f"It is read as a folder in the layout of diffusers: model_index.json beside transformer, vae and the text "
            f"encoders, as {signs.get} has it on the hub."
        )
        raise unsupported(name, f"is a {title} model in one file", hint)
    whole = any(name.startswith(WHOLE) for name in header.tensors)
    return whole == (kind == "pipeline")


_AXES = ("axes_dims_rope", "rope_axes_dim", "axes_dims")
"""What configurations call the channels of a head that turn with each axis of a position."""


def odd_heads(config: Mapping[str, Any]) -> str:
    """What is wrong with the attention heads that the configuration of a transformer says ('whose attention heads
    have 16 channels, ...'); empty where they fit its positions, or it says neither."""
    heads = config.get("num_attention_heads", config.get("n_heads"))
    width = config.get("hidden_size", config.get("dim"))
    size = config.get("attention_head_dim")
    if heads == 0:
        # Of a damaged file, which tells no channels either, what it lacks is named when it is loaded.
        return f"that holds no whole attention head of {size} channels" if size and config.get("in_channels") else ""
    if size is None and isinstance(heads, int) and isinstance(width, int):
        size = width // heads
    axes = next((config[key] for key in _AXES if key in config), None)
    if size is None or axes is None:
        return ""
    whole = isinstance(axes, list | tuple) and all(isinstance(one, int) and one % 2 == 0 for one in axes)
    if whole and sum(axes) == size:
        return ""
    shown = " + ".join(map(str, axes)) if isinstance(axes, list | tuple) else axes
    return f"whose attention heads have {size} channels, which the positions known for it, of {shown}, do not fill"


def denoiser_prefix(signs: Signs, header: Header) -> str | None:
    """What stands before the names of a denoiser of the family in a file; None when it holds none."""
    for prefix in PREFIXES:
        if any(all(prefix + key in header.tensors for key in wanted) for wanted in signs.names):
            return prefix
    return None
