"""Flux.2 as a family. Of Klein, the distilled models take four steps and no guidance, the base models both; dev takes
guidance as an input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safelight.families._modular.detect import JOINT, Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._vaes.flux2 import LATENT
from safelight.families.base import Files, Held, Loaded
from safelight.sdk.leased import Presets, VAEModel

from .reading import DEV_READING, READING

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel


@dataclass(frozen=True)
class Flux2(ModularFamily):
    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            # Alone it does not say; most are distilled.
            loaded.settings["distilled"] = files.config("").get("is_distilled", files.kind != "pipeline")
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import Flux2Denoiser, Flux2DevDenoiser

        if held.modules["transformer"].config.guidance_embeds:
            return Flux2DevDenoiser(self, held, self.presets)
        distilled = bool(held.settings["distilled"])
        presets = replace(self.presets, steps=4, guidance=1.0) if distilled else self.presets
        return Flux2Denoiser(self, held, presets, distilled=distilled)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        dev = held.settings["transformer"].get("guidance_embeds")
        return LanguageText(self, held, DEV_READING if dev else READING)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.flux2 import Flux2Codec

        return Flux2Codec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = Flux2(
    id="flux2",
    title="Flux.2",
    latent=LATENT,
    presets=Presets(steps=50, guidance=4.0, sampler="euler", width=1024, height=1024),
    architectures=("flux-2", "flux.2", "flux2"),
    transformer="Flux2Transformer2DModel",
    autoencoder="AutoencoderKLFlux2",
    # Without guidance they compute what those of the distilled models do.
    blocks="Flux2KleinBaseAutoBlocks",
    schedule={"shift": 3.0, "use_dynamic_shifting": True},
    lora_loader="Flux2LoraLoaderMixin",
    channels=128,
    pipelines=("Flux2KleinPipeline", "Flux2Pipeline"),
    others={
        "Flux2KleinInpaintPipeline": "is a Flux.2 Klein that paints parts of images, which is not supported yet",
        "Flux2KleinKVPipeline": "is a Flux.2 Klein that changes images, which is not supported yet",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(
            ("double_stream_modulation_img.lin.weight", "single_stream_modulation.lin.weight"),
            ("double_stream_modulation_img.linear.weight", "single_stream_modulation.linear.weight"),
        ),
        lora=("single_transformer_blocks_0_attn_to_qkv_mlp", "double_stream_modulation", "single_stream_modulation"),
        # Klein has 5 or 8 blocks of 3072 or 4096 channels, Dev 8 of 6144.
        blocks=Blocks(
            (*JOINT, "ff_linear_", "ff_context_linear_"),
            widths=(3072, 4096, 6144),
            last=range(8),
            own=("ff_linear_", "ff_context_linear_"),
        ),
        others=(),
        get="black-forest-labs/FLUX.2-klein-4B",
    ),
)
