"""LoRAs of the families that are read as folders alone: by the names of diffusers, of the model's makers, and flat."""

from __future__ import annotations

from typing import Any

import diffusers.loaders.lora_pipeline as loaders
import pytest
import torch
from safetensors.torch import save_file

from families.flow_kits import PROMPT, flow_kit
from families.test_hunyuan_video import HunyuanKit
from families.test_ltx2 import Ltx2Kit
from node_bench import distance
from proofs import Proof
from safelight.families import load_families
from safelight_nodes import loras

MAKERS: dict[str, dict[str, tuple[str, ...]]] = {
    "anima": {
        "blocks.0.self_attn.q_proj": ("transformer.transformer_blocks.0.attn1.to_q",),
        "blocks.1.cross_attn.output_proj": ("transformer.transformer_blocks.1.attn2.to_out.0",),
        "blocks.0.mlp.layer1": ("transformer.transformer_blocks.0.ff.net.0.proj",),
        "blocks.0.adaln_modulation_mlp.2": ("transformer.transformer_blocks.0.norm3.linear_2",),
        "final_layer.adaln_modulation.1": ("transformer.norm_out.linear_1",),
        "llm_adapter.blocks.0.self_attn.q_proj": ("text_conditioner.blocks.0.self_attn.q_proj",),
    },
    "flux3": {
        "txt_mode_blocks.0.q_proj": ("transformer.txt_mode_blocks.0.attn.to_q",),
        "content_mode_blocks.image.0.attn_out": ("transformer.mode_blocks.image.0.attn.to_out.0",),
        "single_blocks.0.mlp_in": ("transformer.single_transformer_blocks.0.ff.linear_in",),
    },
    "ideogram4": {
        "layers.0.attention.qkv": tuple(f"transformer.layers.0.attention.to_{part}" for part in "qkv"),
        "layers.0.attention.o": ("transformer.layers.0.attention.to_out.0",),
        "layers.0.feed_forward.w1": ("transformer.layers.0.feed_forward.w1",),
        "layers.0.adaln_modulation": ("transformer.layers.0.adaln_modulation",),
    },
    "qwen_image_21": {
        "transformer_blocks.0.attn.to_q": ("transformer.transformer_blocks.0.attn.to_q",),
        "transformer_blocks.0.img_mlp.gate_up": (
            "transformer.transformer_blocks.0.img_mlp.gate_layer",
            "transformer.transformer_blocks.0.img_mlp.proj",
        ),
    },
    "ltx2": {
        "transformer_blocks.0.attn1.to_q": ("transformer.transformer_blocks.0.attn1.to_q",),
        "transformer_blocks.0.audio_to_video_attn.to_k": ("transformer.transformer_blocks.0.audio_to_video_attn.to_k",),
        "patchify_proj": ("transformer.proj_in",),
        "adaln_single.linear": ("transformer.time_embed.linear",),
        "av_ca_a2v_gate_adaln_single.emb.timestep_embedder.linear_1": (
            "transformer.av_cross_attn_video_a2v_gate.emb.timestep_embedder.linear_1",
        ),
    },
    "hunyuan_video_15": {
        "double_blocks.0.img_attn_q": ("transformer.transformer_blocks.0.attn.to_q",),
        "double_blocks.0.txt_attn_v": ("transformer.transformer_blocks.0.attn.add_v_proj",),
        "double_blocks.0.img_attn_proj": ("transformer.transformer_blocks.0.attn.to_out.0",),
        "double_blocks.0.img_mlp.fc1": ("transformer.transformer_blocks.0.ff.net.0.proj",),
        "double_blocks.0.txt_mod.linear": ("transformer.transformer_blocks.0.norm1_context.linear",),
    },
}
"""Layers by the names of a model's makers, each with what it is in diffusers."""
LAYOUTS = ("diffusers", "peft", "makers", "flat", "whole")
TRANSLATED = ("anima", "flux3", "ideogram4", "ltx2")
"""Those whose makers' names diffusers translates as well."""


@pytest.fixture(scope="module", params=sorted(MAKERS))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp(request.param)
    kits: dict[str, Any] = {"ltx2": Ltx2Kit, "hunyuan_video_15": HunyuanKit}
    return kits[request.param](root) if request.param in kits else flow_kit(request.param, root)


def family(kit: Any) -> str:
    return kit.family if isinstance(kit.family, str) else kit.family.id


def layers(kit: Any) -> dict[str, list[torch.nn.Linear]]:
    """Of each layer of the makers those that it is in the pipeline."""

    def layer(place: str) -> torch.nn.Linear:
        part, _, path = place.partition(".")
        found: Any = getattr(kit.pipeline, part).get_submodule(path)
        return getattr(found, "base_layer", found)

    return {name: [layer(place) for place in places] for name, places in MAKERS[family(kit)].items()}


