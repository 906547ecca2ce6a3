"""Videos to and from latents, a piece in time after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk.leased import FamilyFacts, Presets

from .finite import require_finite

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class WanCodec:
    """The autoencoder of Wan (diffusers' AutoencoderKLWan) in memory. Fits `sdk.leased.VideoVAEModel`.

    It is causal: a piece of the video is made of its cell and of what earlier ones left in a cache, so decoding needs
    memory for one piece alone, and gives what decoding at once gives.
    """

    family: FamilyFacts
    vae: Any
    device: torch.device
    dtype: torch.dtype
    native: Presets

    overflows = False

    @property
    def modules(self) -> Mapping[str, Any]:
        return {"vae": self.vae}

    @property
    def channels(self) -> int:
        return self.vae.config.z_dim

    @property
    def downsampling(self) -> int:
        return self.vae.config.scale_factor_spatial

    @property
    def frames(self) -> int:
        return self.vae.config.scale_factor_temporal

    @property
    def native_size(self) -> tuple[int, int]:
        return self.native.height, self.native.width

    @property
    def native_frames(self) -> int:
        return self.native.frames

    @property
    def fps(self) -> float:
        return self.native.fps

    def decode_frames(self, samples: Tensor) -> Iterator[Tensor]:
        import torch

        mean, deviation = self._statistics()
        vae, cells = self.vae, samples.shape[2]
        vae.clear_cache()
        try:
            with torch.no_grad():
                whole = vae.post_quant_conv((samples * deviation + mean).to(self.device, self.dtype))
            for place in range(cells):
                # Entered again for each piece: what takes the pieces runs in between.
                with torch.no_grad():
                    yield self._piece(whole[:, :, place : place + 1], first=place == 0)
        finally:
            vae.clear_cache()

    def decode(self, samples: Tensor, tile: int = 0) -> Tensor:
        import torch

        del tile  # images of one frame are decoded whole
        return torch.cat([next(self.decode_frames(one[None, :, None])) for one in samples])

    def encode(self, pixels: Tensor, sources: Sequence[torch.Generator] | None = None, tile: int = 0) -> Tensor:
        import torch

        del tile
        mean, deviation = self._statistics()
        found = []
        for place, one in enumerate(pixels.movedim(-1, 1).contiguous() * 2 - 1):
            with torch.no_grad():
                given = one[None, :, None].to(self.device, self.dtype)
                spread = self.vae.encode(given, return_dict=False)[0]
            latent = spread.mode().to("cpu").float()
            if sources is not None:
                latent = latent + spread.std.to("cpu").float() * torch.randn(latent.shape, generator=sources[place])
            found.append(((latent - mean) / deviation)[:, :, 0])
        latents = torch.cat(found)
        require_finite(latents, "The encoded images hold numbers that are not finite.", self._hint())
        return latents

    def _piece(self, cell: Tensor, *, first: bool) -> Tensor:
        """The frames of one cell (1, C, 1, h, w), as (n, H, W, 3)."""
        vae = self.vae
        vae._conv_idx = [0]
        found = vae.decoder(
            cell, feat_cache=vae._feat_map, feat_idx=vae._conv_idx, **({"first_chunk": True} if first else {})
        )
        if vae.config.patch_size is not None:
            from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

            found = unpatchify(found, patch_size=vae.config.patch_size)
        frames = found[0].to("cpu").float()
        require_finite(frames, "The decoded frames hold numbers that are not finite.", self._hint())
        return (frames / 2 + 0.5).clamp(0, 1).movedim(0, -1).contiguous()

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the latents."""
        import torch

        config = self.vae.config
        shape = (1, config.z_dim, 1, 1, 1)
        return torch.tensor(config.latents_mean).view(shape), torch.tensor(config.latents_std).view(shape)

    def _hint(self) -> str:
        if self.dtype.itemsize == 2:
            return "Load this VAE with precision float32."
        return "Look at what comes in, and whether the weights of the VAE are whole."
