"""Which files of weights are of a family: whole models and denoisers in one file, LoRAs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families.base import FileKind, unsupported

from .lora import modules_in

if TYPE_CHECKING:
    from safelight.families.files import Header

_PREFIXES = ("", "model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "net.", "module.")
"""What programs put before the names of a denoiser."""


@dataclass(frozen=True)
class Signs:
    """What tells the files of a family.

    `names` are sets of names of tensors of which one must be there whole, `lora` how the names of what a LoRA changes
    may begin. `shared` are such beginnings that other families have as well: `widths` of what they take in tell them
    apart. `others` are parts of names by which a relative of the family is told; dots of both are underscores here.
    `get` is a model of the family on the hub, in the layout that is read.
    """

    names: tuple[tuple[str, ...], ...]
    lora: tuple[str, ...]
    others: tuple[str, ...]
    get: str
    shared: tuple[str, ...] = ()
    widths: range = range(0)


def claims(signs: Signs, title: str, kind: FileKind, name: str, header: Header) -> bool:
    """Whether a file is of the family that has these signs and this title.

    Raises:
        ProblemError: `unsupported_family` for a model in one file, with where to get it in parts.
    """
    flat = [key.replace(".", "_") for key in header.tensors]
    if any(other in key for key in flat for other in signs.others):
        return False
    if kind == "lora":
        changed = modules_in(header)
        if any(module.startswith(signs.lora) for module in changed):
            return True
        return any(module.startswith(signs.shared) and width in signs.widths for module, width in changed.items())
    sets = (tuple(prefix + key for key in wanted) for prefix in _PREFIXES for wanted in signs.names)
    if kind == "pipeline" and any(set(wanted) <= header.tensors.keys() for wanted in sets):
        hint = (
            f"It is read as a folder in the layout of diffusers: model_index.json beside transformer, vae and the text "
            f"encoders, as {signs.get} has it on the hub."
        )
        raise unsupported(name, f"is a {title} model in one file", hint)
    return False
