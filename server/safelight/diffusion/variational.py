"""The variational autoencoder with one flat vector: what it is made of, its ELBO, and how it is run.

An image x has a latent vector z of which nothing is known but that it is drawn from a normal distribution. The encoder
gives a normal distribution q(z|x), the decoder a distribution p(x|z) of each byte, and

    log p(x) >= ELBO = E_q[log p(x|z)] - KL(q(z|x) || N(0, 1)).

The autoencoder of latent diffusion is another thing: its latents are images, and nothing is drawn from its prior.

Sources: D. Kingma and M. Welling, "Auto-Encoding Variational Bayes", 2013; the logistic distribution over bytes is that
of D. Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016, the deviation that is
learned with the rest that of O. Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CLASS = "SafelightVariationalAutoencoder"
"""What `config.json` names it."""
Likelihood = Literal["logistic", "gaussian"]
SIDES = (16, 32, 48, 64)
_HALF_BIN = 1 / 255
"""Half of what lies between two bytes, in -1..1."""
_AT_ONCE = 64
_LEAST_SCALE, _MOST_SCALE = math.log(1 / 510), 2.0


@dataclass(frozen=True)
class Shape:
    """How large it is. `side` in pixels (`SIDES`), `latent` numbers of z, `width` channels of the first level; each
    level halves the side and, up to `widest`, doubles the channels."""

    side: int
    latent: int
    width: int
    widest: int
    likelihood: Likelihood = "logistic"

    @property
    def levels(self) -> int:
        """So many that the last has 4 pixels a side, or 6."""
        return int(math.log2(self.side // 4)) + 1

    @property
    def bottom(self) -> int:
        """Side of the last level in cells."""
        return self.side >> (self.levels - 1)

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(min(self.widest, self.width << level) for level in range(self.levels))

    def config(self) -> dict[str, Any]:
        """As `config.json` has it."""
        return {"_class_name": CLASS, **asdict(self)}

    @classmethod
    def of(cls, config: Mapping[str, Any], name: str) -> Shape:
        """The shape that a `config.json` says.

        Raises:
            ProblemError: `config_damaged`.
        """
        sizes = [config.get(key) for key in ("side", "latent", "width", "widest")]
        likelihood = config.get("likelihood")
        good = all(isinstance(size, int) and 0 < size <= 4096 for size in sizes)
        if not good or sizes[0] not in SIDES or likelihood not in get_args(Likelihood):
            message = f"The configuration of {name} is not that of a variational autoencoder."
            hint = "Copy the model again, or train it again."
            raise ProblemError(Problem(code="config_damaged", message=message, hint=hint, value=name))
        side, latent, width, widest = cast("list[int]", sizes)
        return cls(side, latent, width, widest, cast("Likelihood", likelihood))


def fresh(shape: Shape) -> Any:
    """A new one: `encoder`, `posterior` (to mean and log variance), `prior` (from z), `decoder` and `scale`.

    Both halves are those of diffusers' AutoencoderKL, without attention; between them lies a vector.
    """
    import torch
    from diffusers.models.autoencoders.vae import Decoder, Encoder

    channels, deepest = shape.channels, shape.channels[-1]
    cells = deepest * shape.bottom**2
    # One group: backgrounds are large and plain, and normalising each group by itself washes them out.
    options: dict[str, Any] = {"layers_per_block": 1, "norm_num_groups": 1, "mid_block_add_attention": False}
    down, up = ("DownEncoderBlock2D",) * shape.levels, ("UpDecoderBlock2D",) * shape.levels
    made: Any = (Encoder, Decoder)  # their annotations are of tuples of one
    return torch.nn.ModuleDict(
        {
            "encoder": made[0](3, deepest, down, channels, double_z=False, **options),
            "posterior": torch.nn.Linear(cells, 2 * shape.latent),
            "prior": torch.nn.Linear(shape.latent, cells),
            "decoder": made[1](deepest, 3, up, channels, **options),
            "scale": torch.nn.ParameterDict({"log": torch.nn.Parameter(torch.tensor(-1.5))}),
        }
    )


def encoded(network: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance (B, latent) of q(z|x), of images (B, 3, S, S) in -1..1."""
    mean, log_variance = network["posterior"](network["encoder"](x).flatten(1)).float().chunk(2, dim=1)
    return mean, log_variance.clamp(-20, 10)


