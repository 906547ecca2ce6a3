"""Painting inside a mask, in every family that modular blocks run: as its classic pipeline does, where it has one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from families.flow_kits import ROWS, SEED, FlowKit, flow_kit
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.diffusion.noise import draw, generators
from safelight.sdk import Cancelled, Image, Mask, ProblemError
from safelight_nodes import latent, vae

SIDE = 64


@pytest.fixture(scope="module", params=[name for name, row in ROWS.items() if not row.variant])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def pixels(batch: int = 1, side: int = SIDE) -> torch.Tensor:
    return torch.rand(batch, side, side, 3, generator=torch.Generator().manual_seed(1))


def coverage(side: int = SIDE) -> torch.Tensor:
    """White on the right of an edge that is not one of a token."""
    planes = torch.zeros(1, side, side)
    planes[..., side * 3 // 8 :] = 1
    return planes


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("denoise", [0.5, 1.0])
def test_as_the_classic_pipeline(
    kit: FlowKit, denoise: float, batch: int, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    import diffusers

    if not kit.row.inpaint_pipeline:  # diffusers has none that paints as we do; what stays is proved below
        return
    pipeline = getattr(diffusers, kit.row.inpaint_pipeline)(**kit.pipeline.components)
    pipeline.set_progress_bar_config(disable=True)
    encode = pipeline.vae.encode
    # The mean of what the encoder says, as we take it, in place of a draw from it.
    monkeypatch.setattr(pipeline.vae, "encode", lambda image: SimpleNamespace(latents=encode(image).latent_dist.mean))
    # Latents, as the pipeline of Stable Diffusion 3 decodes them without the shift of its VAE.
    asked: dict[str, Any] = {**kit.asked(batch), "height": SIDE, "width": SIDE, "output_type": "latent"}
    asked |= {"generator": generators(SEED, batch), "strength": denoise}
    theirs = pipeline(image=pixels(batch).movedim(-1, 1), mask_image=coverage()[None], **asked).images
    start = vae.encode_inpaint(kit.loaded().vae, Image(pixels(batch)), Mask(coverage()), ctx=kit.ctx)
    proof.close(
        kit.family, "inpaint", distance(kit.pack(kit.sampled(start=start, denoise=denoise).samples), theirs), batch
    )


def test_what_is_outside_stays_and_what_is_inside_is_painted(kit: FlowKit) -> None:
    side = 8 * kit.cell
    start = vae.encode(kit.loaded().vae, Image(pixels(2, side)), ctx=kit.ctx)
    made = kit.sampled(start=latent.set_mask(start, Mask(coverage(side)))).samples
    assert distance(made[..., :3], start.samples[..., :3]) <= 1e-6
    assert distance(made[..., 3:], start.samples[..., 3:]) > 1e-2


def test_a_mask_of_all_is_none(kit: FlowKit) -> None:
    start = vae.encode(kit.loaded().vae, Image(pixels()), ctx=kit.ctx)
    whole = latent.set_mask(start, Mask(torch.ones(1, SIDE, SIDE)))
    assert torch.equal(kit.sampled(start=whole).samples, kit.sampled(start=start).samples)


def test_a_mask_of_cells_that_are_no_whole_token(kit: FlowKit) -> None:
    height, width = 7 * kit.cell, 9 * kit.cell
    start = kit.empty(height=height, width=width)
    soft = latent.set_mask(start, Mask(torch.linspace(0, 1, width).expand(1, height, width)))
    assert kit.sampled(start=soft).samples.shape[-2:] == (7, 9)


@pytest.fixture(scope="module")
def fill(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("flux", tmp_path_factory.mktemp("fill"), made="FluxFillPipeline")


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("denoise", [0.5, 1.0])
def test_flux_fill_sees_the_hole(
    fill: FlowKit, denoise: float, batch: int, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    encode = fill.pipeline.vae.encode
    monkeypatch.setattr(
        fill.pipeline.vae, "encode", lambda image: SimpleNamespace(latents=encode(image).latent_dist.mean)
    )
    asked: dict[str, Any] = {**fill.asked(batch), "height": SIDE, "width": SIDE}
    asked |= {"generator": generators(SEED, batch), "strength": denoise}
    theirs = fill.pipeline(image=pixels(batch).movedim(-1, 1), mask_image=coverage()[None], **asked).images
    start = vae.encode_inpaint(fill.loaded().vae, Image(pixels(batch)), Mask(coverage()), ctx=fill.ctx)
    proof.close(
        "flux", "inpaint (Fill)", distance(fill.decoded(fill.sampled(start=start, denoise=denoise)), theirs), batch
    )
    with fill.store.lease(fill.loaded().model) as lease:
        assert not lease.component.modules["transformer"]._forward_pre_hooks


def test_flux_fill_needs_an_image_and_paints_whole_ones(fill: FlowKit) -> None:
    with pytest.raises(ProblemError) as caught:
        fill.sampled()
    assert codes(caught) == [("inpainting_latent_needed", "latent")]
    made = fill.sampled(start=fill.empty(2, for_inpainting=True, height=56, width=72))
    assert made.samples.isfinite().all() and made.samples.shape == (2, 16, 7, 9)


@pytest.mark.parametrize("batch", [1, 3])
def test_differential_diffusion_around_the_classic_pipeline(kit: FlowKit, batch: int, proof: Proof) -> None:
    """The pipeline of text to image, with the paper's rule behind each step (Levin & Fried, 2023, algorithm 1)."""
    if not kit.row.inpaint_pipeline:
        return
    steps = 4
    soft = Mask(torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE).contiguous())
    begun = vae.encode(kit.loaded().vae, Image(pixels(batch)), ctx=kit.ctx)
    start = latent.set_mask(begun, soft, greys="differential")
    assert start.mask is not None
    strengths = kit.pack(start.mask.expand_as(begun.samples).contiguous())
    image, noise = kit.pack(begun.samples), kit.pack(draw(generators(SEED, batch), begun.samples.shape[1:]))

    def behind(pipeline: Any, step: int, _: Any, given: dict[str, Any]) -> dict[str, Any]:
        left = 1 - (step + 1) / steps
        sigma = pipeline.scheduler.sigmas[step + 1]
        kept = sigma * noise + (1 - sigma) * image
        return {"latents": torch.where((strengths > 0) & (strengths >= left), given["latents"], kept)}

    theirs = kit.theirs(batch, callback_on_step_end=behind)
    made = kit.decoded(kit.sampled(start=start, steps=steps))
    proof.close(kit.family, "differential diffusion", distance(made, theirs), batch)


