"""LoRA: low-rank changes laid beside the weights of a module, turned on for a lease and off again after it.

The weights themselves are never touched. Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from safelight.sdk.models import Patch, Source
from safelight.sdk.problem import Problem, ProblemError

from .components import Loaded
from .headers import read_header
from .weights import Target, tensors

log = logging.getLogger(__name__)

_DORA = ".dora_scale"
_DOWN = ("lora_A.weight", ".down.weight")


class Attached:
    """The LoRAs that lie beside one component's weights. At most those of one lease are on."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._names: dict[Source, str] = {}
        self._partly: dict[Source, Problem] = {}
        self._count = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._names)

    def warnings(self, patches: Sequence[Patch]) -> tuple[Problem, ...]:
        """What is to be told of LoRAs that fit in part only."""
        return tuple(
            self._partly[source] for source in {patch.source: None for patch in patches} if source in self._partly
        )

    def attach(self, source: Source, file: Path, family: str) -> None:
        """Reads a LoRA and lays it beside the weights, turned off.

        Raises:
            ProblemError: `lora_unfit`, when it was made for another model, or `lora_unreadable`.
        """
        state, alphas, metadata = self._read(source, file, family)
        self._count += 1
        name = f"lora_{self._count}"
        for part, module in self._loaded.modules.items():
            self._attach_to(part, module, state, alphas, metadata, name, source, family)
        self._names[source] = name
        self.turn_off()

    def _read(self, source: Source, file: Path, family: str) -> tuple[dict[str, Any], Any, Any]:
        """A LoRA's tensors by the names that diffusers has for them, their alphas, and what peft wrote beside them."""
        import torch
        from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

        header = read_header(file)
        given = dict(tensors((file,), Target(torch.float32, torch.device("cpu"))))
        magnitudes = {name.removesuffix(_DORA): given.pop(name) for name in list(given) if name.endswith(_DORA)}
        names = {id(tensor): name for name, tensor in given.items()}
        unet = self._loaded.modules.get("unet")
        try:
            # The class for SDXL reads the files of every family; it alone knows two text encoders.
            found: Any = Loader.lora_state_dict(
                dict(given),
                unet_config=unet.config if unet is not None and family == "sdxl" else None,
                return_lora_metadata=True,
            )
        except (ValueError, KeyError, AttributeError, RuntimeError) as error:
            message = f"The LoRA {source.name!r} is written in a way that diffusers cannot read: {_first(error)}"
            hint = "Look for it in another format; LoHa and LoKr files are not supported."
            raise ProblemError(
                Problem(code="lora_unreadable", message=message, hint=hint, value=source.name)
            ) from error
        state, alphas, _ = found
        if any(".lora_A." in name for name in state):
            # Older diffusers wrote attention under other names than the rest, and passes over them when it finds both.
            state = {
                name.replace(".lora.down.", ".lora_A.").replace(".lora.up.", ".lora_B."): tensor
                for name, tensor in state.items()
            }
        if not any(name.startswith(("unet.", "text_encoder.", "text_encoder_2.")) for name in state):
            message = f"Nothing in the LoRA {source.name!r} fits a UNet or a text encoder of CLIP."
            hint = f"Choose a LoRA that was trained on {family}."
            raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=source.name))
        if magnitudes:
            # diffusers leaves them out; it hands on the very tensors, which tells what each is called now.
            state |= _renamed(source, state, names, magnitudes)
        told = header.metadata.get("lora_adapter_metadata")
        return state, alphas, msgspec.json.decode(told) if told else None

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
    ) -> None:
        from diffusers.loaders.lora_pipeline import StableDiffusionXLLoraLoaderMixin as Loader

        given = sum(key.startswith(f"{part}.") and key.endswith(_DOWN) for key in state)
        if not given:
            log.info("the LoRA %s has nothing for %s", source.name, part)
            return
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
        fitting = sum(name in layer.lora_A for layer in _layers(module))
        if fitting < given:
            self._partly[source] = _partly(source.name, part, fitting, given)
        # New layers come in the type of their file; they compute with the module's.
        for layer in _layers(module):
            layer.to(self._loaded.device, self._loaded.dtype)
        module.eval().requires_grad_(False)

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
        self._partly.pop(source, None)
        for module in self._loaded.modules.values():
            if name in getattr(module, "peft_config", {}):
                delete_adapter_layers(module, name)
            if not self._names and any(True for _ in _layers(module)):
                recurse_remove_peft_layers(module)
        self.turn_off()


def _partly(name: str, part: str, fitting: int, given: int) -> Problem:
    message = (
        f"Of the LoRA {name!r} {fitting} of {given} changes to the {part} fit this model; the others are left out."
    )
    hint = "It was trained on another kind of model, or changes layers that are not supported."
    return Problem(code="lora_unfit", message=message, hint=hint, value=name).warning()


def _renamed(
    source: Source, state: Mapping[str, Any], names: Mapping[int, str], magnitudes: Mapping[str, Any]
) -> dict[str, Any]:
    """Magnitudes of DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353) by the names that diffusers has for them.

    Raises:
        ProblemError: `lora_unreadable`, when a layer has none or one of its inputs, which peft has not.
    """
    made: dict[str, Any] = {}
    for name, tensor in state.items():
        if not name.endswith(_DOWN):
            continue
        module = names.get(id(tensor), "").removesuffix(".lora_down.weight").removesuffix(".lora_A.weight")
        magnitude = magnitudes.get(module)
        up = state.get(name.replace("lora_A.", "lora_B.").replace(".down.", ".up."))
        if magnitude is None or up is None or magnitude.numel() != up.shape[0] or magnitude.shape[0] != up.shape[0]:
            what = "has no magnitude" if magnitude is None else f"has a magnitude of the shape {tuple(magnitude.shape)}"
            message = f"The LoRA {source.name!r} is a DoRA that cannot be applied: its layer {module or name!r} {what}."
            hint = "Look for a version with one magnitude for each output of each layer, as peft writes it."
            raise ProblemError(Problem(code="lora_unreadable", message=message, hint=hint, value=source.name))
        path = re.sub(r"(_lora|\.lora|\.lora_linear_layer)\.down\.weight$|\.lora_A\.weight$", "", name)
        made[f"{path}.lora_magnitude_vector.weight"] = (
            magnitude.flatten() if up.dim() == 2 else magnitude.reshape(1, -1, 1, 1)
        )
    return made


def _layers(module: Any) -> Any:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return (inner for inner in module.modules() if isinstance(inner, BaseTunerLayer))


def _first(error: Exception) -> str:
    """The part of a library's message that fits into a sentence."""
    if "ignore_mismatched_sizes" in str(error):
        return "the layers of a text encoder have other shapes."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "size mismatch" in line or "not found" in line), (lines or ["?"])[0])[:300]
