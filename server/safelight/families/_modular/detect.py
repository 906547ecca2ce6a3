"""Which files of weights are of a family: whole models and denoisers in one file, LoRAs."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._original.vae import channels as vae_channels
from safelight.families._original.vae import vae_prefix
from safelight.families.base import FileKind, unsupported
from safelight.families.files import PREFIXES

from .lora import modules_in

if TYPE_CHECKING:
    from safelight.families.files import Header


@dataclass(frozen=True)
class Signs:
    """What tells the files of a family.

    `names` are sets of names of tensors of which one must be there whole, `lora` how the names of what a LoRA changes
    may begin. `shared` are such beginnings that other families have as well: `widths` of what they take in tell them
    apart. `relatives` are the widths at which what begins as `lora` is another family's. `others` are parts of names by
    which a relative of the family is told; dots of both are underscores here.
    `adapters` are sets of names of which one must be there whole in an IP-Adapter.
    `get` is a model of the family on the hub, for one that is read in the layout of diffusers alone.
    """

    names: tuple[tuple[str, ...], ...]
    lora: tuple[str, ...]
    others: tuple[str, ...]
    shared: tuple[str, ...] = ()
    widths: Container[int] = ()
    relatives: Container[int] = ()
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
        if any(module.startswith(signs.lora) and width not in signs.relatives for module, width in changed.items()):
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


def denoiser_prefix(signs: Signs, header: Header) -> str | None:
    """What stands before the names of a denoiser of the family in a file; None when it holds none."""
    for prefix in PREFIXES:
        if any(all(prefix + key in header.tensors for key in wanted) for wanted in signs.names):
            return prefix
    return None
