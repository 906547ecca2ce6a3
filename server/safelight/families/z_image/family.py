"""Z-Image as a family. Turbo was distilled to nine steps without guidance; both have the autoencoder of Flux.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.families._lm.encoder import Reading
from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._original.names import Rule, Shapes
from safelight.families.base import Held
from safelight.families.flux import FAMILY as FLUX
from safelight.sdk.leased import Presets

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

READING = Reading(length=512, layers=(-2,), options={"enable_thinking": True})
TURBO_SHIFT = 3.0
"""The shift of Turbo's schedule; that of the model which takes guidance is larger."""


@dataclass(frozen=True)
class ZImage(ModularFamily):
    def width(self, config: Mapping[str, Any]) -> int:
        return config["dim"]

    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        from .original import rules

        return rules(shapes)

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        from .original import config_of

        return config_of(shapes)

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import ZImageDenoiser

        turbo = held.settings["scheduler"].get("shift", TURBO_SHIFT) <= TURBO_SHIFT
        presets = replace(self.presets, steps=9, guidance=1.0) if turbo else self.presets
        return ZImageDenoiser(self, held, presets)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        return LanguageText(self, held, READING)


FAMILY = ZImage(
    id="z_image",
    title="Z-Image",
    latent=FLUX.latent,
    presets=Presets(steps=50, guidance=5.0, sampler="euler", width=1024, height=1024),
    architectures=("z-image", "zimage"),
    transformer="ZImageTransformer2DModel",
    blocks="ZImageAutoBlocks",
    schedule={"shift": TURBO_SHIFT},
    lora_loader="ZImageLoraLoaderMixin",
    pipelines=("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"),
    others={
        "ZImageControlNetPipeline": "is a Z-Image with a ControlNet, which is not supported yet",
        "ZImageControlNetInpaintPipeline": "is a Z-Image with a ControlNet, which is not supported yet",
        "ZImageOmniPipeline": "is a Z-Image Omni, which is not supported yet",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model", alone="qwen3"),),
    signs=Signs(
        names=(
            ("cap_embedder.1.weight", "noise_refiner.0.attention.qkv.weight", "x_pad_token"),
            ("all_x_embedder.2-1.weight", "cap_embedder.1.weight"),
        ),
        lora=("noise_refiner_", "context_refiner_"),
        shared=tuple(f"layers_{number}_{part}_" for number in range(30) for part in ("attention", "feed_forward")),
        widths=(3840,),
        others=("time_caption_embed", "siglip_embedder", "control_", "adaln_modulation"),
    ),
)
