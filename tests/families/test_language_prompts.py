"""Prompts that a language model reads: as sentences, and everything that means nothing to it is told or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from families.flow_kits import FlowKit, flow_kit
from node_bench import codes
from safelight.families import load_families
from safelight.families.z_image.tiny import write
from safelight.sdk import ProblemError
from safelight_nodes import models


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("z_image", tmp_path_factory.mktemp("z_image"))


def test_weights_are_part_of_the_sentence_and_told(kit: FlowKit) -> None:
    ctx = kit.ctx
    weighted = kit.said("a (red:1.5) apple", ctx).prompts[0]
    assert [(found.code, found.port) for found in ctx.warned] == [("setting_unused", "text")]
    plain = kit.said("a red apple", ctx).prompts[0]
    signs, words = (len(kit.pipeline.tokenizer(said).input_ids) for said in ("a (red:1.5) apple", "a red apple"))
    assert weighted.embeddings.shape[1] - plain.embeddings.shape[1] == signs - words > 0
    assert len(ctx.warned) == 1


def test_break_has_no_effect(kit: FlowKit) -> None:
    ctx = kit.ctx
    parted = kit.said("a red BREAK apple", ctx).prompts[0]
    assert [(found.code, found.port) for found in ctx.warned] == [("setting_unused", "text")]
    assert parted.embeddings.isfinite().all()


def test_the_end_of_a_prompt_that_is_not_read_is_told(kit: FlowKit) -> None:
    ctx = kit.ctx
    found = kit.said("apple " * 600, ctx).prompts[0]
    assert found.embeddings.shape[1] == kit.length
    assert [(problem.code, problem.port) for problem in ctx.warned] == [("prompt_cut", "text")]


def test_layers_of_clip_and_embeddings_are_refused(kit: FlowKit) -> None:
    with pytest.raises(ProblemError) as caught:
        kit.said("a red apple", clip_skip=1)
    assert codes(caught) == [("feature_not_in_family", "clip_skip")]
    with pytest.raises(ProblemError) as caught:
        kit.said("an embedding:style apple")
    assert codes(caught) == [("feature_not_in_family", "text")]


def test_a_tokenizer_without_a_chat_template_is_told(tmp_path: Path) -> None:
    kit = flow_kit("z_image", tmp_path)
    (kit.root / "models" / "mine" / "tokenizer" / "chat_template.jinja").unlink()
    with pytest.raises(ProblemError) as caught:
        kit.said("a red apple")
    assert codes(caught) == [("model_incomplete", "encoder")]
    assert "chat_template.jinja" in caught.value.problems[0].hint


def test_a_prompt_of_another_family_is_refused(kit: FlowKit, tmp_path: Path) -> None:
    other = flow_kit("klein_base", tmp_path).said("a red apple")
    with pytest.raises(ProblemError) as caught:
        kit.sampled(positive=other)
    assert codes(caught) == [("wrong_family", "positive")]


def test_presets_tell_turbo_from_the_model_that_takes_guidance(kit: FlowKit) -> None:
    family = load_families()["z_image"]
    for turbo, steps in ((False, 50), (True, 9)):
        folder = kit.root / "models" / f"turbo {turbo}"
        write(family, folder, 1, turbo=turbo)  # pyright: ignore[reportArgumentType]
        with kit.store.lease(models.load(model=folder.name, ctx=kit.ctx).model) as lease:
            assert lease.component.presets.steps == steps
            assert (lease.component.presets.guidance > 1) is not turbo
