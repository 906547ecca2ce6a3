"""Krea 2 as a family: the autoencoder of Qwen-Image, prompts as several layers of Qwen3-VL have them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safelight.families._lm.encoder import Reading
from safelight.families._modular.detect import Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._vaes.qwen import LATENT
from safelight.families.base import Files, Held, Loaded
from safelight.sdk.leased import Presets, VAEModel

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

_LAYERS = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35)
_TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}"
)
_ENDING = "<|im_end|>\n<|im_start|>assistant\n"
_GATED = ("ff_gate", "ff_up", "ff_down")
READING = Reading(
    # 34 tokens of the template that are left out; 5 of the ending count among the 512.
    length=34 + 512 - 5,
    layers=_LAYERS,
    template=_TEMPLATE,
    skip=34,
    padded=True,
    stacked=True,
    ending=_ENDING,
)


@dataclass(frozen=True)
class Krea2(ModularFamily):
    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        index = files.config("") if files.kind == "pipeline" else {}
        loaded.settings["distilled"] = index.get("is_distilled", False)
        loaded.settings["layers"] = tuple(index.get("text_encoder_select_layers") or _LAYERS)
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import Krea2Denoiser

        distilled = bool(held.settings["distilled"])
        presets = replace(self.presets, steps=8, guidance=1.0) if distilled else self.presets
        return Krea2Denoiser(self, held, presets, distilled=distilled)

    def text_encoder(self, held: Held) -> TextModel:
        from safelight.families._modular.text import LanguageText

        return LanguageText(self, held, replace(READING, layers=held.settings["layers"]))

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.qwen import QwenCodec

        return QwenCodec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = Krea2(
    id="krea2",
    title="Krea 2",
    latent=LATENT,
    presets=Presets(steps=28, guidance=5.5, sampler="euler", width=1024, height=1024),
    architectures=("krea-2", "krea2"),
    transformer="Krea2Transformer2DModel",
    owns_autoencoder=False,
    autoencoder="AutoencoderKLQwenImage",
    blocks="Krea2AutoBlocks",
    schedule={
        "base_image_seq_len": 256,
        "max_image_seq_len": 6400,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "use_dynamic_shifting": True,
    },
    lora_loader="Krea2LoraLoaderMixin",
    channels=64,
    pipelines=("Krea2Pipeline",),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(("text_fusion.projector.weight", "img_in.weight"), ("txtfusion.projector.weight", "first.weight")),
        lora=("text_fusion_",),
        blocks=Blocks(("attn_to_", *_GATED), widths=(6144,), last=range(28), own=("attn_to_gate", *_GATED)),
        others=(),
        get="krea/Krea-2-Raw",
    ),
)
