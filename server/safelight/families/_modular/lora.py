"""LoRAs for a transformer and CLIP's text encoders, in the names that diffusers has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Lora
from safelight.families.files import lora_layers, lora_module
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from safelight.families.files import Header


def modules_in(header: Header) -> dict[str, int]:
    """The layers that a LoRA changes, by their names without what programs put before them, dots as underscores; and
    how many channels each takes in."""
    return {lora_module(name): inputs for name, inputs in lora_layers(header).items()}


def read(loader: str, title: str, name: str, tensors: Mapping[str, Any]) -> Lora:
    """A LoRA's tensors by the names that diffusers has for them, and their alphas.

    `loader` is the class of diffusers that reads those of the family called `title`.

    Raises:
        ProblemError: `lora_unfit`, when nothing in it fits.
    """
    import diffusers.loaders.lora_pipeline as loaders

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
