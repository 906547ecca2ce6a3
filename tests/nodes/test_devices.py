"""Sampling on a device that is not the CPU: the meta device stands in for one, with places but no numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from node_bench import BenchContext, Kit, Shelf
from safelight.diffusion import schedule
from safelight.diffusion.samplers import SAMPLERS, Sampler
from safelight.diffusion.schedule import plan_steps
from safelight.sdk import Conditioning, Latent, Prompt
from safelight_nodes import sampling


class WithoutDoubles(TorchDispatchMode):
    """Refuses float64 on the meta device, as MPS does, also a number of the CPU that takes part there.

    What is fetched from the device comes back as zeros, since nothing is kept there; what is asked of it is so.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = tree_leaves((args, kwargs))
        tensors = [value for value in given if isinstance(value, torch.Tensor)]
        there = any(tensor.is_meta for tensor in tensors)
        if there and function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            target = kwargs.get("device") or args[0].device
            if torch.device(target).type == "cpu":
                return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        if there and function is torch.ops.aten._local_scalar_dense.default:
            return tensors[0].dtype == torch.bool
        made = function(*args, **kwargs)
        made_there = any(isinstance(value, torch.Tensor) and value.is_meta for value in tree_leaves(made))
        if there or made_there:
            doubles = [tensor for tensor in tensors if tensor.dtype == torch.float64]
            assert not doubles, f"{function} is given float64 on a device that has none"
        return made


class Denoiser:
    """Stands in for the denoiser: all that it does on the device is what one does to its timestep, which is cheap."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def __call__(self, samples: torch.Tensor, timestep: torch.Tensor, **more: Any) -> tuple[torch.Tensor]:
        times = timestep[None].to(samples.device).expand(samples.shape[0])
        return (samples * times[:, None, None, None].float(),)


@pytest.fixture(scope="module")
def away(sd1: Kit) -> BenchContext:
    """A context whose denoiser lies on the meta device."""
    held = sd1.shelf.held["Denoiser", "sd1"]
    there = replace(held, component=Denoiser(held.component.config), device=torch.device("meta"))
    return BenchContext(Shelf({("Denoiser", "sd1"): there}), previews=True)


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_no_float64_reaches_the_device(
    sd1: Kit, away: BenchContext, sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planned(*given: Any, **more: Any) -> Any:
        with _disable_current_modes():  # on the CPU, and slow when every number is watched
            return plan_steps(*given, **more)

    monkeypatch.setattr(schedule, "plan_steps", planned)
    text = Conditioning((Prompt.of(torch.zeros(1, 7, 32)),), family="sd1")
    fresh = Latent(torch.zeros(1, 4, 8, 8), "sd1")
    begun = replace(fresh, mask=torch.ones(1, 1, 8, 8))
    for scheduler in {"model", SAMPLERS[sampler].schedulers[1 % len(SAMPLERS[sampler].schedulers)]}:
        for start, denoise in ((fresh, 1.0), (begun, 0.5)):
            more: dict[str, Any] = {"sampler": sampler, "scheduler": scheduler, "steps": 4, "denoise": denoise}
            with WithoutDoubles():
                made = sampling.sample(sd1.denoiser, text, text, start, **more, guidance_rescale=0.5, ctx=away)
            assert made.samples.dtype == torch.float32 and made.samples.device.type == "cpu"