def decoded(network: Any, shape: Shape, z: Tensor) -> Tensor:
    """The middle of p(x|z): images (B, 3, S, S), about -1..1, of vectors (B, latent)."""
    cells = network["prior"](z).unflatten(1, (shape.channels[-1], shape.bottom, shape.bottom))
    return network["decoder"](cells).float()


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, 1)) of each number of z in nats, (B, latent)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def log_likelihood(x: Tensor, middle: Tensor, log_scale: Tensor, likelihood: Likelihood) -> Tensor:
    """log p(x|z) of each byte in nats, (B, 3, S, S): how much of the distribution lies in the byte's bin.

    The first and the last byte have all that lies beyond them.

    Args:
        x: bytes, as they lie in -1..1.
        middle: of the distribution.
        log_scale: logarithm of its scale, or deviation, one number.
        likelihood: which distribution.
    """
    import torch
    from torch.nn.functional import logsigmoid

    width = log_scale.clamp(_LEAST_SCALE, _MOST_SCALE).exp()
    upper, lower = (x - middle + _HALF_BIN) / width, (x - middle - _HALF_BIN) / width
    if likelihood == "logistic":
        # s(u) - s(l) = s(u) s(-l) (1 - exp(l - u)), of which nothing overflows or vanishes.
        inside = logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-2 * _HALF_BIN / width))
        first, last = logsigmoid(upper), logsigmoid(-lower)
    else:
        log_cdf = torch.special.log_ndtr
        # Taken on the side where both ends are below the middle, where the difference keeps its digits.
        turned = x > middle
        high, low = torch.where(turned, -lower, upper), torch.where(turned, -upper, lower)
        above = log_cdf(high)
        inside = above + torch.log(-torch.expm1((log_cdf(low) - above).clamp(max=-1e-7)))
        first, last = log_cdf(upper), log_cdf(-lower)
    return torch.where(x < -1 + _HALF_BIN, first, torch.where(x > 1 - _HALF_BIN, last, inside))


def on_bytes(x: Tensor) -> Tensor:
    """Images in -1..1, each number at the nearest byte."""
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


@dataclass(frozen=True)
class Scored:
    """What is found of a batch. `elbo` (B,) in nats, `divergence` (B, latent) in nats, `mean` (B, latent) of q(z|x),
    `middle` (B, 3, S, S) of p(x|z) at that mean, and `x`, the very bytes."""

    elbo: Tensor
    divergence: Tensor
    mean: Tensor
    middle: Tensor
    x: Tensor


@dataclass(frozen=True)
class FlatAutoencoder:
    """A variational autoencoder in memory: what a lease of one gives."""

    shape: Shape
    network: Any

    @property
    def device(self) -> torch.device:
        return self.network["scale"]["log"].device

    @property
    def side(self) -> int:
        return self.shape.side

    @property
    def latent(self) -> int:
        return self.shape.latent

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (B, S, S, 3) in 0..1 to mean and deviation (B, latent) of q(z|x), on the CPU."""
        import torch

        found = [encoded(self.network, x) for x in self._parts(pixels)]
        mean, log_variance = (torch.cat([pair[at] for pair in found]).cpu() for at in (0, 1))
        return mean, (log_variance / 2).exp()

    def decode(self, z: Tensor) -> Tensor:
        """Vectors (B, latent) to pixels (B, S, S, 3) in 0..1, on the CPU."""
        import torch

        with torch.no_grad():
            made = [decoded(self.network, self.shape, part.to(self.device)).cpu() for part in z.split(_AT_ONCE)]
        return (torch.cat(made).movedim(1, -1) / 2 + 0.5).clamp(0, 1).contiguous()

    def score(self, pixels: Tensor, noise: Tensor) -> Scored:
        """Images (B, S, S, 3) in 0..1 by their ELBO, the mean over draws of z: `noise` is (B, draws, latent)."""
        import torch

        found: list[Scored] = []
        for x, drawn in zip(self._parts(pixels), noise.split(_AT_ONCE), strict=True):
            with torch.no_grad():
                found.append(self._scored(on_bytes(x), drawn.to(self.device)))
        parts = (torch.cat([getattr(one, name).cpu() for one in found]) for name in Scored.__dataclass_fields__)
        return Scored(*parts)

    def _scored(self, x: Tensor, noise: Tensor) -> Scored:
        mean, log_variance = encoded(self.network, x)
        apart = divergence(mean, log_variance)
        told = mean.new_zeros(len(x))
        for number in range(noise.shape[1]):
            z = mean + (log_variance / 2).exp() * noise[:, number]
            middle = decoded(self.network, self.shape, z)
            likely = log_likelihood(x, middle, self.network["scale"]["log"].float(), self.shape.likelihood)
            told = told + likely.sum((1, 2, 3)) / noise.shape[1]
        return Scored(told - apart.sum(1), apart, mean, decoded(self.network, self.shape, mean), x)

    def _parts(self, pixels: Tensor) -> Iterator[Tensor]:
        import torch

        with torch.no_grad():
            for part in pixels.split(_AT_ONCE):
                yield (part.movedim(-1, 1) * 2 - 1).to(self.device).contiguous()


def bits_per_dimension(nats: float, side: int) -> float:
    """The negative of an ELBO, in bits for each byte of an RGB image."""
    return -nats / (3 * side * side * math.log(2))


def active_units(means: Tensor, threshold: float = 0.01) -> int:
    """How many numbers of z say something: their mean differs from image to image by a variance above the threshold.

    Source: Y. Burda et al., "Importance Weighted Autoencoders", 2016.
    """
    return int((means.var(0) > threshold).sum()) if len(means) > 1 else 0
