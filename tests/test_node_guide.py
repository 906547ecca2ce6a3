"""The guide for authors of nodes: the pack that it makes is written down from it, checked, and passes its tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.safelight_command import Command

GUIDE = Path(__file__).parents[1] / "docs" / "nodes.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_pack_of_the_guide_is_sound_and_passes_its_tests(tmp_path: Path) -> None:
    files: dict[str, str] = {"safelight_prints/__init__.py": ""}
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    assert len(blocks) > 10 and all(path for _, path, _ in blocks), "every block of code belongs to a file"
    for _, path, text in blocks:
        files[path] = f"{files[path]}\n\n{text}" if path in files else text
    for path, text in files.items():
        file = tmp_path / "prints" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    report = Command(tmp_path).json("pack", "check", "prints")
    (pack,) = report["packs"]
    assert pack["name"] == "prints" and len(pack["nodes"]) == 13, pack["nodes"]
    assert "passed" in pack["tests"] and "failed" not in pack["tests"]
    assert pack["problems"] == []
