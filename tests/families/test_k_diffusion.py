"""Flow models by the formulas of k-diffusion: along the same sigmas Euler's method is that of their own scheduler."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from families.flow_kits import ROWS, flow_kit
from families.test_hunyuan_video import HunyuanKit
from families.test_ltx import LtxKit
from families.test_ltx2 import Ltx2Kit
from families.test_wan import WanKit
from safelight.sdk import Cancelled, ProblemError, Sigmas
from safelight_nodes import sampling_custom
from safelight_nodes.sigmas import make

LEVELS = Sigmas((1.0, 0.8, 0.45, 0.2, 0.0))


VIDEOS = {"wan": WanKit, "ltx": LtxKit, "ltx2": Ltx2Kit, "hunyuan_video_15": HunyuanKit}


@pytest.fixture(scope="module", params=[*ROWS, *VIDEOS])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    return VIDEOS[request.param](folder) if request.param in VIDEOS else flow_kit(request.param, folder)


def made(kit: Any, ctx: Any, **more: Any) -> torch.Tensor:
    guided = getattr(kit, "guided", True)
    negative = kit.said("dark photo") if guided else None
    settings: dict[str, Any] = {"sampler": "euler", "guidance": 4.0 if guided else 1.0, "seed": 5, **more}
    return sampling_custom.custom(
        kit.loaded().model, kit.said("a red apple"), negative, kit.empty(), LEVELS, **settings, ctx=ctx
    ).samples


def test_euler_is_euler(kit: Any) -> None:
    own, theirs = made(kit, kit.ctx), made(kit, kit.ctx, formulas="k-diffusion")
    assert torch.allclose(own, theirs, atol=1e-5)


def test_noise_in_steps_reaches_it_and_is_resumed(kit: Any) -> None:
    """A method of two stages with noise: stopped in the middle of a step, it ends in the same bits."""
    settings = {"formulas": "k-diffusion", "sampler": "dpm2_ancestral"}
    if isinstance(kit, Ltx2Kit):
        with pytest.raises(ProblemError, match="noise in each step"):
            made(kit, kit.ctx, **settings)
        return
    whole = made(kit, kit.ctx, **settings)
    assert whole.isfinite().all() and (whole - made(kit, kit.ctx)).abs().max() > 0.01
    stopped = kit.ctx
    stopped.keep_at = stopped.cancel_at = 3
    with pytest.raises(Cancelled):
        made(kit, stopped, **settings)
    resumed = kit.ctx
    resumed.state = stopped.kept[0]
    assert torch.equal(made(kit, resumed, **settings), whole)


USUAL = {"qwen_image": math.exp(1.15), "wan": 8.0, "ltx": math.exp(2.37), "klein": math.exp(2.02), "sd3": 3.0}


def test_the_shift_is_what_comfyui_gives_to_the_family(kit: Any, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["kit"]
    if name not in USUAL:
        pytest.skip("as its settings say")
    levels = make.make(kit.loaded().model, steps=4, formulas="k-diffusion", ctx=kit.ctx).levels
    wanted = [USUAL[name] * time / (1 + (USUAL[name] - 1) * time) for time in (1, 0.75, 0.5, 0.25, 0)]
    assert levels == pytest.approx(wanted, abs=1e-5)
