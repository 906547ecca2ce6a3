"""LoRA: low-rank changes laid beside the weights of a module, turned on for a lease and off again after it.

The weights themselves are never touched. Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from safelight.families import Family, Lora
from safelight.sdk.models import Patch, Source, block_factor, unknown_block
from safelight.sdk.problem import Problem, ProblemError

from .changes import Change, Changes, layer_of, layers, named, split
from .components import Loaded
from .headers import read_header
from .weights import Target, tensors
from .wider import cut_wider

log = logging.getLogger(__name__)

_DOWN = ("lora_A.weight", ".down.weight")
_PAIR = ("lora_A.weight", "down.weight")
_END = re.compile(r"(_lora|\.lora|\.lora_linear_layer)\.down\.weight$|\.lora_A\.weight$")


class Attached:
    """The LoRAs that lie beside one component's weights. At most those of one lease are on."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._names: dict[Source, str] = {}
        self._partly: dict[Source, Problem] = {}
        self._changes = Changes()
        self._wider: dict[Source, Any] = {}
        self._blocks: dict[str, dict[str, str]] = {}
        self._patches: tuple[Patch, ...] = ()
        self._on: tuple[Patch, ...] = ()
        self._count = 0

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._names)

    def warnings(self, patches: Sequence[Patch]) -> tuple[Problem, ...]:
        """What is to be told of LoRAs that fit in part only."""
        return tuple(
            self._partly[source] for source in {patch.source: None for patch in patches} if source in self._partly
        )

    def attach(self, source: Source, file: Path, family: Family) -> None:
        """Reads a LoRA and lays it beside the weights, turned off.

        Raises:
            ProblemError: `lora_unfit`, when it was made for another model or changes weights that are in 8 bits by more
                than low-rank pairs, or `lora_unreadable`.
        """
        import torch

        metadata = read_header(file).metadata.get("lora_adapter_metadata")
        given = dict(tensors((file,), Target(torch.float32, torch.device("cpu"))))
        wider = cut_wider(given, self._loaded.modules)
        pairs, changes = split(given)
        if changes and self._loaded.packed:
            raise _packed(source.name)
        plain = not changes or any(key.endswith(_PAIR) for key in pairs)
        lora = self._read(source, pairs, family, metadata) if plain else None
        self._count += 1
        name = f"lora_{self._count}"
        try:
            names = {part: _names(part, module, family) for part, module in self._loaded.modules.items()}
            known = {one for part in names for one in _known(part, changes, names[part])}
            for part, module in self._loaded.modules.items():
                told = self._lay(part, module, changes, names[part], known, name, source, family)
                if lora is not None:
                    told = told.plus(self._attach_to(part, module, lora, name, source, family))
                if told.left:
                    self._partly[source] = _partly(source.name, part, told)
        except BaseException:
            self._changes.remove(name)
            raise
        self._names[source] = name
        if wider is not None:
            self._wider[source] = wider.to(self._loaded.place, self._loaded.dtype)
        self._blocks = {
            part: family.block_names(part, module, layers(module)) for part, module in self._loaded.modules.items()
        }
        self.turn_off()

    def _read(self, source: Source, given: Mapping[str, Any], family: Family, metadata: str | None) -> Lora:
        try:
            lora = family.read_lora(source.name, given, self._loaded.modules)
        except (ValueError, KeyError, AttributeError, RuntimeError) as error:
            message = f"The LoRA {source.name!r} is written in a way that diffusers cannot read: {_first(error)}"
            raise ProblemError(
                Problem(
                    code="lora_unreadable",
                    message=message,
                    hint="Look for it in another format.",
                    value=source.name,
                )
            ) from error
        # What peft wrote beside the weights.
        return replace(lora, metadata=msgspec.json.decode(metadata)) if metadata else lora

    def _lay(
        self,
        part: str,
        module: Any,
        changes: Sequence[Change],
        names: Mapping[str, tuple[str, ...]],
        known: Collection[str],
        name: str,
        source: Source,
        family: Family,
    ) -> _Told:
        """Lays the changes of a part that are more than low-rank pairs beside their layers. `known` are those of which
        any part has the layer."""
        own = [one for one in _own(part, changes) if one[1] in names or one[0].name not in known]
        there = [(change, names[place]) for change, place in own if place in names]
        if not own or (known and not there):
            return _Told()
        inner = layers(module)
        wrong = [change.name for change, places in there if not self._lay_on(name, part, inner, places, change)]
        if len(wrong) == len(there) or len(wrong) > max(1, _FEW * len(there)):
            known = f"{len(there)} of its {len(own)} layers are known, and {len(wrong)} of them have other shapes"
            raise _unfit(source.name, family, f"{known}, as {named(wrong or [change.name for change, _ in own])}.")
        unknown = [change.name for change, place in own if place not in names]
        return _Told(len(own), (*unknown, *wrong))

    def _lay_on(self, name: str, part: str, inner: Mapping[str, Any], places: tuple[str, ...], change: Change) -> bool:
        """Lays a change beside a layer, or beside those that are one in the file. False when it does not fit."""
        if len(places) == 1:
            return self._changes.lay(name, f"{part}.{places[0]}", inner[places[0]], change)
        ends = list(accumulate(len(inner[place].weight) for place in places))
        try:
            cut = [change.piece(start, end, ends[-1]) for start, end in pairwise((0, *ends))]
        except ValueError:
            return False
        laid = [
            self._changes.lay(name, f"{part}.{place}", inner[place], one)
            for place, one in zip(places, cut, strict=True)
        ]
        return all(laid)

    def _attach_to(self, part: str, module: Any, lora: Lora, name: str, source: Source, family: Family) -> _Told:
        downs = [key for key in lora.state if key.startswith(f"{part}.") and key.endswith(_DOWN)]
        if not downs:
            log.info("the LoRA %s has no low-rank pairs for %s", source.name, part)
            return _Told()
        try:
            family.attach_lora(part, module, replace(lora, state=_fitting(part, module, lora.state)), name)
        except (ValueError, RuntimeError, KeyError) as error:
            raise _unfit(source.name, family, _first(error)) from error
        fitting = {path for path, layer in _paths(module) if name in layer.lora_A}
        left = tuple(_END.sub("", key) for key in downs if fitting.isdisjoint(_places(part, key)))
        # New layers come in the type of their file; they compute with the module's.
        for layer in _layers(module):
            for inside, child in layer.named_children():
                if inside != "base_layer":
                    child.to(self._loaded.place, self._loaded.dtype)
        module.eval().requires_grad_(False)
        return _Told(len(downs), left)

    @property
    def widens(self) -> int:
        """How many more channels the denoiser takes with what was turned on last."""
        found = (self._wider[patch.source].shape[1] for patch in self._patches if patch.source in self._wider)
        return max(found, default=0)

    def wider(self) -> Any:
        """The kernels (outputs, more channels, k, k) of the denoiser's first convolution for the channels that it takes
        more than its weights are for, at this part of the schedule; None where it takes none."""
        block = self._blocks.get("unet", {}).get("conv_in", "")
        given = [
            (self._wider[patch.source], patch.weight * block_factor(patch.blocks, block))
            for patch in self._on
            if patch.source in self._wider and patch.part in ("", "unet")
        ]
        return sum(kernel * weight for kernel, weight in given) if given else None

    def turn_on(self, patches: Sequence[Patch]) -> None:
        """Turns on what the patches name, with their weights; the same LoRA twice counts with the sum.

        Raises:
            ProblemError: `bad_blocks`, when one names blocks that the model does not have.
        """
        self._check_blocks(patches)
        self._patches = tuple(patches)
        self._set(self._patches)

    def at(self, window: tuple[float, float]) -> None:
        """Turns those on that are for this part (from, to) of the schedule, and the others off."""
        wanted = tuple(patch for patch in self._patches if patch.on(window))
        if wanted != self._on:
            self._set(wanted)

    def _set(self, patches: tuple[Patch, ...]) -> None:
        self._on = patches
        if not patches:
            self._all_off()
            return
        strengths: dict[str, dict[str, float]] = {}
        for patch in patches:
            told = strengths.setdefault(self._names[patch.source], {})
            for part, blocks in self._blocks.items():
                if patch.part in ("", part):
                    for place, block in blocks.items():
                        key = f"{part}.{place}"
                        told[key] = told.get(key, 0.0) + patch.weight * block_factor(patch.blocks, block)
        self._changes.turn_on(strengths)
        for part, module in self._loaded.modules.items():
            names = list(dict.fromkeys(self._names[patch.source] for patch in patches if patch.part in ("", part)))
            for path, layer in _paths(module):
                layer.enable_adapters(enabled=bool(names))
                layer.set_adapter(names)
                for name in names:
                    layer.set_scale(name, strengths[name][f"{part}.{path}"])
            module.requires_grad_(False)

    def _block_names(self) -> set[str]:
        return {block for part in self._blocks.values() for block in part.values()}

    def _check_blocks(self, patches: Sequence[Patch]) -> None:
        there = self._block_names()
        for patch in patches:
            if patch.part and patch.part not in self._loaded.modules:
                message = f"The LoRA {patch.source.name!r} is for a second denoiser, and this model has one."
                hint = "Set denoiser to both."
                raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=patch.source.name))
            problem = unknown_block(patch.blocks, there, f"the LoRA {patch.source.name!r}")
            if problem is not None:
                raise ProblemError(problem)

    def turn_off(self) -> None:
        """Back to the bare weights: each layer then calls the one it wraps, and nothing else."""
        self._patches = ()
        self._set(())

    def _all_off(self) -> None:
        self._changes.turn_on({})
        for module in self._loaded.modules.values():
            for layer in _layers(module):
                layer.enable_adapters(enabled=False)
            module.requires_grad_(False)

    def detach(self, source: Source) -> None:
        """Removes a LoRA from memory. The wrapping of its layers goes with the last one."""
        from diffusers.utils.peft_utils import delete_adapter_layers, recurse_remove_peft_layers

        name = self._names.pop(source)
        self._partly.pop(source, None)
        self._wider.pop(source, None)
        self._changes.remove(name)
        for module in self._loaded.modules.values():
            if name in getattr(module, "peft_config", {}):
                delete_adapter_layers(module, name)
            if not self._names and any(True for _ in _layers(module)):
                recurse_remove_peft_layers(module)
        self.turn_off()


