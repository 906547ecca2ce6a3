"""What torch finds on this machine, as JSON: a process of its own, since a broken driver may take it down.

python -m safelight.doctor.devices
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import msgspec

from safelight.models.devices import kind_of

from .report import ComputeDevice, Torch

_COMPUTED = ("float32", "float16", "bfloat16")
_HELD = ("int8", "float8_e4m3fn")
_IMPORTED = ("torchvision", "diffusers", "transformers", "peft", "safetensors.torch")


def look() -> Torch:
    """Raises whatever importing torch raises."""
    import torch

    found = ["cpu"]
    found += [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    found += [f"xpu:{number}" for number in range(torch.xpu.device_count())] if torch.xpu.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    build = f"cuda {torch.version.cuda}" if torch.version.cuda else "cpu"
    build = f"rocm {torch.version.hip}" if torch.version.hip else build
    return Torch(
        build=build,
        threads=torch.get_num_threads(),
        devices=tuple(_device(name) for name in found),
        broken=_broken(),
    )


def _device(name: str) -> ComputeDevice:
    import torch

    place = torch.device(name)
    kind = kind_of(name, torch.version.hip is not None)
    module: Any = torch.get_device_module(place)
    free, memory = module.mem_get_info(place) if kind.own else (0, 0)
    title = module.get_device_name(place) if place.type in ("cuda", "xpu") else name
    return ComputeDevice(
        name=title,
        device=name,
        kind=kind.name,
        memory=memory,
        free=free,
        precisions=tuple(name for name in _COMPUTED if _computes(place, name)),
        holds=tuple(name for name in _HELD if _holds(place, name)),
    )


def _computes(place: Any, precision: str) -> bool:
    """Whether a product of matrices comes out right in it."""
    import torch

    try:
        left = torch.arange(64, device=place, dtype=torch.float32).reshape(8, 8).div(64)
        given = (left.to(getattr(torch, precision)) @ left.T.to(getattr(torch, precision))).float()
        return bool(torch.allclose(given, left @ left.T, rtol=0.05, atol=0.05))
    except (RuntimeError, TypeError, NotImplementedError):
        return False


def _holds(place: Any, precision: str) -> bool:
    import torch

    try:
        held = torch.ones(4, device=place).to(getattr(torch, precision))
        return float(held.to(torch.float32).sum()) == 4.0
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False


def _broken() -> dict[str, str]:
    """Libraries that are there and cannot be imported; those that are not there are told of by their metadata."""
    found: dict[str, str] = {}
    for name in _IMPORTED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != name.partition(".")[0]:
                found[name] = str(error)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1] if str(error).strip() else ''}"
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answer = msgspec.json.encode(look()).decode()
    sys.stdout.write("\n" + answer)
