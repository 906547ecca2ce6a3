"""LoRAs for a UNet and CLIP's text encoders, in the names that diffusers has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import Lora
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from .generation import Generation


def read(family: Generation, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
    """A LoRA's tensors by the names that diffusers has for them, and their alphas."""
    from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

    unet = modules.get("unet")
    # The class for SDXL reads the files of every family; it alone knows two text encoders.
    found: Any = Loader.lora_state_dict(
        dict(tensors),
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
