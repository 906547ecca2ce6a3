"""Training is durable: killed, cancelled or neither, the weights are the same to the last bit."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import BenchContext
from safelight.app import Studio
from safelight.engine import Cancel, NodeProgress, RunOptions
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes._training import loop
from safelight_nodes._training.course import Course, Curve
from safelight_nodes._training.loop import fit
from tiny_trainings import FLOWS, STEPS, WORKFLOWS

KILLED_AT = 6


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("name", FLOWS)
def test_a_killed_training_ends_in_the_same_weights(name: str, home: Path, tmp_path: Path) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    for folder in (killed, straight):
        for part in ("models/tiny", "models/tower", "input", "hardware.json"):
            source, target = home / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                shutil.copy(source, target)
    inputs = {**FLOWS[name], "name": "result"}
    if not (killed / "hardware.json").exists():
        Studio.open(straight).numerics  # noqa: B018  measured once, so that both compute alike
        shutil.copy(straight / "hardware.json", killed / "hardware.json")
    program = [sys.executable, str(Path(__file__).parent / "killed_run.py"), str(killed)]
    program += [str(WORKFLOWS / f"{name}.json"), str(KILLED_AT), json.dumps(inputs)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    first = _run(killed, name, inputs)
    assert 1 < first <= KILLED_AT, "it went on from a checkpoint"
    assert _run(straight, name, inputs) == 1
    word = name == "textual_inversion"
    place = "embeddings" if word else "result"
    results = [_tensors(folder / "models" / place) for folder in (killed, straight)]
    assert results[0].keys() == results[1].keys()
    assert len(results[0]) > (0 if word else 2)
    for key, value in results[0].items():
        assert torch.equal(value, results[1][key]), key


def _run(home: Path, name: str, inputs: dict[str, Any]) -> int:
    """Runs to the end; returns the first step that was made."""
    steps: list[int] = []

    def emit(event: object) -> None:
        if isinstance(event, NodeProgress) and event.node == "learn":
            steps.append(event.step)

    with Studio.open(home) as studio:
        document = studio.read(WORKFLOWS / f"{name}.json").with_inputs(inputs)
        options = RunOptions(checkpoint_seconds=0)
        outcome = studio.run(document, output=home / "output", emit=emit, options=options)
    assert [problem.message for problem in outcome.result.problems] == []
    assert steps[-1] == STEPS
    return steps[0]


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    found: dict[str, Any] = {}
    for path in folder.rglob("*.safetensors"):
        found.update({f"{path.parent.name}/{key}": value for key, value in load_file(path).items()})
    return found


def _problem() -> tuple[Any, Any]:
    """A small regression: its parameters and its loss."""
    module = torch.nn.Linear(4, 2)
    with torch.no_grad():
        module.weight.fill_(0.5)
        module.bias.zero_()

    def loss(step: int) -> Any:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        return (module(x) - x[:, :2]).square().mean()

    return module, loss


def test_cancelled_at_any_step_it_goes_on_to_the_same_weights() -> None:
    course = Course(12, 0.05, warmup_steps=2, ema_decay=0.9)
    straight, loss = _problem()
    whole = fit([{"params": list(straight.parameters())}], loss, course, BenchContext())
    for at in (1, 5, 11):
        module, loss = _problem()
        ctx = BenchContext(cancel_at=at)
        with pytest.raises(Cancelled):
            fit([{"params": list(module.parameters())}], loss, course, ctx)
        assert ctx.steps[-1] == (at, 12)
        module, loss = _problem()
        again = BenchContext(state=ctx.kept[-1])
        curve = fit([{"params": list(module.parameters())}], loss, course, again)
        assert again.steps[0] == (at + 1, 12)
        assert curve.points == whole.points
        for one, other in zip(straight.parameters(), module.parameters(), strict=True):
            assert torch.equal(one, other)


def test_cancelled_while_samples_are_drawn_no_step_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SHOW_SECONDS", 0.0)
    monkeypatch.setattr(loop, "_SHARE", 1e9)
    course = Course(12, 0.05, warmup_steps=2, ema_decay=0.9)
    straight, loss = _problem()
    fit([{"params": list(straight.parameters())}], loss, course, BenchContext())
    for at in (4, 12):
        module, loss = _problem()
        shown: list[int] = []

        def show(at: int = at, shown: list[int] = shown) -> Any:
            shown.append(1)
            if len(shown) == at:
                raise Cancelled

        ctx = BenchContext(previews=True)
        with pytest.raises(Cancelled):
            fit([{"params": list(module.parameters())}], loss, course, ctx, show)
        assert [kept["step"] for kept in ctx.kept] == [at]
        module, loss = _problem()
        fit([{"params": list(module.parameters())}], loss, course, BenchContext(state=ctx.kept[-1]))
        for one, other in zip(straight.parameters(), module.parameters(), strict=True):
            assert torch.equal(one, other)


def test_cancelled_while_a_loss_is_made_no_step_is_lost() -> None:
    """As where examples are encoded for it."""
    course = Course(12, 0.05, warmup_steps=2, ema_decay=0.9)
    straight, loss = _problem()
    fit([{"params": list(straight.parameters())}], loss, course, BenchContext())
    module, loss = _problem()

    def stopped(step: int) -> Any:
        if step == 5:
            raise Cancelled
        return loss(step)

    ctx = BenchContext()
    with pytest.raises(Cancelled):
        fit([{"params": list(module.parameters())}], stopped, course, ctx)
    assert [kept["step"] for kept in ctx.kept] == [5]
    module, loss = _problem()
    fit([{"params": list(module.parameters())}], loss, course, BenchContext(state=ctx.kept[-1]))
    for one, other in zip(straight.parameters(), module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_cancelled_before_the_first_step_nothing_is_kept() -> None:
    module, loss = _problem()
    ctx = BenchContext(cancel_at=0)
    with pytest.raises(Cancelled):
        fit([{"params": list(module.parameters())}], loss, Course(3, 0.1), ctx)
    assert ctx.kept == []


def test_a_kept_state_is_a_copy() -> None:
    module, loss = _problem()
    ctx = BenchContext(keep_at=2)
    fit([{"params": list(module.parameters())}], loss, Course(6, 0.1, ema_decay=0.5), ctx)
    kept = ctx.kept[0]
    assert kept["step"] == 2
    assert not torch.equal(kept["sides"][0]["parameters"][0], module.weight)


def test_a_loss_that_is_no_number_ends_the_training_with_advice() -> None:
    module, _ = _problem()

    def loss(step: int) -> Any:
        return module.weight.sum() * (float("nan") if step == 2 else 1.0)

    with pytest.raises(ProblemError) as caught:
        fit([{"params": list(module.parameters())}], loss, Course(5, 0.1), BenchContext())
    assert caught.value.problems[0].code == "training_diverged"
    assert "step 3" in caught.value.problems[0].message


def test_a_cancelled_run_of_the_engine_says_so_and_keeps_its_place(home: Path, tmp_path: Path) -> None:
    with Studio.open(home) as studio:
        document = studio.read(WORKFLOWS / "vae.json").with_inputs(
            {"start": "tiny", "updates": 5, "batch": 1, "name": "stopped", "crop": 16}
        )
        cancel = Cancel()
        steps: list[int] = []

        def emit(event: object) -> None:
            if isinstance(event, NodeProgress) and event.node == "learn":
                steps.append(event.step)
                if event.step == 3:
                    cancel.set()

        options = RunOptions(checkpoint_seconds=1e9)
        stopped = studio.run(document, output=tmp_path, emit=emit, cancel=cancel, options=options)
        assert stopped.result.status == "cancelled"
        assert not (home / "models" / "stopped").exists()
        finished = studio.run(document, output=tmp_path, emit=emit, options=options)
        assert finished.result.status == "done"
    assert steps == [1, 2, 3, 4, 5]


def test_a_curve_is_thinned_and_keeps_its_mean() -> None:
    curve = Curve()
    for step in range(1, 5001):
        curve.add(step, float(step))
    assert 100 <= len(curve.points) < 240
    steps = [step for step, _ in curve.points]
    assert steps == sorted(steps)
    assert curve.points[0][1] == pytest.approx((1 + steps[0]) / 2)
    again = Curve.restored(curve.state())
    again.add(5001, 1.0)
    curve.add(5001, 1.0)
    assert again == curve
