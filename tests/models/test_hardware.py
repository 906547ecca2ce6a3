"""What the machine computes with: settings go before measurements, measurements are made once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from safelight.environment import Environment
from safelight.models import hardware, numerics, probe
from safelight.models.measured import Measured
from safelight.sdk import ProblemError

CPU = {"SAFELIGHT_DEVICE": "cpu"}


def test_settings_go_before_measurements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(device: str = "") -> Measured:
        raise AssertionError(f"nothing is to be measured on {device}")

    monkeypatch.setattr(probe, "measure", never)
    found = numerics(tmp_path, Environment.read({**CPU, "SAFELIGHT_PRECISION": "float16"}))
    assert (found.device, found.precision, found.vae) == ("cpu", "float16", "float16")
    for name in ("torch", "diffusers", "transformers"):
        assert f"{name} {version(name)}" in found.text
    assert found.text.startswith("cpu float16 vae float16 ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"), [("SAFELIGHT_DEVICE", "gpu"), ("SAFELIGHT_DEVICE", "cuda:x"), ("SAFELIGHT_PRECISION", "fp8")]
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ProblemError) as caught:
        numerics(tmp_path, Environment.read({name: value}))
    (problem,) = caught.value.problems
    assert problem.code == "bad_setting" and name in problem.message and repr(value) in problem.message


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ProblemError) as caught:
        numerics(tmp_path, Environment.read({"SAFELIGHT_DEVICE": "cuda"}))
    assert caught.value.problems[0].code == "bad_setting"


def test_it_is_measured_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def measure(device: str = "") -> Measured:
        calls.append(device)
        return Measured(device="cpu", precision="bfloat16", vae="float32", seconds={"float32": 2.0, "bfloat16": 1.0})

    monkeypatch.setattr(probe, "measure", measure)
    first = numerics(tmp_path / "new", Environment.read(CPU))
    assert (first.precision, first.vae) == ("bfloat16", "float32")
    assert numerics(tmp_path / "new", Environment.read(CPU)) == first and calls == ["cpu"]
    # A torch of another version may compute faster in another type.
    monkeypatch.setattr(hardware, "_version", lambda name: "99")
    numerics(tmp_path / "new", Environment.read(CPU))
    assert calls == ["cpu", "cpu"]
    assert len(json.loads((tmp_path / "new" / hardware.REMEMBERED).read_text())) == 2
    monkeypatch.undo()
    assert (
        numerics(tmp_path / "new", Environment.read({**CPU, "SAFELIGHT_PRECISION": "float32"})).precision == "float32"
    )


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', "\0\0"])
def test_a_damaged_memory_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setattr(probe, "measure", lambda device: Measured(device="cpu", precision="float32", vae="float32"))
    (tmp_path / hardware.REMEMBERED).write_text(content)
    assert numerics(tmp_path, Environment.read(CPU)).precision == "float32"
    assert json.loads((tmp_path / hardware.REMEMBERED).read_text())


def test_a_place_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "measure", lambda device: Measured(device="cpu", precision="float32", vae="float32"))
    (tmp_path / "file").write_text("")
    assert numerics(tmp_path / "file", Environment.read(CPU)).device == "cpu"


def test_the_probe_runs_in_a_process_of_its_own_where_torch_is_not_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from safelight.models import numerics\n"
        f"n = numerics(Path({str(tmp_path)!r})); print(n.device, n.precision, 'torch' in sys.modules)"
    )
    env = {**os.environ, **CPU, "OMP_NUM_THREADS": "1"}
    # Two processes import everything again, which takes minutes where others compute: no limit but that of all tests.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    device, precision, loaded = done.stdout.split()
    assert (device, loaded) == ("cpu", "False") and precision in ("float32", "bfloat16")
    (entry,) = json.loads((tmp_path / hardware.REMEMBERED).read_text()).values()
    assert entry["precision"] == precision and set(entry["seconds"]) == {"float32", "bfloat16"}


def test_a_precision_that_gives_nonsense_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_seconds", lambda place, dtype: 1.0 if "float32" in str(dtype) else 0.1)
    assert probe.measure("cpu").precision == "bfloat16"
    monkeypatch.setattr(probe, "_sound", lambda given, wanted: False)
    assert probe.measure("cpu").precision == "float32"


def test_a_gain_too_small_to_round_for_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_seconds", lambda place, dtype: 1.0 if "float32" in str(dtype) else 0.9)
    assert probe.measure("cpu").precision == "float32"


def test_soundness_sees_overflow_and_drift() -> None:
    import torch

    wanted = torch.linspace(1, 2, 100)
    assert probe._sound(wanted.to(torch.bfloat16), wanted)
    assert not probe._sound(wanted * 1.1, wanted)
    assert not probe._sound(torch.where(wanted > 1.9, torch.inf, wanted), wanted)


def test_threads_and_memory_are_those_this_process_may_use() -> None:
    assert hardware.thread_count(Environment.read({"OMP_NUM_THREADS": "3"})) == 3
    assert 1 <= hardware.thread_count(Environment.read({"OMP_NUM_THREADS": "many"})) <= (os.cpu_count() or 1)
    assert 0 < hardware.free_memory() <= hardware.total_memory()