def _names(part: str, module: Any, family: Family) -> dict[str, tuple[str, ...]]:
    """The layers of a part by what files of changes call them."""
    inner = layers(module)
    names = {flat: (place,) for flat, place in family.layer_names(part, module, inner).items()}
    return names | family.fused_names(part, module, inner)


def _own(part: str, changes: Sequence[Change]) -> list[tuple[Change, str]]:
    """The changes that may be a part's, each with the flat name of its layer."""
    wanted = part if part.startswith("text_encoder") else ""
    return [(change, place[1]) for change in changes if (place := layer_of(change.name))[0] == wanted]


def _known(part: str, changes: Sequence[Change], names: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [change.name for change, place in _own(part, changes) if place in names]


_FEW = 0.1
"""The part of the layers found in a model whose shapes may differ and are left out; with more of them a LoRA was made
for another model, and is refused."""


def _fitting(part: str, module: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The LoRA without the few layers that have another shape than those of the module."""
    modules = dict(module.named_modules())
    downs = [key for key in state if key.startswith(f"{part}.") and key.endswith(_DOWN)]
    wrong: list[str] = []
    there = 0
    for key in downs:
        layer = _END.sub("", key)
        found = next((modules[place] for place in _places(part, key) if place in modules), None)
        weight = getattr(getattr(found, "base_layer", found), "weight", None)
        up = state.get(key.replace("lora_A.", "lora_B.").replace(".down.", ".up."))
        if weight is None or up is None:
            continue
        there += 1
        rank, inputs = state[key].shape[:2]
        if rank != up.shape[1] or (up.shape[0], inputs) != tuple(weight.shape[:2]):
            wrong.append(layer)
    if not wrong or len(wrong) > _FEW * there:
        return state
    starts = tuple(f"{layer}{end}" for layer in wrong for end in (".", "_lora."))
    return {key: tensor for key, tensor in state.items() if not key.startswith(starts)}


def _places(part: str, key: str) -> tuple[str, ...]:
    """Where the layer may be that a key of diffusers is for."""
    path = _END.sub("", key).removeprefix(f"{part}.").replace(".processor.", ".")
    bare = path.removeprefix("text_model.")
    return path, bare, f"text_model.{bare}", f"{path}.0"


class _Told(NamedTuple):
    """How many layers of a part a LoRA changes, and which of them are left out."""

    given: int = 0
    left: tuple[str, ...] = ()

    def plus(self, other: _Told) -> _Told:
        return _Told(self.given + other.given, self.left + other.left)


def _unfit(name: str, family: Family, why: str) -> ProblemError:
    message = f"The LoRA {name!r} does not fit this model of {family.title}: {why}"
    hint = f"Choose a LoRA that was trained on {family.title}."
    return ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))


def _packed(name: str) -> ProblemError:
    """Such a change is made of the weights themselves, or of factors that would lie beside them in 8 bits too."""
    message = f"The LoRA {name!r} is more than low-rank pairs, which weights in 8 bits cannot take."
    hint = "Set storage to full in Set memory, or choose a plain LoRA."
    return ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))


def _partly(name: str, part: str, told: _Told) -> Problem:
    message = (
        f"Of the LoRA {name!r} {told.given - len(told.left)} of {told.given} changes to the {part} fit this model; "
        f"the others are left out: {named(told.left)}."
    )
    hint = "It was trained on another kind of model, or changes layers that are not supported."
    return Problem(code="lora_unfit", message=message, hint=hint, value=name).warning()


def _paths(module: Any) -> Iterator[tuple[str, Any]]:
    """The layers that peft has wrapped, by their names."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return ((name, inner) for name, inner in module.named_modules() if isinstance(inner, BaseTunerLayer))


def _layers(module: Any) -> Iterator[Any]:
    return (inner for _, inner in _paths(module))


def _first(error: Exception) -> str:
    """The part of a library's message that fits into a sentence."""
    if "ignore_mismatched_sizes" in str(error):
        return "the layers of a text encoder have other shapes."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "size mismatch" in line or "not found" in line), (lines or ["?"])[0])[:300]
