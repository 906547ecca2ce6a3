"""Packs that a test writes: a package and what makes it an installed distribution, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def make_pack(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    """Writes the package `name_pack` and its metadata; with `folder` on the path it is the pack `name`."""
    package = folder / f"{name}_pack"
    metadata = folder / f"{name}_pack-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-pack\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[safelight.nodes]\n{name} = {name}_pack\n")
    for path, text in {"__init__.py": "", **files}.items():
        write(package / path, text)
    return package


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
