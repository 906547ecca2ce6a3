"""What follows the gradients: AdamW, Lion, or Prodigy, which finds its learning rate by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    import torch

Name = Literal["adamw", "lion", "prodigy"]


def optimiser(
    name: Name, groups: Sequence[Mapping[str, Any]], learning_rate: float, betas: tuple[float, float], decay: float
) -> torch.optim.Optimizer:
    """Raises ProblemError `needs_package` for Prodigy where its package is not installed."""
    import torch

    given: list[dict[str, Any]] = [dict(group) for group in groups]
    if name == "lion":
        return lion()(given, learning_rate, betas, decay)
    if name == "prodigy":
        return _prodigy()(given, lr=learning_rate, betas=betas, weight_decay=decay, safeguard_warmup=True)
    return torch.optim.AdamW(given, lr=learning_rate, betas=betas, weight_decay=decay)


def lion() -> Any:
    """The class of Lion. Each number moves by the learning rate, up or down: by the sign of a mean of its gradients.

    Source: X. Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023, https://arxiv.org/abs/2302.06675,
    program 1.
    """
    import torch

    class Lion(torch.optim.Optimizer):
        def __init__(
            self,
            params: Iterable[dict[str, Any]],
            lr: float,
            betas: tuple[float, float] = (0.9, 0.99),
            weight_decay: float = 0.0,
        ) -> None:
            super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

        @torch.no_grad()
        def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
            del closure
            for group in self.param_groups:
                first, second = group["betas"]
                for parameter in group["params"]:
                    gradient = parameter.grad
                    if gradient is None:
                        continue
                    state = self.state[parameter]
                    mean = state.setdefault("mean", torch.zeros_like(parameter))
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * torch.lerp(gradient, mean, first).sign())
                    mean.lerp_(gradient, 1 - second)

    return Lion


def _prodigy() -> Any:
    """Source: K. Mishchenko and A. Defazio, "Prodigy", 2023, https://arxiv.org/abs/2306.06101."""
    from importlib import import_module

    try:
        return import_module("prodigyopt").Prodigy  # by name: types are checked without it, too
    except ImportError:
        message = "Prodigy needs the package prodigyopt, which is not installed."
        hint = "pip install 'safelight[prodigy]'"
        problem = Problem(code="needs_package", message=message, hint=hint, port="optimiser", value="prodigy")
        raise ProblemError(problem) from None
