"""Stable Diffusion 3 and Flux.1 from prompt to pixels: equal to their classic pipelines, on the same files."""

from __future__ import annotations

import pytest
import torch

from families.flow_kits import CLOSE, FlowKit, flow_kit


@pytest.fixture(scope="module", params=["sd3", "flux", "schnell"])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("batch", [1, 3])
def test_text_to_image(kit: FlowKit, batch: int) -> None:
    made = kit.sampled(start=kit.empty(batch))
    assert distance(kit.decoded(made), kit.theirs(batch)) <= CLOSE
    again = kit.pipeline.vae.config
    theirs = kit.theirs(batch, output_type="latent")
    assert made.samples.shape == (batch, 16, 8, 8) and again.latent_channels == 16
    assert distance(kit.pack(made.samples), theirs) <= CLOSE
