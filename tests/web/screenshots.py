"""Draws the images of docs/editor.md: each main view of the editor, dark and light, on a desk, a tablet and a phone.

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
from web.test_access import THEMES  # noqa: E402

FOLDER = TESTS.parent / "docs" / "images" / "editor"
SIZES = {"": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
MOST_BYTES = 90_000
MOST_TOGETHER = 4_000_000


class Camera:
    """An editor in one theme, size and language, and where its images go."""

    def __init__(
        self, browser: Any, server: Server, folder: Path, theme: str, size: str = "", locale: str = "en-US"
    ) -> None:
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, locale=locale, has_touch=size == "phone"
        )
        self.editor = Editor(self.context.new_page(), server.url, {"theme": theme})
        self.page = self.editor.page
        self.folder = folder
        self.size = size
        self.suffix = "-".join(filter(None, (theme, size, "" if locale == "en-US" else locale[:2])))
        self.editor.visit()

    def shoot(self, name: str) -> None:
        from PIL import Image

        self.show("{ toasts: [] }")
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
        self.page.wait_for_timeout(300)  # on a phone it opens as its form a moment later
        self.page.evaluate("__safelight.app.setState({ panel: null, form: false })")
        self.fit()

    def fit(self) -> None:
        self.press("Shift+Digit1")
        self.page.wait_for_timeout(500)

    def run(self) -> None:
        self.page.focus("#canvas")
        self.page.keyboard.press("Control+Enter")
        tab = "s.tabs.find(one => one.id === s.active)"
        ended = f"['done', 'failed'].includes(s.runs[{tab}.run]?.status)"
        self.editor.wait(f"(() => {{ const s = __safelight.app.getState(); return {ended}; }})()", 240)

    def show(self, change: str) -> None:
        """Opens a panel or a sheet as its command does."""
        self.page.evaluate(f"__safelight.app.setState({change})")

    def press(self, keys: str) -> None:
        self.editor.press(keys)

    def close(self) -> None:
        self.context.close()


def start(camera: Camera) -> None:
    camera.page.locator(".start-strip img").first.wait_for()
    camera.shoot("start")


def templates(camera: Camera) -> None:
    camera.show("{ panel: 'templates' }")
    camera.page.locator("[data-filter]").first.wait_for()
    camera.shoot("templates")
    camera.show("{ panel: null }")


def tour(camera: Camera) -> None:
    camera.page.click('[data-tour="start"]')
    camera.page.locator(".tour").wait_for()
    camera.page.keyboard.press("ArrowRight")
    camera.page.wait_for_timeout(500)
    camera.shoot("tour")
    camera.page.keyboard.press("Escape")


def help_sheets(camera: Camera) -> None:
    for kind, name in (("shortcuts", "keys"), ("where", "where"), ("settings", "settings")):
        camera.show(f"{{ overlay: {{ kind: '{kind}' }} }}")
        camera.page.wait_for_selector("dialog[open]")
        if kind == "where":
            camera.page.get_by_role("searchbox").last.fill("sampler")
        camera.shoot(name)
        camera.page.keyboard.press("Escape")


def graph(camera: Camera) -> None:
    camera.template("text_to_image")
    camera.run()
    if camera.size != "phone":  # there the nodes are boxes with titles
        camera.page.locator('[data-node="save"] img').first.wait_for(state="attached")
    camera.fit()
    camera.shoot("graph")


def panels(camera: Camera) -> None:
    for panel in ("nodes", "outline"):
        camera.show(f"{{ panel: '{panel}' }}")
        camera.shoot(panel)
    camera.show("{ panel: null }")


def adding(camera: Camera) -> None:
    editor = camera.editor
    editor.drag(editor.output("sample.latent"), editor.at(1010, 520))
    camera.page.wait_for_selector('[role="combobox"]:focus')
    camera.shoot("add")
    camera.page.keyboard.press("Escape")


def commands(camera: Camera) -> None:
    camera.press("Control+k")
    camera.page.keyboard.type("arr")
    camera.shoot("commands")
    camera.page.keyboard.press("Escape")


def far(camera: Camera) -> None:
    camera.page.evaluate("__safelight.view.zoomAt(__safelight.view.center, 0.3)")
    camera.shoot("far")
    camera.fit()


def subgraph(camera: Camera) -> None:
    camera.template("hires_fix")
    instance = next(
        name for name, node in camera.editor.document["nodes"].items() if node["type"].startswith("subgraph:")
    )
    camera.editor.node(instance).locator("header").click()
    camera.press("Enter")
    camera.fit()
    camera.shoot("subgraph")


def form(camera: Camera) -> None:
    camera.template("variations")
    camera.run()
    camera.show("{ form: true }")
    camera.shoot("form")
    camera.show("{ form: false }")


def gallery(camera: Camera) -> None:
    camera.show("{ panel: 'gallery' }")
    camera.page.locator("[data-image]").first.click()
    camera.shoot("gallery")
    camera.page.locator("[data-image]").first.dblclick()
    camera.page.wait_for_selector("dialog.viewer")
    camera.shoot("viewer")
    camera.page.keyboard.press("Escape")
    camera.show("{ panel: null }")


def painter(camera: Camera) -> None:
    camera.template("inpaint")
    camera.show("{ form: true }")  # its brushes are in sight on every screen
    camera.page.locator(".form-view").get_by_label("Paint a mask").last.click()
    camera.page.wait_for_selector(".painter canvas")
    box = camera.page.locator(".painter canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    camera.page.mouse.move(x - box["width"] / 8, y + box["height"] / 8)
    camera.page.mouse.down()
    camera.page.mouse.move(x + box["width"] / 8, y + box["height"] / 8, steps=12)
    camera.page.mouse.up()
    camera.shoot("painter")
    camera.page.keyboard.press("Escape")
    camera.show("{ form: false }")


def queue(camera: Camera) -> None:
    camera.show("{ panel: 'queue' }")
    camera.shoot("queue")
    camera.show("{ panel: null }")


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
    camera.show("{ overlay: { kind: 'voting', batch: swept } }")
    camera.page.wait_for_selector(".vote-pair img")
    camera.shoot("voting")
    camera.page.keyboard.press("Escape")


Shots = Callable[[Camera], None]
EVERYWHERE: list[Shots] = [start, templates, tour, help_sheets, graph, panels, form, gallery, queue, painter, voting]
DESK: list[Shots] = [adding, commands, far, subgraph]
"""What is done with a mouse or with keys."""


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        sync_playwright() as playwright,
        serving(Path(made) / "home", pack=False) as server,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for size in SIZES:
            for theme in ("dark", "light"):
                camera = Camera(browser, server, folder, theme, size)
                for view in EVERYWHERE if size else [*EVERYWHERE[:6], *DESK, *EVERYWHERE[6:]]:
                    view(camera)
                camera.close()
        others = [(theme, "en-US") for theme in THEMES] + [("light", "zh-CN")]
        for theme, locale in others:
            camera = Camera(browser, server, folder, theme, locale=locale)
            graph(camera)
            camera.close()
        browser.close()
    together = sum(path.stat().st_size for path in folder.glob("*.webp"))
    if together > MOST_TOGETHER:
        raise SystemExit(f"The images take {together} bytes together, more than {MOST_TOGETHER}.")


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
