"""The pages of `docs/nodes/`: as the nodes describe themselves now, with an image for each example that makes one."""

from __future__ import annotations

import runpy
from pathlib import Path

import safelight_nodes
from safelight.graph import Document
from safelight.media.registry import built_in
from safelight.sdk import load_packs

ROOT = Path(safelight_nodes.__file__).parents[2]
CATALOGUE = load_packs()
PAGES = runpy.run_path(str(ROOT / "tools" / "node_pages.py"), run_name="pages")["pages"](CATALOGUE)


def test_the_pages_are_up_to_date() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "nodes").glob("*.md")}
    assert written == PAGES, "run `make pages`"


def test_each_image_is_of_a_node_and_holds_its_example() -> None:
    images = sorted((ROOT / "nodes" / "safelight_nodes" / "images").glob("*.webp"))
    assert len(images) > 100
    for path in images:
        document = Document.loads(built_in().extract(path.read_bytes()) or "")
        assert path.stem in {node.type for node in document.nodes.values()} & set(CATALOGUE), path.stem
        assert path.stat().st_size < 20_000
