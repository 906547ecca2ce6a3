"""LTX-2 as a family: it makes a video and its sound at once, of which the video is handed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._modular.detect import Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily, loaded_module
from safelight.families._original.names import rules as table
from safelight.families.base import FileKind, Files, Folder, Held, LatentSpace, Loaded
from safelight.sdk.leased import Presets

from .parts import CONNECTORS, SOUND

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel
_SOUNDS = ("audio_attn", "audio_ff", "audio_to_video_attn", "video_to_audio_attn")
_TIMES = {
    "adaln_single": "time_embed",
    "audio_adaln_single": "audio_time_embed",
    "av_ca_video_scale_shift_adaln_single": "av_cross_attn_video_scale_shift",
    "av_ca_audio_scale_shift_adaln_single": "av_cross_attn_audio_scale_shift",
    "av_ca_a2v_gate_adaln_single": "av_cross_attn_video_a2v_gate",
    "av_ca_v2a_gate_adaln_single": "av_cross_attn_audio_v2a_gate",
}
_PARTS = ("linear", "emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_2")
_LAYERS = tuple(
    table(
        ("patchify_proj", "proj_in"),
        ("audio_patchify_proj", "audio_proj_in"),
        *((f"{old}.{part}", f"{new}.{part}") for old, new in _TIMES.items() for part in _PARTS),
    )
)
"""How its makers call those of its layers that have another name in diffusers: github.com/Lightricks/LTX-2."""


@dataclass(frozen=True)
class Ltx2(ModularFamily):
    def component(self, folder: Folder) -> FileKind | None:
        """A transformer alone lacks what tells the length of the sound."""
        found = super().component(folder)
        return None if found == "unet" else found

    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            loaded.modules[SOUND] = loaded_module(files, SOUND, "AutoencoderKLLTX2Audio")
        if kind == "TextEncoder":
            loaded.modules[CONNECTORS] = loaded_module(
                files, CONNECTORS, "LTX2TextConnectors", home="diffusers.pipelines.ltx2.connectors"
            )
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import Ltx2Denoiser

        return Ltx2Denoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import Ltx2Text

        return Ltx2Text(self, held)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families.ltx.vae import LtxCodec

        return LtxCodec(self, held.modules["vae"], held.device, held.dtype, self.presets)


FAMILY = Ltx2(
    id="ltx2",
    title="LTX-2",
    latent=LatentSpace("ltx2", channels=128, downsampling=32, frames=8),
    presets=Presets(steps=30, guidance=3.0, sampler="euler", width=768, height=512, frames=121, fps=24.0),
    architectures=("ltx-2", "ltx2"),
    transformer="LTX2VideoTransformer3DModel",
    blocks="LTX2AutoBlocks",
    schedule={
        "use_dynamic_shifting": True,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "base_image_seq_len": 1024,
        "max_image_seq_len": 4096,
        "shift_terminal": 0.1,
    },
    lora_loader="LTX2LoraLoaderMixin",
    lora_rules=_LAYERS,
    autoencoder="AutoencoderKLLTX2Video",
    cells=1,
    channels=128,
    beside={"Denoiser": (SOUND,), "TextEncoder": (CONNECTORS,)},
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    others={
        "LTX2ConditionPipeline": "is an LTX-2 that takes frames at any place, which is not supported yet",
        "LTX2InContextPipeline": "is an LTX-2 that looks at other videos, which is not supported yet",
        "LTX2LatentUpsamplePipeline": "is an upscaler of LTX-2, which makes no videos",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(
            ("audio_patchify_proj.weight", "patchify_proj.weight"),
            ("audio_proj_in.weight", "proj_in.weight", "audio_time_embed.linear.weight"),
        ),
        lora=("audio_patchify_proj", "audio_proj_in"),
        blocks=Blocks(("attn1_", "attn2_", "ff_net_", *_SOUNDS), widths=(4096,), last=range(48), own=_SOUNDS),
        others=(),
        get="Lightricks/LTX-2",
    ),
)
