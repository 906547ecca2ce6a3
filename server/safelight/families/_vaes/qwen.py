"""The autoencoder of Qwen-Image and Krea 2, which takes an image as a video of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion.autoencoder import Codec
from safelight.families.base import LatentSpace

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families.base import Files
    from safelight.families.files import Header


LATENT = LatentSpace("qwen", channels=16, alike="wan")


@dataclass(frozen=True)
class QwenCodec(Codec):
    @property
    def overflows(self) -> bool:
        return False

    @property
    def channels(self) -> int:
        return self.vae.config.z_dim

    @property
    def downsampling(self) -> int:
        return 2 ** len(self.vae.temperal_downsample)

    @property
    def opacity(self) -> bool:
        return getattr(self.vae.config, "input_channels", 3) == 4

    @property
    def native_size(self) -> tuple[int, int]:
        return 1328, 1328

    def _pixels(self, latent: Tensor) -> Tensor:
        return super()._pixels(latent[:, :, None])[:, :, 0]

    def _moments(self, pixels: Tensor) -> Tensor:
        """`pixels` (B, 3, H, W) are all opaque to one that reads opacity."""
        import torch

        if self.opacity and pixels.shape[1] == 3:
            pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
        return super()._moments(pixels[:, :, None])[:, :, 0]


def is_single(name: str, header: Header) -> bool:
    """Whether a file holds such an autoencoder alone. Its tensors are called and shaped as those of Wan: only its name
    tells it."""
    from safelight.families.wan.original import vae_channels

    return vae_channels(header) == LATENT.channels and is_named(name)


def is_named(name: str) -> bool:
    """Whether a file is called as one of Qwen-Image."""
    return "qwen" in name.rsplit("/", 1)[-1].lower()


def single(files: Files) -> Any:
    """The autoencoder in a file, in either layout."""
    import diffusers as library

    from safelight.families._original.names import shapes_of
    from safelight.families.wan.original import vae_config, vae_names

    diffusers: Any = library
    shapes = shapes_of(files.header())
    names = vae_names(shapes)
    config = vae_config({names[name]: shape for name, shape in shapes.items()})
    given = {names[name]: tensor for name, tensor in files.tensors().items() if name in names}
    return files.filled(lambda: diffusers.AutoencoderKLQwenImage(**config), given)


def tiny(channels: int = 3) -> Any:
    """One in miniature, for tests: of 3 channels, or of 4, with opacity."""
    import diffusers as library

    diffusers: Any = library
    return diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=16,
        input_channels=channels,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[place / 16 - 0.5 for place in range(16)],
        latents_std=[1 + place / 8 for place in range(16)],
    ).eval()
