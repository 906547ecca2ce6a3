"""Many open documents: the list of all, and what stays in sight. Keys as they are printed on the keyboard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving import Server
from web.editor import CHAIN, Editor

MANY = 12


@pytest.fixture
def many(editor: Editor) -> Editor:
    for number in range(MANY):
        text = json.dumps({**CHAIN, "name": f"Document {number}"})
        editor.page.evaluate("text => __safelight.open(text)", text)
        editor.wait(f"JSON.parse(__safelight.write()).name === 'Document {number}'")
    return editor


def is_in_sight(editor: Editor, selector: str) -> bool:
    """What is hit in the middle of it is the element itself."""
    return editor.page.evaluate(
        """selector => {
            const box = document.querySelector(selector).getBoundingClientRect();
            const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
            return hit?.closest(selector) !== null;
        }""",
        selector,
    )


def titles(editor: Editor) -> list[str]:
    return editor.page.locator(".tab-popup .option .title").all_inner_texts()


def open_tabs(editor: Editor) -> int:
    return editor.state("tabs.length")


def test_few_tabs_have_no_list(chain: Editor) -> None:
    assert chain.page.locator(".tab-list").count() == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_the_active_tab_its_menu_the_plus_and_the_list_are_in_sight(many: Editor, width: int) -> None:
    many.page.set_viewport_size({"width": width, "height": 844})
    for number in (0, MANY // 2, MANY - 1):
        many.page.evaluate(
            "n => { const s = __safelight.app; s.setState({ active: s.getState().tabs[n].id }); }", number
        )
        many.settle()
        for selector in (".tab.active .file-menu", ".new-tab", ".tab-list"):
            assert is_in_sight(many, selector), f"{selector} with tab {number} at {width}"


def test_a_tab_is_found_in_the_list_and_shown(many: Editor) -> None:
    page = many.page
    assert page.locator(".tab-list").inner_text().strip() == str(MANY)
    page.click(".tab-list")
    page.wait_for_selector('.tab-popup [role="combobox"]:focus')
    assert titles(many) == [f"Document {number}" for number in range(MANY)]
    assert page.locator('.tab-popup [aria-selected="true"] .title').inner_text() == f"Document {MANY - 1}"
    page.keyboard.type("ment 7")
    page.keyboard.press("Enter")
    many.wait("JSON.parse(__safelight.write()).name === 'Document 7'")
    assert page.locator(".tab-popup").count() == 0
    assert is_in_sight(many, ".tab.active .file-menu")


def test_a_middle_click_and_the_delete_key_close_tabs_in_the_list(many: Editor) -> None:
    page = many.page
    many.press("Alt+t")
    page.wait_for_selector('.tab-popup [role="combobox"]:focus')
    page.locator(".tab-popup .option", has_text="Document 3").click(button="middle")
    many.wait(f"__safelight.app.getState().tabs.length === {MANY - 1}")
    assert "Document 3" not in titles(many), "the list stays, without it"
    page.keyboard.type("Document 5")
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    assert open_tabs(many) == MANY - 1, "before what was typed it is the field's own key"
    page.keyboard.press("Control+a")
    page.keyboard.type("Document 5")
    page.keyboard.press("Delete")
    many.wait(f"__safelight.app.getState().tabs.length === {MANY - 2}")
    assert not page.evaluate("__safelight.app.getState().tabs.some(tab => tab.document.name === 'Document 5')")
    page.keyboard.press("Escape")
    many.wait("!document.querySelector('.tab-popup')")


@pytest.mark.parametrize(
    ("platform", "shown", "not_shown"),
    [
        (
            "Linux x86_64",
            ["Ctrl+K", "Ctrl+Delete", "Alt+←", "Shift+1", "Delete", "Esc"],
            ["⌘", "Digit", "Arrow", "$mod"],
        ),
        ("MacIntel", ["⌘K", "⌘⌦", "⌥←", "⇧1", "⌦", "⌘↩"], ["Ctrl+", "Digit", "Arrow", "$mod", "Alt+"]),
    ],
)
def test_keys_are_named_as_on_the_keyboard(
    browser: Any, server: Server, platform: str, shown: list[str], not_shown: list[str]
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.add_init_script(f"Object.defineProperty(navigator, 'platform', {{ value: {json.dumps(platform)} }});")
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.press("?")
    editor.page.wait_for_selector("dialog[open]")
    keys = editor.page.locator("dialog kbd").all_inner_texts()
    assert not [key for key in shown if key not in keys], keys
    text = " ".join(keys)
    assert not [part for part in not_shown if part in text]
    assert ("⌘ and drag an output" in editor.page.locator("dialog").inner_text()) == (platform == "MacIntel")
    editor.page.keyboard.press("Escape")
    # What is shown is what works.
    editor.press("Meta+k" if platform == "MacIntel" else "Control+k")
    editor.page.wait_for_selector(".popup.commands")
    assert not editor.errors
    context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_scrollbars_are_of_the_theme(browser: Any, server: Server, theme: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 500}, color_scheme=theme, locale="en-US")
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.press("t")
    color = editor.page.locator(".side-panel .scroll").evaluate("one => getComputedStyle(one).scrollbarColor")
    thumb = [int(part) for part in color[color.index("(") + 1 : color.index(")")].split(",")]
    assert max(thumb) < 130 if theme == "dark" else 150 < min(thumb) < 200
    assert "rgba(0, 0, 0, 0)" in color, "the track is the ground that it lies on"
    context.close()
