"""For everybody: axe finds nothing serious in any view, keys alone are enough, the far view is read, fingers work."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from serving import Server
from web.conftest import ROOT, missing
from web.editor import Editor, graph

CHAIN = graph(
    {
        "empty": ("latent.empty", 0, 0),
        "sample": ("sampling.sample", 340, 0),
        "decode": ("vae.decode", 700, 0),
        "load": ("image.load", 0, 380),
    },
    [("empty.latent", "sample.latent"), ("sample.latent", "decode.latent")],
)
CHAIN["nodes"]["load"]["values"]["file"] = "apple.png"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


THEMES = re.findall(r'data-theme="(\w+)"', (ROOT / "web" / "src" / "styles" / "themes.css").read_text(encoding="utf-8"))


@pytest.fixture(params=["dark", "light", *THEMES])
def themed(request: pytest.FixtureRequest, browser: Any, server: Server) -> Any:
    scheme = request.param if request.param not in THEMES else None
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme, locale="en-US")
    context.set_default_timeout(20_000)
    chosen = {"offerTour": True, "theme": request.param if scheme is None else "system"}
    editor = Editor(context.new_page(), server.url, chosen)
    editor.visit()
    yield editor
    assert not editor.errors, editor.errors
    assert not editor.foreign, "something was loaded from elsewhere"
    context.close()


def complaints(editor: Editor, view: str) -> list[str]:
    """What axe calls serious or critical, with the view and the first place of each."""
    if not AXE.is_file():
        missing("axe-core is not there: run `npm ci` in web/.")
    page = editor.page
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    editor.settle()
    page.wait_for_timeout(200)
    found = json.loads(
        page.evaluate(
            "axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
            ".then(found => JSON.stringify(found.violations.map(one => [one.impact, one.id, one.nodes.length,"
            " one.nodes.slice(0, 20).map(node => node.html.slice(0, 200)).join('\\n'), one.nodes[0].failureSummary])))"
        )
    )
    return [
        f"{view}: {rule} x {count}: {html} {why}"
        for impact, rule, count, html, why in found
        if impact in ("serious", "critical")
    ]


def test_axe_finds_nothing_serious_in_any_view(themed: Editor, server: Server) -> None:
    page, found = themed.page, []
    for name, draft in (("in a folder", False), ("not named", True)):
        server.call("PUT", f"/workflows/{quote(name)}", {"document": CHAIN, "revision": 0, "draft": draft})
    server.ask("PATCH", "/workflows/in%20a%20folder", {"folder": "for/everybody", "starred": True})
    assert page.evaluate("document.documentElement.dataset.theme") in ("dark", "light", *THEMES)
    found += complaints(themed, "start")
    page.click('[data-tour="skip"]')
    themed.open(CHAIN, zoom=0.8)
    found += complaints(themed, "graph")
    for keys, view in (("Control+k", "commands"), ("a", "add"), ("Control+f", "find")):
        themed.press(keys)
        page.wait_for_selector('[role="combobox"]:focus')
        found += complaints(themed, view)
        page.keyboard.press("Escape")
    page.evaluate("__safelight.app.setState({ tour: 0 })")
    found += complaints(themed, "tour")
    page.keyboard.press("Escape")
    page.evaluate("__safelight.app.setState({ overlay: { kind: 'where' } })")
    page.wait_for_selector("dialog[open]")
    found += complaints(themed, "where")
    page.keyboard.press("Escape")
    for keys, view in (("?", "shortcuts"), ("Control+,", "settings")):
        themed.press(keys)
        page.wait_for_selector("dialog[open]")
        found += complaints(themed, view)
        page.keyboard.press("Escape")
    for panel in ("templates", "gallery", "queue", "outline", "problems", "nodes", "models"):
        page.evaluate("panel => __safelight.app.setState({ panel })", panel)
        found += complaints(themed, panel)
    page.evaluate("__safelight.app.setState({ panel: null })")
    page.mouse.click(*themed.header("sample"), button="right")
    page.wait_for_selector('[role="menu"]')
    found += complaints(themed, "menu")
    page.keyboard.press("Escape")
    themed.press("F4")
    found += complaints(themed, "form")
    page.keyboard.press("F4")
    page.mouse.click(*themed.header("sample"))
    themed.press("Control+Shift+G")
    themed.press("Enter")
    found += complaints(themed, "subgraph")
    themed.press("Control+ArrowUp")
    themed.node("load").get_by_label("Paint a mask").click()
    page.wait_for_selector(".painter canvas")
    found += complaints(themed, "painter")
    page.keyboard.press("Escape")
    page.evaluate("__safelight.view.set(300, 300, 0.2)")
    themed.wait("document.querySelector('#canvas').dataset.far !== undefined")
    found += complaints(themed, "far")
    assert not found, "\n".join(found)


def test_a_theme_is_chosen_in_the_settings_and_kept(editor: Editor) -> None:
    page = editor.page
    panel = "getComputedStyle(document.querySelector('.top-bar')).backgroundColor"
    seen = set()
    for theme in ("dark", "light", *THEMES):
        editor.press("Control+,")
        page.get_by_label("Colours").select_option(theme)
        page.keyboard.press("Escape")
        editor.wait(f"document.documentElement.dataset.theme === '{theme}'")
        seen.add(page.evaluate(panel))
    assert len(seen) == 2 + len(THEMES), "each has a panel of its own colour"
    editor.visit()
    assert page.evaluate("document.documentElement.dataset.theme") == THEMES[-1]


def test_keys_alone_open_a_template_change_the_prompt_and_run(editor: Editor) -> None:
    page = editor.page
    page.keyboard.press("Control+k")
    page.keyboard.type("templates")
    page.keyboard.press("Enter")
    page.wait_for_selector(".side-panel [data-template]")
    for _ in range(3):
        page.keyboard.press("F6")
        if page.evaluate("document.activeElement.closest('.side-panel') !== null"):
            break
    for _ in range(400):  # what other tests have saved lies before the templates
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.dataset.template") == "text_to_image":
            break
    page.keyboard.press("Enter")
    editor.wait("JSON.parse(__safelight.write()).name === 'text_to_image'")
    page.focus("#canvas")
    page.keyboard.press("Control+f")
    page.wait_for_selector('[role="combobox"]:focus')
    page.keyboard.type("prompt")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    editor.settle()
    assert len(editor.selection) == 1
    text = page.locator(f'[data-node="{editor.selection[0]}"] textarea')
    text.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("a blue cup")
    page.keyboard.press("Control+Enter")
    editor.wait("Object.keys(__safelight.app.getState().runs).length > 0")
    assert "a blue cup" in editor.text
    page.keyboard.press("Control+Alt+Enter")


def test_the_far_view_is_a_list_that_can_be_read_and_jumped_from(editor: Editor) -> None:
    page = editor.page
    editor.open(CHAIN)
    page.evaluate("__safelight.view.set(300, 300, 0.2)")
    listed = page.get_by_role("listbox", name="Nodes")
    listed.wait_for(state="attached")
    listed.focus()
    names = listed.get_by_role("option")
    assert names.count() == 4
    assert names.first.get_attribute("aria-setsize") == "4"
    page.keyboard.press("End")
    assert listed.locator('[aria-selected="true"]').inner_text().startswith("VAE decode")
    page.keyboard.press("Enter")
    editor.wait("document.querySelector('#canvas').dataset.far === undefined")
    assert editor.selection == ["decode"]
    page.wait_for_selector('[data-node="decode"]')


def test_fingers_pan_pinch_tap_and_move(browser: Any, server: Server) -> None:
    context = browser.new_context(viewport={"width": 1024, "height": 768}, has_touch=True, locale="en-US")
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.open(CHAIN, zoom=0.8)
    touch = editor.fingers()
    before = editor.page.evaluate("({...__safelight.view.viewport})")
    touch("touchStart", (700, 600))
    for step in range(1, 6):
        touch("touchMove", (700 - 20 * step, 600))
    touch("touchEnd")
    after = editor.page.evaluate("({...__safelight.view.viewport})")
    assert after["x"] < before["x"] - 60 and after["zoom"] == before["zoom"]
    touch("touchStart", (500, 600))
    touch("touchStart", (500, 600), (600, 600))
    for step in range(1, 6):
        touch("touchMove", (500 - 10 * step, 600), (600 + 10 * step, 600))
    touch("touchEnd")
    assert editor.page.evaluate("__safelight.view.zoom") > before["zoom"] * 1.5
    editor.page.evaluate("__safelight.view.set(40, 60, 0.8)")
    editor.settle()
    x, y = editor.header("sample")
    editor.page.touchscreen.tap(x, y)
    assert editor.selection == ["sample"]
    start = editor.rect("sample")
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x, y + 16 * step))
    touch("touchEnd")
    editor.settle()
    assert editor.rect("sample")["y"] > start["y"] + 40
    assert not editor.errors
    context.close()
