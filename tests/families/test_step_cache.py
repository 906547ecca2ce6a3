"""A cache of steps: off, nothing changes; on, fewer blocks run, in this run alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from families.flow_kits import ROWS, flow_kit
from families.test_ltx import LtxKit
from families.test_wan import WanKit
from node_bench import BenchContext, codes, distance
from safelight.families import load_families
from safelight.families._modular.step_cache import FIRST_STEPS
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes import model_settings

FAMILIES = load_families()
IMAGES = ("flux", "kontext", "qwen_image")
VIDEOS: dict[str, Any] = {
    "wan": WanKit,
    "wan_of_two": partial(WanKit, two=True),
    "wan_5b": partial(WanKit, family="wan_5b"),
    "ltx": LtxKit,
}


@pytest.fixture(scope="module", params=[*IMAGES, *VIDEOS])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp(request.param)
    return VIDEOS[request.param](root) if request.param in VIDEOS else flow_kit(request.param, root)


def blocks(kit: Any) -> list[Any]:
    """Those of the transformer that is held, in their order."""
    with kit.ctx.models.lease(kit.loaded().model) as lease:
        transformer = lease.component.transformer
        names = ("blocks", "transformer_blocks", "single_transformer_blocks")
        return [block for name in names for block in getattr(transformer, name, ())]


def counted(
    kit: Any, counts: Counter[int], ctx: BenchContext | None = None, steps: int = 0, **given: Any
) -> torch.Tensor:
    """The samples with a cache so set, with the calls of each block's own layers in `counts`."""
    counts.clear()
    model = model_settings.set_cache(kit.loaded().model, **given, ctx=kit.ctx)
    watched = []
    for place, block in enumerate(blocks(kit)):
        layer = next(part for part in block.modules() if isinstance(part, torch.nn.Linear))
        watched.append(layer.register_forward_hook(lambda *_, place=place: counts.update([place])))
    try:
        return kit.sampled(ctx=ctx or kit.ctx, model=model, **({"steps": steps} if steps else {})).samples
    finally:
        for one in watched:
            one.remove()


def test_steps_that_change_little_run_the_first_block_alone(kit: Any) -> None:
    counts: Counter[int] = Counter()

    def sampled(threshold: float, ctx: BenchContext | None = None) -> torch.Tensor:
        return counted(kit, counts, ctx, threshold=threshold)

    plain = sampled(0.0)
    calls, there = dict(counts), len(blocks(kit))
    assert there > 1 and len(set(calls.values())) == 1
    loose = sampled(1e6)
    last = there - 1
    # The first step is made whole, with each of its prompts; the others run the first block alone.
    assert counts[0] == calls[0] and counts[last] == (2 if getattr(kit, "guided", True) else 1)
    assert loose.isfinite().all() and distance(loose, plain) > 1e-4
    assert torch.equal(sampled(1e6), loose), "nothing of a run is left for the next"
    assert torch.equal(sampled(1e-9), plain) and dict(counts) == calls
    with pytest.raises(Cancelled):
        sampled(1e6, BenchContext(kit.ctx.models, cancel_at=2))
    kept = BenchContext(kit.ctx.models, keep_at=2)
    assert torch.equal(sampled(1e6, kept), loose) and kept.kept == []
    assert torch.equal(sampled(0.0), plain) and dict(counts) == calls
    assert all("forward" not in vars(block) for block in blocks(kit))


def test_steps_between_are_forecast_and_run_no_block(kit: Any) -> None:
    counts: Counter[int] = Counter()
    steps = 12
    sampled = partial(counted, kit, counts, steps=steps, method="forecast")
    plain = sampled(interval=1)
    prompts = 2 if getattr(kit, "guided", True) else 1
    # Of two transformers the blocks of the first are counted, which makes the first steps.
    calls, own = dict(counts), counts[0] // prompts
    computed = FIRST_STEPS + len(range(FIRST_STEPS + 1, own, 4))
    assert set(calls.values()) == {own * prompts} and computed < own
    some = sampled(interval=4)
    assert set(counts.values()) == {computed * prompts}
    assert some.isfinite().all()
    assert torch.equal(sampled(interval=4), some), "nothing of a run is left for the next"
    # What is forecast is nearer to what would have been computed than what was computed last.
    near, held = distance(some, plain), distance(standing_still(sampled), plain)
    assert 0 < near < held
    kept = BenchContext(kit.ctx.models, keep_at=2)
    assert torch.equal(sampled(ctx=kept, interval=4), some) and kept.kept == []
    assert torch.equal(sampled(interval=1), plain) and dict(counts) == calls
    assert all("forward" not in vars(block) for block in blocks(kit))


def standing_still(sampled: Any) -> torch.Tensor:
    """With what was computed last in the place of a forecast: an expansion of order 0."""
    import diffusers as library

    diffusers: Any = library
    made = diffusers.TaylorSeerCacheConfig
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusers, "TaylorSeerCacheConfig", lambda **given: made(**{**given, "max_order": 0}))
        return sampled(interval=4)


@pytest.mark.parametrize("name", [name for name in ROWS if not FAMILIES[ROWS[name].family].caches_steps])
def test_other_families_refuse(name: str, tmp_path: Path) -> None:
    kit = flow_kit(name, tmp_path)
    with pytest.raises(ProblemError) as caught:
        model_settings.set_cache(kit.loaded().model, threshold=0.1, ctx=kit.ctx)
    assert codes(caught) == [("feature_not_in_family", "model")]
    with pytest.raises(ProblemError) as caught:
        model_settings.set_cache(kit.loaded().model, method="forecast", ctx=kit.ctx)
    assert codes(caught) == [("feature_not_in_family", "model")]
    for asked in ({"step_cache": 0.1}, {"step_forecast": 4}):
        with pytest.raises(ProblemError) as caught:
            kit.sampled(model=replace(kit.loaded().model, **asked))
        assert codes(caught) == [("feature_not_in_family", "model")]


def test_a_step_that_is_made_again_for_want_of_memory_is_made_whole(tmp_path: Path) -> None:
    """What half of it left behind says nothing of the step before."""
    kit = flow_kit("flux", tmp_path)
    model = model_settings.set_cache(kit.loaded().model, threshold=1e6, ctx=kit.ctx)
    first, *_, last = blocks(kit)
    counts: Counter[str] = Counter()

    def counted(name: str, fails: int = 0) -> Any:
        def see(*_: Any) -> None:
            counts[name] += 1
            if counts[name] == fails:
                raise torch.OutOfMemoryError("out of memory")

        return see

    next(part for part in last.modules() if isinstance(part, torch.nn.Linear)).register_forward_hook(counted("last"))
    next(part for part in first.modules() if isinstance(part, torch.nn.Linear)).register_forward_hook(
        counted("first", fails=2)
    )
    assert kit.sampled(model=model).samples.isfinite().all()
    assert counts == {"first": 5, "last": 2}
