"""Keys of the user's own: changed by pressing others, taken over, refused with a reason, reset, and shown."""

from __future__ import annotations

from typing import Any

import pytest

from web.editor import Editor


def recorder(editor: Editor, command: str) -> Any:
    """The sheet of shortcuts, waiting for the keys of a command."""
    page = editor.page
    if not page.locator("dialog[open]").count():
        editor.press("F1")
    page.locator(f'[data-shortcut="{command}"] .keys').click()
    waiting = page.locator(f'.recorder[data-shortcut="{command}"]')
    waiting.wait_for()
    return waiting


def shown(editor: Editor, command: str) -> str:
    return editor.page.locator(f'[data-shortcut="{command}"] .keys').inner_text().strip()


def tool(editor: Editor, selector: str) -> str:
    return editor.page.locator(selector).get_attribute("title") or ""


def test_another_key_works_at_once_and_is_kept_and_shown(chain: Editor) -> None:
    page = chain.page
    recorder(chain, "undo")
    page.keyboard.press("Control+Alt+u")
    page.locator('[data-shortcut="undo"] .keys').wait_for()
    assert shown(chain, "undo") == "Ctrl+Alt+U"
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")
    assert tool(chain, '[data-tool="undo"]') == "Undo (Ctrl+Alt+U)"
    page.mouse.click(*chain.header("sample"))
    before = chain.text
    chain.press("Delete")
    assert "sample" not in chain.document["nodes"]
    chain.press("Control+z")
    assert "sample" not in chain.document["nodes"], "the key that it had does nothing"
    chain.press("Control+Alt+u")
    assert chain.text == before
    page.reload()
    chain.wait("window.__safelight?.app.getState().ready")
    assert tool(chain, '[data-tool="undo"]') == "Undo (Ctrl+Alt+U)"


def test_the_menu_follows(chain: Editor) -> None:
    page = chain.page
    recorder(chain, "bypass")
    page.keyboard.press("Shift+B")
    page.locator('[data-shortcut="bypass"] .keys').wait_for()
    page.keyboard.press("Escape")
    page.mouse.click(*chain.header("sample"), button="right")
    assert page.locator('[data-command="bypass"] kbd').inner_text() == "Shift+B"
    page.keyboard.press("Escape")
    chain.press("Shift+B")
    assert chain.document["nodes"]["sample"]["mode"] == "bypass"


def test_keys_that_another_command_has_are_told_and_taken_over(chain: Editor) -> None:
    page = chain.page
    waiting = recorder(chain, "fit")
    page.keyboard.press("g")
    waiting.get_by_text("belongs to “Gallery” already").wait_for()
    waiting.get_by_role("button", name="Cancel").click()
    assert shown(chain, "gallery") == "G"
    waiting = recorder(chain, "fit")
    page.keyboard.press("g")
    waiting.get_by_role("button", name="Take over").click()
    page.locator('[data-shortcut="fit"] .keys').wait_for()
    assert (shown(chain, "fit"), shown(chain, "gallery")) == ("G", "—")
    page.keyboard.press("Escape")
    chain.press("g")
    assert chain.state("panel") is None
    # Reset, it does not take the key of the one that has it by now; all are reset together.
    chain.press("F1")
    page.locator('[data-shortcut="gallery"]').get_by_role("button", name="Reset").click()
    assert shown(chain, "gallery") == "—"
    page.locator('[data-shortcut="fit"]').get_by_role("button", name="Reset").click()
    page.locator('[data-shortcut="gallery"]').get_by_role("button", name="Reset").click()
    assert shown(chain, "gallery") == "G" and "F" in shown(chain, "fit")
    waiting = recorder(chain, "fit")
    waiting.get_by_role("button", name="No keys").click()
    page.locator('[data-shortcut="fit"] .keys').wait_for()
    assert shown(chain, "fit") == "—"
    page.locator('[data-keys="reset-all"]').click()
    assert "F" in shown(chain, "fit") and chain.state("preferences.ownKeys") == {}


@pytest.mark.parametrize(
    ("command", "keys", "reason"),
    [
        ("fit", "Control+w", "browser’s own"),
        ("fit", "F5", "browser’s own"),
        ("fit", "Control+Shift+i", "browser’s own"),
        ("fit", "Control+c", "copies, cuts and pastes"),
        ("fit", "ArrowLeft", "moves what is selected"),
        ("run", "r", "while a text is typed"),
        ("run", "Shift+R", "while a text is typed"),
    ],
)
def test_keys_that_are_no_ones_to_give_are_refused_with_the_reason(
    chain: Editor, command: str, keys: str, reason: str
) -> None:
    waiting = recorder(chain, command)
    chain.page.keyboard.press(keys)
    waiting.get_by_text(reason).wait_for()
    chain.page.keyboard.press("Escape")
    chain.page.locator(f'[data-shortcut="{command}"] .keys').wait_for()
    assert chain.page.locator("dialog[open]").count() == 1, "Escape cancels the waiting, not the sheet"
    assert chain.state("preferences.ownKeys") == {}


def test_it_works_by_keyboard_alone(chain: Editor) -> None:
    page = chain.page
    chain.press("F1")
    page.locator('[data-shortcut="note"] .keys').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+N")
    page.locator('[data-shortcut="note"] .keys').wait_for()
    assert shown(chain, "note") == "Shift+N"
    focused = "document.activeElement.closest('[data-shortcut]')?.dataset.shortcut"
    assert page.evaluate(focused) == "note", "the focus is where it was"
    page.keyboard.press("Escape")
    chain.press("Shift+N")
    assert chain.page.locator(".note").count() == 1


def test_the_keys_of_blender(chain: Editor) -> None:
    chain.press("Control+,")
    chain.page.locator('[data-setting="keys"]').select_option("blender")
    chain.page.keyboard.press("Escape")
    before = chain.text
    chain.press("a")
    assert len(chain.state("tabs[0].selection")) == len(chain.document["nodes"]), "a selects all"
    chain.press("Shift+a")
    assert chain.state("overlay.kind") == "add"
    chain.page.keyboard.press("Escape")
    chain.press("a")
    chain.press("Control+g")
    assert len(chain.document["nodes"]) == 1, "a group"
    chain.press("Tab")
    assert len(chain.state("tabs[0].path")) == 1, "Tab goes in"
    chain.press("Tab")
    assert chain.state("tabs[0].path") == [], "and out again"
    chain.press("Control+z")
    assert chain.text == before
