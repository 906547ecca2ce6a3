"""Measures what this machine computes fastest in. Run once, and remembered by `hardware`.

python -m safelight.models.probe [DEVICE]
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.sdk.problem import Problem, ProblemError

from .measured import Computed, Measured

if TYPE_CHECKING:
    import torch

WORTHWHILE = 1.2
"""Half precision must be this many times as fast as float32 to be chosen on a CPU; below, its rounding buys nothing."""


def measure(device: str = "") -> Measured:
    """Chooses device and precision by a convolution and a product of the sizes that Stable Diffusion has.

    Raises:
        ProblemError: `bad_setting`, when the wished device is not there.
    """
    import torch

    place = _device(device)
    candidates = _candidates(place)
    seconds: dict[str, float] = {}
    with torch.no_grad():
        wanted = _work(place, torch.float32)[1]
        tried: tuple[Computed, ...] = ("float32", *candidates)
        for name in tried:
            seconds[name] = _seconds(place, getattr(torch, name))
        sound: list[Computed] = [name for name in candidates if _sound(_work(place, getattr(torch, name))[1], wanted)]
    gain = WORTHWHILE if place.type == "cpu" else 1.0
    chosen: Computed = "float32"
    for name in sound:
        if seconds[name] * gain <= seconds["float32"] and seconds[name] <= seconds[chosen]:
            chosen = name
    return Measured(device=str(place), precision=chosen, vae=chosen, seconds=seconds)


def _device(wished: str) -> torch.device:
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not wished:
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    place = torch.device(wished)
    known = there[place.type] and (place.type != "cuda" or (place.index or 0) < torch.cuda.device_count())
    if not known:
        message = f"SAFELIGHT_DEVICE is {wished!r}, which torch does not find on this machine."
        hint = "Leave it out, or set it to cpu."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=wished))
    return place


def _candidates(place: torch.device) -> tuple[Computed, ...]:
    """Precisions to try beside float32.

    On a GPU bfloat16 goes before float16, whose range the activations of some models leave. MPS runs bfloat16 by
    float32 instructions on older chips, so float16 stands alone there. CPUs have no fast float16.
    """
    import torch

    if place.type == "cuda":
        return ("bfloat16",) if torch.cuda.is_bf16_supported(including_emulation=False) else ("float16",)
    return ("float16",) if place.type == "mps" else ("bfloat16",)


def _work(place: torch.device, dtype: torch.dtype) -> tuple[Any, torch.Tensor]:
    """A convolution and a product as in a UNet's block, as a callable, and what they give."""
    import torch

    random = torch.Generator().manual_seed(0)
    image = torch.randn(2, 320, 32, 32, generator=random).to(place, dtype).to(memory_format=torch.channels_last)
    kernel = (torch.randn(320, 320, 3, 3, generator=random) / 54).to(place, dtype)
    kernel = kernel.to(memory_format=torch.channels_last)
    matrix = (torch.randn(1280, 320, generator=random) / 18).to(place, dtype)

    def work() -> torch.Tensor:
        seen = torch.nn.functional.conv2d(image, kernel, padding=1)
        return torch.nn.functional.linear(seen.flatten(2).transpose(1, 2), matrix)

    return work, work()


def _seconds(place: torch.device, dtype: torch.dtype) -> float:
    """The quickest of some rounds, so that what else the machine does has little say."""
    import torch

    work, _ = _work(place, dtype)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        work()
        if place.type == "cuda":
            torch.cuda.synchronize(place)
        elif place.type == "mps":
            torch.mps.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _sound(given: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether a result is finite and no further from float32's than rounding explains."""
    off = (given.float() - wanted.float()).norm() / wanted.float().norm()
    return bool(given.isfinite().all()) and float(off) < 0.02


def main() -> None:
    try:
        found: Any = measure(*sys.argv[1:])
    except ProblemError as error:
        found = {"problem": error.problems[0]}
    sys.stdout.write(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
