"""Videos to and from latents, a piece in time after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from safelight.sdk import is_out_of_memory
from safelight.sdk.leased import FamilyFacts, Presets

from .autoencoder import OVERLAP, TILE_PIXELS, WHOLE_PIXELS, blend_tiles
from .finite import require_finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor

CELLS, SHARED = 16, 4
"""How many cells in time are decoded at once where that needs those beside, and how many of them the next piece has as
well."""


@dataclass(frozen=True)
class VideoCodec(ABC):
    """An autoencoder of videos in memory. Fits `sdk.leased.VideoVAEModel`."""

    family: FamilyFacts
    vae: Any
    device: torch.device
    dtype: torch.dtype
    native: Presets

    overflows = False
    greys = False

    @property
    def modules(self) -> Mapping[str, Any]:
        return {"vae": self.vae}

    @property
    def native_size(self) -> tuple[int, int]:
        return self.native.height, self.native.width

    @property
    def native_frames(self) -> int:
        return self.native.frames

    @property
    def fps(self) -> float:
        return self.native.fps

    @property
    @abstractmethod
    def channels(self) -> int: ...

    @property
    @abstractmethod
    def downsampling(self) -> int: ...

    @property
    @abstractmethod
    def frames(self) -> int: ...

    @abstractmethod
    def statistics(self) -> tuple[Tensor, Tensor]:
        """What is taken from each channel of the latents, and what they are divided by then: (1, C, 1, 1, 1) each."""

    @abstractmethod
    def pieces(self, samples: Tensor, side: int) -> Iterator[Tensor]:
        """As `decode_frames`, in tiles of `side` cells; 0 is whole frames."""

    def decode_frames(self, samples: Tensor, tile: int = 0) -> Iterator[Tensor]:
        height, width = samples.shape[-2:]
        side = max(4, tile // self.downsampling) if tile else 0
        if not tile and height * width * self.downsampling**2 > WHOLE_PIXELS:
            side = TILE_PIXELS // self.downsampling
        given = 0
        while True:
            try:
                for place, piece in enumerate(self.pieces(samples, side)):
                    if place == given:
                        given += 1
                        yield piece
                return
            except (RuntimeError, MemoryError) as error:
                if tile or not is_out_of_memory(error) or (side or max(height, width)) < 8:
                    raise
            # Outside the handler: the error holds the frames, and so the tensors, of the attempt that failed. What was
            # given out by then is made once more for what later pieces take from it.
            side = (side or max(height, width)) // 2

    def tiled(self, given: Tensor, side: int, convert: Callable[[Tensor], Tensor]) -> Tensor:
        """Frames (1, 3, n, H, W) that `convert` makes of tiles of latents, faded into each other, on the CPU."""
        if not side:
            return convert(given).to("cpu").float()
        overlap = max(1, side // OVERLAP)
        found = blend_tiles(
            given, side, overlap, lambda tile: convert(tile).to("cpu").float().flatten(1, 2), self.downsampling
        )
        return found.unflatten(1, (3, -1))

    def decode(self, samples: Tensor, tile: int = 0) -> Tensor:
        import torch

        return torch.cat([next(self.decode_frames(one[None, :, None], tile)) for one in samples])

    def encode(self, pixels: Tensor, sources: Sequence[torch.Generator] | None = None, tile: int = 0) -> Tensor:
        import torch

        del tile
        return torch.cat(
            [
                self._encoded(one[None], None if sources is None else sources[place])[:, :, 0]
                for place, one in enumerate(pixels)
            ]
        )

    def encode_frames(self, pixels: Tensor) -> Tensor:
        return self._encoded(pixels, None)

    def _encoded(self, pixels: Tensor, source: torch.Generator | None) -> Tensor:
        """The latent (1, C, t, h, w) of a video (N, H, W, 3): the mean, or a draw from `source`."""
        import torch

        mean, deviation = self.statistics()
        given = (pixels.movedim(-1, 0)[None].contiguous() * 2 - 1).to(self.device, self.dtype)
        with torch.no_grad():
            spread = self.vae.encode(given, return_dict=False)[0]
        latent = spread.mode().to("cpu").float()
        if source is not None:
            latent = latent + spread.std.to("cpu").float() * torch.randn(latent.shape, generator=source)
        latents = (latent - mean) / deviation
        require_finite(latents, "The encoded images hold numbers that are not finite.", self._hint())
        return latents

    def shown(self, found: Tensor) -> Tensor:
        """Decoded frames (1, 3, n, H, W) in -1..1, as `tiled` gives them, as (n, H, W, 3) in 0..1."""
        frames = found[0]
        require_finite(frames, "The decoded frames hold numbers that are not finite.", self._hint())
        return (frames / 2 + 0.5).clamp(0, 1).movedim(0, -1).contiguous()

    def _hint(self) -> str:
        if self.dtype.itemsize == 2:
            return "Load this VAE with precision float32."
        return "Look at what comes in, and whether the weights of the VAE are whole."


@dataclass(frozen=True)
class OverlappingCodec(VideoCodec):
    """One whose decoder keeps nothing: videos of up to `CELLS` cells are decoded at once, longer ones in pieces of that
    length that overlap and fade into each other."""

    @property
    def channels(self) -> int:
        return self.vae.config.latent_channels

    @property
    def downsampling(self) -> int:
        return self.vae.spatial_compression_ratio

    @property
    def frames(self) -> int:
        return self.vae.temporal_compression_ratio

    @abstractmethod
    def decoded(self, latents: Tensor) -> Tensor:
        """What the autoencoder makes of latents (1, C, t, h, w) in its own scale: (1, 3, n, H, W) in -1..1."""

    def pieces(self, samples: Tensor, side: int) -> Iterator[Tensor]:
        import torch

        mean, deviation = self.statistics()
        latents = samples * deviation + mean
        # The first cell of a piece stands for one frame.
        fade = (SHARED - 1) * self.frames + 1
        share = (torch.arange(1, fade + 1) / (fade + 1)).view(-1, 1, 1, 1)
        before: Tensor | None = None
        for start in range(0, max(1, latents.shape[2] - SHARED), CELLS - SHARED):
            with torch.no_grad():
                found = self.tiled(latents[:, :, start : start + CELLS], side, self._placed)
            piece = self.shown(found)
            if before is not None:
                piece = torch.cat([before * (1 - share) + piece[:fade] * share, piece[fade:]])
            if start + CELLS >= latents.shape[2]:
                yield piece
                return
            yield piece[:-fade]
            before = piece[-fade:]

    def _placed(self, latents: Tensor) -> Tensor:
        return self.decoded(latents.to(self.device, self.dtype))


@dataclass(frozen=True)
class WanCodec(VideoCodec):
    """The autoencoder of Wan (diffusers' AutoencoderKLWan).

    It is causal: a piece of the video is made of its cell and of what earlier ones left in a cache, so decoding needs
    memory for one piece alone, and gives what decoding at once gives.
    """

    @property
    def greys(self) -> bool:
        # The model of 5B looks at the first cell alone.
        return self.vae.config.patch_size is None

    @property
    def channels(self) -> int:
        return self.vae.config.z_dim

    @property
    def downsampling(self) -> int:
        return self.vae.config.scale_factor_spatial

    @property
    def frames(self) -> int:
        return self.vae.config.scale_factor_temporal

    def pieces(self, samples: Tensor, side: int) -> Iterator[Tensor]:
        import torch

        mean, deviation = self.statistics()
        vae = self.vae
        vae.clear_cache()
        left: list[list[Any]] = []
        """What earlier cells left, tile by tile."""
        try:
            with torch.no_grad():
                whole = vae.post_quant_conv((samples * deviation + mean).to(self.device, self.dtype))
            for place in range(samples.shape[2]):
                tiles = count()

                def convert(cell: Tensor, first: bool = place == 0, tiles: Iterator[int] = tiles) -> Tensor:
                    number = next(tiles)
                    if number == len(left):
                        left.append([None] * vae._conv_num)
                    return self._decoded(cell, left[number], first=first)

                # Entered again for each piece: what takes the pieces runs in between.
                with torch.no_grad():
                    found = self.tiled(whole[:, :, place : place + 1], side, convert)
                yield self.shown(found)
        finally:
            vae.clear_cache()

    def _decoded(self, cell: Tensor, left: list[Any], *, first: bool) -> Tensor:
        """The frames (1, 3, n, H, W) of one cell (1, C, 1, h, w)."""
        vae = self.vae
        found = vae.decoder(cell, feat_cache=left, feat_idx=[0], **({"first_chunk": True} if first else {}))
        if vae.config.patch_size is None:
            return found
        from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

        return unpatchify(found, patch_size=vae.config.patch_size)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the latents."""
        import torch

        config = self.vae.config
        shape = (1, config.z_dim, 1, 1, 1)
        return torch.tensor(config.latents_mean).view(shape), torch.tensor(config.latents_std).view(shape)
