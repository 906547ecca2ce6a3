"""LoRAs of the families that language models read prompts for, as their pipelines load them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from families.flow_kits import FlowKit, flow_kit
from node_bench import distance
from proofs import Proof
from safelight_nodes import loras

LAYERS = {
    "z_image": ("attention.to_q", "feed_forward.w1"),
    "qwen_image": ("attn.to_q", "img_mlp.net.0.proj"),
    "krea2": ("attn.to_q", "attn.to_gate"),
    "ernie_image": ("self_attention.to_q", "mlp.up_proj"),
    "klein_base": ("attn.to_q", "attn.to_qkv_mlp_proj"),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_lora_does_what_it_does_in_the_pipeline(name: str, batch: int, tmp_path: Path, proof: Proof) -> None:
    kit = flow_kit(name, tmp_path)
    file = kit.root / "models" / "style.safetensors"
    save_file(lora(kit, LAYERS[name]), file)
    assert kit.store.describe("style.safetensors").family == kit.family
    start = kit.empty(batch)
    plain = kit.decoded(kit.sampled(start=start))
    patched = loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", weight=0.8, ctx=kit.ctx)
    made = kit.decoded(kit.sampled(model=patched, start=start))
    kit.pipeline.load_lora_weights(str(file), adapter_name="style")
    kit.pipeline.set_adapters(["style"], [0.8])
    proof.close(kit.family, "LoRA", distance(made, kit.theirs(batch)), batch)
    assert distance(made, plain) > 1e-3
    assert torch.equal(kit.decoded(kit.sampled(start=start)), plain), "without it the model is as before"


def lora(kit: FlowKit, ends: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Of rank 2, by the names that diffusers writes."""
    source = torch.Generator().manual_seed(4)
    state: dict[str, torch.Tensor] = {}
    for name, layer in kit.pipeline.transformer.named_modules():
        if name.endswith(ends) and isinstance(layer, torch.nn.Linear):
            down = torch.randn(2, layer.in_features, generator=source) / layer.in_features**0.5
            up = torch.randn(layer.out_features, 2, generator=source)
            state[f"transformer.{name}.lora_A.weight"], state[f"transformer.{name}.lora_B.weight"] = down, up
    return state
