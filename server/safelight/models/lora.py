"""LoRA: low-rank changes laid beside the weights of a module, turned on for a lease and off again after it.

The weights themselves are never touched. Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safelight.sdk.models import Patch, Source
from safelight.sdk.problem import Problem, ProblemError

from .components import Loaded

log = logging.getLogger(__name__)


class Attached:
    """The LoRAs that lie beside one component's weights. At most those of one lease are on."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._names: dict[Source, str] = {}
        self._count = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._names)

    def attach(self, source: Source, file: Path, family: str) -> None:
        """Reads a LoRA and lays it beside the weights, turned off.

        Raises:
            ProblemError: `lora_unfit`, when it was made for another model, or `lora_unreadable`.
        """
        from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

        unet = self._loaded.modules.get("unet")
        try:
            # The class for SDXL reads the files of every family; it alone knows two text encoders.
            found: Any = Loader.lora_state_dict(
                str(file),
                unet_config=unet.config if unet is not None and family == "sdxl" else None,
                use_safetensors=True,
                local_files_only=True,
                return_lora_metadata=True,
            )
        except (ValueError, KeyError, AttributeError, RuntimeError) as error:
            message = f"The LoRA {source.name!r} is written in a way that diffusers cannot read: {_first(error)}"
            hint = "Look for it in another format; LoHa and LoKr files are not supported."
            raise ProblemError(
                Problem(code="lora_unreadable", message=message, hint=hint, value=source.name)
            ) from error
        state, alphas, metadata = found
        self._count += 1
        name = f"lora_{self._count}"
        touched = False
        for part, module in self._loaded.modules.items():
            touched |= self._attach_to(part, module, state, alphas, metadata, name, source, family)
        if not touched:
            log.info("the LoRA %s has nothing for %s", source.name, ", ".join(self._loaded.modules))
        self._names[source] = name
        self.turn_off()

    def _attach_to(
        self,
        part: str,
        module: Any,
        state: Mapping[str, Any],
        alphas: Any,
        metadata: Any,
        name: str,
        source: Source,
        family: str,
    ) -> bool:
        from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

        if not any(key.startswith(f"{part}.") for key in state):
            return False
        try:
            if part == "unet":
                Loader.load_lora_into_unet(dict(state), alphas, module, name, metadata=metadata)
            else:
                Loader.load_lora_into_text_encoder(
                    dict(state), alphas, module, prefix=part, adapter_name=name, metadata=metadata
                )
        except (ValueError, RuntimeError, KeyError) as error:
            message = f"The LoRA {source.name!r} does not fit this model of the family {family}: {_first(error)}"
            hint = f"Choose a LoRA that was trained on {family}."
            raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=source.name)) from error
        # New layers come in the type of their file; they compute with the module's.
        for layer in _layers(module):
            layer.to(self._loaded.device, self._loaded.dtype)
        module.eval().requires_grad_(False)
        return True

    def turn_on(self, patches: Sequence[Patch]) -> None:
        """Turns on what the patches name, with their weights; the same LoRA twice counts with the sum."""
        weights: dict[str, float] = {}
        for patch in patches:
            name = self._names[patch.source]
            weights[name] = weights.get(name, 0.0) + patch.weight
        names = list(weights)
        for module in self._loaded.modules.values():
            for layer in _layers(module):
                layer.enable_adapters(enabled=True)
                layer.set_adapter(names)
                for name, weight in weights.items():
                    layer.set_scale(name, weight)
            module.requires_grad_(False)

    def turn_off(self) -> None:
        """Back to the bare weights: each layer then calls the one it wraps, and nothing else."""
        for module in self._loaded.modules.values():
            for layer in _layers(module):
                layer.enable_adapters(enabled=False)
            module.requires_grad_(False)

    def detach(self, source: Source) -> None:
        """Removes a LoRA from memory. The wrapping of its layers goes with the last one."""
        from diffusers.utils.peft_utils import delete_adapter_layers, recurse_remove_peft_layers

        name = self._names.pop(source)
        for module in self._loaded.modules.values():
            if name in getattr(module, "peft_config", {}):
                delete_adapter_layers(module, name)
            if not self._names and any(True for _ in _layers(module)):
                recurse_remove_peft_layers(module)
        self.turn_off()


def _layers(module: Any) -> Any:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return (inner for inner in module.modules() if isinstance(inner, BaseTunerLayer))


def _first(error: Exception) -> str:
    """The part of a library's message that fits into a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "size mismatch" in line or "not found" in line), (lines or ["?"])[0])[:300]
