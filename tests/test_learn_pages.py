"""The pages of `docs/learn`: each in English and Chinese, listed, with images that are there and small.

That their links lead somewhere is held for all pages in `test_scripting.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safelight.graph import Document
from safelight.sdk import load_packs

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "learn"
PAGES = sorted(path.name.removesuffix(".md") for path in FOLDER.glob("*.md") if not path.name.endswith(".zh.md"))
LARGEST = 150_000
"""Bytes of an image."""


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def targets(name: str) -> list[str]:
    """What a page links to or shows, without addresses elsewhere."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text(name))
    return [link for link in links if ":" not in link]


def test_no_page_is_in_one_language_alone() -> None:
    chinese = sorted(path.name.removesuffix(".zh.md") for path in FOLDER.glob("*.zh.md"))
    assert chinese == PAGES
    assert len(PAGES) > 1


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_show_the_same_and_lead_to_each_other(page: str) -> None:
    english, chinese = f"{page}.md", f"{page}.zh.md"
    assert chinese in targets(english)
    assert english in targets(chinese)
    images = [[link for link in targets(name) if "images/" in link] for name in (english, chinese)]
    assert images[0] == images[1]
    headings = [len(re.findall(r"^#+ ", text(name), re.MULTILINE)) for name in (english, chinese)]
    assert headings[0] == headings[1], "a part is in one language alone"
    assert re.search(r"[\u4e00-\u9fff]", text(chinese))


@pytest.mark.parametrize("page", [f"{page}{ending}" for page in PAGES for ending in (".md", ".zh.md")])
def test_its_links_lead_somewhere_and_its_images_are_small(page: str) -> None:
    missing = [link for link in targets(page) if not (FOLDER / link).exists()]
    assert missing == []
    large = [link for link in targets(page) if "images/learn/" in link and (FOLDER / link).stat().st_size > LARGEST]
    assert large == []


@pytest.mark.parametrize("page", PAGES)
def test_it_is_listed(page: str) -> None:
    if page != "README":
        assert f"{page}.md" in targets("README.md")
        assert f"{page}.zh.md" in targets("README.zh.md")


def test_no_image_lies_about_unused() -> None:
    shown = {Path(link).name for page in PAGES for link in targets(f"{page}.md") if "images/learn/" in link}
    assert {path.name for path in (ROOT / "docs" / "images" / "learn").iterdir()} == shown


@pytest.mark.parametrize("page", [f"{page}{ending}" for page in PAGES for ending in (".md", ".zh.md")])
def test_its_commands_name_workflows_and_inputs_that_there_are(page: str) -> None:
    for command in re.findall(r"^    safelight run (.+?)(?:\s+#.*)?$", text(page), re.MULTILINE):
        name = command.split()[0]
        path = ROOT / name if name.endswith(".json") else ROOT / "workflows" / f"{name}.json"
        document = Document.loads(path.read_text(encoding="utf-8"))
        given = set(re.findall(r"--(\w+)", command)) - {"json"}
        assert given <= {entry.name for entry in document.inputs}, command


@pytest.mark.parametrize("page", [f"{page}{ending}" for page in PAGES for ending in (".md", ".zh.md")])
def test_its_nodes_exist(page: str) -> None:
    catalogue = load_packs()
    rooms = {name.partition(".")[0] for name in catalogue}
    named = re.findall(r"`([a-z_]+\.[a-z_0-9]+)`", text(page))
    unknown = [name for name in named if name.partition(".")[0] in rooms and name not in catalogue]
    assert [name for name in unknown if not name.endswith((".json", ".md", ".safetensors"))] == []
