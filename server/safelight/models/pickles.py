"""Pickled weights, for users who allow them: names and shapes without torch, tensors by torch's own safe unpickler.

What torch.save writes is a pickle of dictionaries whose tensors name a storage. Here it is read by an unpickler that
makes nothing: every class that a file asks for becomes a harmless stand-in.
"""

from __future__ import annotations

import io
import pickle
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_WRAPPERS = ("state_dict", "params_ema", "params", "string_to_param")
"""What programs put a model's weights under, beside the state of its training."""
_LONGEST = 100_000_000
_MOST, _DEEPEST = 200_000, 20
"""Names that are looked at, and levels: dictionaries may hold the same ones again and again, or themselves."""
_TYPES = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}


class Shape(NamedTuple):
    """What a header tells of a tensor; `dtype` as safetensors writes it."""

    dtype: str
    shape: tuple[int, ...]
    itemsize: int


def shapes(path: Path) -> dict[str, Shape]:
    """Type and shape of every tensor of a pickle, by name. Nothing of it is run.

    Raises:
        ProblemError: `weights_damaged`, when it is none that torch wrote.
    """
    try:
        found = _from_archive(path) if is_zipfile(path) else _from_stream(path)
        # Whatever breaks while strange bytes are read means the same.
        return {name: one for name, one in _named(found) if isinstance(one, Shape)}
    except Exception as error:
        message = f"{path} is not a whole pickle of weights: {type(error).__name__}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="weights_damaged", message=message, hint=hint, value=str(path))) from None


def load(path: Path) -> dict[str, Tensor]:
    """The tensors of a pickle by name, out of what they were wrapped in, made by an unpickler that makes only tensors
    and what merely holds values.

    Raises:
        ProblemError: `unsafe_weights`, when it holds more than tensors; `weights_damaged`.
    """
    import torch

    try:
        # Files older than torch 1.6 are no archives, and cannot be mapped.
        # Trainings keep the settings that they were started with beside the weights, in a class that only holds them.
        torch.serialization.add_safe_globals([Namespace])
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
        return {name: tensor.detach() for name, tensor in _named(found) if isinstance(tensor, torch.Tensor)}
    except UnpicklingError:  # its text advises to open the file all the same
        message = f"{path} holds more than tensors, and is not opened."
        hint = "Use a safetensors version."
        raise ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=str(path))) from None
    except Exception as error:
        message = f"{path} is not a whole pickle of weights: {type(error).__name__}."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="weights_damaged", message=message, hint=hint, value=str(path))) from None


def _named(found: Any) -> Iterator[tuple[str, Any]]:
    """(name, leaf) of nested dictionaries, names joined by dots; only what is wrapped, where something is."""
    waiting: list[tuple[str, Any, int]] = [("", found, 0)]
    for _ in range(_MOST):
        if not waiting:
            return
        above, one, level = waiting.pop()
        if level > _DEEPEST:
            break
        if isinstance(one, Mapping):
            inner = next((one[key] for key in _WRAPPERS if isinstance(one.get(key), Mapping)), one)
            below = [(f"{above}.{key}" if above else str(key), leaf, level + 1) for key, leaf in inner.items()]
            waiting += reversed(below)
        elif above:
            yield above, one
    raise ValueError("more names, or levels of them, than any model has")


def _from_archive(path: Path) -> Any:
    with ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        if name is None or archive.getinfo(name).file_size > _LONGEST:
            raise BadZipFile
        return _Harmless(io.BytesIO(archive.read(name))).load()


def _from_stream(path: Path) -> Any:
    with path.open("rb") as file:
        # A magic number, the version of the format, facts about the system, and then the object.
        found = [_Harmless(file).load() for _ in range(4)]
    return found[3]


class _StandIn:
    """In place of whatever class or function a pickle asks for."""

    def __init__(self, *args: Any, **named: Any) -> None:
        del args, named

    def __call__(self, *args: Any, **named: Any) -> _StandIn:
        del args, named
        return self

    def __setstate__(self, state: Any) -> None:
        del state


class _Storage(NamedTuple):
    kind: str


class _Harmless(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name.startswith("_rebuild_tensor"):
            return _tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda data, *_: data
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return _Storage(name)
        return _StandIn

    def persistent_load(self, pid: Any) -> Any:
        return pid[1] if isinstance(pid, tuple) and len(pid) > 1 else _StandIn()


def _tensor(storage: Any, offset: Any, size: tuple[int, ...], *rest: Any) -> Shape:
    del offset, rest
    dtype, itemsize = _TYPES.get(storage.kind, ("", 1)) if isinstance(storage, _Storage) else ("", 1)
    return Shape(dtype, tuple(int(side) for side in size), itemsize)
