"""Skip-layer guidance makes the images of the pipeline of Stable Diffusion 3, and goes on after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families.flow_kits import CLOSE, STEPS, FlowKit, flow_kit
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.families._modular.skip_layers import skip_layer_guider
from safelight.sdk import Cancelled, Guider, ProblemError
from safelight.sdk.marker import fields_of
from safelight_nodes import sampling


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("sd3", tmp_path_factory.mktemp("sd3"))


def skipping(layers: str = "0", scale: float = 2.8, start: float = 0.01, end: float = 0.6) -> Guider:
    return sampling.guider(kind="slg", slg_layers=layers, slg_scale=scale, slg_start=start, slg_end=end)


def theirs(kit: FlowKit, batch: int, layers: list[int], start: float, end: float, **more: Any) -> Any:
    window = {"skip_layer_guidance_start": start, "skip_layer_guidance_stop": end}
    return kit.theirs(batch, skip_guidance_layers=layers, skip_layer_guidance_scale=2.8, **window, **more)


@pytest.mark.parametrize("batch", [1, 3])
def test_slg(kit: FlowKit, batch: int, proof: Proof) -> None:
    made = kit.sampled(start=kit.empty(batch), guider=skipping())
    assert distance(made.samples, kit.sampled(start=kit.empty(batch)).samples) > 100 * CLOSE, "it has an effect"
    assert distance(made.samples, theirs(kit, batch, [0], 0.01, 0.6, output_type="latent")) <= CLOSE
    proof.close("sd3", "guider slg", distance(kit.decoded(made), theirs(kit, batch, [0], 0.01, 0.6)), batch)


@pytest.mark.parametrize("layers", [[1], [0, 1]])
def test_other_blocks(kit: FlowKit, layers: list[int]) -> None:
    made = kit.sampled(guider=skipping(", ".join(map(str, layers))))
    assert distance(kit.decoded(made), theirs(kit, 1, layers, 0.01, 0.6)) <= CLOSE


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.25), (0.0, 0.26), (0.25, 0.75), (0.5, 1.0), (0.2, 0.2)])
def test_the_steps_are_those_of_the_pipeline(kit: FlowKit, start: float, end: float) -> None:
    """The bounds lie on steps of four, and just beside them."""
    made = kit.sampled(guider=skipping(start=start, end=end))
    assert distance(kit.decoded(made), theirs(kit, 1, [0], start, end)) <= CLOSE


def test_where_it_changes_nothing(kit: FlowKit) -> None:
    plain = kit.sampled().samples
    for nothing in (skipping(scale=0), skipping(layers=""), skipping(end=0.2)):
        assert torch.equal(kit.sampled(guider=nothing).samples, plain)
    assert torch.equal(kit.sampled(guider=skipping(), guidance=1.0).samples, kit.sampled(guidance=1.0).samples)


def test_the_whole_is_rescaled() -> None:
    """The pipeline has no such thing; here, as in other ways of guidance, all of the contrast is that of one prompt."""
    made = skip_layer_guider(skipping(end=1.0), 5.0, 1.0, ["block0"], compared=True)
    made.set_state(step=1, num_inference_steps=2, timestep=torch.tensor(500))
    texts = [torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    found = made.forward(*texts).pred
    assert torch.allclose(found.std(dim=(1, 2, 3)), texts[0].std(dim=(1, 2, 3)))
    plain = texts[1] + 5.0 * (texts[0] - texts[1]) + 2.8 * (texts[0] - texts[2])
    assert torch.allclose(
        found / found.std(dim=(1, 2, 3), keepdim=True), plain / plain.std(dim=(1, 2, 3), keepdim=True)
    )


def test_other_guiders_are_kept_as_they_were() -> None:
    assert set(fields_of(sampling.guider(kind="apg"))) == {"kind", "momentum", "norm", "parallel", "zero_steps"}


def test_it_goes_on_after_a_stop_in_the_same_bits(kit: FlowKit) -> None:
    guider = skipping(end=1.0)
    straight = kit.sampled(guider=guider).samples
    stopped = BenchContext(kit.store, cancel_at=3, keep_at=2)
    with pytest.raises(Cancelled):
        kit.sampled(stopped, guider=guider)
    (state,) = stopped.kept
    resumed = BenchContext(kit.store, state=state)
    assert torch.equal(kit.sampled(resumed, guider=guider).samples, straight)
    assert resumed.steps[0] == (3, STEPS)


def test_blocks_that_are_not_there_are_refused(kit: FlowKit) -> None:
    with pytest.raises(ProblemError, match="no block 'block7'") as caught:
        kit.sampled(guider=sampling.guider(kind="slg"))
    assert codes(caught) == [("bad_blocks", "guider")]


def test_families_that_cannot_leave_out_blocks_refuse(kit: FlowKit, tmp_path: Path) -> None:
    for other, guider in ((flow_kit("z_image", tmp_path), skipping()), (kit, sampling.guider(kind="pag"))):
        with pytest.raises(ProblemError) as caught:
            other.sampled(guider=guider)
        assert codes(caught) == [("feature_not_in_family", "guider")]
