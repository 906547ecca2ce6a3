"""Vectors that other programs have written: JSON, or arrays of NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk import ProblemError

from ._refusal import refusal

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 64 << 20
"""Bytes of a file that is read."""


def read_vectors(path: Path, shown: str) -> Tensor:
    """The rows of numbers of a file, (N, width) float32; `shown` is how messages call it.

    Raises:
        ProblemError: `vectors_unreadable`; `text_unreadable` or `bad_json` for JSON that is none.
    """
    import torch

    try:
        rows = torch.as_tensor(_rows(path, shown), dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise _unreadable(shown, "it holds no rows of numbers that are equally long") from None
    if not rows.ndim or not rows.numel():
        raise _unreadable(shown, "it holds no list of numbers")
    if not torch.isfinite(rows).all():
        raise _unreadable(shown, "it holds numbers that are not finite (NaN or infinite)")
    return rows.reshape(-1, rows.shape[-1])


def _rows(path: Path, shown: str) -> Any:
    import numpy

    from ._json import parsed
    from ._text_files import read_text_file

    if path.suffix.lower() != ".npy":
        return parsed(read_text_file(path, shown), "file")
    if path.stat().st_size > LARGEST:
        raise _unreadable(shown, f"it has more than {LARGEST >> 20} MB")
    # Objects in such a file are pickles.
    return numpy.load(path, allow_pickle=False).astype("float32")


def _unreadable(shown: str, why: str) -> ProblemError:
    message = f"{shown} cannot be read as vectors: {why}."
    hint = "Save one list of numbers, or a list of such lists, as JSON or by numpy.save."
    return refusal(code="vectors_unreadable", message=message, hint=hint, port="file", value=shown)
