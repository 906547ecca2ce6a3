"""Results that are no numbers any more (NaN, infinity) are told where they come up, instead of kept as black images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor


EVERY = 8
"""Steps after which a device that computes by itself is waited for, to see whether its numbers are sound."""


class Watch:
    """Looks at the samples of each step. Once not finite, samples stay so, and all further steps are wasted.

    A step costs one sum. On the CPU it is looked at there and then; other devices are not made to wait at each step.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._seen: list[tuple[int, Tensor]] = []

    def see(self, step: int, samples: Tensor) -> None:
        """Takes note of the samples after a step, counted from 1.

        Raises:
            ProblemError: `not_finite`, as `settle` does.
        """
        self._seen.append((step, samples.sum().isfinite()))
        if samples.device.type == "cpu" or len(self._seen) >= EVERY:
            self.settle()

    def settle(self) -> None:
        """Raises ProblemError `not_finite` that names the first step after which samples were not finite."""
        seen, self._seen = self._seen, []
        for step, finite in seen:
            if not finite:
                raise not_finite(
                    f"The samples are not finite numbers any more after step {step} of {self._steps}.",
                    "Use another sampler or scheduler, more steps, less guidance or smaller weights; look at LoRAs, "
                    "too. In half precision, precision float32 of the model may help.",
                )


def require_finite(tensor: Tensor, message: str, hint: str) -> None:
    """Raises ProblemError `not_finite` with this message when a number of the tensor is NaN or infinite."""
    if not is_finite(tensor):
        raise not_finite(message, hint)


def is_finite(tensor: Tensor) -> bool:
    """Whether no number of the tensor is NaN or infinite.

    The sum of finite numbers of a sane size is finite, and takes a tenth of the time of looking at each.
    """
    return bool(tensor.sum().isfinite() or tensor.isfinite().all())


def not_finite(message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="not_finite", message=message, hint=hint))
