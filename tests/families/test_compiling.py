"""Compiled blocks: the same image but for rounding, whatever was made before, in pieces, in 8 bits and with LoRAs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from families.flow_kits import FlowKit, flow_kit
from families.test_techniques_resume import ENDS, lora_of
from node_bench import distance
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.models.devices import DeviceKind
from safelight.models.offloading import begin, end
from safelight_nodes import loras, model_settings

pytestmark = [
    pytest.mark.in_turn,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler to compile with"),
]
CLOSE = 1e-5


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("flux", tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def compiled(plain: FlowKit) -> FlowKit:
    environ = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "SAFELIGHT_COMPILE": "1"}
    store = ModelStore(plain.root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    return replace(plain, store=store)


def transformer(kit: FlowKit, model: Any = None) -> Any:
    with kit.ctx.models.lease(model or kit.loaded().model) as lease:
        return lease.component.transformer


def test_compiled_it_makes_the_same_but_for_rounding(plain: FlowKit, compiled: FlowKit) -> None:
    first = compiled.sampled().samples
    assert all(block._compiled_call_impl is not None for block in transformer(compiled).transformer_blocks)
    assert all(block._compiled_call_impl is None for block in transformer(plain).transformer_blocks)
    assert distance(first, plain.sampled().samples) <= CLOSE
    wide, many = ({"start": compiled.empty(**given)} for given in ({"width": 96}, {"batch": 2}))
    for other in (wide, many):
        assert distance(compiled.sampled(**other).samples, plain.sampled(**other).samples) <= CLOSE
    assert torch.equal(compiled.sampled().samples, first), "what was made between counts for nothing"


def test_compiled_blocks_come_in_pieces(plain: FlowKit, compiled: FlowKit) -> None:
    module, cpu = transformer(compiled), torch.device("cpu")
    begin("blocks", {"transformer": module}, cpu, DeviceKind(name="fake", own=True))
    try:
        assert distance(compiled.sampled().samples, plain.sampled().samples) <= CLOSE
    finally:
        end([module])


def test_compiled_blocks_in_8_bits(plain: FlowKit, compiled: FlowKit) -> None:
    made = []
    for kit in (plain, compiled):
        loaded = kit.loaded()
        model = model_settings.set_memory(loaded.model, loaded.text, storage="float8").model
        made.append(kit.sampled(model=model).samples)
    assert distance(*made) <= CLOSE
    assert distance(made[0], plain.sampled().samples) > 1e-4


def test_a_lora_on_compiled_blocks_counts(plain: FlowKit, compiled: FlowKit) -> None:
    folder = Path(plain.root) / "models"
    denoiser = folder / "mine" / "transformer" / "diffusion_pytorch_model.safetensors"
    lora_of(denoiser, ENDS["flux"], folder / "style.safetensors", "flux")
    made = []
    for kit in (plain, compiled):
        model = loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", weight=0.8, ctx=kit.ctx)
        made.append(kit.sampled(model=model).samples)
    assert distance(*made) <= CLOSE
    assert distance(made[0], plain.sampled().samples) > 1e-4
    assert distance(compiled.sampled().samples, plain.sampled().samples) <= CLOSE
