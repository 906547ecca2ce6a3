"""LTX-Video as a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._modular.detect import Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families.base import Held, LatentSpace
from safelight.sdk.leased import Presets

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel


@dataclass(frozen=True)
class Ltx(ModularFamily):
    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import LtxDenoiser

        return LtxDenoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import LtxText

        return LtxText(self, held)

    def vae(self, held: Held) -> VAEModel:
        from .vae import LtxCodec

        return LtxCodec(self, held.modules["vae"], held.device, held.dtype, self.presets)


FAMILY = Ltx(
    id="ltx",
    title="LTX-Video",
    latent=LatentSpace("ltx", channels=128, downsampling=32, frames=8),
    presets=Presets(steps=50, guidance=3.0, sampler="euler", width=704, height=512, frames=161, fps=25.0),
    architectures=("ltxv",),
    transformer="LTXVideoTransformer3DModel",
    blocks="LTXAutoBlocks",
    schedule={
        "use_dynamic_shifting": True,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "base_image_seq_len": 1024,
        "max_image_seq_len": 4096,
        "shift_terminal": 0.1,
    },
    caches_steps=True,
    lora_loader="LTXVideoLoraLoaderMixin",
    autoencoder="AutoencoderKLLTXVideo",
    cells=1,
    channels=128,
    pipelines=("LTXPipeline", "LTXImageToVideoPipeline"),
    others={
        "LTXConditionPipeline": "is an LTX-Video that takes frames at any place, which is not supported yet",
        "LTXI2VLongMultiPromptPipeline": "is an LTX-Video for long videos, which is not supported yet",
        "LTXLatentUpsamplePipeline": "is an upscaler of LTX-Video, which makes no videos",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="t5"),),
    signs=Signs(
        names=(
            ("patchify_proj.weight", "adaln_single.linear.weight"),
            ("proj_in.weight", "time_embed.linear.weight", "caption_projection.linear_1.weight"),
        ),
        lora=(),
        # 2B has 28 blocks of 2048 channels, 13B has 48 of 4096.
        blocks=Blocks(("attn1_", "attn2_", "ff_net_"), widths=(2048, 4096), last=range(48)),
        others=("audio_",),
        get="Lightricks/LTX-Video",
    ),
)
