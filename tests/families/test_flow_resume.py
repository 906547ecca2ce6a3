"""Every family that modular blocks run, in a studio: from a folder among the models, killed in the middle, resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from families.flow_kits import ROWS
from families.resuming import goes_on, killable, workflow
from safelight.families import load_families


@killable
@pytest.mark.parametrize("family", sorted({row.family for row in ROWS.values()}))
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = load_families()[family].tiny
    assert goes_on(lambda models: tiny(models / "mine"), workflow(), "*.png", tmp_path, monkeypatch) == 2
