"""A run that was stopped goes on where it was and ends in the same bits as one that was never stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from node_bench import BenchContext, Kit
from safelight.diffusion.k_diffusion.methods import METHODS
from safelight.diffusion.k_diffusion.plan import plan
from safelight.diffusion.samplers import SAMPLERS
from safelight.diffusion.schedule import plan_steps
from safelight.engine.cache import Cache
from safelight.sdk import Cancelled, Conditioning, Latent
from safelight.sdk.codec import Codec
from safelight.sdk.leased import SampleRequest
from safelight_nodes import latent, sampling, text

STEPS = 5


@pytest.fixture(scope="module")
def start(sd1: Kit) -> tuple[Conditioning, Conditioning, Latent]:
    ctx = sd1.context
    return (
        text.encode(sd1.text, text="a red apple", ctx=ctx),
        text.encode(sd1.text, text="", ctx=ctx),
        latent.empty(sd1.vae, batch=2, ctx=ctx),
    )


def run(kit: Kit, start: Any, ctx: BenchContext, sampler: Any, **more: Any) -> torch.Tensor:
    given: dict[str, Any] = {"steps": STEPS, "seed": 3, **more}
    return sampling.sample(kit.denoiser, *start, sampler=sampler, **given, ctx=ctx).samples


def calls(kit: Kit, sampler: Any, formulas: str = "diffusers", **more: Any) -> int:
    settings = kit.shelf.held["Denoiser", "sd1"].settings["scheduler"]
    if formulas == "diffusers":
        return plan_steps(settings, sampler, "model", STEPS, **more).calls
    asked: Any = SampleRequest(None, None, None, STEPS, 1, sampler, "normal", 0, formulas=formulas)  # type: ignore[arg-type]
    return plan(settings, asked).calls


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Any], Any]]:
    """Writes a state as the engine does, and reads it again as another process would."""
    folder, codec = tmp_path_factory.mktemp("states"), Codec([])
    sizes = {"memory_bytes": 1 << 20, "disk_bytes": 1 << 26}

    def through(state: Any) -> Any:
        writer = Cache(folder, codec, **sizes)
        writer.save_state("the work", state)
        writer.close()
        reader = Cache(folder, codec, **sizes)
        found = reader.load_state("the work")
        reader.close()
        assert found is not None
        return found

    yield through


@pytest.mark.parametrize(
    ("formulas", "sampler"),
    [*(("diffusers", sampler) for sampler in SAMPLERS), *(("k-diffusion", sampler) for sampler in METHODS)],
)
def test_stopped_at_any_call_it_ends_in_the_same_bits(
    sd1: Kit, start: Any, disk: Any, formulas: str, sampler: str
) -> None:
    whole = run(sd1, start, sd1.context, sampler, formulas=formulas)
    for call in range(1, calls(sd1, sampler, formulas)):
        stopped = sd1.context
        stopped.keep_at, stopped.cancel_at = call, call
        with pytest.raises(Cancelled):
            run(sd1, start, stopped, sampler, formulas=formulas)
        assert len(stopped.kept) == 1, "the state is kept before the run stops"
        resumed = sd1.context
        resumed.state = disk(stopped.kept[0])
        assert torch.equal(run(sd1, start, resumed, sampler, formulas=formulas), whole), f"differs after {call} calls"
        assert stopped.steps + resumed.steps == [(step, STEPS) for step in range(1, STEPS + 1)]


@pytest.mark.parametrize("sampler", ["pndm", "lms", "heun", "dpmpp_2m_sde"])
def test_with_a_image_to_start_from_and_a_mask(sd1: Kit, start: Any, disk: Any, sampler: str) -> None:
    samples = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    begun = (*start[:2], Latent(samples, "sd1", 8, mask))
    whole = run(sd1, begun, sd1.context, sampler, denoise=0.7)
    assert torch.equal(whole[..., :4], samples[..., :4])
    for call in range(1, calls(sd1, sampler, first=STEPS - 3)):
        stopped = sd1.context
        stopped.keep_at, stopped.cancel_at = call, call
        with pytest.raises(Cancelled):
            run(sd1, begun, stopped, sampler, denoise=0.7)
        resumed = sd1.context
        resumed.state = disk(stopped.kept[0])
        assert torch.equal(run(sd1, begun, resumed, sampler, denoise=0.7), whole)


def test_going_on_twice_from_one_state_gives_the_same(sd1: Kit, start: Any) -> None:
    """PNDM adds to tensors in place: the kept state must not be what it adds to."""
    stopped = sd1.context
    stopped.keep_at, stopped.cancel_at = 3, 3
    with pytest.raises(Cancelled):
        run(sd1, start, stopped, "pndm")
    ends = []
    for _ in range(2):
        resumed = sd1.context
        resumed.state = stopped.kept[0]
        ends.append(run(sd1, start, resumed, "pndm"))
    assert torch.equal(*ends)


def test_a_state_of_other_work_is_not_used(sd1: Kit, start: Any) -> None:
    stopped = sd1.context
    stopped.keep_at, stopped.cancel_at = 3, 3
    with pytest.raises(Cancelled):
        run(sd1, start, stopped, "euler")
    resumed = sd1.context
    resumed.state = stopped.kept[0]
    assert torch.equal(run(sd1, start, resumed, "euler", steps=4), run(sd1, start, sd1.context, "euler", steps=4))
    assert resumed.steps[0] == (1, 4)
