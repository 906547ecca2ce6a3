"""Images to latents and back, whole or in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from safelight.sdk import VAE, Context, Lease, ModelRef, Problem, ProblemError, is_out_of_memory
from safelight.sdk.leased import FamilyFacts, VAEModel

from .finite import is_finite, require_finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.sdk.models import Wraps

WHOLE_PIXELS = 1536 * 1536
"""Images up to this many pixels go through the autoencoder whole, unless memory runs out."""
TILE_PIXELS = 1024
OVERLAP = 4
"""Neighbouring tiles share one part in so many of their side, and fade into each other there."""


@dataclass(frozen=True)
class Codec:
    """An autoencoder (diffusers' AutoencoderKL) in memory. Fits `sdk.leased.VAEModel`.

    `wider` leases it once more, in float32: what is not finite in float16 is made again by that one. `wraps` says which
    edges of an image its convolutions take as meeting; tiles are then cut across them as well.
    """

    family: FamilyFacts
    vae: Any
    device: torch.device
    dtype: torch.dtype
    scaling: float
    shift: float | None = None
    wider: Callable[[], AbstractContextManager[Codec]] | None = None
    wraps: Wraps = ""

    @property
    def modules(self) -> Mapping[str, Any]:
        return {"vae": self.vae}

    @property
    def overflows(self) -> bool:
        return bool(self.vae.config.force_upcast)

    @property
    def channels(self) -> int:
        return self.vae.config.latent_channels

    @property
    def opacity(self) -> bool:
        return False

    @property
    def downsampling(self) -> int:
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def native_size(self) -> tuple[int, int]:
        """(height, width) in pixels that the autoencoder was made for."""
        size = self.vae.config.sample_size
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    def decode(self, samples: Tensor, tile: int = 0) -> Tensor:
        """Latents (B, C, H, W) to pixels (B, H, W, 3) in 0..1, or 4 with opacity, float32 on the CPU.

        `tile` is the side of a tile in pixels; 0 takes the image whole while it is small enough, and in tiles when it
        is not or when memory runs out.
        """
        import torch

        def decoded(codec: Codec) -> Tensor:
            return torch.cat([codec._decode_one(one[None], tile) for one in codec._unscaled(samples)])

        # Before they are held to 0..1: that would make white of what is infinite.
        images = self._finite("decoded", samples, decoded)
        return (images / 2 + 0.5).clamp(0, 1).movedim(1, -1).contiguous()

    def encode(self, pixels: Tensor, sources: Sequence[torch.Generator] | None = None, tile: int = 0) -> Tensor:
        """Pixels (B, H, W, 3) in 0..1, or 4 where it reads opacity, to latents (B, C, h, w), float32 on the CPU.

        The mean of the distribution that the encoder gives, or, with one random source an image, a draw from it.
        """
        import torch

        def encoded(codec: Codec) -> Tensor:
            images = pixels.movedim(-1, 1).contiguous() * 2 - 1
            return torch.cat([codec._encode_one(one[None], tile) for one in images])

        mean, log_variance = self._finite("encoded", pixels, encoded).chunk(2, dim=1)
        if sources is not None:
            noise = torch.cat([torch.randn((1, *mean.shape[1:]), generator=source) for source in sources])
            mean = mean + torch.exp(0.5 * log_variance.clamp(-30, 20)) * noise
        return self._scaled(mean)

    def _finite(self, done: str, given: Tensor, work: Callable[[Codec], Tensor]) -> Tensor:
        """What `work` gives. Where numbers leave the range of float16, it is done once more in float32.

        Raises:
            ProblemError: `not_finite`.
        """
        made = work(self)
        if self.wider is not None and not is_finite(made) and is_finite(given):
            with self.wider() as codec:
                made = work(codec)
        hint = "Look at what comes in, and whether the weights of the VAE are whole."
        require_finite(made, f"The {done} images hold numbers that are not finite.", hint)
        return made

    def _decode_one(self, latent: Tensor, tile: int) -> Tensor:
        return self._tiled(latent, tile // self.downsampling, self._pixels, self.downsampling)

    def _encode_one(self, pixels: Tensor, tile: int) -> Tensor:
        return self._tiled(pixels, tile, self._moments, 1 / self.downsampling)

    def _pixels(self, latent: Tensor) -> Tensor:
        return self.vae.decode(latent.to(self.device, self.dtype), return_dict=False)[0].to("cpu").float()

    def _moments(self, pixels: Tensor) -> Tensor:
        given = pixels.to(self.device, self.dtype)
        return self.vae.encode(given, return_dict=False)[0].parameters.to("cpu").float()

    def _tiled(self, given: Tensor, tile: int, convert: Callable[[Tensor], Tensor], scale: float) -> Tensor:
        """`convert` on the whole or on tiles of `given`; `scale` is the size of its result to that of its input."""
        step = 1 if scale > 1 else self.downsampling
        own = TILE_PIXELS if scale < 1 else TILE_PIXELS // self.downsampling
        area = given.shape[-2] * given.shape[-1] * (scale**2 if scale > 1 else 1)
        if not tile and area <= WHOLE_PIXELS:
            try:
                return convert(given)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the error holds the frames, and so the tensors, of the attempt that failed.
            own = min(own, max(given.shape[-2:]) // 2)
        side = max(4 * step, (tile or own) // step * step)
        return self._in_tiles(given, side, side // OVERLAP // step * step, convert, scale)

    def _in_tiles(
        self, given: Tensor, side: int, overlap: int, convert: Callable[[Tensor], Tensor], scale: float
    ) -> Tensor:
        """In tiles, also across edges that meet: the begin comes once more behind the end, and fades into itself."""
        across = min(overlap, given.shape[-1]) if self.wraps in ("x", "both") else 0
        down = min(overlap, given.shape[-2]) if self.wraps in ("y", "both") else 0
        given = _continued(_continued(given, across, -1), down, -2)
        made = blend_tiles(given, side, overlap, convert, scale)
        return _closed(_closed(made, round(across * scale), -1), round(down * scale), -2)

    def _scaled(self, samples: Tensor) -> Tensor:
        mean, deviation, config = *self._statistics(samples), self.vae.config
        if mean is not None:
            return (samples - mean) * self.scaling / deviation
        return (samples - self._shift(config)) * self.scaling

    def _unscaled(self, samples: Tensor) -> Tensor:
        mean, deviation, config = *self._statistics(samples), self.vae.config
        if mean is not None:
            return samples * deviation / self.scaling + mean
        return samples / self.scaling + self._shift(config)

    def _shift(self, config: Any) -> float:
        return (config.shift_factor or 0) if self.shift is None else self.shift

    def _statistics(self, samples: Tensor) -> tuple[Any, Any]:
        import torch

        config = self.vae.config
        if config.latents_mean is None or config.latents_std is None:
            return None, None
        shape = (1, samples.shape[1], 1, 1)
        return torch.tensor(config.latents_mean).view(shape), torch.tensor(config.latents_std).view(shape)


def scratch_bytes(height: int, width: int) -> int:
    """Bytes of activations for an image: the widest layers have about 128 channels, and a few of them live at once."""
    return height * width * 128 * 4 * 5


@contextmanager
def leased_codec(
    ctx: Context, vae: ModelRef[VAE], size: tuple[int, int] = (0, 0), family: str = "", frames: int = 1
) -> Iterator[VAEModel]:
    """Leases an autoencoder with room for images of `size` (height, width), or for tiles where there is no more.

    `frames` is how many of them go through it at once.

    One that overflows in float16, as its configuration says, is leased in float32; another one that does it all the
    same does its work once more in float32, and a warning (`vae_overflowed`) says so. `family` is that of the latents
    it is used with, for one whose files do not tell its own.
    """
    import torch

    if not vae.family:
        vae = replace(vae, family=family)
    wide = replace(vae, precision="float32")

    @contextmanager
    def wider() -> Iterator[Codec]:
        message = f"Numbers of the VAE {vae.source.name!r} leave the range of float16; it computes in float32 instead."
        hint = "Load it with precision float32: then it does not compute twice."
        ctx.warn(Problem(code="vae_overflowed", message=message, hint=hint, value=vae.source.name).warning())
        with _with_room(ctx, wide, size, frames) as lease:
            yield cast("Codec", lease.component)

    with _with_room(ctx, vae, size, frames) as lease, torch.no_grad():
        codec = lease.component
        if lease.dtype != torch.float16 or not codec.overflows:
            yield replace(codec, wider=wider) if isinstance(codec, Codec) and lease.dtype == torch.float16 else codec
            return
    with _with_room(ctx, wide, size, frames) as lease, torch.no_grad():
        yield lease.component


@contextmanager
def _with_room(ctx: Context, vae: ModelRef[VAE], size: tuple[int, int], frames: int) -> Iterator[Lease[VAEModel]]:
    wanted, least = scratch_bytes(*size) * frames, scratch_bytes(TILE_PIXELS // 2, TILE_PIXELS // 2)
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(ctx.models.lease(vae, scratch=wanted))
        except ProblemError as error:
            if wanted <= least or all(problem.code != "out_of_memory" for problem in error.problems):
                raise
            lease = stack.enter_context(ctx.models.lease(vae, scratch=least))
        yield lease


def blend_tiles(given: Tensor, side: int, overlap: int, convert: Callable[[Tensor], Tensor], scale: float) -> Tensor:
    """`convert` applied to overlapping square tiles of `given` (1, C, H, W), their results faded into each other.

    `side`, `overlap` and the size of `given` are in its own cells; a result is `scale` times as large as its tile.
    """
    height, width = given.shape[-2:]
    total: Any = None
    weights: Any = None
    for top in _starts(height, side, overlap):
        for left in _starts(width, side, overlap):
            tile = given[..., top : top + side, left : left + side]
            found = convert(tile)
            if total is None:
                size = round(height * scale), round(width * scale)
                total = found.new_zeros((*found.shape[:2], *size))
                weights = found.new_zeros((1, 1, *size))
            fade = round(overlap * scale)
            rows = _ramp(found.shape[-2], fade, top > 0, top + side < height)
            columns = _ramp(found.shape[-1], fade, left > 0, left + side < width)
            weight = rows[:, None] * columns[None, :]
            y, x = round(top * scale), round(left * scale)
            place = (..., slice(y, y + found.shape[-2]), slice(x, x + found.shape[-1]))
            total[place] += found * weight
            weights[place] += weight
    return total / weights


def _continued(given: Tensor, more: int, dimension: int) -> Tensor:
    import torch

    return torch.cat([given, given.narrow(dimension, 0, more)], dim=dimension) if more else given


def _closed(made: Tensor, more: int, dimension: int) -> Tensor:
    """`made` without the last `more` along a dimension, which its begin is faded over from."""
    import torch

    if not more:
        return made
    length = made.shape[dimension] - more
    kept, beyond = made.narrow(dimension, 0, length).clone(), made.narrow(dimension, length, more)
    share = (torch.arange(more) + 0.5) / more
    share = share if dimension == -1 else share[:, None]
    kept.narrow(dimension, 0, more).mul_(share).add_(beyond * (1 - share))
    return kept


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    starts = list(range(0, length - side, side - overlap))
    return [*starts, length - side]


def _ramp(length: int, fade: int, before: bool, after: bool) -> Tensor:
    import torch

    ramp = torch.ones(length)
    fade = min(fade, length)
    rising = torch.arange(1, fade + 1) / (fade + 1)
    if before and fade:
        ramp[:fade] *= rising
    if after and fade:
        ramp[-fade:] *= rising.flip(0)
    return ramp
