"""Random numbers: one generator for each image of a batch, always on the CPU in float32.

So image k of a batch with seed s is the image that seed s + k gives alone, on any device and in any precision.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that starts at a seed; behind 2^64 - 1 seeds begin again at 0."""
    import torch

    return torch.Generator(device).manual_seed(seed % 2**64)


def generators(seed: int, batch: int) -> list[torch.Generator]:
    return [generator(seed + place) for place in range(batch)]


def draw(sources: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    """Normal noise (batch, *shape), each image from its own generator."""
    import torch

    return torch.cat([torch.randn((1, *shape), generator=source) for source in sources])


def draw_whole(seed: int, shape: Sequence[int]) -> Tensor:
    """Normal noise (batch, *shape) in one draw, as ComfyUI makes it: image k is not that of seed + k."""
    import torch

    return torch.randn(tuple(shape), generator=generator(seed))


class BrownianNoise:
    """Noise along a Brownian path over sigma, one path an image, or one for the `whole` batch.

    Any interval of a path has the same values however often and in whichever order it is asked for, so a resumed run
    needs no state. Takes the place of the sampler that diffusers' DPMSolverSDEScheduler would make from the global
    random state.
    """

    def __init__(
        self, shape: Sequence[int], sigmas: Tensor, seed: int, device: torch.device, *, whole: bool = False
    ) -> None:
        import torch
        from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

        low, high = sigmas[sigmas > 0].min().item(), sigmas.max().item()
        seeds: Any = seed if whole else [seed + place for place in range(shape[0])]
        self._path = BrownianTreeNoiseSampler(torch.zeros(tuple(shape)), low, high, seeds)
        self._device = device

    def __call__(self, sigma: Any, sigma_next: Any) -> Tensor:
        with warnings.catch_warnings():
            # torchsde clips the ends of the path by the last bit of a float, and says so each time.
            warnings.filterwarnings("ignore", message="Should have t", module="torchsde")
            return self._path(sigma, sigma_next).to(self._device)
