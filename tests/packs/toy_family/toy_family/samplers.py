"""A sampler and a scheduler of a pack."""

from __future__ import annotations

from safelight.diffusion.samplers import SamplerKind

EULER = SamplerKind("toy_family.method:ToyEuler", schedulers=("model", "karras"), exploding=True)


def halving(least: float, greatest: float, steps: int) -> list[float]:
    """Each level half of the one before."""
    del least
    return [greatest / 2**step for step in range(steps)]
