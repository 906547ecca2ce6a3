"""Weights from safetensors files into a module that was built without any."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families.files import BESIDE_WEIGHTS, SCALES
from safelight.sdk.problem import Problem, ProblemError

from .gguf_files import Unreadable, gguf_tensors, is_gguf
from .headers import Header, TensorEntry, damaged, is_pickle, is_safetensors, read_header
from .onnx_files import is_onnx
from .pickles import load as read_pickle
from .recognise import refuse_packed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger(__name__)

Rename = Callable[[str], str]

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


class Target:
    """How weights are to lie in memory. `channels_last` is for the kernels of convolutions."""

    def __init__(self, dtype: torch.dtype, device: torch.device, channels_last: bool = False) -> None:
        self.dtype = dtype
        self.device = device
        self.channels_last = channels_last

    def place(self, tensor: Tensor) -> Tensor:
        """The tensor on the device and in the type; itself where it is so already."""
        import torch

        dtype = self.dtype if tensor.is_floating_point() else tensor.dtype
        if self.channels_last and tensor.dim() == 4:
            return tensor.to(self.device, dtype, memory_format=torch.channels_last)
        return tensor.to(self.device, dtype)


def tensors(files: Iterable[Path], target: Target, wanted: Callable[[str], bool] | None = None) -> Iterator[Any]:
    """(name, tensor) of every tensor of the files, in the target's type and on its device.

    A tensor that is kept as it is on disk is mapped, not read: it takes no memory of its own until it is used, and the
    system may drop it again. One that changes its type is read by itself, so that never more than one lies in memory
    twice.
    """
    for file in files:
        if is_safetensors(file):
            yield from _safetensors(file, target, wanted)
        elif is_gguf(file):
            try:
                found = gguf_tensors(file, read_header(file), wanted)
                yield from ((name, target.place(one)) for name, one in found)
            except Unreadable as error:
                raise damaged(file, str(error)) from None
        elif is_pickle(file):
            found = read_pickle(file)
            yield from ((name, target.place(one)) for name, one in found.items() if wanted is None or wanted(name))


def _safetensors(file: Path, target: Target, wanted: Callable[[str], bool] | None) -> Iterator[tuple[str, Tensor]]:
    import torch
    from safetensors import SafetensorError, safe_open

    header = read_header(file)
    refuse_packed(str(file), header)
    names = sorted(header.tensors, key=lambda name: header.tensors[name].data_offsets)
    try:
        opened = safe_open(file, framework="pt")
    except SafetensorError as error:
        raise damaged(file, f"is not a safetensors file ({error})") from None
    with opened as mapped, file.open("rb", buffering=0) as raw:
        scratch = torch.empty(0, dtype=torch.uint8)
        for name in names:
            entry = header.tensors[name]
            if wanted is not None and not wanted(name):
                continue
            if name.endswith(BESIDE_WEIGHTS):
                continue
            dtype = _dtype(file, entry)
            if dtype == target.dtype or not dtype.is_floating_point:
                yield name, target.place(mapped.get_tensor(name))
                continue
            size = entry.data_offsets[1] - entry.data_offsets[0]
            if scratch.numel() < size:
                scratch = torch.empty(size, dtype=torch.uint8)
            _read(raw, header, entry, scratch)
            # The scratch space is written again for the next tensor, so this one must not share it.
            found = scratch[:size].view(dtype).view(entry.shape)
            scale = next((key for ending in SCALES if (key := name.rpartition(".")[0] + ending) in header.tensors), "")
            if scale and name.endswith(".weight") and dtype.itemsize == 1:
                found = _scaled(file, found, mapped.get_tensor(scale))
            yield name, target.place(found)


def _scaled(file: Path, tensor: Tensor, scale: Tensor) -> Tensor:
    """Numbers in eight bits times what they were divided by: one number, or one for each row."""
    import torch

    if scale.numel() != 1 and (scale.numel() != tensor.shape[0] or scale.shape[0] != tensor.shape[0]):
        message = (
            f"{file} holds weights of {tuple(tensor.shape)} with scales of {tuple(scale.shape)}, which are not read."
        )
        hint = "Get the same model in float16, bfloat16 or fp8 with one scale for each matrix, or as GGUF."
        raise ProblemError(Problem(code="unsupported_weights", message=message, hint=hint, value=str(file)))
    if not bool((scale.float() >= 0).all()) or (not scale.any() and bool(tensor.float().any())):
        raise damaged(file, f"has a scale of {scale.float().min():g} for weights of {tuple(tensor.shape)}")
    rows = scale.to(torch.float32).reshape(-1, *[1] * (tensor.dim() - 1)) if scale.numel() > 1 else scale.float()
    return tensor.to(torch.float32) * rows


def _read(raw: Any, header: Header, entry: TensorEntry, into: Tensor) -> None:
    size = entry.data_offsets[1] - entry.data_offsets[0]
    view = memoryview(into.numpy().data)[:size]
    raw.seek(header.start + entry.data_offsets[0])
    done = 0
    while done < size:
        count = raw.readinto(view[done:])
        if not count:
            raise damaged(Path(raw.name), "was cut off while it was read")
        done += count


def _dtype(file: Path, entry: TensorEntry) -> torch.dtype:
    import torch

    dtype = getattr(torch, _TYPES.get(entry.dtype, ""), None)
    if dtype is not None:
        return dtype
    message = f"{file} holds weights of the type {entry.dtype}, which cannot be read."
    hint = "Use a version in F32, F16 or BF16."
    raise ProblemError(Problem(code="unsupported_weights", message=message, hint=hint, value=str(file)))


def fill(module: Any, given: Iterable[tuple[str, Tensor]], shown: str, rename: Rename | None = None) -> None:
    """Puts tensors into a module that was built on the meta device, in place of its empty parameters.

    Raises:
        ProblemError: `weights_mismatch`, when some are missing or of another shape than its configuration says.
    """
    empty: Mapping[str, Tensor] = module.state_dict()
    missing = set(empty)
    wrong: list[str] = []
    for given_name, tensor in given:
        name = given_name if given_name in empty or rename is None else rename(given_name)
        if name not in empty:
            log.debug("%s: %s is not part of the model", shown, given_name)
        elif empty[name].is_floating_point() and not tensor.is_floating_point():
            wrong.append(f"{name} holds {str(tensor.dtype).removeprefix('torch.')} instead of fractions")
            missing.discard(name)
        elif not tensor.numel():
            wrong.append(f"{name} is empty")
            missing.discard(name)
        elif empty[name].shape != tensor.shape:
            wrong.append(f"{name} is {tuple(tensor.shape)} instead of {tuple(empty[name].shape)}")
            missing.discard(name)
        else:
            _assign(module, name, tensor)
            missing.discard(name)
    wrong += [f"{name} is missing" for name in sorted(missing)]
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        message = f"The weights of {shown} do not fit its configuration: {', '.join(wrong[:3])}{more}."
        hint = "Get its files again; configuration and weights must be of one model."
        raise ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, value=shown))


def _assign(module: Any, name: str, tensor: Tensor) -> None:
    import torch

    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    if last in owner._parameters:
        owner._parameters[last] = torch.nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[last] = tensor


def module_bytes(module: Any) -> int:
    """Bytes of a module's parameters and buffers, and of what it says that it keeps outside of torch (`outside`)."""
    kept: int = getattr(module, "outside", 0)
    return kept + sum(tensor_bytes(tensor) for tensor in (*module.parameters(), *module.buffers()))


def tensor_bytes(tensor: Any) -> int:
    """Bytes of a tensor; of one that a library packed, those of what it consists of."""
    if hasattr(tensor, "__tensor_flatten__"):
        return sum(tensor_bytes(getattr(tensor, name)) for name in tensor.__tensor_flatten__()[0])
    return tensor.numel() * tensor.element_size()


def stored_bytes(files: Iterable[Path], itemsize: int, prefixes: tuple[str, ...] = ("",)) -> int:
    """Bytes that the weights of these files will take in memory, at `itemsize` bytes a number.

    Only tensors whose names begin with one of `prefixes` count.
    """
    total = 0
    for file in files:
        if is_safetensors(file) or is_pickle(file) or is_gguf(file):
            tensors = read_header(file).tensors.items()
            total += sum(math.prod(entry.shape) for name, entry in tensors if name.startswith(prefixes)) * itemsize
        elif is_onnx(file):  # computed with as they are
            total += file.stat().st_size
    return total
