"""What the driver makes of the modular blocks of each family is what diffusers makes of them alone, bit for bit."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import pytest
import torch

from families.flow_kits import ROWS, FlowKit, flow_kit
from proofs import Proof
from safelight.families._modular import denoiser
from safelight.sdk import Image, ProblemError
from safelight_nodes import sampling, vae


@pytest.fixture(scope="module", params=list(ROWS))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


class Beside:
    """Runs the driver and, on copies of what it was given, the blocks by themselves."""

    def __init__(self) -> None:
        self.made: Any = None
        self.plain: Any = None
        self._watched = denoiser.denoise

    def __call__(self, blocks: Any, components: Any, inputs: Any, *given: Any, **more: Any) -> Any:
        own = {name: part if isinstance(part, torch.nn.Module) else deepcopy(part) for name, part in components.items()}
        pipeline = copy(blocks).get_execution_blocks(**inputs).init_pipeline()
        pipeline.update_components(**own)
        pipeline.set_progress_bar_config(disable=True)
        self.plain = pipeline(**inputs, output="latents")
        self.made = self._watched(blocks, components, inputs, *given, **more)
        return self.made


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Beside:
    found = Beside()
    monkeypatch.setattr(denoiser, "denoise", found)
    return found


@pytest.mark.parametrize("batch", [1, 3])
def test_text_to_image(kit: FlowKit, batch: int, proof: Proof, beside: Beside) -> None:
    kit.sampled(start=kit.empty(batch))
    proof.same(kit.family, "text to image", beside.made, beside.plain)


def test_image_to_image(kit: FlowKit, proof: Proof, beside: Beside) -> None:
    if not kit.row.image_pipeline:
        pytest.skip("this family takes no image to start from")
    pixels = torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    kit.sampled(start=vae.encode(kit.loaded().vae, Image(pixels), ctx=kit.ctx), denoise=0.6)
    proof.same(kit.family, "image to image", beside.made, beside.plain)


@pytest.mark.parametrize("kind", ["apg", "tcfg", "cfg_zero"])
def test_guiders(kit: FlowKit, kind: str, proof: Proof, beside: Beside) -> None:
    if not kit.guided:
        pytest.skip("this model is not guided against a negative prompt")
    try:
        kit.sampled(guider=sampling.guider(kind=kind))  # pyright: ignore[reportArgumentType]
    except ProblemError as error:
        assert [problem.code for problem in error.problems] == ["feature_not_in_family"]
        return
    proof.same(kit.family, f"guider {kind}", beside.made, beside.plain)
