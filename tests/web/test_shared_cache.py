"""What another machine has made is marked as such, and is there without being made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving import Server, serving
from web.conftest import ROOT, missing
from web.editor import Editor, graph

GRAPH = graph(
    {"solid": ("image.solid", 0, 0), "save": ("image.save", 340, 0)},
    [("solid.image", "save.image")],
    outputs=[{"name": "file", "from": "save.files"}],
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The second machine of a team."""
    pytest.importorskip("obstore")
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    folder = tmp_path_factory.mktemp("team")
    (folder / "bucket").mkdir()
    shared = ("--shared-cache", (folder / "bucket").as_uri())
    key = {"SAFELIGHT_TEAM_KEY": "a key of the team that tests"}
    with serving(folder / "first", *shared, pack=False, **key) as first:
        run = first.ask("POST", "/runs", {"document": GRAPH})["id"]
        assert first.wait(run, 120.0)["status"] == "done"
    with serving(folder / "second", *shared, pack=False, **key) as second:
        yield second


def test_it_is_said_what_lies_in_the_teams_cache(editor: Editor) -> None:
    editor.open(GRAPH)
    editor.wait_plan()
    assert editor.node("save").get_attribute("data-status") == "shared"
    assert editor.node("save").locator(".badge").get_attribute("title") == "in the team's cache"
    button = editor.page.locator(".run-button")
    assert button.get_attribute("data-will-run") == "0"
    editor.press("Control+Enter")
    editor.wait("document.querySelector('[data-node=\"save\"]').dataset.status === 'cached'")
