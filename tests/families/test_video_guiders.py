"""Other ways of guidance in families of videos: they make another video, and go on after a stop to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families.test_hunyuan_video import HunyuanKit
from families.test_ltx import LtxKit
from families.test_wan import STEPS, WanKit
from node_bench import BenchContext, distance
from safelight.sdk import Cancelled
from safelight_nodes import sampling

KITS: dict[str, Any] = {
    "wan": WanKit,
    "wan, two transformers": lambda root: WanKit(root, two=True),
    "ltx": LtxKit,
    "hunyuan": HunyuanKit,
}


@pytest.mark.parametrize("name", KITS)
def test_another_way_makes_another_video_also_after_a_stop(name: str, tmp_path: Path) -> None:
    kit: WanKit = KITS[name](tmp_path)
    plain = kit.sampled().samples
    for kind in ("apg", "tcfg", "cfg_zero"):
        guider = sampling.guider(kind=kind)
        straight = kit.sampled(guider=guider).samples
        assert straight.isfinite().all()
        assert distance(straight, plain) > 1e-3
        stopped = BenchContext(kit.store, cancel_at=3, keep_at=2)
        with pytest.raises(Cancelled):
            kit.sampled(stopped, guider=guider)
        (state,) = stopped.kept
        resumed = BenchContext(kit.store, state=state)
        assert torch.equal(kit.sampled(resumed, guider=guider).samples, straight)
        assert resumed.steps[0] == (3, STEPS)
