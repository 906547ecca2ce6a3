"""Draws the images of docs/editor.md: each main view of the editor, dark and light.

python tests/web/screenshots.py [FOLDER]

Starts a server with an empty data folder, works in the editor as a user would, and writes WebP files to
docs/images/editor. Needs the built editor, Playwright and Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A script finds modules beside itself only; pytest adds the folder of the tests.
TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from serving import Server, serving  # noqa: E402
from web.conftest import FLAGS  # noqa: E402
from web.editor import Editor  # noqa: E402

FOLDER = TESTS.parent / "docs" / "images" / "editor"
SIZE = {"width": 1440, "height": 900}
MOST_BYTES = 150_000


class Camera:
    """An editor in one theme and language, and where its images go."""

    def __init__(self, browser: Any, server: Server, folder: Path, theme: str, locale: str = "en-US") -> None:
        self.context = browser.new_context(viewport=SIZE, color_scheme=theme, locale=locale)
        self.editor = Editor(self.context.new_page(), server.url)
        self.page = self.editor.page
        self.folder = folder
        self.suffix = theme if locale == "en-US" else f"{theme}-{locale[:2]}"
        self.editor.visit()

    def shoot(self, name: str) -> None:
        from PIL import Image

        self.editor.settle()
        self.page.wait_for_timeout(400)  # thumbnails and transitions
        image = Image.open(io.BytesIO(self.page.screenshot()))
        target = self.folder / f"{name}-{self.suffix}.webp"
        for quality in (86, 78, 70, 60):
            image.save(target, "WEBP", quality=quality, method=6)
            if target.stat().st_size < MOST_BYTES:
                break
        print(target.name, target.stat().st_size)  # noqa: T201

    def template(self, name: str) -> None:
        if self.page.locator(f'[data-template="{name}"]').count() == 0:
            self.page.click('[data-panel="templates"]')
        self.page.locator(f'[data-template="{name}"]').first.click()
        self.editor.wait(f"JSON.parse(__safelight.write()).name === '{name}'")
        self.page.evaluate("__safelight.app.setState({ panel: null })")

    def run(self) -> None:
        self.page.focus("#canvas")
        self.page.keyboard.press("Control+Enter")
        tab = "s.tabs.find(one => one.id === s.active)"
        ended = f"['done', 'failed'].includes(s.runs[{tab}.run]?.status)"
        self.editor.wait(f"(() => {{ const s = __safelight.app.getState(); return {ended}; }})()", 240)

    def press(self, keys: str) -> None:
        self.editor.press(keys)

    def close(self) -> None:
        self.context.close()


def start(camera: Camera) -> None:
    camera.shoot("start")


def graph(camera: Camera) -> None:
    camera.template("text_to_image")
    camera.run()
    camera.press("Shift+Digit1")
    camera.page.wait_for_timeout(500)
    camera.shoot("graph")


def adding(camera: Camera) -> None:
    editor = camera.editor
    editor.drag(editor.output("sample.latent"), editor.at(1010, 520))
    camera.page.wait_for_selector('[role="combobox"]:focus')
    camera.shoot("add")
    camera.page.keyboard.press("Escape")


def commands(camera: Camera) -> None:
    camera.press("Control+k")
    camera.page.keyboard.type("align")
    camera.shoot("commands")
    camera.page.keyboard.press("Escape")


def far(camera: Camera) -> None:
    camera.page.evaluate("__safelight.view.zoomAt(__safelight.view.center, 0.3)")
    camera.shoot("far")
    camera.press("Shift+Digit1")


def subgraph(camera: Camera) -> None:
    camera.template("hires_fix")
    camera.press("Shift+Digit1")
    instance = next(
        name for name, node in camera.editor.document["nodes"].items() if node["type"].startswith("subgraph:")
    )
    camera.editor.node(instance).locator("header").click()
    camera.press("Enter")
    camera.page.wait_for_timeout(500)
    camera.shoot("subgraph")


def form(camera: Camera) -> None:
    camera.template("variations")
    camera.run()
    camera.press("F4")
    camera.shoot("form")
    camera.page.keyboard.press("F4")


def gallery(camera: Camera) -> None:
    camera.page.evaluate("__safelight.app.setState({ panel: 'gallery' })")
    camera.page.locator("[data-image]").first.click()
    camera.shoot("gallery")
    camera.page.locator("[data-image]").first.dblclick()
    camera.page.wait_for_selector("dialog.viewer")
    camera.shoot("viewer")
    camera.page.keyboard.press("Escape")
    camera.page.evaluate("__safelight.app.setState({ panel: null })")


def painter(camera: Camera) -> None:
    camera.template("inpaint")
    camera.press("Shift+Digit1")
    camera.page.wait_for_timeout(500)
    camera.editor.node("mask").get_by_label("Paint a mask").click()
    camera.page.wait_for_selector(".painter canvas")
    box = camera.page.locator(".painter canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    camera.page.mouse.move(x + 150, y - 260)
    camera.page.mouse.down()
    camera.page.mouse.move(x + 260, y - 230, steps=12)
    camera.page.mouse.up()
    camera.shoot("painter")
    camera.page.keyboard.press("Escape")


def queue(camera: Camera) -> None:
    camera.page.evaluate("__safelight.app.setState({ panel: 'queue' })")
    camera.shoot("queue")
    camera.page.evaluate("__safelight.app.setState({ panel: null })")


def voting(camera: Camera) -> None:
    camera.template("text_to_image")
    camera.page.evaluate(
        """async () => {
            const body = { document: JSON.parse(__safelight.write()), sweep: { steps: [2, 20], seed: [1, 2] } };
            const headers = { "Content-Type": "application/json" };
            const answer = await fetch("/api/v1/runs/batch", { method: "POST", headers, body: JSON.stringify(body) });
            window.swept = (await answer.json()).batch;
        }"""
    )
    done = (
        "Object.values(__safelight.app.getState().runs).filter((run) => run.batch === swept && run.status === 'done')"
    )
    camera.editor.wait(f"{done}.length === 4", 240)
    camera.page.evaluate("__safelight.app.setState({ overlay: { kind: 'voting', batch: swept } })")
    camera.page.wait_for_selector(".vote-pair img")
    camera.shoot("voting")
    camera.page.keyboard.press("Escape")


VIEWS: list[Callable[[Camera], None]] = [
    start,
    graph,
    adding,
    commands,
    far,
    subgraph,
    form,
    gallery,
    queue,
    painter,
    voting,
]


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        sync_playwright() as playwright,
        serving(Path(made) / "home", pack=False) as server,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for theme in ("dark", "light"):
            camera = Camera(browser, server, folder, theme)
            for view in VIEWS:
                view(camera)
            camera.close()
        chinese = Camera(browser, server, folder, "light", "zh-CN")
        graph(chinese)
        chinese.close()
        browser.close()


def chromium() -> str:
    import os
    import shutil

    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise SystemExit("Chromium was not found; set CHROMIUM to its path.")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
