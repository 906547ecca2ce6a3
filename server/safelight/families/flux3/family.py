"""Flux.3 as a family: several layers of Qwen3-VL, an autoencoder as that of Flux.2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safelight.families._lm.encoder import Reading
from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily, has
from safelight.families._original.names import rules as table
from safelight.families.base import Files, Folder, Held, LatentSpace, Loaded, Parts
from safelight.sdk.leased import Presets, VAEModel

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

READING = Reading(length=8192, layers=(4, 8, 12, 16, 20, 24, 28, 32), multiple=80)
_BLOCKS = ("content_mode_blocks.image", "content_mode_blocks.image_cond", "txt_mode_blocks", "single_blocks")
_LAYERS = tuple(
    rule
    for block in _BLOCKS
    for rule in table(
        *((f"{q}_proj", f"attn.to_{q}") for q in "qkv"),
        ("attn_out", "attn.to_out.0"),
        ("mlp_in", "ff.linear_in"),
        ("mlp_out", "ff.linear_out"),
        start=(f"{block}.{{}}.", f"{block.replace('content_', '').replace('single_', 'single_transformer_')}.{{}}."),
    )
)
"""How its makers call the layers of its blocks."""


@dataclass(frozen=True)
class Flux3(ModularFamily):
    def parts(self, folder: Folder) -> Parts:
        found = super().parts(folder)
        # Its blocks know the schedule, so a model may come without one.
        return found if has(folder, "scheduler") else replace(found, settings=())

    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            loaded.settings["distilled"] = bool(loaded.modules["transformer"].config.flow_map)
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import Flux3Denoiser

        distilled = held.settings["distilled"]
        presets = replace(self.presets, steps=16, guidance=1.0) if distilled else self.presets
        return Flux3Denoiser(self, held, presets, distilled=distilled)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        return LanguageText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.flux2 import Flux2Codec

        return Flux2Codec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = Flux3(
    id="flux3",
    title="Flux.3",
    latent=LatentSpace("flux3", channels=32),
    presets=Presets(steps=50, guidance=3.5, sampler="euler", width=1024, height=1024),
    architectures=("flux-3", "flux.3"),
    transformer="Flux3Transformer2DModel",
    owns_autoencoder=False,
    autoencoder="AutoencoderKLFlux2",
    blocks="Flux3AutoBlocks",
    schedule={"shift": 6.93},
    lora_loader="Flux3LoraLoaderMixin",
    lora_rules=_LAYERS,
    channels=128,
    pipelines=("Flux3ModularPipeline", "Flux3DistilledModularPipeline"),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(
            ("emb_in.image.weight", "txt_in.weight", "time_in.in_layer.weight"),
            ("x_embedders.image.weight", "context_embedder.weight", "txt_mode_blocks.0.attn.to_q.weight"),
        ),
        lora=("txt_mode_blocks_", "content_mode_blocks_", "mode_blocks_image_"),
        others=(),
        get="the repository of FLUX.3 for diffusers",
    ),
)
