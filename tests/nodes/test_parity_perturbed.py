"""Perturbed attention makes the images of the diffusers pipelines that have it, and goes on after a stop."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from node_bench import CLOSE, NEGATIVE, PROMPT, Kit, codes, distance, pipeline_parts, recipe, sampled, sources, swapped
from node_guides import conditioning, finish, noise_image
from proofs import Proof
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes import controlnet, sampling

DOWN = {"sd1": ("in1", "down_blocks.0.attentions.0"), "sdxl": ("in3", "down_blocks.1.attentions.0")}
"""A block with self-attention before the middle one, by our name and by that of the pipelines."""


def ours(kit: Kit, batch: int, **more: Any) -> torch.Tensor:
    return finish(kit, *conditioning(kit), batch, steps=5, sampler="euler", **more)


def theirs(kit: Kit, names: tuple[str, str], batch: int, layers: list[str], net: Any = None, **more: Any) -> Any:
    """What a pipeline makes; `names` are those of the classes for SDXL and for the others."""
    given = {} if net is None else {"controlnet": net}
    cls = getattr(diffusers, names[kit.family != "sdxl"])
    pipeline = cls(**pipeline_parts(kit), pag_applied_layers=layers, **given)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = swapped(kit, "euler", batch=batch)
    asked = {"prompt": [PROMPT] * batch, "negative_prompt": [NEGATIVE] * batch, "generator": sources(batch)}
    return pipeline(**{**asked, "num_inference_steps": 5, "guidance_scale": 5.0, "output_type": "pt", **more}).images


def proven(kit: Kit, layers: list[str], batch: int, guider: Any, scale: float = 3.0, **more: Any) -> float:
    """The distance between our image and the pipeline's; `more` is guidance and its rescaling, as pipelines call it."""
    own = {"guidance": more.get("guidance_scale", 5.0), "guidance_rescale": more.get("guidance_rescale", 0.0)}
    made = ours(kit, batch, guider=guider, **own)
    assert distance(made, ours(kit, batch, **own)) > 100 * CLOSE, "it has an effect"
    names = ("StableDiffusionXLPAGPipeline", "StableDiffusionPAGPipeline")
    return distance(made, theirs(kit, names, batch, layers, pag_scale=scale, **more))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_pag(family: str, batch: int, proof: Proof, request: pytest.FixtureRequest) -> None:
    kit = request.getfixturevalue(family)
    proof.close(family, "guider pag", proven(kit, ["mid"], batch, sampling.guider(kind="pag")), batch)


def test_pag_without_guidance(kit: Kit) -> None:
    assert proven(kit, ["mid"], 2, sampling.guider(kind="pag"), guidance_scale=1.0) <= CLOSE


def test_pag_rescaled(kit: Kit) -> None:
    assert proven(kit, ["mid"], 1, sampling.guider(kind="pag"), guidance_rescale=0.7) <= CLOSE


def test_pag_in_other_blocks(kit: Kit) -> None:
    name, layer = DOWN[kit.family]
    guider = sampling.guider(kind="pag", pag_layers=f"mid, {name}", pag_scale=2.0)
    assert proven(kit, ["mid", layer], 1, guider, scale=2.0) <= CLOSE


def test_pag_in_a_part_of_the_steps(kit: Kit) -> None:
    """None of the steps is as without it; each half of them is something else than all of them."""
    plain = sampled(kit).samples
    none = sampling.guider(kind="pag", pag_start=0.5, pag_end=0.5)
    assert torch.equal(sampled(kit, guider=none).samples, plain)
    assert torch.equal(sampled(kit, guider=sampling.guider(kind="pag", pag_scale=0)).samples, plain)
    assert torch.equal(sampled(kit, guider=sampling.guider(kind="cfg")).samples, plain)
    begin, end = ({"pag_end": 0.5}, {"pag_start": 0.5})
    made = [sampled(kit, guider=sampling.guider(kind="pag", **part)).samples for part in (begin, end, {})]
    assert min(distance(one, other) for one, other in ((made[0], made[1]), (made[0], made[2]), (made[1], made[2]))) > 0


def test_pag_is_seen_by_a_controlnet_as_by_the_pipeline(kit: Kit, nets: list[Any], proof: Proof) -> None:
    names = ("StableDiffusionXLControlNetPAGPipeline", "StableDiffusionControlNetPAGPipeline")
    hint = noise_image(1)
    shown = {"image": hint.pixels.movedim(-1, 1), "controlnet_conditioning_scale": 0.8}
    wanted = theirs(kit, names, 3, ["mid"], nets[0], pag_scale=3.0, **shown)
    positive, negative = conditioning(kit)
    sides = controlnet.apply(positive, recipe("ControlNet", kit.family, "net4"), hint, negative, strength=0.8)
    found = finish(kit, *sides, 3, steps=5, sampler="euler", guider=sampling.guider(kind="pag"))
    proof.close(kit.family, "ControlNet and guider pag", distance(found, wanted), 3)


def test_pag_goes_on_after_a_stop_in_the_same_bits(kit: Kit) -> None:
    guider = sampling.guider(kind="pag")
    straight = sampled(kit, guider=guider).samples
    stopped = kit.context
    stopped.cancel_at, stopped.keep_at = 2, 2
    with pytest.raises(Cancelled):
        sampled(kit, stopped, guider=guider)
    resumed = kit.context
    (resumed.state,) = stopped.kept
    assert torch.equal(sampled(kit, resumed, guider=guider).samples, straight)
    assert resumed.steps[0] == (3, 4)


def test_blocks_that_are_not_there_and_other_ways_are_refused(kit: Kit) -> None:
    with pytest.raises(ProblemError, match="no block 'in0'") as caught:
        sampled(kit, guider=sampling.guider(kind="pag", pag_layers="mid, in0"))
    assert codes(caught) == [("bad_blocks", "guider")]
    with pytest.raises(ProblemError, match="is no block") as caught:
        sampling.guider(kind="pag", pag_layers="mid, ?")
    assert codes(caught) == [("bad_blocks", "pag_layers")]
    with pytest.raises(ProblemError) as caught:
        sampled(kit, guider=sampling.guider(kind="slg"))
    assert codes(caught) == [("feature_not_in_family", "guider")]
