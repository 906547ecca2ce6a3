"""What a machine was found to compute fastest in."""

from __future__ import annotations

from typing import Literal

import msgspec

Computed = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Computed, ...] = ("float32", "bfloat16", "float16")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe found: device, and precision for denoisers and encoders (`precision`) and for VAEs (`vae`).

    `seconds` are those of its work by precision, for the curious. `hip` is True where torch calls ROCm `cuda`, `memory`
    the bytes of a device that has its own.
    """

    device: str
    precision: Computed
    vae: Computed
    seconds: dict[str, float] = {}
    hip: bool = False
    memory: int = 0
