"""What a scheduler carries from step to step, taken out and put back, so a run can go on where it was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REBUILT = ("noise_sampler",)
"""Attributes that are made again from the seed instead of being kept."""


def baseline(scheduler: Any) -> dict[str, Any]:
    """The scheduler's attributes before its first step; what differs from them later is its state."""
    return dict(vars(scheduler))


def carried(scheduler: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes that steps have changed, as copies: some schedulers add to their tensors in place."""
    return {
        name: _copied(value)
        for name, value in vars(scheduler).items()
        if name not in REBUILT and (isinstance(value, list) or value is not before.get(name, _ABSENT))
    }


def put_back(scheduler: Any, state: Mapping[str, Any]) -> None:
    for name, value in state.items():
        setattr(scheduler, name, _copied(value))


_ABSENT = object()


def _copied(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a scheduler carries {type(value).__name__}, which cannot be kept.")
