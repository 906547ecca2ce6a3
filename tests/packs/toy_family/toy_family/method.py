"""The class behind the toy sampler: Euler's, and it tells that it was called."""

from __future__ import annotations

import sys

from diffusers import EulerDiscreteScheduler


class ToyEuler(EulerDiscreteScheduler):
    def set_timesteps(self, *given, **more):
        super().set_timesteps(*given, **more)
        sys.stdout.write(f"toy sigmas {[round(float(sigma), 3) for sigma in self.sigmas]}\n")
