"""The header of a file of weights: names, types and shapes of its tensors, without reading them.

Format of safetensors: https://huggingface.co/docs/safetensors: eight bytes of little-endian length, that much JSON,
then the tensors.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import msgspec

from safelight.families.files import Header, TensorEntry
from safelight.sdk.problem import Problem, ProblemError

from .gguf_files import MAGIC, Unreadable, gguf_header, is_gguf
from .pickles import PICKLES, shapes

SAFETENSORS = ".safetensors"
_LONGEST = 100_000_000
"""The format's own bound on the length of a header, in bytes."""


def is_safetensors(path: Path) -> bool:
    """Whether a file is called as safetensors are, in whatever case."""
    return path.suffix.lower() == SAFETENSORS


def is_pickle(path: Path) -> bool:
    return path.suffix.lower() in PICKLES


def read_header(path: Path) -> Header:
    """The header of a file of weights: of safetensors, of GGUF, or of a pickle, whose offsets then say only sizes.

    Raises:
        ProblemError: `weights_damaged`, when the file is not whole or something else than weights.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(512)
        _refuse_others(path, first)
        if is_pickle(path):
            return _of_pickle(path)
        if is_gguf(path):
            try:
                return gguf_header(path)
            except Unreadable as error:
                raise damaged(path, str(error)) from None
        length = struct.unpack("<Q", first[:8])[0] if len(first) >= 8 else 0
        if not 2 <= length <= min(_LONGEST, size - 8):
            raise damaged(path, "is not a whole safetensors file")
        file.seek(8)
        text = file.read(length)
    try:
        parts = msgspec.json.decode(text, type=dict[str, Any])
        metadata = msgspec.convert(parts.pop("__metadata__", {}), dict[str, str])
        tensors = msgspec.convert(parts, dict[str, TensorEntry])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise damaged(path, "is not a safetensors file") from None
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if 8 + length + end > size:
        missing = (8 + length + end - size) / 1e6
        raise damaged(path, f"is cut off: {missing:,.1f} MB are missing")
    return Header(tensors, metadata, 8 + length)


def _of_pickle(path: Path) -> Header:
    sizes = {name: (one, math.prod(one.shape) * one.itemsize) for name, one in shapes(path).items()}
    return Header({name: TensorEntry(one.dtype, one.shape, (0, size)) for name, (one, size) in sizes.items()}, {}, 0)


def refuse_others(path: Path) -> None:
    """Names what a file is that begins as no file of weights does, whatever it is called.

    Raises:
        ProblemError: as `read_header`.
    """
    with path.open("rb") as file:
        _refuse_others(path, file.read(512))


def _refuse_others(path: Path, first: bytes) -> None:
    start = first.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise damaged(path, "holds a Git LFS pointer instead of weights", "Run `git lfs pull` in its folder.")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        hint = "Download it again, with the link of the file itself; some files need a login."
        raise damaged(path, "holds a web page instead of weights", hint)
    if first.startswith(MAGIC) and not is_gguf(path):
        raise damaged(path, "is a GGUF file by another name", "Give it the ending .gguf.")


def damaged(path: Path, what: str, hint: str = "Copy or download it again.") -> ProblemError:
    """The problem of a file of weights that is not whole; `what` goes on from its path."""
    return ProblemError(Problem(code="weights_damaged", message=f"{path} {what}.", hint=hint, value=str(path)))
