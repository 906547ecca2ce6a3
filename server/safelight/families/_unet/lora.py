"""LoRAs for a UNet and CLIP's text encoders, in the names that diffusers has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Lora
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from .generation import Generation

_DORA = ".dora_scale"
_DOWN = ("lora_A.weight", ".down.weight")


def read(family: Generation, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
    """A LoRA's tensors by the names that diffusers has for them, and their alphas."""
    from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

    given = dict(tensors)
    magnitudes = {key.removesuffix(_DORA): given.pop(key) for key in list(given) if key.endswith(_DORA)}
    names = {id(tensor): key for key, tensor in given.items()}
    unet = modules.get("unet")
    # The class for SDXL reads the files of every family; it alone knows two text encoders.
    found: Any = Loader.lora_state_dict(
        dict(given),
        unet_config=unet.config if unet is not None and family.sized else None,
        return_lora_metadata=True,
    )
    state, alphas, _ = found
    if any(".lora_A." in key for key in state):
        # Older diffusers wrote attention under other names than the rest, and passes over them when it finds both.
        state = {
            key.replace(".lora.down.", ".lora_A.").replace(".lora.up.", ".lora_B."): tensor
            for key, tensor in state.items()
        }
    if not any(key.startswith(("unet.", "text_encoder.", "text_encoder_2.")) for key in state):
        message = f"Nothing in the LoRA {name!r} fits a UNet or a text encoder of CLIP."
        hint = f"Choose a LoRA that was trained on {family.title}."
        raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))
    if magnitudes:
        # diffusers leaves them out; it hands on the very tensors, which tells what each is called now.
        state |= _renamed(name, state, names, magnitudes)
    return Lora(state, alphas or {})


def attach(part: str, module: Any, lora: Lora, adapter: str) -> None:
    from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

    state, alphas = dict(lora.state), dict(lora.alphas) or None
    if part == "unet":
        Loader.load_lora_into_unet(state, alphas, module, adapter, metadata=lora.metadata)
    else:
        Loader.load_lora_into_text_encoder(
            state, alphas, module, prefix=part, adapter_name=adapter, metadata=lora.metadata
        )


def _renamed(
    name: str, state: Mapping[str, Any], names: Mapping[int, str], magnitudes: Mapping[str, Any]
) -> dict[str, Any]:
    """Magnitudes of DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353) by the names that diffusers has for them.

    Raises:
        ProblemError: `lora_unreadable`, when a layer has none or one of its inputs, which peft has not.
    """
    made: dict[str, Any] = {}
    for key, tensor in state.items():
        if not key.endswith(_DOWN):
            continue
        module = names.get(id(tensor), "").removesuffix(".lora_down.weight").removesuffix(".lora_A.weight")
        magnitude = magnitudes.get(module)
        up = state.get(key.replace("lora_A.", "lora_B.").replace(".down.", ".up."))
        if magnitude is None or up is None or magnitude.numel() != up.shape[0] or magnitude.shape[0] != up.shape[0]:
            what = "has no magnitude" if magnitude is None else f"has a magnitude of the shape {tuple(magnitude.shape)}"
            message = f"The LoRA {name!r} is a DoRA that cannot be applied: its layer {module or key!r} {what}."
            hint = "Look for a version with one magnitude for each output of each layer, as peft writes it."
            raise ProblemError(Problem(code="lora_unreadable", message=message, hint=hint, value=name))
        path = re.sub(r"(_lora|\.lora|\.lora_linear_layer)\.down\.weight$|\.lora_A\.weight$", "", key)
        made[f"{path}.lora_magnitude_vector.weight"] = (
            magnitude.flatten() if up.dim() == 2 else magnitude.reshape(1, -1, 1, 1)
        )
    return made
