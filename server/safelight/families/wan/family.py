"""Wan as a family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Signs
from safelight.families._modular.family import Encoder, ModularFamily, has
from safelight.families._original.names import Rule, Shapes, shapes_of
from safelight.families.base import FileKind, Files, Folder, Held, LatentSpace, Loaded, Lora, Parts
from safelight.sdk.leased import Presets

if TYPE_CHECKING:
    from safelight.families.files import Header
    from safelight.sdk.context import DenoiserModel, TextModel
    from safelight.sdk.leased import VAEModel

_ATTENTIONS = ("self_attn", "cross_attn", "attn1_to", "attn2_to")


@dataclass(frozen=True)
class Wan(ModularFamily):
    """`tokenwise` is the model of 5B: see `WanDenoiser`."""

    tokenwise: bool = False

    @property
    def in_two(self) -> bool:
        return not self.tokenwise

    def is_pipeline(self, folder: Folder) -> bool:
        if folder.index.get("_class_name") in self.pipelines:
            if bool(folder.index.get("expand_timesteps")) != self.tokenwise:
                return False
            if has(folder, "transformer_2"):
                self._require_plain(folder, "transformer_2")
        return super().is_pipeline(folder)

    def parts(self, folder: Folder) -> Parts:
        found = super().parts(folder)
        more = ("transformer_2",) if has(folder, "transformer_2") else ()
        return replace(found, weights=(*found.weights, *more))

    def load(self, kind: str, files: Files) -> Loaded:
        made = super().load(kind, files)
        if kind == "Denoiser":
            made.settings["boundary"] = files.config("").get("boundary_ratio")
        return made

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        from safelight.families._vaes.qwen import is_named

        from .original import vae_channels

        if kind == "vae":
            mine = vae_channels(header) == self.latent.channels and not self.tokenwise
            return mine and not is_named(name)
        return super().claims(kind, name, header)

    def rules(self, shapes: Shapes) -> Sequence[Rule]:
        from .original import rules

        return rules(shapes)

    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        from .original import config_of

        return config_of(shapes)

    def _single_vae(self, files: Files) -> Loaded:
        import diffusers as library

        from .original import vae_config, vae_names

        diffusers: Any = library
        shapes = shapes_of(files.header())
        names = vae_names(shapes)
        config = vae_config({names[name]: shape for name, shape in shapes.items()})
        given = {names[name]: tensor for name, tensor in files.tensors().items() if name in names}
        return Loaded({"vae": files.filled(lambda: diffusers.AutoencoderKLWan(**config), given)})

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        from .original import dotted

        # diffusers reads such files only where all layers of a block are there.
        told = {dotted(key) if key.startswith("lora_unet_") else key: tensor for key, tensor in tensors.items()}
        found = super().read_lora(name, told, modules)
        if "transformer_2" not in modules or any(key.startswith("transformer_2.") for key in found.state):
            return found

        def for_both(given: Mapping[str, Any]) -> dict[str, Any]:
            first = "transformer."
            second = {
                f"transformer_2.{key.removeprefix(first)}": one for key, one in given.items() if first in key[:12]
            }
            return {**given, **second}

        return replace(found, state=for_both(found.state), alphas=for_both(found.alphas))

    def component(self, folder: Folder) -> FileKind | None:
        config = folder.config("")
        # Qwen-Image has the same autoencoder under a name of its own.
        if config.get("_class_name") == self.autoencoder:
            return "vae" if config.get("z_dim", 16) == self.latent.channels else None
        return super().component(folder)

    def complete(self, transformer: Any) -> None:
        config = transformer.config
        transformer.rope = type(transformer.rope)(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)

    def default_scheduler(self, config: Mapping[str, Any]) -> dict[str, Any]:
        del config
        return {
            "_class_name": "UniPCMultistepScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": 3.0,
        }

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import WanDenoiser

        return WanDenoiser(self, held, self.presets, tokenwise=self.tokenwise)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import WanText

        return WanText(self, held)

    def vae(self, held: Held) -> VAEModel:
        from safelight.diffusion.video_autoencoder import WanCodec

        return WanCodec(self, held.modules["vae"], held.device, held.dtype, self.presets)

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        from .tiny import write

        return write(self, folder, seed, tokenwise=self.tokenwise)


FAMILY = Wan(
    id="wan",
    title="Wan",
    latent=LatentSpace("wan", channels=16, frames=4),
    presets=Presets(steps=50, guidance=5.0, sampler="unipc", width=832, height=480, frames=81, fps=16.0),
    architectures=("wan",),
    transformer="WanTransformer3DModel",
    blocks="WanBlocks",
    caches_steps=True,
    lora_loader="WanLoraLoaderMixin",
    autoencoder="AutoencoderKLWan",
    schedulers=("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"),
    takes=(16, 36),
    pipelines=("WanPipeline", "WanImageToVideoPipeline"),
    others={
        "WanVideoToVideoPipeline": "is a Wan that changes a video, which is not supported yet",
        "WanVACEPipeline": "is a Wan with VACE, which is not supported yet",
        "WanAnimatePipeline": "is a Wan-Animate, which is not supported yet",
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="umt5"),),
    signs=Signs(
        names=(
            ("patch_embedding.weight", "head.modulation"),
            ("patch_embedding.weight", "condition_embedder.time_proj.weight"),
        ),
        lora=(),
        shared=tuple(f"blocks_{number}_{part}_" for number in range(40) for part in _ATTENTIONS),
        widths=(1536, 5120),
        others=(
            *("vace_blocks", "motion_encoder", "face_adapter", "audio_injector", "control_adapter", "ref_conv"),
            *("self_attn_q_proj", "cross_attn_q_proj"),
        ),
    ),
)
