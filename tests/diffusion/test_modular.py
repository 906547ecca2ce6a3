"""Modular blocks under the driver: equal to plain ones, stopped and resumed to the same bits, and left as they were."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from diffusion.modular_sets import SETS, Set, sd3
from node_bench import BenchContext
from safelight.diffusion.modular import REPORTER, denoise
from safelight.sdk import Cancelled, Image, ProblemError
from safelight.sdk.codec import Codec

STEPS = 6


@pytest.fixture(scope="module", params=SETS)
def tiny(request: pytest.FixtureRequest) -> Set:
    return SETS[request.param]()


def run(tiny: Set, ctx: BenchContext, show: Any = None, **more: Any) -> torch.Tensor:
    inputs = {**tiny.inputs, "num_inference_steps": STEPS, **more}
    return denoise(tiny.blocks, tiny.components(), inputs, ctx, show or (lambda latents: None))


def plain(tiny: Set) -> torch.Tensor:
    """The blocks run by diffusers alone."""
    pipeline = tiny.blocks.init_pipeline()
    pipeline.update_components(**tiny.components())
    return pipeline(**tiny.inputs, num_inference_steps=STEPS, output="latents")


def test_watched_is_plain_bit_for_bit(tiny: Set) -> None:
    ctx = BenchContext(previews=True)
    seen: list[torch.Tensor] = []
    made = run(tiny, ctx, seen.append)
    assert torch.equal(made, plain(tiny))
    assert ctx.steps == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert len(seen) == STEPS
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("step", [1, 3, 5])
def test_killed_and_resumed_it_ends_in_the_same_bits(tiny: Set, step: int, disk: Callable[[Any], Any]) -> None:
    whole = run(tiny, BenchContext())
    stopped = BenchContext(keep_at=step, cancel_at=step)
    with pytest.raises(Cancelled):
        run(tiny, stopped)
    assert stopped.steps[-1] == (step, STEPS), "it stops before the next step"
    resumed = BenchContext(state=disk(stopped.kept[0]))
    assert torch.equal(run(tiny, resumed), whole)
    assert stopped.steps + resumed.steps == [(step, STEPS) for step in range(1, STEPS + 1)]
    again = BenchContext(state=disk(stopped.kept[0]), keep_at=5)
    assert torch.equal(run(tiny, again), whole), "and from the same state once more"


def test_a_state_of_other_work_is_not_used(tiny: Set) -> None:
    stopped = BenchContext(keep_at=3, cancel_at=3)
    with pytest.raises(Cancelled):
        run(tiny, stopped)
    other = BenchContext(state=stopped.kept[0])
    assert torch.equal(run(tiny, other, num_inference_steps=4), run(tiny, BenchContext(), num_inference_steps=4))
    assert other.steps[0] == (1, 4)


def test_the_first_previews_are_nearer_to_the_end_than_the_noise_is(tiny: Set) -> None:
    """The clean estimate: with one step to go, it is what the last step gives."""
    seen: list[torch.Tensor] = []
    made = run(tiny, BenchContext(previews=True), seen.append)
    last = seen[-1] if seen[-1].shape == made.shape else None
    if last is not None:
        assert torch.allclose(last, made, atol=1e-5)
    start = tiny.inputs["latents"]
    assert (seen[0] - seen[-1]).abs().mean() < (start - seen[-1]).abs().mean()


def test_memory_that_runs_out_once_changes_nothing(tiny: Set) -> None:
    class Models:
        def retry(self, attempt: Callable[[], Any], tell: Any = None) -> Any:
            try:
                return attempt()
            except MemoryError:
                return attempt()

    transformer = tiny.components()["transformer"]
    calls = [0]

    def sometimes(*_: Any) -> None:
        calls[0] += 1
        if calls[0] % 5 == 0:
            raise MemoryError

    whole = run(tiny, BenchContext())
    hook = transformer.register_forward_hook(sometimes)
    try:
        assert torch.equal(run(tiny, BenchContext(models=Models())), whole)
    finally:
        hook.remove()
    assert calls[0] > STEPS


def test_blocks_of_other_pipelines_stay_as_they_are() -> None:
    tiny = sd3()
    before = plain(tiny)
    with pytest.raises(Cancelled):
        run(tiny, BenchContext(cancel_at=2))
    assert "loop_step" not in repr([vars(block) for block in _all(tiny.blocks)])
    assert torch.equal(plain(tiny), before)


def test_a_run_says_nothing_by_itself(tiny: Set, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond what this test's own guider says when it is made."""
    library = logging.getLogger("diffusers")
    library.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING, logger="diffusers"):
            tiny.components()
            before = len(caplog.records)
            run(tiny, BenchContext())
    finally:
        library.removeHandler(caplog.handler)
    assert len(caplog.records) == 2 * before


def test_a_stop_is_not_reported_as_an_error_and_an_error_is(caplog: pytest.LogCaptureFixture) -> None:
    tiny = sd3()
    reporter = logging.getLogger(REPORTER)
    filters = list(reporter.filters)
    reporter.addHandler(caplog.handler)
    try:
        with pytest.raises(Cancelled):
            run(tiny, BenchContext(cancel_at=2))
        assert not caplog.records
        with pytest.raises(RuntimeError):
            run(tiny, BenchContext(), pooled_prompt_embeds=torch.zeros(2, 3))
        assert caplog.records
    finally:
        reporter.removeHandler(caplog.handler)
    assert reporter.filters == filters


def test_numbers_that_are_not_finite_are_told_with_their_step() -> None:
    tiny = sd3()
    spoilt = tiny.inputs["prompt_embeds"].clone()
    spoilt[0, 0, 0] = float("nan")
    with pytest.raises(ProblemError) as caught:
        run(tiny, BenchContext(), prompt_embeds=spoilt)
    assert caught.value.problems[0].code == "not_finite"
    assert f"step 1 of {STEPS}" in caught.value.problems[0].message


def test_what_the_blocks_do_not_know_is_refused() -> None:
    tiny = sd3()
    with pytest.raises(ValueError, match="guidance_scale"):
        run(tiny, BenchContext(), guidance_scale=3.0)
    with pytest.raises(ValueError, match="unet"):
        denoise(tiny.blocks, {"unet": None}, tiny.inputs, BenchContext(), lambda latents: None)


def test_previews_are_made_only_when_somebody_looks() -> None:
    tiny = sd3()
    ctx = BenchContext(previews=True)
    shown = Image(torch.zeros(1, 2, 2, 3))
    run(tiny, ctx, lambda latents: shown)
    assert ctx.shown == [shown] * STEPS

    def refuse(latents: torch.Tensor) -> Image:
        raise AssertionError

    run(tiny, BenchContext(), refuse)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Any]:
    """Writes a state as the engine does, and reads it again as another process would."""
    from safelight.engine.cache import Cache

    folder, codec = tmp_path_factory.mktemp("states"), Codec([])
    sizes = {"memory_bytes": 1 << 20, "disk_bytes": 1 << 26}

    def through(state: Any) -> Any:
        writer = Cache(folder, codec, **sizes)
        writer.save_state("the work", state)
        writer.close()
        reader = Cache(folder, codec, **sizes)
        found = reader.load_state("the work")
        reader.close()
        return found

    return through


def _all(blocks: Any) -> list[Any]:
    inner = getattr(blocks, "sub_blocks", {}).values()
    return [blocks, *(found for block in inner for found in _all(block))]
