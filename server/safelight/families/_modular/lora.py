"""LoRAs for a transformer and CLIP's text encoders, in the names that diffusers has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Lora
from safelight.families.files import lora_module
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.families.files import Header

_DOWN = ("lora_A.", "lora_down.", ".down.")


def modules_in(header: Header) -> dict[str, int]:
    """The layers that a LoRA changes, by their names without what programs put before them, dots as underscores; and
    how many channels each takes in."""
    downs = {name: entry.shape for name, entry in header.tensors.items() if any(mark in name for mark in _DOWN)}
    return {lora_module(name): shape[1] for name, shape in downs.items() if len(shape) >= 2}


def read(loader: str, title: str, name: str, tensors: Mapping[str, Any]) -> Lora:
    """A LoRA's tensors by the names that diffusers has for them, and their alphas.

    `loader` is the class of diffusers that reads those of the family called `title`.

    Raises:
        ProblemError: `lora_unreadable` for a DoRA, `lora_unfit` when nothing in it fits.
    """
    import diffusers.loaders.lora_pipeline as loaders

    if any(key.endswith(".dora_scale") for key in tensors):
        message = f"The LoRA {name!r} is a DoRA, which models of the family {title} take none of yet."
        hint = "Look for it as a plain LoRA."
        raise ProblemError(Problem(code="lora_unreadable", message=message, hint=hint, value=name))
    reader: Any = getattr(loaders, loader)
    found = reader.lora_state_dict(dict(tensors))
    state = {key: value for key, value in found.items() if not key.endswith(".alpha")}
    # Those of files by other programs are in the weights already.
    alphas = {key: float(value) for key, value in tensors.items() if key.endswith(".alpha") and _is_ours(key)}
    if not any(_is_ours(key) for key in state):
        message = f"Nothing in the LoRA {name!r} fits a transformer or a text encoder of {title}."
        hint = f"Choose a LoRA that was trained on {title}."
        raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))
    return Lora(state, alphas)


def attach(loader: str, part: str, module: Any, lora: Lora, adapter: str) -> None:
    import diffusers.loaders.lora_pipeline as loaders

    state, alphas = dict(lora.state), dict(lora.alphas) or None
    if part == "transformer":
        module.load_lora_adapter(
            state, prefix=part, network_alphas=alphas, adapter_name=adapter, metadata=lora.metadata
        )
    else:
        reader: Any = getattr(loaders, loader)
        reader.load_lora_into_text_encoder(
            state, alphas, module, prefix=part, adapter_name=adapter, metadata=lora.metadata
        )


def _is_ours(key: str) -> bool:
    return key.startswith(("transformer.", "text_encoder.", "text_encoder_2."))