def test_greys_are_strengths_of_their_own(kit: FlowKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The formula on both sides of every call: what each step begins with is the image with the noise of that step,
    where the mask is below what is left of the steps (Levin & Fried, 2023)."""
    from safelight.diffusion.modular import Outside

    begun = vae.encode(kit.loaded().vae, Image(pixels()), ctx=kit.ctx)
    soft = Mask(torch.linspace(0, 1, SIDE).expand(1, SIDE, SIDE).contiguous())
    seen: list[float] = []
    inner = Outside.put_back

    def put_back(self: Outside, latents: torch.Tensor, scheduler: Any, done: float) -> torch.Tensor:
        seen.append(done)
        found = inner(self, latents, scheduler, done)
        sigma = float(scheduler.sigmas[scheduler.step_index])
        released = (self.mask > 0) & (self.mask >= 1 - len(seen) / 4)
        assert released.any() and (not released.all() or len(seen) == 4)
        wanted = torch.where(released, latents, sigma * self.noise + (1 - sigma) * self.original)
        assert distance(found, wanted) < 1e-6
        return found

    monkeypatch.setattr(Outside, "put_back", put_back)
    made = kit.sampled(start=latent.set_mask(begun, soft, greys="differential"), steps=4).samples
    assert len(seen) == 4 and seen[-1] == 1
    monkeypatch.setattr(Outside, "put_back", inner)
    stopped = BenchContext(kit.ctx.models, keep_at=2, cancel_at=2)
    with pytest.raises(Cancelled):
        kit.sampled(stopped, start=latent.set_mask(begun, soft, greys="differential"), steps=4)
    resumed = BenchContext(kit.ctx.models, state=stopped.kept[0])
    again = kit.sampled(resumed, start=latent.set_mask(begun, soft, greys="differential"), steps=4).samples
    assert torch.equal(again, made)
    mixed = latent.set_mask(begun, soft)
    assert distance(made, kit.sampled(start=mixed, steps=4).samples) > 1e-3
