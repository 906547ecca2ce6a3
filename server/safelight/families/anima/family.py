"""Anima as a family: the transformer of Cosmos Predict 2, the autoencoder of Qwen-Image, prompts by Qwen3.

Between the two stands a conditioner, which looks at the states of Qwen3 for each token that T5 would read. It goes with
the denoiser, as in the files of its makers, and LoRAs change both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.families._modular.detect import Blocks, Signs
from safelight.families._modular.family import Encoder, ModularFamily, loaded_module
from safelight.families._original.names import rules as table
from safelight.families._vaes.qwen import LATENT
from safelight.families.base import FileKind, Files, Folder, Held, Loaded, Parts
from safelight.sdk.leased import Presets, VAEModel

from .parts import CONDITIONER, TOKENS

if TYPE_CHECKING:
    from safelight.sdk.context import DenoiserModel, TextModel


_LAYERS = table(
    ("x_embedder.proj.1", "patch_embed.proj"),
    ("t_embedder.1.linear_1", "time_embed.t_embedder.linear_1"),
    ("t_embedder.1.linear_2", "time_embed.t_embedder.linear_2"),
    ("final_layer.adaln_modulation.1", "norm_out.linear_1"),
    ("final_layer.adaln_modulation.2", "norm_out.linear_2"),
    ("final_layer.linear", "proj_out"),
)
_BLOCK = table(
    *((f"{side}_attn.{q}_proj", f"attn{n}.to_{q}") for n, side in ((1, "self"), (2, "cross")) for q in "qkv"),
    *((f"{side}_attn.output_proj", f"attn{n}.to_out.0") for n, side in ((1, "self"), (2, "cross"))),
    *(
        (f"adaln_modulation_{what}.{step}", f"norm{n}.linear_{step}")
        for n, what in ((1, "self_attn"), (2, "cross_attn"), (3, "mlp"))
        for step in (1, 2)
    ),
    ("mlp.layer1", "ff.net.0.proj"),
    ("mlp.layer2", "ff.net.2"),
    start=("blocks.{}.", "transformer_blocks.{}."),
)
"""How its makers call its layers: github.com/nvidia-cosmos/cosmos-predict2."""
_NORMS = tuple(f"norm{number}_linear_" for number in (1, 2, 3))


@dataclass(frozen=True)
class Anima(ModularFamily):
    def parts(self, folder: Folder) -> Parts:
        found = super().parts(folder)
        return replace(found, tokenizers=(*found.tokenizers, TOKENS))

    def component(self, folder: Folder) -> FileKind | None:
        """None: a transformer alone may be any Cosmos, and lacks the conditioner."""
        del folder
        return None

    def load(self, kind: str, files: Files) -> Loaded:
        from safelight.families._t5 import encoder as t5

        loaded = super().load(kind, files)
        if kind == "Denoiser":
            loaded.modules[CONDITIONER] = loaded_module(files, CONDITIONER, "AnimaTextConditioner", _turn)
        if kind == "TextEncoder":
            loaded.settings["tokenizers"] = (*loaded.settings["tokenizers"], t5.tokenizer(files, TOKENS))
        return loaded

    def fused_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        if part == CONDITIONER:
            return {f"llm_adapter_{name.replace('.', '_')}": (name,) for name in names}
        return super().fused_names(part, module, names)

    def layer_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        if part == CONDITIONER:
            return {name: place for name, (place,) in self.fused_names(part, module, names).items()}
        return super().layer_names(part, module, names)

    def denoiser(self, held: Held) -> DenoiserModel:
        from .denoiser import AnimaDenoiser

        return AnimaDenoiser(self, held, self.presets)

    def text_encoder(self, held: Held) -> TextModel:
        from .text import READING, AnimaText

        return AnimaText(self, held, READING)

    def vae(self, held: Held) -> VAEModel:
        from safelight.families._vaes.qwen import QwenCodec

        return QwenCodec(self, held.modules["vae"], held.device, held.dtype, 1.0)


def _turn(conditioner: Any) -> None:
    """Makes its frequencies again, which no file has."""
    turns = conditioner.rotary_emb
    conditioner.rotary_emb = type(turns)(2 * turns.inv_freq.shape[0])


FAMILY = Anima(
    id="anima",
    title="Anima",
    latent=LATENT,
    presets=Presets(steps=30, guidance=4.0, sampler="euler", width=1024, height=1024),
    architectures=("anima",),
    transformer="CosmosTransformer3DModel",
    owns_autoencoder=False,
    autoencoder="AutoencoderKLQwenImage",
    blocks="AnimaAutoBlocks",
    schedule={"shift": 3.0},
    lora_loader="AnimaLoraLoaderMixin",
    lora_rules=(*_LAYERS, *_BLOCK),
    channels=16,
    beside={"Denoiser": (CONDITIONER,)},
    pipelines=("AnimaModularPipeline",),
    encoders=(Encoder("text_encoder", "tokenizer", kind="language model"),),
    signs=Signs(
        names=(("llm_adapter.embed.weight", "x_embedder.proj.1.weight"),),
        lora=("llm_adapter_", "text_conditioner_", "blocks_0_self_attn_q_proj", "blocks_0_cross_attn_q_proj"),
        # It looks at texts of 1024 channels, with 2048 of its own.
        blocks=Blocks(("attn1_", "attn2_", "ff_net_", *_NORMS), widths=(1024, 2048), last=range(28), own=_NORMS),
        others=(),
        get="circlestone-labs/Anima-Base-v1.0-Diffusers",
    ),
)
