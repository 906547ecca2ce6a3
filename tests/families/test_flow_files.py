"""Files of Stable Diffusion 3 and Flux.1: told apart, refused with a remedy, and LoRAs as the pipelines load them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from families.flow_kits import NEGATIVE, PROMPT, FlowKit, flow_kit
from node_bench import codes, distance
from proofs import Proof
from safelight.families import load_families
from safelight.sdk import ProblemError
from safelight_nodes import loras, models, vae


@pytest.fixture(scope="module", params=["sd3", "flux"])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def folder(kit: FlowKit) -> Path:
    return kit.root / "models"


def lora(kit: FlowKit, seed: int = 4) -> dict[str, torch.Tensor]:
    """Of rank 2, on the attention to the text and on the CLIP tower, by the names that diffusers writes."""
    source = torch.Generator().manual_seed(seed)
    state: dict[str, torch.Tensor] = {}
    layers = {"transformer": ("attn.to_q", "attn.add_k_proj"), "text_encoder": ("q_proj", "v_proj")}
    for part, ends in layers.items():
        for name, layer in getattr(kit.pipeline, part).named_modules():
            if name.endswith(ends) and isinstance(layer, torch.nn.Linear):
                down = torch.randn(2, layer.in_features, generator=source) / layer.in_features**0.5
                up = torch.randn(layer.out_features, 2, generator=source)
                state[f"{part}.{name}.lora_A.weight"], state[f"{part}.{name}.lora_B.weight"] = down, up
    return state


@pytest.mark.parametrize("batch", [1, 3])
def test_a_lora_does_what_it_does_in_the_pipeline(kit: FlowKit, batch: int, proof: Proof) -> None:
    file = folder(kit) / "style.safetensors"
    save_file(lora(kit), file)
    assert kit.store.describe("style.safetensors").family in ("", kit.family)
    plain = kit.decoded(kit.sampled(start=kit.empty(batch)))
    loaded = kit.loaded()
    patched = loras.apply_lora(
        loaded.model, loaded.text, lora="style.safetensors", weight=0.8, text_weight=0.8, ctx=kit.ctx
    )
    said, unsaid = (kit.said(words, encoder=patched.text) for words in (PROMPT, NEGATIVE))
    given = {"positive": said, "negative": unsaid if kit.guided else None, "start": kit.empty(batch)}
    made = kit.decoded(kit.sampled(model=patched.model, **given))
    kit.pipeline.load_lora_weights(str(file), adapter_name="style")
    kit.pipeline.set_adapters(["style"], [0.8])
    try:
        theirs = kit.theirs(batch)
    finally:
        kit.pipeline.unload_lora_weights()
    proof.close(kit.family, "LoRA", distance(made, theirs), batch)
    assert distance(made, plain) > 1e-3
    assert torch.equal(kit.decoded(kit.sampled(start=kit.empty(batch))), plain), "without it the model is as before"


def test_a_lora_of_the_other_family_is_refused(kit: FlowKit, tmp_path: Path) -> None:
    other = flow_kit("flux" if kit.family == "sd3" else "sd3", tmp_path)
    said = {"modelspec.architecture": f"{load_families()[other.family].architectures[0]}/lora"}
    save_file(lora(other), folder(kit) / "other.safetensors", said)
    loaded = kit.loaded()
    with pytest.raises(ProblemError) as caught:
        loras.apply_lora_to_model(loaded.model, lora="other.safetensors", ctx=kit.ctx)
    assert codes(caught) == [("wrong_family", "lora")]


def test_relatives_that_cannot_be_run_are_named(kit: FlowKit) -> None:
    relative = folder(kit) / "relative"
    relative.mkdir(exist_ok=True)
    made = {"sd3": "StableDiffusion3ControlNetPipeline", "flux": "FluxControlPipeline"}[kit.family]
    (relative / "model_index.json").write_text(json.dumps({"_class_name": made}))
    with pytest.raises(ProblemError) as caught:
        models.load(model="relative", ctx=kit.ctx)
    assert codes(caught) == [("unsupported_family", "model")]
    assert {"sd3": "ControlNet", "flux": "control image"}[kit.family] in caught.value.problems[0].message


def test_a_text_encoder_that_is_left_out_is_told(kit: FlowKit) -> None:
    partly = folder(kit) / "partly"
    partly.mkdir(exist_ok=True)
    index = json.loads((folder(kit) / "mine" / "model_index.json").read_text())
    (partly / "model_index.json").write_text(json.dumps({**index, "text_encoder_2": [None, None]}))
    with pytest.raises(ProblemError) as caught:
        models.load(model="partly", ctx=kit.ctx)
    assert codes(caught) == [("model_incomplete", "model")]
    assert "text_encoder_2" in caught.value.problems[0].message


def test_the_vae_alone_is_of_its_family(kit: FlowKit) -> None:
    alone = models.load_vae(vae="mine/vae", ctx=kit.ctx)
    assert alone.family == kit.family
    made = kit.sampled()
    assert torch.equal(vae.decode(alone, made, ctx=kit.ctx).pixels.movedim(-1, 1), kit.decoded(made))


def test_it_computes_in_half_precision(kit: FlowKit) -> None:
    loaded = models.load(model="mine", precision="bfloat16", ctx=kit.ctx)
    made = kit.sampled(model=loaded.model)
    assert made.samples.dtype == torch.float32
    assert 0 < distance(made.samples, kit.sampled().samples) < 0.5
