"""Unrolled GANs: the generator answers to what the discriminator will become, not to what it is.

L. Metz et al., "Unrolled Generative Adversarial Networks", 2016: some updates of the discriminator are made by Adam on
a copy, and the loss of the generator goes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .losses import Critic

if TYPE_CHECKING:
    from torch import Tensor


def unrolled(
    module: Any, optimiser: Any, loss: Callable[[Critic], Tensor], steps: int, labels: Tensor | None
) -> Critic:
    """The discriminator after `steps` more updates, as a function whose gradients go through them.

    The module, its buffers and its optimiser stay as they are. `loss` is that of the discriminator, of a critic.
    """
    import torch
    from torch.func import functional_call

    group = optimiser.param_groups[0]
    rate, (first, second), small = group["lr"], group["betas"], group["eps"]
    own = dict(module.named_parameters())
    held: dict[str, Tensor] = {name: one.detach().clone().requires_grad_(True) for name, one in own.items()}
    buffers = {name: one.clone() for name, one in module.named_buffers()}
    moments = {name: _moments(optimiser.state.get(one), one) for name, one in own.items()}

    def critic(images: Tensor) -> Tensor:
        return functional_call(module, {**held, **buffers}, (images, labels))

    for _ in range(steps):
        slopes = torch.autograd.grad(loss(critic), list(held.values()), create_graph=True)
        moved: dict[str, Tensor] = {}
        for (name, one), slope in zip(held.items(), slopes, strict=True):
            count, mean, square = moments[name]
            count, mean, square = count + 1, mean.lerp(slope, 1 - first), square.lerp(slope.square(), 1 - second)
            moments[name] = count, mean, square
            # The root has no finite slope at 0: what is small is added inside of it.
            size = (square / (1 - second**count) + small**2).sqrt()
            moved[name] = one - rate * mean / (1 - first**count) / size
        held = moved
    return critic


def _moments(state: Any, like: Tensor) -> tuple[int, Tensor, Tensor]:
    import torch

    if not state:
        return 0, torch.zeros_like(like), torch.zeros_like(like)
    return int(state["step"]), state["exp_avg"].clone(), state["exp_avg_sq"].clone()
