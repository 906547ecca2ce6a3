"""HunyuanVideo 1.5 as a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._modular.detect import JOINT, Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._original.names import rules as table
from safelight.families.base import Files, Held, LatentSpace, Loaded
from safelight.sdk.leased import Presets

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel

LED = "HunyuanVideo15ImageToVideoPipeline"
"""The pipeline of those that make a video of an image."""
_SIDES = ("img", "txt")
_LAYERS = tuple(
    table(
        *((f"img_attn_{q}", f"attn.to_{q}") for q in "qkv"),
        *((f"txt_attn_{q}", f"attn.add_{q}_proj") for q in "qkv"),
        ("img_attn_proj", "attn.to_out.0"),
        ("txt_attn_proj", "attn.to_add_out"),
        ("img_mod.linear", "norm1.linear"),
        ("txt_mod.linear", "norm1_context.linear"),
        ("img_mlp.fc1", "ff.net.0.proj"),
        ("img_mlp.fc2", "ff.net.2"),
        ("txt_mlp.fc1", "ff_context.net.0.proj"),
        ("txt_mlp.fc2", "ff_context.net.2"),
        start=("double_blocks.{}.", "transformer_blocks.{}."),
    )
)
"""How its makers call the layers of its blocks: github.com/Tencent-Hunyuan/HunyuanVideo-1.5."""


@dataclass(frozen=True)
class HunyuanVideo(ModularFamily):
    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            # One by itself tells it by its own configuration alone.
            whole = files.kind == "pipeline"
            made, task = files.config("").get("_class_name"), files.config("").get("task_type")
            loaded.settings["led"] = made == LED if whole else task == "i2v"
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import HunyuanDenoiser

        return HunyuanDenoiser(self, held, self.presets, led=held.settings["led"])

    def text_encoder(self, held: Held) -> TextModel:
        from .text import READING, HunyuanText

        return HunyuanText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from .vae import HunyuanCodec

        return HunyuanCodec(self, held.modules["vae"], held.device, held.dtype, self.presets)


FAMILY = HunyuanVideo(
    id="hunyuan_video_15",
    title="HunyuanVideo 1.5",
    latent=LatentSpace("hunyuan_video_15", channels=32, downsampling=16, frames=4),
    presets=Presets(steps=50, guidance=6.0, sampler="euler", width=848, height=480, frames=121, fps=24.0),
    architectures=("hunyuanvideo-1.5", "hunyuan-video-1.5"),
    transformer="HunyuanVideo15Transformer3DModel",
    blocks="HunyuanVideo15AutoBlocks",
    schedule={"shift": 5.0},
    lora_loader="HunyuanVideoLoraLoaderMixin",
    lora_rules=_LAYERS,
    autoencoder="AutoencoderKLHunyuanVideo15",
    cells=1,
    channels=65,
    pipelines=("HunyuanVideo15Pipeline", LED),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"), Encoder("text_encoder_2", "", kind="t5")),
    signs=Signs(
        names=(
            ("byt5_in.fc1.weight", "double_blocks.0.img_attn_q.weight"),
            ("context_embedder_2.linear_3.weight", "cond_type_embed.weight", "x_embedder.proj.weight"),
        ),
        lora=tuple(f"double_blocks_0_{side}_attn_q" for side in _SIDES),
        blocks=Blocks((*JOINT, "ff_net_", "ff_context_net_", "norm1_"), widths=(2048,), last=range(54)),
        others=(),
        get="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
    ),
)
