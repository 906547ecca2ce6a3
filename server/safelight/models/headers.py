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

from .gguf_files import GGUF, MAGIC, Unreadable, gguf_header, is_gguf
from .onnx_files import OnnxFile, is_onnx, read_onnx
from .pickles import PICKLES, shapes

SAFETENSORS = ".safetensors"
_LONGEST = 100_000_000
"""The format's own bound on the length of a header, in bytes."""
_ZIP = b"PK\x03\x04"
_OLD_PICKLE = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_ARCHIVES = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
"""How archives begin: rar, 7z, gzip, xz, zstd."""


def is_safetensors(path: Path) -> bool:
    """Whether a file is called as safetensors are, in whatever case."""
    return path.suffix.lower() == SAFETENSORS


def is_pickle(path: Path) -> bool:
    return path.suffix.lower() in PICKLES


def read_header(path: Path) -> Header:
    """The header of a file of weights: of safetensors, of GGUF, of ONNX or of a pickle; offsets of the last two say
    only sizes.

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
        if is_onnx(path):
            return onnx_of(path).header
        length = struct.unpack("<Q", first[:8])[0] if len(first) >= 8 else 0
        if not 2 <= length <= min(_LONGEST, size - 8):
            raise damaged(path, "is not a whole safetensors file")
        file.seek(8)
        text = file.read(length)
    try:
        parts = msgspec.json.decode(text, type=dict[str, Any])
        metadata = msgspec.convert(parts.pop("__metadata__", {}), dict[str, str])
        tensors = msgspec.convert(parts, dict[str, TensorEntry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise damaged(path, "is not a safetensors file") from None
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if 8 + length + end > size:
        missing = (8 + length + end - size) / 1e6
        raise damaged(path, f"is cut off: {missing:,.1f} MB are missing")
    return Header(tensors, metadata, 8 + length)


def onnx_of(path: Path) -> OnnxFile:
    """What an ONNX file says of itself.

    Raises:
        ProblemError: `weights_damaged`, as `read_onnx`.
    """
    try:
        return read_onnx(path)
    except Unreadable as error:
        hint = "Get it as one file, which has its weights inside; or copy or download it again."
        raise damaged(path, str(error), hint) from None


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
    said, ending = _told_by(first)
    right = is_gguf(path) if ending == GGUF else is_pickle(path) if ending in PICKLES else is_safetensors(path)
    if said and not (ending and right):
        hint = f"Give it the ending {ending}." if ending else "Unpack it, and use the file of weights inside."
        raise damaged(path, f"is {said}{' by another name' if ending else ''}", hint)


def _told_by(first: bytes) -> tuple[str, str]:
    """What the first bytes of a file are those of, and how such files end; two empty texts where they do not tell.

    Files of weights that do not end in .safetensors, .gguf or as pickles do, are not told here.
    """
    if first.startswith(MAGIC):
        return "a GGUF file", GGUF
    if first[8:].lstrip()[:1] == b"{" and 2 <= struct.unpack("<Q", first[:8])[0] <= _LONGEST:
        return "a safetensors file", SAFETENSORS
    # An archive that torch writes names its object first, as NAME/data.pkl; older ones begin with a number of its own.
    if first.startswith(_OLD_PICKLE) or (first.startswith(_ZIP) and b"data.pkl" in first):
        return "a pickle of weights", PICKLES[1]
    if first.startswith(_ARCHIVES):
        return "an archive", ""
    return "", ""


def damaged(path: Path, what: str, hint: str = "Copy or download it again.") -> ProblemError:
    """The problem of a file of weights that is not whole; `what` goes on from its path."""
    return ProblemError(Problem(code="weights_damaged", message=f"{path} {what}.", hint=hint, value=str(path)))
