"""Whether two values of links are the same, told by what is in them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from typing import Any


def print_of(value: Any) -> Hashable:
    """Something equal for equal values and for no others: of numbers and texts themselves, of tensors a digest."""
    from safelight.sdk.codec import hash_bytes, is_tensor, tensor_bytes

    if is_tensor(value):
        return ("tensor", str(value.dtype), tuple(value.shape), hash_bytes(tensor_bytes(value)))
    if is_dataclass(value) and not isinstance(value, type):
        return (type(value).__name__, *(print_of(getattr(value, entry.name)) for entry in fields(value)))
    if isinstance(value, dict):
        return ("dict", frozenset((key, print_of(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", *(print_of(item) for item in value))
    return ("bool" if isinstance(value, bool) else "", value)
