"""Other ways of guidance: they change the image, go on after a stop to the same bits, and are refused where none is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from families.flow_kits import STEPS, FlowKit, flow_kit
from node_bench import BenchContext, codes, distance
from safelight.sdk import Cancelled, Guider, ProblemError
from safelight_nodes import sampling

KITS = ("sd3", "z_image", "qwen_image", "krea2", "klein_base", "ernie_image")
KINDS = ("apg", "tcfg", "cfg_zero")


@pytest.fixture(scope="module", params=KITS)
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def test_cfg_is_what_there_is_without(kit: FlowKit) -> None:
    assert torch.equal(kit.sampled(guider=sampling.guider(kind="cfg")).samples, kit.sampled().samples)


@pytest.mark.parametrize("kind", KINDS)
def test_another_way_makes_another_image_also_after_a_stop(kit: FlowKit, kind: str) -> None:
    guider = sampling.guider(kind=kind)  # pyright: ignore[reportArgumentType]
    if kit.family == "qwen_image" and kind == "cfg_zero":
        with pytest.raises(ProblemError) as caught:
            kit.sampled(guider=guider)
        assert codes(caught) == [("feature_not_in_family", "guider")]
        return
    straight = kit.sampled(guider=guider).samples
    assert straight.isfinite().all()
    assert distance(straight, kit.sampled().samples) > 1e-3
    stopped = BenchContext(kit.store, cancel_at=3, keep_at=2)
    with pytest.raises(Cancelled):
        kit.sampled(stopped, guider=guider)
    (state,) = stopped.kept
    resumed = BenchContext(kit.store, state=state)
    assert torch.equal(kit.sampled(resumed, guider=guider).samples, straight)
    assert resumed.steps[0] == (3, STEPS)


def test_a_family_without_guidance_against_a_negative_prompt_refuses(tmp_path: Path) -> None:
    kit = flow_kit("flux", tmp_path)
    with pytest.raises(ProblemError) as caught:
        kit.sampled(guider=Guider("apg"))
    assert codes(caught) == [("feature_not_in_family", "guider")]
