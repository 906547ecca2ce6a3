"""Processes that train together: the weights of one that makes all their passes, whatever happens on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.environment import Environment
from safelight.families import load_families
from safelight.graph import Port
from safelight.models.hardware import Numerics, numerics
from safelight.models.store import ModelStore
from safelight.models.teams import Place, spread
from safelight.sdk import Cancelled, ModelRef, ProblemError
from safelight.sdk.codec import hash_file
from safelight_nodes.training import finetuned
from tiny_trainings import FLOWS, WORKFLOWS
from waiting import until

LORA: dict[str, Any] = {
    "updates": 3, "rank": 2, "batch": 2, "learning_rate": 5e-3, "warmup_steps": 2, "ema_decay": 0.5, "seed": 3,
    "drop_captions": 0.3,
}  # fmt: skip


ACCUMULATE = ("dreambooth", "textual_inversion", "inpainting")


class Stopped(BenchContext):
    """Is cancelled once two updates are done."""

    def check_cancelled(self) -> None:
        if self.steps and self.steps[-1][0] >= 2:
            raise Cancelled


class Trained:
    """A tiny model, and trainings of LoRAs for it in single precision on the CPU."""

    def __init__(self, home: Path) -> None:
        load_families().require("sd1").tiny(home / "models" / "tiny")
        self.home = home
        self.here = numerics(home, Environment(device="cpu", precision="float32"))
        self.store = ModelStore(home, fingerprint=hash_file, here=self.here)

    def context(self, **more: Any) -> BenchContext:
        return BenchContext(self.store, **more)

    def lora(self, ctx: BenchContext | None = None, **more: Any) -> Mapping[str, torch.Tensor]:
        source = self.store.find("tiny", "pipeline")
        refs: list[ModelRef[Any]] = [
            ModelRef(kind, "sd1", source, precision="float32") for kind in ("Denoiser", "TextEncoder", "VAE")
        ]
        given = {**LORA, **more}
        return finetuned.lora(*refs, tiny_sets.image_set(64), None, **given, ctx=ctx or self.context()).tensors


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("home"))


def test_two_processes_learn_what_one_learns_from_as_many_passes(trained: Trained) -> None:
    alone = trained.lora(accumulate=2)
    ctx = trained.context(previews=True, keep_at=2)
    shared = trained.lora(ctx, devices=2)
    assert ctx.steps[-1] == (3, 3)
    assert [state["step"] for state in ctx.kept] == [2], "the first process keeps states with the run"
    assert ctx.shown, "and shows what it draws"
    assert ctx.curve
    assert all(torch.equal(shared[name], tensor) for name, tensor in alone.items())
    assert any(not torch.equal(shared[name], tensor) for name, tensor in trained.lora().items())


def test_several_passes_each_are_dealt_out(trained: Trained) -> None:
    alone, shared = trained.lora(accumulate=4), trained.lora(accumulate=2, devices=2)
    assert all(torch.allclose(shared[name], tensor, atol=1e-5) for name, tensor in alone.items())


def test_a_cancelled_team_goes_on_to_the_same_weights(trained: Trained) -> None:
    straight = trained.lora(accumulate=2, updates=5)
    ctx = Stopped(trained.store)
    with pytest.raises(Cancelled):
        trained.lora(ctx, devices=2, updates=5)
    again = trained.context(state=ctx.kept[-1])
    resumed = trained.lora(again, devices=2, updates=5)
    assert again.steps[0] == (3, 5)
    assert all(torch.equal(resumed[name], tensor) for name, tensor in straight.items())


def test_what_one_process_finds_wrong_is_told_as_it_is(trained: Trained) -> None:
    with pytest.raises(ProblemError) as caught:
        trained.lora(devices=2, learning_rate=1e30, updates=4)
    assert [one.code for one in caught.value.problems] == ["training_diverged"]


def test_a_process_that_ends_ends_the_others(trained: Trained) -> None:
    def work(rank_that_ends: int) -> ProblemError:
        with pytest.raises(ProblemError) as caught:
            trained.store.spread(partial(ended, rank_that_ends), trained.context(), 2)
        return caught.value

    for rank in (0, 1):
        problem = work(rank).problems[0]
        assert (problem.code, problem.port) == ("team_failed", "devices")
        assert "exitcode  : 9" in problem.details


def ended(rank: int, ctx: Any, team: Any) -> float:
    """A process that goes without a word, as one does whose memory is taken."""
    if team.rank == rank:
        os._exit(9)
    return team.add_up([], 1.0)


def test_models_from_outside_the_folders_are_known_to_all(trained: Trained, tmp_path: Path) -> None:
    load_families().require("sd1").tiny(tmp_path / "elsewhere")
    name = trained.store.add(tmp_path / "elsewhere")
    assert trained.store.spread(partial(found, name), trained.context(), 2) == "sd1"


def found(name: str, ctx: Any, team: Any) -> str:
    family = ctx.models.family(ctx.models.find(name, "pipeline"))
    team.add_up([], 0.0)
    return str(family)


def test_what_nobody_expected_is_told_with_its_place(trained: Trained) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        trained.store.spread(divided, trained.context(), 2)
    assert "in divided" in "".join(caught.value.__notes__)


def divided(ctx: Any, team: Any) -> float:
    del ctx, team
    return 1 / 0


def test_gradients_that_not_all_have_are_no_sum(trained: Trained) -> None:
    with pytest.raises(RuntimeError, match="a gradient in one process"):
        trained.store.spread(uneven, trained.context(), 2)


def uneven(ctx: Any, team: Any) -> float:
    del ctx
    parameter = torch.nn.Parameter(torch.ones(2))
    if team.rank == 0:
        parameter.sum().backward()
    return team.add_up([parameter], 0.0)


def test_a_killed_run_leaves_no_process_behind(trained: Trained) -> None:
    script = (
        "import sys; from pathlib import Path; from functools import partial; sys.path[:0] = sys.argv[2:]\n"
        "from safelight.models.hardware import numerics; from safelight.environment import Environment\n"
        "from safelight.models.store import ModelStore; from safelight.sdk.codec import hash_file\n"
        "import test_devices; from node_bench import BenchContext; home = Path(sys.argv[1])\n"
        "here = numerics(home, Environment(device='cpu', precision='float32'))\n"
        "store = ModelStore(home, fingerprint=hash_file, here=here)\n"
        "store.spread(partial(test_devices.waits, home / 'pids'), BenchContext(store), 2)\n"
    )
    pids = trained.home / "pids"
    pids.mkdir()
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    run = subprocess.Popen([sys.executable, "-c", script, str(trained.home), *folders])
    try:
        members = until(lambda: [int(one.name) for one in pids.iterdir()], lambda found: len(found) == 2, seconds=60)
    finally:
        run.kill()
        run.wait()
    until(lambda: [one for one in members if psutil.pid_exists(one)], lambda left: not left, seconds=60)


def waits(pids: Path, ctx: Any, team: Any) -> None:
    """Steps that never end; each process says who it is."""
    (pids / str(os.getpid())).touch()
    while True:
        ctx.check_cancelled()
        team.add_up([], 0.0)
        time.sleep(0.05)


def test_a_team_that_is_not_wanted_any_more_before_it_is_there(trained: Trained) -> None:
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        trained.store.spread(partial(ended, 0), trained.context(cancel_at=0), 2)
    assert time.monotonic() - begun < 20


def test_more_cards_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch, trained: Trained) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    here = Numerics(device="cuda", precision="float32", vae="float32", text="")
    with pytest.raises(ProblemError) as caught:
        spread(partial(ended, 0), trained.context(), 2, Place(trained.home, here))
    assert [(one.code, one.port, one.value) for one in caught.value.problems] == [("too_few_devices", "devices", 2)]


@pytest.mark.slow
@pytest.mark.in_turn
@pytest.mark.parametrize(
    "name",
    ["vae", "unet", "dreambooth", "textual_inversion", "controlnet", "ip_adapter", "motion", "inpainting"],
)
def test_every_training_that_takes_devices_learns_from_the_passes_of_all(
    name: str, home: Path, studio: Studio, tmp_path: Path
) -> None:
    """What it is given can be sent to another process, and what that one learns counts."""
    made: list[set[str]] = []
    for devices in (1, 2):
        kept = f"shared/{name}-{devices}"
        document = studio.read(WORKFLOWS / f"{name}.json").with_inputs({**FLOWS[name], "updates": 3, "name": kept})
        passes = {Port("learn", "accumulate"): 2} if devices == 1 and name in ACCUMULATE else {}
        document = document.with_values({Port("learn", "devices"): devices, **passes})
        outcome = studio.run(document, output=tmp_path, options=RunOptions(checkpoint_seconds=0, strict=True))
        assert [problem.message for problem in outcome.result.problems] == []
        files = [path for path in (home / "models").rglob("*.safetensors") if f"{name}-{devices}" in str(path)]
        made.append({hash_file(path) for path in files})
    assert made[0] and made[1]
    # With as many passes it is the very same where one process can make them.
    assert (made[0] == made[1]) == (name in ACCUMULATE)
