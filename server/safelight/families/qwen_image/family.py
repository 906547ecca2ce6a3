"""Qwen-Image as a family: guidance keeps the norm of what the prompt alone gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.families._lm import encoder as lm
from safelight.families._lm import seeing
from safelight.families._lm.encoder import Reading
from safelight.families._modular.controlnet import saved_together
from safelight.families._modular.detect import JOINT, Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily
from safelight.families._modular.text import LanguageText
from safelight.families._vaes.qwen import LATENT
from safelight.families.base import FileKind, Files, Folder, Held, Loaded, Parts
from safelight.sdk.leased import Presets, VAEModel

from .controlnet import CONTROLNET
from .edit import KINDS, EditText
from .layered import MADE as LAYERED

if TYPE_CHECKING:
    from safelight.families.files import Header
    from safelight.sdk.context import DenoiserModel, TextModel

# The words in front of the prompt are left out of what the transformer sees: 34 tokens.
_TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
_STREAMS = ("img_mlp_net_", "txt_mlp_net_", "img_mod_", "txt_mod_")
"""Layers of a block that attention does not mix, of images and of texts."""
READING = Reading(length=34 + 512, layers=(-1,), template=_TEMPLATE, skip=34)


@dataclass(frozen=True)
class QwenImage(ModularFamily):
    def complete(self, transformer: Any) -> None:
        # Of positions, complex numbers: they are no buffers, so nothing else fills them.
        axes = list(transformer.config.axes_dims_rope)
        transformer.pos_embed = type(transformer.pos_embed)(theta=10000, axes_dim=axes, scale_rope=True)

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        from safelight.families._vaes.qwen import is_single

        return is_single(name, header) if kind == "vae" else super().claims(kind, name, header)

    def _single_vae(self, files: Files) -> Loaded:
        from safelight.families._vaes.qwen import single

        return Loaded({"vae": single(files)})

    def parts(self, folder: Folder) -> Parts:
        found = super().parts(folder)
        edits = folder.index.get("_class_name") in KINDS
        return replace(found, tokenizers=(*found.tokenizers, "processor")) if edits else found

    def load(self, kind: str, files: Files) -> Loaded:
        made = "" if files.single or files.kind != "pipeline" else str(files.config("").get("_class_name", ""))
        if kind == "TextEncoder" and made in KINDS:
            modules = {"text_encoder": seeing.encoder(files, "text_encoder")}
            tokenizers = lm.tokenizer(files, "tokenizer"), seeing.processor(files, "processor")
            return Loaded(modules, {"tokenizers": tokenizers, "made": made})
        loaded = super().load(kind, files)
        loaded.settings["made"] = made
        return loaded

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import QwenImageDenoiser
        from .layered import LayeredDenoiser

        # Whatever folder it lies in: nothing else can be done with such a transformer.
        if held.modules["transformer"].config.use_layer3d_rope:
            return LayeredDenoiser(self, held, replace(self.presets, width=640, height=640))
        return QwenImageDenoiser(self, held, self.presets, KINDS.get(held.settings["made"]))

    def text_encoder(self, held: Held) -> TextModel:
        kind = KINDS.get(held.settings["made"])
        return EditText(self, held, kind) if kind else LanguageText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.qwen import QwenCodec

        return QwenCodec(self, held.modules["vae"], held.device, held.dtype, 1.0)


FAMILY = QwenImage(
    id="qwen_image",
    title="Qwen-Image",
    latent=LATENT,
    presets=Presets(steps=50, guidance=4.0, sampler="euler", width=1328, height=1328),
    architectures=("qwen-image", "qwen_image"),
    transformer="QwenImageTransformer2DModel",
    autoencoder="AutoencoderKLQwenImage",
    blocks="QwenImageAutoBlocks",
    schedule={
        "base_image_seq_len": 256,
        "max_image_seq_len": 8192,
        "base_shift": 0.5,
        "max_shift": 0.9,
        "shift": 1.0,
        "shift_terminal": 0.02,
        "time_shift_type": "exponential",
        "use_dynamic_shifting": True,
    },
    caches_steps=True,
    lora_loader="QwenImageLoraLoaderMixin",
    channels=64,
    pipelines=("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline", *KINDS, LAYERED),
    others={
        "QwenImageControlNetPipeline": saved_together("Qwen-Image"),
        "QwenImageControlNetInpaintPipeline": saved_together("Qwen-Image"),
    },
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    controlnet=CONTROLNET,
    signs=Signs(
        names=(("transformer_blocks.0.img_mlp.net.0.proj.weight", "txt_norm.weight", "img_in.weight"),),
        lora=(),
        # One of Flux.1 that leaves out its single blocks ends with 18, and is of the same width.
        blocks=Blocks((*JOINT, *_STREAMS), widths=(3072,), last=frozenset(range(60)) - {18}, own=_STREAMS),
        others=("single_transformer_blocks", "attn1", "controlnet_blocks", "img_mlp_gate_"),
        get="Qwen/Qwen-Image",
    ),
)
