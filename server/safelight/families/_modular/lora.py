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
    alphas = {key: float(value) for key, value in tensors.items() if key.endswith(".alpha") and is_named(key)}
    if not any(is_named(key) for key in state):
        message = f"Nothing in the LoRA {name!r} fits a transformer or a text encoder of {title}."
        hint = f"Choose a LoRA that was trained on {title}."
        raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))
    return Lora(state, alphas)


def own_names(part: str, modules: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The layers of a part by their own names with dots as underscores, as trainers write them that have no others."""
    start = "" if part.startswith("transformer") else f"{part}_"
    return {
        start + name.replace(".", "_"): (name,)
        for name, module in modules.items()
        if hasattr(getattr(module, "base_layer", module), "weight")
    }


def unfused(
    tensors: Mapping[str, Any], part: str, names: Mapping[str, tuple[str, ...]], modules: Mapping[str, Any]
) -> dict[str, Any]:
    """Low-rank pairs under a model's makers' names, by those of diffusers; all else stays.

    `names` are what the layers of the makers (dots as underscores) are in the part, `modules` its layers by
    these names.
    """
    made = dict(tensors)
    for key in tensors:
        ends = next((ends for ends in _PAIRS if key.endswith(ends[0])), None)
        places = names.get(lora_module(key.removesuffix(ends[0]))) if ends else None
        if ends is None or places is None:
            continue
        stem = key.removesuffix(ends[0])
        down, up = tensors[key], tensors.get(stem + ends[1])
        weights = [getattr(modules[place], "base_layer", modules[place]).weight for place in places]
        if up is None or up.shape[0] != sum(map(len, weights)):
            continue
        alpha = tensors.get(f"{stem}.alpha")
        scaled = up if alpha is None else up * (float(alpha) / down.shape[0])
        for ending in (*ends, ".alpha"):
            made.pop(stem + ending, None)
        for place, piece in zip(places, scaled.split([len(weight) for weight in weights]), strict=True):
            made[f"{part}.{place}.lora_A.weight"] = down
            made[f"{part}.{place}.lora_B.weight"] = piece
    return made


PARTS = ("transformer", "text_conditioner", "connectors")
"""Parts that load what is laid beside their weights; text encoders are those of transformers."""
_PAIRS = ((".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight"))


def attach(loader: str, part: str, module: Any, lora: Lora, adapter: str) -> None:
    import diffusers.loaders.lora_pipeline as loaders

    state, alphas = dict(lora.state), dict(lora.alphas) or None
    if part.startswith(PARTS):
        module.load_lora_adapter(
            state, prefix=part, network_alphas=alphas, adapter_name=adapter, metadata=lora.metadata
        )
    else:
        reader: Any = getattr(loaders, loader)
        reader.load_lora_into_text_encoder(
            state, alphas, module, prefix=part, adapter_name=adapter, metadata=lora.metadata
        )


def is_named(key: str) -> bool:
    """Whether a tensor of a LoRA is called as diffusers calls it: by its part."""
    return key.startswith(("text_encoder.", "text_encoder_2.", "transformer_2.", *(f"{one}." for one in PARTS)))
