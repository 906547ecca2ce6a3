"""What Stable Diffusion 3 and Flux.1 can do beside plain prompts, and how they refuse or tell what they cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from families.flow_kits import PROMPT, STEPS, FlowKit, flow_kit
from node_bench import BenchContext, codes, distance, recipe
from safelight.sdk import Adapter, Area, Control, Image, Latent, Mask, ProblemError


@pytest.fixture(scope="module", params=["sd3", "flux"])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def schnell(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("schnell", tmp_path_factory.mktemp("schnell"))


def refused(kit: FlowKit, **more: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(ProblemError) as caught:
        kit.sampled(**more)
    assert all("Stable Diffusion 3" in found.message or "Flux.1" in found.message for found in caught.value.problems)
    return codes(caught)


def test_regions_ranges_controls_and_adapters_are_refused_where_they_are_connected(kit: FlowKit) -> None:
    said = kit.said(PROMPT)
    prompt = said.prompts[0]
    image = Image(torch.zeros(1, 64, 64, 3))
    control = Control(recipe("ControlNet", kit.family, "net"), image, guess=True)
    nothing = torch.zeros(1, 1, 4)
    adapter = Adapter(recipe("IPAdapter", kit.family, "ip"), nothing, nothing, mask=Mask(torch.ones(1, 64, 64)))
    asked = [
        replace(said, prompts=(prompt, prompt)),
        replace(said, prompts=(replace(prompt, area=Area(0, 0, 0.5, 1)),)),
        replace(said, prompts=(replace(prompt, mask=torch.ones(1, 8, 8)),)),
        replace(said, prompts=(replace(prompt, end=0.5),)),
        replace(said, controls=(control,)),
        replace(said, adapters=(adapter,)),
    ]
    for conditioning in asked:
        assert refused(kit, positive=conditioning) == [("feature_not_in_family", "positive")]
        assert refused(kit, negative=conditioning) == [("feature_not_in_family", "negative")]


def test_a_latent_of_another_family_or_shape_is_refused(kit: FlowKit) -> None:
    for wrong in (Latent(torch.zeros(1, 4, 8, 8), "sd1"), Latent(torch.zeros(1, 4, 8, 8), kit.family)):
        with pytest.raises(ProblemError) as caught:
            kit.sampled(start=wrong)
        assert codes(caught) == [("wrong_latent", "latent")]


def test_a_text_of_another_model_is_refused(kit: FlowKit) -> None:
    said = kit.said(PROMPT)
    prompt = said.prompts[0]
    narrow = {name: tensor[..., :5] for name, tensor in prompt.tensors.items()}
    for wrong in (
        replace(said, family="sdxl"),
        replace(said, prompts=(replace(prompt, tensors=narrow),)),
        replace(said, prompts=(replace(prompt, tensors={"embeddings": prompt.embeddings}),)),
    ):
        with pytest.raises(ProblemError) as caught:
            kit.sampled(positive=wrong)
        assert {code for code, _ in codes(caught)} == {"wrong_family"}


def test_weights_change_what_they_stand_on(kit: FlowKit) -> None:
    plain = kit.said("a red apple").prompts[0].embeddings
    assert torch.equal(plain, kit.said("a (red:1.0) apple").prompts[0].embeddings)
    assert distance(plain, kit.said("a (red:1.5) apple").prompts[0].embeddings) > 1e-3
    silent = kit.said("(a red apple:0)").prompts[0].embeddings
    empty = kit.said("").prompts[0].embeddings
    words = slice(0, 3) if kit.family == "flux" else slice(77, 80)
    assert distance(silent[:, words], empty[:, words]) < 1e-5


def test_the_end_of_a_prompt_that_is_not_read_is_told(kit: FlowKit) -> None:
    ctx = kit.ctx
    kit.said("apple " * (kit.length - 1), ctx)
    assert not ctx.warned
    kit.said("apple " * (kit.length + 9), ctx)
    assert [(found.code, found.port) for found in ctx.warned] == [("prompt_cut", "text")]
    assert "10 tokens" in ctx.warned[0].message


def test_embeddings_are_refused(kit: FlowKit) -> None:
    with pytest.raises(ProblemError) as caught:
        kit.said("an embedding:style apple")
    assert codes(caught) == [("feature_not_in_family", "text")]


def test_clip_skip_and_break_do_what_the_family_can(kit: FlowKit) -> None:
    ctx = kit.ctx
    whole, parts = kit.said("a red apple", ctx), kit.said("a red BREAK apple", ctx)
    if kit.family == "flux":
        assert [(found.code, found.port) for found in ctx.warned] == [("setting_unused", "text")]
        with pytest.raises(ProblemError) as caught:
            kit.said("a red apple", clip_skip=1)
        assert codes(caught) == [("feature_not_in_family", "clip_skip")]
        return
    assert not ctx.warned
    assert parts.prompts[0].embeddings.shape[1] == whole.prompts[0].embeddings.shape[1] + 77
    assert kit.sampled(positive=parts).samples.isfinite().all()
    with pytest.raises(ProblemError) as caught:
        kit.said("a red apple", clip_skip=3)
    assert codes(caught) == [("clip_skip_too_large", "clip_skip")]


def test_guidance_compares_with_a_negative_or_is_an_input(kit: FlowKit, schnell: FlowKit) -> None:
    if kit.family == "sd3":
        with pytest.raises(ProblemError) as caught:
            kit.sampled(negative=None)
        assert codes(caught) == [("negative_missing", "negative")]
        return
    ctx = kit.ctx
    kit.sampled(ctx, negative=kit.said("dark"))
    assert [(found.code, found.port) for found in ctx.warned] == [("setting_unused", "negative")]
    ctx = schnell.ctx
    schnell.sampled(ctx)
    assert [(found.code, found.port) for found in ctx.warned] == [("setting_unused", "guidance")]
    ctx = schnell.ctx
    schnell.sampled(ctx, guidance=1.0)
    assert not ctx.warned


def test_auto_is_what_suits_the_model(kit: FlowKit, schnell: FlowKit) -> None:
    auto: dict[str, Any] = {"steps": 0, "guidance": 0.0, "sampler": "auto", "scheduler": "auto"}
    ctx = kit.ctx
    made = kit.sampled(ctx, **auto)
    assert ctx.steps[-1] == (28, 28)
    known = {"sd3": 7.0, "flux": 3.5}[kit.family]
    assert torch.equal(made.samples, kit.sampled(steps=28, guidance=known).samples)
    ctx = schnell.ctx
    assert torch.equal(schnell.sampled(ctx, **auto).samples, schnell.sampled(steps=4, guidance=1.0).samples)
    assert ctx.steps[-1] == (4, 4) and not ctx.warned


def test_samplers_and_schedulers_of_other_families_are_refused(kit: FlowKit) -> None:
    for port, wrong in (("sampler", "dpmpp_2m"), ("scheduler", "leading")):
        with pytest.raises(ProblemError) as caught:
            kit.sampled(**{port: wrong})
        assert codes(caught) == [(f"{port}_not_for_model", port)]


def test_previews_come_at_every_step_and_end_in_the_image(kit: FlowKit) -> None:
    ctx = BenchContext(kit.store, previews=True)
    kit.sampled(ctx)
    assert [image.pixels.shape for image in ctx.shown] == [(1, 8, 8, 3)] * STEPS
    assert distance(ctx.shown[0].pixels, ctx.shown[-1].pixels) > 0


def test_a_side_of_an_odd_number_of_cells_is_filled_up_and_cut_again(kit: FlowKit) -> None:
    made = kit.sampled(start=kit.empty(height=56, width=72))
    assert made.samples.shape[-2:] == (7, 9)
    assert kit.decoded(made).shape[-2:] == (56, 72)


def test_an_image_with_more_cells_than_positions_is_refused(kit: FlowKit) -> None:
    if kit.family == "sd3":
        assert kit.sampled(start=kit.empty(height=256, width=64), steps=1).samples.isfinite().all()
        with pytest.raises(ProblemError) as caught:
            kit.sampled(start=kit.empty(height=264, width=64))
        assert codes(caught) == [("latent_too_large", "latent")]


def test_anima_has_positions_for_so_many_cells(tmp_path: Path) -> None:
    kit = flow_kit("anima", tmp_path)
    assert kit.sampled(start=kit.empty(height=512, width=64), steps=1).samples.isfinite().all()
    with pytest.raises(ProblemError) as caught:
        kit.sampled(start=kit.empty(height=528, width=64))
    assert codes(caught) == [("latent_too_large", "latent")]


def test_each_image_of_a_batch_is_that_of_its_own_seed(kit: FlowKit) -> None:
    both = kit.sampled(start=kit.empty(2)).samples
    assert distance(both[1:], kit.sampled(seed=6).samples) <= 1e-5
