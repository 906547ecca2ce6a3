"""Flux.1 as a family. Its two models differ in what they were distilled to: dev takes the strength of guidance as an
input, schnell takes none and needs four steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.families._clip.towers import CLIP_L, Tower
from safelight.families._modular.controlnet import saved_together
from safelight.families._modular.detect import JOINT, Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._original.names import Rule, Shapes
from safelight.families.base import FileKind, Files, Folder, Held, LatentSpace, Loaded
from safelight.sdk.leased import Presets

from .controlnet import CONTROLNET
from .kinds import FILL, KONTEXT

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel

# A linear fit of decoded images by their latents that programs with previews share; colours in -1..1 there.
_COLOURS = (
    (-0.0346, 0.0244, 0.0681),
    (0.0034, 0.0210, 0.0687),
    (0.0275, -0.0668, -0.0433),
    (-0.0174, 0.0160, 0.0617),
    (0.0859, 0.0721, 0.0329),
    (0.0004, 0.0383, 0.0115),
    (0.0405, 0.0861, 0.0915),
    (-0.0236, -0.0185, -0.0259),
    (-0.0245, 0.0250, 0.1180),
    (0.1008, 0.0755, -0.0421),
    (-0.0515, 0.0201, 0.0011),
    (0.0428, -0.0012, -0.0036),
    (0.0817, 0.0765, 0.0749),
    (-0.1264, -0.0522, -0.1103),
    (-0.0280, -0.0881, -0.0499),
    (-0.1262, -0.0982, -0.0778),
    (-0.0329, -0.0718, -0.0851),
)
_LAST = len(_COLOURS) - 1


@dataclass(frozen=True)
class Flux(ModularFamily):
    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        dev = bool(config.get("guidance_embeds"))
        return {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": 3.0 if dev else 1.0,
            "use_dynamic_shifting": dev,
        }

    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        from .original import rules

        return rules(shapes)

    def layer_rules(self, transformer: Any) -> Sequence[Rule]:
        from .original import layer_rules

        del transformer
        return layer_rules()

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        from .original import config_of

        return config_of(shapes)

    def component(self, folder: Folder) -> FileKind | None:
        redux = folder.config("").get("_class_name") == "ReduxImageEncoder"
        return "ip_adapter" if redux else super().component(folder)

    def load(self, kind: str, files: Files) -> Loaded:
        loaded = super().load(kind, files)
        if kind == "Denoiser":
            whole = files.kind == "pipeline" and not files.single
            loaded.settings["made"] = str(files.config("").get("_class_name", "")) if whole else ""
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import FluxDenoiser

        presets = self.presets
        if held.settings["made"] in KONTEXT:
            presets = replace(presets, guidance=2.5)
        if held.modules["transformer"].config.in_channels == FILL:
            presets = replace(presets, steps=50, guidance=30.0)
        if not held.modules["transformer"].config.guidance_embeds:
            presets = replace(presets, steps=4, guidance=1.0)
        return FluxDenoiser(self, held, presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import FluxText

        return FluxText(self, held)


FAMILY = Flux(
    id="flux",
    title="Flux.1",
    latent=LatentSpace(
        "flux",
        channels=16,
        scaling=0.3611,
        shift=0.1159,
        rgb=tuple(
            (r / 2 + middle, g / 2 + middle, b / 2 + middle)
            for place, (r, g, b) in enumerate(_COLOURS)
            for middle in [0.5 if place == _LAST else 0.0]
        ),
    ),
    presets=Presets(steps=28, guidance=3.5, sampler="euler", width=1024, height=1024),
    architectures=("flux-1", "flux.1", "flux1", "flux-dev", "flux-schnell"),
    transformer="FluxTransformer2DModel",
    blocks="FluxAutoBlocks",
    caches_steps=True,
    lora_loader="FluxLoraLoaderMixin",
    channels=64,
    takes=(FILL,),
    pipelines=(
        "FluxPipeline",
        "FluxImg2ImgPipeline",
        "FluxInpaintPipeline",
        "FluxKontextPipeline",
        "FluxKontextInpaintPipeline",
        "FluxFillPipeline",
    ),
    others={
        "FluxControlPipeline": "is a Flux.1 that is led by a control image, which is not supported yet",
        "FluxControlNetPipeline": saved_together("Flux.1"),
        "FluxPriorReduxPipeline": "is a Flux.1 Redux, which reads images and makes none",
    },
    encoders=(
        Encoder(
            "text_encoder",
            "tokenizer",
            tower=Tower("text_encoder", "tokenizer", "text_encoders.clip_l.", CLIP_L),
        ),
        Encoder("text_encoder_2", "tokenizer_2", kind="t5"),
    ),
    text_settings={"guidance_embeds": True},
    controlnet=CONTROLNET,
    signs=Signs(
        names=(
            ("double_blocks.0.img_attn.norm.key_norm.scale",),
            ("double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"),
            ("single_transformer_blocks.0.attn.to_q.weight", "x_embedder.weight"),
        ),
        adapters=(
            ("ip_adapter.0.to_k_ip.bias", "image_proj.proj.weight"),
            ("image_proj.redux_up.weight",),
        ),
        lora=("double_blocks_", "single_blocks_", "single_transformer_blocks_"),
        blocks=Blocks((*JOINT, "ff_net_", "ff_context_net_", "norm1_"), widths=(3072,), last=range(19)),
        others=(
            "distilled_guidance_layer",
            "double_stream_modulation",
            "to_qkv_mlp",
            "individual_token_refiner",
            "controlnet_x_embedder",
            "attn_to_gate",
            "img_attn_q_",
            "txt_attn_q_",
            "mode_blocks_",
            "blocks_0_q_proj",
        ),
    ),
)
