"""Qwen-Image 2.1 as a family: one stream of text and image, prompts by Qwen3-VL, images with transparency."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._original.names import Rule
from safelight.families.base import Files, Held, LatentSpace, Loaded
from safelight.sdk.leased import Presets, VAEModel

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel
_MLP = "transformer_blocks.{}.img_mlp."
_GATED = ("img_mlp_gate_", "img_mlp_proj", "img_mlp_out")


@dataclass(frozen=True)
class QwenImage21(ModularFamily):
    def complete(self, transformer: Any) -> None:
        # Of positions, complex numbers that are no buffers; and the frequencies of a time.
        turns, times = transformer.pos_embed, transformer.time_text_embed.time_proj
        transformer.pos_embed = type(turns)(theta=turns.theta, axes_dim=turns.axes_dim)
        transformer.time_text_embed.time_proj = type(times)(timestep_dim=times.timestep_dim)

    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        index = files.config("") if files.kind == "pipeline" else {}
        loaded.settings["sigmas"] = tuple(index.get("sample_sigmas") or ())
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import QwenImage21Denoiser

        sigmas = held.settings["sigmas"]
        presets = replace(self.presets, steps=len(sigmas)) if sigmas else self.presets
        return QwenImage21Denoiser(self, held, presets, sigmas)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import QwenImage21Text

        return QwenImage21Text(self, held)

    def vae(self, held: Held) -> VAEModel:
        from .vae import QwenImage21Codec

        return QwenImage21Codec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = QwenImage21(
    id="qwen_image_21",
    title="Qwen-Image 2.1",
    latent=LatentSpace("qwen_image_21", channels=64, downsampling=16),
    presets=Presets(steps=40, guidance=1.0, sampler="euler", width=1024, height=1024),
    architectures=("qwen-image-2.1", "qwen_image_21"),
    transformer="QwenImage21Transformer2DModel",
    autoencoder="AutoencoderKLQwenImage21",
    blocks="QwenImage21AutoBlocks",
    schedule={
        "base_image_seq_len": 256,
        "max_image_seq_len": 8192,
        "base_shift": 0.5,
        "max_shift": 0.9,
        "shift": 1.0,
        "time_shift_type": "exponential",
        "use_dynamic_shifting": True,
    },
    lora_loader="QwenImageLoraLoaderMixin",
    # ComfyUI keeps the two as one layer.
    lora_rules=(Rule(f"{_MLP}gate_up", (f"{_MLP}gate_layer", f"{_MLP}proj")),),
    channels=64,
    pipelines=("QwenImage21Pipeline",),
    encoders=(Encoder("text_encoder", "processor", kind="language model"),),
    signs=Signs(
        names=(
            ("modulation.1.weight", "transformer_blocks.0.img_mlp.gate_up.weight"),
            ("modulation.1.weight", "transformer_blocks.0.img_mlp.gate_layer.weight"),
        ),
        lora=(),
        blocks=Blocks(("attn_to_", *_GATED), widths=(4096,), last=range(32), own=_GATED),
        others=(),
        get="Qwen/Qwen-Image-2.1",
    ),
)
