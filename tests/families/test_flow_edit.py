"""Images to look at beside the latent, in the families that can: as their classic pipelines do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from families.flow_kits import PROMPT, ROWS, SEED, FlowKit, flow_kit
from node_bench import codes, distance
from proofs import Proof
from safelight.diffusion.noise import draw, generators
from safelight.sdk import Image, Latent, Mask, ProblemError
from safelight_nodes import guide, latent, vae


@pytest.fixture(scope="module", params=[name for name, row in ROWS.items() if row.edit_pipeline])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def encoded(kit: FlowKit, seed: int = 1, height: int = 48, width: int = 80) -> tuple[torch.Tensor, Latent]:
    """Pixels (1, 3, H, W), and their latent."""
    pixels = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed))
    return pixels.movedim(-1, 1), vae.encode(kit.loaded().vae, Image(pixels), ctx=kit.ctx)


def theirs(kit: FlowKit, images: list[torch.Tensor], batch: int) -> torch.Tensor:
    if kit.family == "flux":
        # As it is: its pipeline would bring it to one of the sizes that the model was trained in.
        return kit.theirs(batch, image=images[0], _auto_resize=False)
    # Its pipeline takes images alone, whose pixels are whole numbers.
    made: dict[str, Any] = {}
    prepare = kit.pipeline.prepare_image_latents
    kit.pipeline.prepare_image_latents = lambda images, **given: prepare(images=made["images"], **given)
    made["images"] = [image * 2 - 1 for image in images]
    from PIL import Image as Pillow

    try:
        return kit.theirs(batch, image=[Pillow.new("RGB", (64, 64)) for _ in images])
    finally:
        kit.pipeline.prepare_image_latents = prepare


@pytest.mark.parametrize("batch", [1, 3])
def test_an_image_is_looked_at(kit: FlowKit, batch: int, proof: Proof) -> None:
    pixels, start = encoded(kit)
    said = guide.edit(kit.said(PROMPT), start)
    made = kit.decoded(kit.sampled(positive=said, start=kit.empty(batch)))
    proof.close(kit.family, "edit", distance(made, theirs(kit, [pixels], batch)), batch)
    assert distance(made, kit.decoded(kit.sampled(start=kit.empty(batch)))) > 1e-3


def test_several_images_are_looked_at_where_the_family_can(kit: FlowKit, proof: Proof) -> None:
    (first, one), (second, two) = encoded(kit), encoded(kit, 2, 64, 32)
    said = guide.edit(guide.edit(kit.said(PROMPT), one), two)
    if kit.family == "flux":
        with pytest.raises(ProblemError) as caught:
            kit.sampled(positive=said)
        assert codes(caught) == [("feature_not_in_family", "positive")]
        return
    proof.close(
        kit.family,
        "edit, two images",
        distance(kit.decoded(kit.sampled(positive=said)), theirs(kit, [first, second], 1)),
    )


def test_what_does_not_fit_is_refused(kit: FlowKit) -> None:
    _, start = encoded(kit)
    said = kit.said(PROMPT)
    two = replace(start, samples=start.samples.expand(2, -1, -1, -1))
    four = replace(start, samples=start.samples[:, :4])
    for wrong, code in ((four, "wrong_latent"), (two, "wrong_batch")):
        with pytest.raises(ProblemError) as caught:
            kit.sampled(positive=guide.edit(said, wrong), start=kit.empty(3))
        assert codes(caught) == [(code, "positive")]
    with pytest.raises(ProblemError) as caught:
        kit.sampled(positive=guide.edit(said, start), start=start, denoise=0.5)
    # Those that cannot start from an image say that.
    assert codes(caught) == [("feature_not_in_family", "positive" if kit.row.image_pipeline else "latent")]


def test_an_image_is_looked_at_while_a_part_is_painted(kit: FlowKit) -> None:
    _, start = encoded(kit, height=64, width=64)
    mask = torch.zeros(1, 64, 64)
    mask[..., 24:] = 1
    masked = latent.set_mask(start, Mask(mask))
    made = kit.sampled(positive=guide.edit(kit.said(PROMPT), start), start=masked).samples
    assert distance(made[..., :3], start.samples[..., :3]) <= 1e-6
    assert distance(made, kit.sampled(start=masked).samples) > 1e-4


def test_sides_that_are_no_whole_tokens(kit: FlowKit) -> None:
    _, start = encoded(kit, height=56, width=72)
    assert kit.sampled(positive=guide.edit(kit.said(PROMPT), start)).samples.isfinite().all()


def test_a_flux_that_is_no_kontext_does_not_look(tmp_path: Any) -> None:
    plain = flow_kit("flux", tmp_path)
    start = Latent(draw(generators(SEED, 1), (16, 8, 8)), "flux")
    with pytest.raises(ProblemError) as caught:
        plain.sampled(positive=guide.edit(plain.said(PROMPT), start))
    assert codes(caught) == [("feature_not_in_family", "positive")]
