"""The templates: under headings, found by words and by what they need, each with its price."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.places import shipped_groups
from web.editor import Editor


@pytest.fixture
def templates(editor: Editor) -> Any:
    editor.page.click('[data-panel="templates"]')
    editor.page.locator('[data-filter="all"]').wait_for(timeout=60_000)
    return editor.page.locator(".side-panel")


def names(templates: Any) -> list[str]:
    return templates.locator("[data-template]").evaluate_all("cards => cards.map(card => card.dataset.template)")


def card(templates: Any, name: str) -> str:
    return templates.locator(f'[data-template="{name}"] .cost').inner_text()


def test_they_stand_under_headings_from_simple_to_special(templates: Any) -> None:
    groups = shipped_groups()
    assert templates.locator("h4").all_inner_texts() == list(groups)
    assert names(templates) == [name for within in groups.values() for name in within]


def test_each_says_what_it_needs_and_how_many_steps_it_takes(templates: Any) -> None:
    """Those that this server has not run; what it has run says the time instead."""
    assert card(templates, "edit_by_inversion") == "Starter model · 20 steps"
    assert card(templates, "few_steps") == "Starter model · 4 steps"
    assert card(templates, "cut_out") == "No model"
    assert card(templates, "long_film") == "Uses safelight[video]"
    assert card(templates, "detail_faces") == "To add: pnet.pt, rnet.pt, onet.pt · 20 steps"


def test_they_are_found_by_words_and_by_needs(editor: Editor, templates: Any) -> None:
    every = names(templates)
    templates.locator('[data-filter="missing"]').click()
    assert names(templates) == ["detail_faces"]
    templates.locator('[data-filter="ready"]').click()
    assert set(names(templates)) == set(every) - {"detail_faces"}
    templates.locator('[data-filter="image"]').click()
    assert "caption" in names(templates) and "text_to_image" not in names(templates)
    search = templates.get_by_role("searchbox")
    search.fill("dot pattern")
    assert names(templates) == ["duotone"]
    search.fill("xyzzy")
    assert names(templates) == [] and "No template fits" in templates.inner_text()
    search.fill("")
    templates.locator('[data-filter="all"]').click()
    assert names(templates) == every


def test_what_was_made_here_says_how_long_it_took(editor: Editor, templates: Any) -> None:
    """A workflow without a model, so that it is quick: run as it is, it is measured."""
    page = editor.page
    templates.locator('[data-template="caption"]').click()
    editor.wait("JSON.parse(__safelight.write()).name === 'caption'")
    editor.press("Control+Enter")
    tab = "s.tabs.find(one => one.id === s.active)"
    editor.wait(
        f"(() => {{ const s = __safelight.app.getState(); return s.runs[{tab}.run]?.status === 'done'; }})()", 240
    )
    page.click('[data-panel="templates"]')
    page.locator('.side-panel [data-template="caption"] .cost', has_text="took").wait_for(timeout=60_000)
    assert card(page.locator(".side-panel"), "caption").startswith("No model · took ")
