"""Texts and targets have their room: in every language, in low windows, and for fingers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving import Server
from web.editor import PREFERENCES, Editor

LANGUAGES = ["en", "de", "es", "fr", "ja", "ko", "pt-BR", "zh", "zh-TW"]
CUT = """() => [...document.querySelectorAll('.rail button span')]
    .filter(one => one.scrollWidth > one.clientWidth + 1
        || one.getBoundingClientRect().right > one.closest('button').getBoundingClientRect().right)
    .map(one => one.innerText)"""
SMALL = """() => ['.side-panel', '.form-view', 'dialog[open]']
    .flatMap(place => [...document.querySelectorAll(`${place} button`)])
    .map(one => [one.getBoundingClientRect(), one.getAttribute('aria-label') || one.innerText])
    .filter(([{ width, height }]) => width && height && (width < 24 || height < 24))
    .map(([{ width, height }, name]) => `${name}: ${width} x ${height}`)"""


def boxes(page: Any, *selectors: str) -> list[dict[str, float]]:
    return [page.locator(selector).first.bounding_box() for selector in selectors]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_in_the_rail_is_cut(context: Any, server: Server, language: str) -> None:
    page = context.new_page()
    kept = json.dumps(json.dumps({"language": language, "offerTour": False}))
    page.add_init_script(f'try {{ localStorage["{PREFERENCES}"] = {kept}; }} catch {{ /* an empty page */ }}')
    page.goto(server.url)
    page.wait_for_selector(f'html[lang^="{language[:2]}"] .rail')
    page.wait_for_selector(".start-strip")
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("size", [(1440, 900), (720, 450), (844, 390)])
def test_the_first_steps_lie_apart_in_low_windows(editor: Editor, size: tuple[int, int]) -> None:
    page = editor.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_selector(".start-strip")
    button, heading = boxes(page, ".empty-hint button", ".start-strip h2")
    assert button["y"] + button["height"] <= heading["y"], "the button to open a file is free"
    title, card = boxes(page, ".empty-hint h2", ".start-cards button")
    assert title["y"] >= 40 and card["y"] + card["height"] <= size[1], "all of it is in the window"


def test_what_is_pressed_is_large_enough(editor: Editor) -> None:
    page = editor.page
    for panel in ("templates", "nodes", "models", "gallery", "queue", "outline"):
        page.click(f'[data-panel="{panel}"]')
        editor.settle()
        assert page.evaluate(SMALL) == [], panel
    page.click('[data-panel="outline"]')
    page.get_by_role("button", name="Text to image").first.click()
    editor.press("F4")
    page.wait_for_selector(".form-field")
    assert page.evaluate(SMALL) == []
