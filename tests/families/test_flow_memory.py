"""What sampling asks the store to keep free is what a call of the transformer takes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from families.flow_kits import FlowKit, flow_kit
from nodes.test_working_memory import Live
from safelight.models import ModelStore
from safelight.sdk import Latent


@pytest.fixture(params=["sd3", "flux"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> FlowKit:
    return flow_kit(request.param, tmp_path)


def test_the_estimate_holds_for_a_step(kit: FlowKit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = ModelStore.lease

    def lease(self: Any, ref: Any, scratch: int = 0) -> Any:
        asked.append(scratch)
        return real(self, ref, scratch)

    start = Latent(torch.zeros(2, 16, 28, 32), kit.family)
    given: dict[str, Any] = {"positive": kit.said("a red apple"), "negative": None, "guidance": 1.0, "start": start}
    kit.sampled(steps=1, **given)
    monkeypatch.setattr(ModelStore, "lease", lease)
    gc.collect()
    with Live() as live:
        kit.sampled(steps=1, **given)
    assert live.peak <= max(asked) <= 3 * live.peak
