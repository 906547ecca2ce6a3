"""Ideogram 4 as a family: what it would make without a prompt is for a second transformer to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily, loaded_module
from safelight.families._original.names import Rule
from safelight.families.base import FileKind, Files, Folder, Held, LatentSpace, Loaded
from safelight.sdk.leased import Presets, VAEModel

from .parts import SECOND

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
_ATTENTION = "layers.{}.attention."


@dataclass(frozen=True)
class Ideogram4(ModularFamily):
    def complete(self, transformer: Any) -> None:
        config = transformer.config
        transformer.rotary_emb = type(transformer.rotary_emb)(
            head_dim=config.attention_head_dim, base=config.rope_theta, mrope_section=config.mrope_section
        )

    def component(self, folder: Folder) -> FileKind | None:
        """None: a transformer alone lacks the other."""
        del folder
        return None

    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            loaded.modules[SECOND] = loaded_module(files, SECOND, self.transformer, self.complete)
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import Ideogram4Denoiser

        return Ideogram4Denoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import READING, Ideogram4Text

        return Ideogram4Text(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from .vae import Ideogram4Codec

        return Ideogram4Codec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = Ideogram4(
    id="ideogram4",
    title="Ideogram 4",
    latent=LatentSpace("ideogram4", channels=32),
    presets=Presets(steps=48, guidance=7.0, sampler="euler", width=2048, height=2048),
    architectures=("ideogram-4", "ideogram4"),
    transformer="Ideogram4Transformer2DModel",
    owns_autoencoder=False,
    autoencoder="AutoencoderKLFlux2",
    blocks="Ideogram4AutoBlocks",
    lora_loader="Ideogram4LoraLoaderMixin",
    lora_rules=(
        Rule(f"{_ATTENTION}qkv", tuple(f"{_ATTENTION}to_{part}" for part in "qkv")),
        Rule(f"{_ATTENTION}o", (f"{_ATTENTION}to_out.0",)),
    ),
    channels=128,
    beside={"Denoiser": (SECOND,)},
    pipelines=("Ideogram4Pipeline",),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(("llm_cond_proj.weight", "embed_image_indicator.weight"),),
        lora=("layers_0_adaln_modulation",),
        others=(),
        shared=tuple(f"layers_{number}_{part}_" for number in range(34) for part in ("attention", "feed_forward")),
        widths=(4608,),
        get="ideogram-ai/ideogram-v4",
    ),
)