def written(kit: Any, layout: str) -> dict[str, torch.Tensor]:
    """A LoRA of rank 2 whose alpha is 1."""
    source = torch.Generator().manual_seed(4)
    state: dict[str, torch.Tensor] = {}
    for name, found in layers(kit).items():
        places = MAKERS[family(kit)][name]
        down = torch.randn(2, found[0].in_features, generator=source) / found[0].in_features ** 0.5
        ups = [torch.randn(one.out_features, 2, generator=source) for one in found]
        if layout in ("diffusers", "peft"):
            start = {"diffusers": "", "peft": "base_model.model."}[layout]
            for place, up in zip(places, ups, strict=True):
                inner = place if layout == "diffusers" else place.removeprefix("transformer.")
                state[f"{start}{inner}.lora_A.weight"], state[f"{start}{inner}.lora_B.weight"] = down.clone(), up / 2
            continue
        if layout == "makers":
            state[f"diffusion_model.{name}.lora_A.weight"] = down
            state[f"diffusion_model.{name}.lora_B.weight"] = torch.cat(ups) / 2
            continue
        flat = f"lora_unet_{name.replace('.', '_')}"
        if layout == "whole":
            state[f"{flat}.diff"] = torch.cat(ups) @ down / 2
            continue
        state[f"{flat}.lora_down.weight"], state[f"{flat}.lora_up.weight"] = down, torch.cat(ups)
        state[f"{flat}.alpha"] = torch.tensor(1.0)
    return state


@pytest.fixture(scope="module")
def wanted(kit: Any) -> Any:
    """What the pipeline makes with the LoRA, and ours without it."""
    plain = ours(kit)
    state = written(kit, "diffusers")
    for part in dict.fromkeys(name.split(".")[0] for name in state):
        module = getattr(kit.pipeline, part)
        own = {name: tensor for name, tensor in state.items() if name.startswith(f"{part}.")}
        module.load_lora_adapter(own, prefix=part, adapter_name="style")
        module.set_adapters(["style"], [0.8])
    said = {"output_type": "latent"} if family(kit) in ("ltx2", "hunyuan_video_15") else {}
    prompt = {"prompt": PROMPT} if family(kit) == "hunyuan_video_15" else {}
    return kit.theirs(**said, **prompt), plain


def ours(kit: Any, **more: Any) -> torch.Tensor:
    if family(kit) == "hunyuan_video_15":
        more["positive"] = kit.said(PROMPT)
    made = kit.sampled(**more)
    if family(kit) == "ltx2":
        return kit.scaled(made.samples)
    return made.samples if family(kit) == "hunyuan_video_15" else kit.decoded(made)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lora_does_what_it_does_in_the_pipeline(kit: Any, wanted: Any, layout: str, proof: Proof) -> None:
    file = kit.root / "models" / f"{layout}.safetensors"
    # A miniature of few blocks does not tell it from Stable Diffusion 3, by the names of diffusers.
    alike = family(kit) == "hunyuan_video_15" and layout in ("diffusers", "peft")
    save_file(written(kit, layout), file, {"modelspec.architecture": "hunyuanvideo-1.5/lora"} if alike else {})
    theirs, plain = wanted
    ctx = kit.ctx
    patched = loras.apply_lora_to_model(kit.loaded().model, lora=file.name, weight=0.8, ctx=ctx)
    made = ours(kit, model=patched, ctx=ctx)
    assert not ctx.warned
    proof.close(family(kit), "LoRA", distance(made, theirs))
    assert distance(made, plain) > 1e-3
    assert torch.equal(ours(kit), plain), "without it the model is as before"


@pytest.mark.parametrize("layout", ["makers", "flat"])
def test_a_file_tells_its_family(kit: Any, layout: str) -> None:
    if family(kit) == "ideogram4":
        pytest.skip("told by the width of its layers, below")
    file = kit.root / "models" / f"told_{layout}.safetensors"
    save_file(written(kit, layout), file)
    assert kit.store.describe(file.name).family == family(kit)


@pytest.mark.parametrize(("width", "wanted"), [(4608, ["ideogram4"]), (3840, ["z_image"])])
@pytest.mark.parametrize("layer", ["layers.0.attention.qkv", "layers.0.feed_forward.w1"])
def test_relatives_are_told_by_their_widths(width: int, wanted: list[str], layer: str) -> None:
    from safelight.families.files import Header, TensorEntry

    header = Header({f"diffusion_model.{layer}.lora_A.weight": TensorEntry("F32", (2, width), (0, 8 * width))}, {}, 0)
    assert [one.id for one in load_families().of_file("lora", "it", header)] == wanted


def test_the_names_are_those_that_diffusers_translates(kit: Any) -> None:
    if family(kit) not in TRANSLATED:
        pytest.skip("diffusers does not know the names of these makers")
    loader: Any = getattr(loaders, load_families()[family(kit)].lora_loader)  # pyright: ignore[reportAttributeAccessIssue]
    found = loader.lora_state_dict(written(kit, "makers"))
    assert set(found) == set(written(kit, "diffusers"))
