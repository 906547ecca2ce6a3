"""A model about to be distilled from images: its LoRA, its captions and examples, and its samples on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safelight.sdk import VAE, Context, Denoiser, Image, ModelRef, TextEncoder
from safelight_nodes.training_values import ImageSet, LatentSet

from .adapters import add_lora
from .computing import cast, own_copy
from .conditional import SHOWN, SHOWN_STEP, Examples, Told, check_fit, check_latents
from .distilling import Ends, Pair
from .images import Drawer, tiled
from .text import plain_unet


@dataclass(frozen=True)
class Student:
    """`learned` are the parameters of the LoRA, `pair` is the UNet with it, `seed` that of all that is drawn."""

    pair: Pair
    learned: list[Any]
    ends: Ends
    examples: Examples
    told: Told
    seed: int

    @classmethod
    def of(
        cls,
        latents: LatentSet,
        images: ImageSet,
        model: ModelRef[Denoiser],
        text: ModelRef[TextEncoder],
        rank: int,
        seed: int,
        ctx: Context,
    ) -> Student:
        """Raises ProblemError for models, latents and images that do not go together."""
        device, dtype = ctx.models.device()
        check_latents(latents, images)
        own, said = own_copy(ctx, model, "model"), own_copy(ctx, text, "text")
        unet = plain_unet(own, "model")
        check_fit(unet, said.module.config.hidden_size, latents)
        cast(unet, device, dtype)
        learned = add_lora(unet, rank, seed)
        told = Told(said.module.to(device).requires_grad_(False), said.tokenizers[0], images, False, device, dtype)
        examples = Examples(latents, Drawer(images, seed), seed, empty=0.0)
        return cls(Pair(unet, device, dtype), learned, Ends.of(own.scheduler), examples, told, seed)

    def shower(self, vae: ModelRef[VAE] | None, steps: int, ctx: Context) -> Callable[[], Image] | None:
        """What draws samples in so many steps, always of the same captions and noise; none without a VAE."""
        from safelight.diffusion.autoencoder import leased_codec

        if vae is None:
            return None
        texts = self.examples.drawer.captions(SHOWN_STEP, SHOWN, explicit=1.0)
        text = self.told(texts)
        shape = self.examples.latents.samples.shape[2:]

        def drawn() -> Image:
            made = self.ends.sample(self.pair, text, shape, steps, self.seed)
            with leased_codec(ctx, vae) as codec:
                return Image(tiled(codec.decode(made).movedim(-1, 1), SHOWN // 2))

        return drawn
