"""LoRAs in the names of a model's makers, where queries, keys and values are one layer: as if written one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from families.flow_kits import FlowKit, flow_kit
from node_bench import distance
from safelight.sdk import ModelRef
from safelight_nodes import loras

FUSED = {
    "flux": {
        "lora_unet_double_blocks_0_img_attn_qkv": [f"transformer_blocks.0.attn.to_{part}" for part in "qkv"],
        "lora_unet_double_blocks_0_txt_attn_qkv": [f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"],
        "lora_unet_single_blocks_0_linear1": [
            *(f"single_transformer_blocks.0.attn.to_{part}" for part in "qkv"),
            "single_transformer_blocks.0.proj_mlp",
        ],
        "lora_unet_double_blocks_0_img_mlp_2": ["transformer_blocks.0.ff.net.2"],
    },
    "sd3": {
        "lora_unet_joint_blocks_0_x_block_attn_qkv": [f"transformer_blocks.0.attn.to_{part}" for part in "qkv"],
        "lora_unet_joint_blocks_0_context_block_attn_qkv": [
            f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"
        ],
        "lora_unet_joint_blocks_1_x_block_mlp_fc2": ["transformer_blocks.1.ff.net.2"],
    },
}


@pytest.fixture(scope="module", params=list(FUSED))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def change(kind: str, out: int, inner: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What a file has for a layer, and the difference of its weight."""

    def pair() -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(out, 2) * 0.3, torch.randn(2, inner) * 0.3

    (a, b), (c, d) = pair(), pair()
    if kind == "pair":
        return {"lora_up.weight": a, "lora_down.weight": b, "alpha": torch.tensor(1.0)}, a @ b / 2
    if kind == "loha":
        return {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}, (a @ b) * (c @ d)
    if kind == "lokr":  # two rows of blocks, which three equal pieces cut through
        one, two = torch.randn(2, 2) * 0.3, torch.randn(out // 2, inner // 2) * 0.3
        return {"lokr_w1": one, "lokr_w2": two}, torch.kron(one, two)
    whole = torch.randn(out, inner) * 0.2
    return {"diff": whole}, whole


@pytest.mark.parametrize("kind", ["pair", "loha", "lokr", "diff"])
def test_a_fused_change_is_that_of_its_layers(kit: FlowKit, kind: str) -> None:
    if (kit.family, kind) == ("flux", "pair"):
        pytest.skip("diffusers reads these, for the sizes of Flux.1 alone")
    torch.manual_seed(4)
    fused: dict[str, torch.Tensor] = {}
    apart: dict[str, torch.Tensor] = {}
    for name, places in FUSED[kit.family].items():
        layers = [kit.pipeline.transformer.get_submodule(place) for place in places]
        made, whole = change(kind, sum(layer.out_features for layer in layers), layers[0].in_features)
        fused |= {f"{name}.{key}": tensor.contiguous() for key, tensor in made.items()}
        pieces = whole.split([layer.out_features for layer in layers])
        apart |= {f"transformer.{place}.diff": one.clone() for place, one in zip(places, pieces, strict=True)}
    told = {"modelspec.architecture": {"flux": "flux-1-dev/lora", "sd3": "stable-diffusion-v3/lora"}[kit.family]}
    for file, tensors in (("fused", fused), ("apart", apart)):
        save_file(tensors, kit.root / "models" / f"{file}_{kind}.safetensors", told)
    ctx = kit.ctx
    made = kit.sampled(model=patched(kit, f"fused_{kind}"), ctx=ctx)
    assert not ctx.warned
    assert distance(made.samples, kit.sampled(model=patched(kit, f"apart_{kind}")).samples) <= 1e-4
    assert distance(made.samples, kit.sampled().samples) > 1e-2


def patched(kit: FlowKit, name: str) -> ModelRef[Any]:
    return loras.apply_lora_to_model(kit.loaded().model, lora=f"{name}.safetensors", ctx=kit.ctx)
