"""What holds for every workflow of this repository."""

from __future__ import annotations

from pathlib import Path

from safelight.app import Studio
from safelight.graph import Document


def assert_sound(path: Path, studio: Studio) -> None:
    """It has no problems, says what it is for, and is written as we write."""
    text = path.read_text(encoding="utf-8")
    document = Document.loads(text)
    assert document.dumps() == text, "save it with Document.dumps()"
    assert document.name == path.stem
    assert document.description
    assert all(entry.help for entry in document.inputs)
    assert set(document.nodes) == set(document.ui["nodes"]), "every node has a place on the canvas"
    assert studio.check(document).problems == []
