"""Values as named tensors plus JSON and back, and their digests.

The digest of a value is taken of its content alone: equal content, equal digest, whichever node made it and wherever
it was computed. It is what links nodes in cache keys, so an edit that does not change a result stops there.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .marker import fields_of

if TYPE_CHECKING:
    from torch import Tensor

DIGEST_BYTES = 20

# Made once: json.dumps with options makes a new encoder for each call, which is most of the time of a small value.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class CodecError(TypeError):
    """A value of a kind that cannot be kept: it is neither plain data, nor a tensor, nor a class marked @value."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A value taken apart: JSON with `{"$tensor": name}` in the place of each tensor, and the tensors by name."""

    json: Any
    tensors: dict[str, Tensor]


class Codec:
    """Takes values apart and puts them together again. Knows the value classes it was given, and no others."""

    def __init__(self, classes: Iterable[type[Any]]) -> None:
        self._classes: dict[str, type[Any]] = {}
        former: dict[str, type[Any]] = {}
        for cls in classes:
            self._classes[vars(cls)["__value_name__"]] = cls
            former |= dict.fromkeys(vars(cls).get("__value_aliases__", ()), cls)
        self._classes = former | self._classes

    def adopt(self, other: Codec) -> None:
        """Goes on with the classes of another codec; whoever holds this one need not be told."""
        self._classes = other._classes

    def encode(self, value: Any) -> Encoded:
        tensors: dict[str, Tensor] = {}
        return Encoded(self._encode(value, tensors), tensors)

    def decode(self, encoded: Encoded) -> Any:
        return self._decode(encoded.json, encoded.tensors)

    def digest(self, value: Any) -> str:
        """Hex digest of the content. Scalars take microseconds, tensors about a second a gigabyte."""
        return self.digest_encoded(self.encode(value))

    def digest_encoded(self, encoded: Encoded) -> str:
        if not encoded.tensors:
            return hash_text(canonical(encoded.json))
        parts = [canonical(encoded.json)]
        parts += [f"{name}:{_tensor_digest(tensor)}" for name, tensor in encoded.tensors.items()]
        return hash_text("\n".join(parts))

    def _encode(self, value: Any, tensors: dict[str, Tensor]) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, list):
            return [self._encode(item, tensors) for item in value]
        if isinstance(value, tuple):
            return {"$tuple": [self._encode(item, tensors) for item in value]}
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise CodecError("dictionaries need text keys to be kept.")
            return {"$dict": {key: self._encode(value[key], tensors) for key in sorted(value)}}
        if isinstance(value, bytes):
            return {"$bytes": base64.b64encode(value).decode()}
        name = getattr(type(value), "__value_name__", None)
        if name is not None and self._classes.get(name) is type(value):
            return {"$type": name, **{key: self._encode(part, tensors) for key, part in fields_of(value).items()}}
        if is_tensor(value):
            key = f"t{len(tensors)}"
            tensors[key] = value.detach()
            return {"$tensor": key}
        raise CodecError(
            f"{type(value).__module__}.{type(value).__qualname__} cannot be kept: mark the class with @value, "
            "or return plain data or tensors."
        )

    def _decode(self, data: Any, tensors: dict[str, Tensor]) -> Any:
        if isinstance(data, list):
            return [self._decode(item, tensors) for item in data]
        if not isinstance(data, dict):
            return data
        if "$type" in data:
            cls = self._classes.get(data["$type"])
            if cls is None:
                raise CodecError(f"{data['$type']!r} is not a value class of any installed pack.")
            known = {field.name for field in dataclasses.fields(cls)}
            parts = {key: self._decode(part, tensors) for key, part in data.items() if key in known}
            return cls(**parts)
        ((tag, inner),) = data.items()
        if tag == "$tensor":
            return tensors[inner]
        if tag == "$tuple":
            return tuple(self._decode(item, tensors) for item in inner)
        if tag == "$dict":
            return {key: self._decode(item, tensors) for key, item in inner.items()}
        if tag == "$float":
            return float(inner)
        if tag == "$bytes":
            return base64.b64decode(inner)
        raise CodecError(f"unknown tag {tag!r}.")


def canonical(data: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one content."""
    return _CANONICAL.encode(data)


def hash_text(text: str) -> str:
    return hash_bytes(text.encode("utf-8", "surrogatepass"))


def hash_bytes(data: bytes | memoryview) -> str:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def hash_file(path: Path) -> str:
    """The same of what is in a file, read piece by piece. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The raw bytes of a tensor, row-major. Not copied when it lies on the CPU and contiguous."""
    import torch

    whole = tensor.detach().to("cpu").contiguous()
    # Not by reshape: a single number of a larger tensor counts as contiguous, and keeps that tensor's step.
    flat = whole.as_strided((whole.numel(),), (1,))
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def _tensor_digest(tensor: Tensor) -> str:
    return f"{tensor.dtype}:{tuple(tensor.shape)}:{hash_bytes(tensor_bytes(tensor))}"


def is_tensor(value: Any) -> bool:
    # By name, so that plain data is encoded without importing torch.
    return any(cls.__module__ == "torch" and cls.__name__ == "Tensor" for cls in type(value).__mro__)
