"""Lookup tables of colours in .cube files (Cube LUT Specification 1.0, Adobe 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

_MOST_BYTES = 64_000_000
_LEAST, _MOST = 2, {1: 65536, 3: 256}


@dataclass(frozen=True)
class Cube:
    """`table`: (N, 3) of one dimension, or (N, N, N, 3) with blue first and red last, over `low` to `high` (3)."""

    table: Tensor
    low: Tensor
    high: Tensor

    def applied(self, colours: Tensor) -> Tensor:
        """Colours (B, H, W, 3) in 0..1 looked up. What lies outside of the table's range counts as its end."""
        import torch
        from torch.nn.functional import grid_sample

        place = ((colours - self.low) / (self.high - self.low)).clamp(0, 1)
        if self.table.ndim == 2:
            steps = place * (len(self.table) - 1)
            below = steps.floor().long().clamp(max=len(self.table) - 2)
            made: list[Tensor] = []
            for channel in range(3):
                column, at = self.table[:, channel], below[..., channel]
                made.append(torch.lerp(column[at], column[at + 1], steps[..., channel] - at))
            return torch.stack(made, dim=-1)
        table = self.table.movedim(-1, 0)[None]
        flat = place.reshape(1, 1, 1, -1, 3) * 2 - 1  # x is red, y green, z blue
        found = grid_sample(table, flat, mode="bilinear", padding_mode="border", align_corners=True)
        return found[0, :, 0, 0].T.reshape(colours.shape).contiguous()


def read_cube(path: Path, shown: str) -> Cube:
    """A table of a file; `shown` is how messages call it. Raises ProblemError `bad_lut`."""
    import torch

    if path.stat().st_size > _MOST_BYTES:
        raise _bad(shown, "it is larger than any table needs to be")
    low, high, size, dimensions = [0.0] * 3, [1.0] * 3, 0, 0
    rows: list[list[float]] = []
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if not words or words[0] == "TITLE":
                continue
            if words[0] in ("LUT_1D_SIZE", "LUT_3D_SIZE"):
                size, dimensions = int(words[1]), int(words[0][4])
            elif words[0] == "DOMAIN_MIN":
                low = [float(word) for word in words[1:4]]
            elif words[0] == "DOMAIN_MAX":
                high = [float(word) for word in words[1:4]]
            elif words[0] in ("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"):
                low, high = [float(words[1])] * 3, [float(words[2])] * 3
            else:
                rows.append([float(word) for word in words])
    except (ValueError, IndexError):
        raise _bad(shown, "a line of it is not written as the format says") from None
    if not dimensions:
        raise _bad(shown, "it does not say LUT_1D_SIZE or LUT_3D_SIZE")
    if not _LEAST <= size <= _MOST[dimensions]:
        raise _bad(shown, f"a size of {size} is not in {_LEAST} to {_MOST[dimensions]}")
    wanted = size**dimensions
    if len(rows) != wanted or any(len(row) != 3 for row in rows):
        raise _bad(shown, f"it has {len(rows)} lines of colours, and {wanted} lines of three numbers belong to it")
    if len(low) != 3 or len(high) != 3 or any(one >= other for one, other in zip(low, high, strict=True)):
        raise _bad(shown, "its domain is empty")
    table = torch.tensor(rows)
    if not table.isfinite().all():
        raise _bad(shown, "a number of it is not finite")
    shape = (size, 3) if dimensions == 1 else (size, size, size, 3)
    return Cube(table.view(shape), torch.tensor(low), torch.tensor(high))


def _bad(shown: str, why: str) -> ProblemError:
    message, hint = f"{shown} is no lookup table: {why}.", "Export it as a .cube file again, or choose another file."
    return ProblemError(Problem(code="bad_lut", message=message, hint=hint, port="file", value=shown))
