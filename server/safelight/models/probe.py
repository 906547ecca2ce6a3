"""Measures what this machine computes fastest in. Run once, and remembered by `hardware`.

python -m safelight.models.probe [DEVICE]
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.sdk.problem import Problem, ProblemError

from .devices import kind_of
from .measured import Computed, Measured

if TYPE_CHECKING:
    import torch


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
    gain = kind_of(str(place), _hip()).gain
    chosen: Computed = "float32"
    for name in sound:
        if seconds[name] * gain <= seconds["float32"] and seconds[name] <= seconds[chosen]:
            chosen = name
    return Measured(device=str(place), precision=chosen, vae=chosen, seconds=seconds, hip=_hip(), memory=_memory(place))


def _device(wished: str) -> torch.device:
    import torch

    there = {
        "cuda": torch.cuda.is_available(),
        "xpu": torch.xpu.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if not wished:
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    place = torch.device(wished)
    known = there[place.type] and (place.index or 0) < torch.get_device_module(place).device_count()
    if not known:
        message = f"SAFELIGHT_DEVICE is {wished!r}, which torch does not find on this machine."
        hint = "Leave it out, or set it to cpu."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=wished))
    return place


def _candidates(place: torch.device) -> tuple[Computed, ...]:
    """Precisions to try beside float32: those of its kind, without what it only emulates."""
    import torch

    wanted = kind_of(str(place), _hip()).precisions
    if place.type != "cuda":
        return wanted
    real = torch.cuda.is_bf16_supported(including_emulation=False)
    return tuple(name for name in wanted if (name == "bfloat16") == real)


def _hip() -> bool:
    import torch

    return torch.version.hip is not None


def _memory(place: torch.device) -> int:
    """Bytes of a device's own memory; 0 where it has none."""
    import torch

    return torch.get_device_module(place).mem_get_info(place)[1] if kind_of(str(place), _hip()).own else 0


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
        torch.get_device_module(place).synchronize()
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
