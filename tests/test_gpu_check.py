"""The check of graphics cards works, as far as that can be seen without one: the CPU stands in for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import gpu

from safelight.families import load_families
from safelight.models.measured import Measured
from safelight.sdk import Running


def test_without_a_card_it_says_so_and_counts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from safelight.models import probe

    monkeypatch.setattr(probe, "measure", lambda device: Measured(device="cpu", precision="float32", vae="float32"))
    for name in ("SAFELIGHT_DEVICE", "SAFELIGHT_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    assert gpu.main([]) == 0
    assert capsys.readouterr().out.strip() == gpu.NONE and "0 checks" in gpu.NONE


def test_every_check_runs_and_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.md"
    assert gpu.main(["--device", "cpu", "--family", "sd1", "--family", "flux", "-o", str(report)]) == 0
    page = report.read_text("utf-8")
    assert page.strip() == capsys.readouterr().out.strip()
    rows = [line for line in page.splitlines() if line.endswith("| yes |")]
    assert len(rows) == 7 and "7 checks, 0 failed." in page and "in place of a card" in page
    assert "models held whole" in page and "steps a second against" in page


def test_other_bits_and_models_that_stay_whole_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_families().require("sd1").tiny(tmp_path / "models" / "large")
    card = gpu.Card("cpu", tmp_path)
    # In place of what its name says, one changes the image, the other one offloads nothing.
    monkeypatch.setattr(gpu, "WAYS", {"swap": Running(storage="float8"), "offload": Running("whole")})
    found = {row.what: row.reached for row in gpu.memory(card, gpu.Work(1, 32, 1))}
    assert [found[f"models held by {name}"] for name in ("swap", "offload")] == [False, False]
    assert found["a budget of 1/4 of the denoiser"] is True
