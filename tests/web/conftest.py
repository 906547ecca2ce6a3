"""The editor in a real Chromium against a real server with the starter model.

Without Chromium, Playwright or the built editor these tests are skipped with the reason; with CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Server, serving
from web.editor import CHAIN, Editor

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(reason: str) -> None:
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    with serving(tmp_path_factory.mktemp("home"), pack=False) as running:
        yield running


@pytest.fixture(scope="module")  # its event loop must not outlive the browser tests
def playwright() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed: pip install playwright.")
        return
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where it is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing("Chromium was not found; set CHROMIUM to its path.")
    return str(path)


@pytest.fixture(scope="module")
def browser(playwright: Any, chromium: str) -> Iterator[Any]:
    launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield launched
    launched.close()


@pytest.fixture
def context(browser: Any, server: Server) -> Iterator[Any]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark", locale="en-US")
    made.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    made.set_default_timeout(20_000)
    yield made
    made.close()


@pytest.fixture
def editor(context: Any, server: Server) -> Iterator[Editor]:
    opened = Editor(context.new_page(), server.url)
    opened.visit()
    yield opened
    assert not opened.errors, opened.errors


@pytest.fixture
def chain(editor: Editor) -> Editor:
    """Three nodes, the first two wired."""
    editor.open(CHAIN)
    return editor
