"""What samplers of ours take, for settings that come from elsewhere."""

from __future__ import annotations

from safelight.diffusion.samplers import SAMPLERS


def takes(sampler: str, scheduler: str) -> bool:
    """Whether a sampler spreads its steps by a scheduler; both by our names."""
    return scheduler in SAMPLERS[sampler].schedulers
