"""ERNIE-Image as a family: the latents of Flux.2, prompts read by Ministral 3 as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.families._lm.encoder import Reading
from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._vaes.flux2 import LATENT
from safelight.families.base import Held
from safelight.sdk.leased import Presets, VAEModel

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

# The state before the last layer's. Its pipeline cuts where the tokenizer says, which is far behind any prompt.
READING = Reading(length=2048, layers=(-2,), template="{}")


@dataclass(frozen=True)
class ErnieImage(ModularFamily):
    def width(self, config: Mapping[str, Any]) -> int:
        return config["hidden_size"]

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import ErnieImageDenoiser

        return ErnieImageDenoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        return LanguageText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.flux2 import Flux2Codec

        # Its pipeline goes by this number, whatever the configuration says.
        return Flux2Codec(self, held.modules["vae"], held.device, held.dtype, 1.0, epsilon=1e-5)


FAMILY = ErnieImage(
    id="ernie_image",
    title="ERNIE-Image",
    latent=LATENT,
    presets=Presets(steps=50, guidance=4.0, sampler="euler", width=1024, height=1024),
    architectures=("ernie-image", "ernie_image"),
    transformer="ErnieImageTransformer2DModel",
    owns_autoencoder=False,
    autoencoder="AutoencoderKLFlux2",
    blocks="ErnieImageAutoBlocks",
    schedule={"shift": 4.0},
    lora_loader="ErnieImageLoraLoaderMixin",
    channels=128,
    pipelines=("ErnieImagePipeline",),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(("layers.0.self_attention.to_q.weight", "adaLN_modulation.1.weight", "final_linear.weight"),),
        lora=("layers_0_self_attention_to_", "layers_0_mlp_linear_fc2"),
        others=(),
        get="baidu/ERNIE-Image",
    ),
)
