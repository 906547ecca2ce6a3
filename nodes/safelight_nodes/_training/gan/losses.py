"""What the two sides of a GAN minimise, by the scores (B) that the discriminator gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["non_saturating", "hinge", "least_squares", "wgan_gp"]
Critic = Callable[["Tensor"], "Tensor"]


def of_discriminator(loss: Loss, real: Tensor, made: Tensor, smoothing: float = 0.0) -> Tensor:
    """The loss of the discriminator, without penalties.

    non_saturating: cross-entropy (Goodfellow 2014), with real images meant to be `1 - smoothing` (T. Salimans et al.
    2016). hinge: J. Lim and J. Ye 2017. least_squares: X. Mao et al. 2017, with 1 and 0, and the same smoothing.
    wgan_gp: M. Arjovsky et al. 2017; with `gradient_penalty` it is that of I. Gulrajani et al. 2017.
    """
    if loss == "non_saturating":
        wanted = real.new_full(real.shape, 1 - smoothing)
        return functional.binary_cross_entropy_with_logits(real, wanted) + functional.softplus(made).mean()
    if loss == "hinge":
        return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()
    if loss == "least_squares":
        return 0.5 * ((real - 1 + smoothing).square().mean() + made.square().mean())
    return made.mean() - real.mean()


def of_generator(loss: Loss, made: Tensor) -> Tensor:
    """The loss of the generator. non_saturating: -log D rather than log(1 - D), which is flat where it is worst."""
    if loss == "non_saturating":
        return functional.softplus(-made).mean()
    if loss == "least_squares":
        return 0.5 * (made - 1).square().mean()
    return -made.mean()


def gradient_penalty(critic: Critic, real: Tensor, made: Tensor, between: Tensor) -> Tensor:
    """How far the gradient of the score is from a length of 1, squared, on lines between real and made images.

    `between` (B, 1, 1, 1) in 0..1 says where on the lines. Source: I. Gulrajani et al. 2017.
    """
    places = (real.lerp(made, between)).detach().requires_grad_(True)
    return (_slopes(critic(places), places).flatten(1).norm(dim=1) - 1).square().mean()


def r1(critic: Critic, real: Tensor) -> Tensor:
    """Half of the squared length of the gradient of the score at real images. Source: L. Mescheder et al. 2018."""
    places = real.detach().requires_grad_(True)
    return 0.5 * _slopes(critic(places), places).square().flatten(1).sum(1).mean()


def _slopes(scores: Tensor, places: Tensor) -> Any:
    import torch

    return torch.autograd.grad(scores.sum(), places, create_graph=True)[0]
