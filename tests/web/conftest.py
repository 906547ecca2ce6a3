"""The editor in a real Chromium against a real server with the starter model.

Without Chromium, Playwright or the built editor these tests are skipped with the reason; with CI=true they fail.
"""

from __future__ import annotations

import faulthandler
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from serving import Server, serving
from web.editor import CHAIN, Editor, two_frames

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


PATIENCE = 240.0
"""Seconds for one of these tests, unless a mark `patience` says more: a page that hangs is not waited for."""


AGAIN = ["TargetClosedError", "TimeoutError", "never true", "no frame"]
"""What a browser on a busy machine may bring about by itself: such a test has a second try, and no other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=AGAIN))


@pytest.fixture(scope="session")
def watchdog(pytestconfig: pytest.Config) -> Iterator[Any]:
    capturing: Any = pytestconfig.pluginmanager.get_plugin("capturemanager")
    with capturing.global_and_fixture_disabled():
        said = os.dup(2)
    faulthandler.register(signal.SIGUSR1, file=said, all_threads=True)
    command = [sys.executable, str(Path(__file__).with_name("watchdog.py")), str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, text=True) as process:
        assert process.stdin is not None
        yield process.stdin
        process.stdin.close()


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, watchdog: Any) -> Iterator[None]:
    mark = request.node.get_closest_marker("patience")
    print(mark.args[0] if mark else PATIENCE, request.node.nodeid, file=watchdog, flush=True)
    yield
    print(file=watchdog, flush=True)


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


class Browser:
    """A Chromium that draws; another one when it has gone."""

    def __init__(self, playwright: Any, path: str) -> None:
        self._playwright, self._path, self._launched = playwright, path, None

    @property
    def launched(self) -> Any:
        if self._launched is None or not self._launched.is_connected():
            self._launched = self._launch()
        return self._launched

    def _launch(self) -> Any:
        for _ in range(3):
            launched = self._playwright.chromium.launch(executable_path=self._path, args=FLAGS)
            if draws(launched):
                return launched
            launched.close()
        pytest.fail("Chromium starts, but draws no frames.")

    def close(self) -> None:
        if self._launched is not None:
            self._launched.close()


@pytest.fixture(scope="module")
def chromiums(playwright: Any, chromium: str) -> Iterator[Browser]:
    made = Browser(playwright, chromium)
    yield made
    made.close()


@pytest.fixture
def browser(chromiums: Browser) -> Any:
    return chromiums.launched


def draws(browser: Any) -> bool:
    """Whether its pages get frames; on a busy machine its compositor once came up dead, and everything waits for it."""
    page = browser.new_page()
    drawn = two_frames(page, 20)
    page.close()
    return drawn


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


@pytest.fixture
def image(server: Server) -> str:
    """An image in the input folder with something different in each pixel."""
    pillow = pytest.importorskip("PIL.Image")
    side = 128
    made = pillow.new("RGB", (side, side))
    made.putdata([(x * 2, y * 2, (x * 7 + y * 13) % 256) for y in range(side) for x in range(side)])
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    request = Request(f"{server.url}/api/v1/files/input?name=colours.png", buffer.getvalue(), method="POST")
    request.add_header("Content-Type", "image/png")
    with urlopen(request) as answer:
        return json.load(answer)["file"]["name"]
