"""What objects carry from step to step, taken out and put back, so a run can go on where it was stopped.

The objects are those of diffusers: schedulers, guiders, the state of modular blocks. What they carry is found by
comparing them with what they were before the first step, so a new version of them brings its new state along.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PLAIN = "diffusers.guiders"
_CLASS = "class"
Parts = Mapping[Any, "_Mark"]


@dataclass(frozen=True, eq=False)
class _Mark:
    """A value as it was: which one, the version of a tensor, what containers and plain objects held."""

    value: Any
    version: int = 0
    parts: Parts | None = None


def marks(thing: object) -> Mapping[str, _Mark]:
    """The attributes of an object as they are now; what differs from them later is its state."""
    return {name: _mark(value) for name, value in vars(thing).items()}


def carried(thing: object, before: Mapping[str, _Mark], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Copies of all attributes that have changed since, and of all generators, as scalars, tensors, lists and dicts.

    Args:
        before: what `marks` gave.
        without: attributes that are made again from the seed instead of being kept.

    Raises:
        TypeError: an attribute has changed and cannot be kept.
    """
    return {
        name: _kept(value, name)
        for name, value in vars(thing).items()
        if name not in without and not _same(value, before.get(name))
    }


def put_back(thing: object, state: Mapping[str, Any], device: torch.device) -> None:
    """Gives an object what `carried` kept; `device` is for tensors in whose place there is none yet."""
    for name, value in state.items():
        setattr(thing, name, _restored(getattr(thing, name, None), value, device))


def rewind(thing: object, before: Mapping[str, _Mark]) -> None:
    """Undoes what has been set in an object since `marks`, as far as tensors have not been changed in place."""
    vars(thing).clear()
    vars(thing).update({name: _unmarked(mark) for name, mark in before.items()})


def _mark(value: Any) -> _Mark:
    import torch

    if isinstance(value, torch.Tensor):
        return _Mark(value, version=value._version)
    if type(value) in (list, tuple):
        return _Mark(value, parts={place: _mark(item) for place, item in enumerate(value)})
    if type(value) is dict:
        return _Mark(value, parts={name: _mark(item) for name, item in value.items()})
    if _is_plain(value):
        return _Mark(value, parts=marks(value))
    return _Mark(value)


def _same(value: Any, mark: _Mark | None) -> bool:
    import torch

    if mark is None or isinstance(value, torch.Generator):
        return False
    if mark.parts is None or type(value) is not type(mark.value):
        now = _mark(value)
        return now.parts is None and now.value is mark.value and now.version == mark.version
    now = _held(value)
    return now.keys() == mark.parts.keys() and all(_same(item, mark.parts[key]) for key, item in now.items())


def _held(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else vars(value)


def _kept(value: Any, name: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        # Numbers that are spread over a batch have no place of their own each.
        return value.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, list | tuple):
        return [_kept(item, name) for item in value]
    if type(value) is dict:
        return {key: _kept(item, name) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if _is_plain(value):
        return {_CLASS: f"{type(value).__module__}.{type(value).__qualname__}", **carried(value, {})}
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{name} is {type(value).__name__}, which cannot be kept.")


def _restored(now: Any, kept: Any, device: torch.device) -> Any:
    import torch

    if isinstance(now, torch.Generator):
        now.set_state(kept.cpu())
        return now
    if isinstance(kept, torch.Tensor):
        return kept.to(now.device if isinstance(now, torch.Tensor) else device, copy=True)
    if isinstance(kept, list | tuple):
        held = list(now) if isinstance(now, list | tuple) else []
        held += [None] * (len(kept) - len(held))
        found = [_restored(place, item, device) for place, item in zip(held, kept, strict=False)]
        return tuple(found) if isinstance(now, tuple) else found
    if isinstance(kept, Mapping):
        if _CLASS in kept:
            found = _blank(kept[_CLASS])
            put_back(found, {name: value for name, value in kept.items() if name != _CLASS}, device)
            return found
        held = now if type(now) is dict else {}
        return {key: _restored(held.get(key), item, device) for key, item in kept.items()}
    return kept


def _unmarked(mark: _Mark) -> Any:
    if mark.parts is None:
        return mark.value
    if isinstance(mark.value, list | tuple):
        return type(mark.value)(_unmarked(part) for part in mark.parts.values())
    if isinstance(mark.value, dict):
        return {key: _unmarked(part) for key, part in mark.parts.items()}
    rewind(mark.value, mark.parts)
    return mark.value


def _is_plain(value: Any) -> bool:
    """Whether a value is a simple object whose attributes are all there is to it, such as a guider's momentum."""
    return type(value).__module__.startswith(_PLAIN) and hasattr(value, "__dict__")


def _blank(name: str) -> Any:
    """An object of a class of diffusers' guiders, without attributes: a guider makes some in its first step only."""
    module, _, cls = name.rpartition(".")
    if not module.startswith(_PLAIN):
        raise TypeError(f"{name} is no class of {_PLAIN}")
    found = getattr(importlib.import_module(module), cls)
    return found.__new__(found)
