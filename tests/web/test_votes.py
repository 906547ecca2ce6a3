"""Voting on a sweep: two images side by side without their settings, keys, a table with intervals, and files."""

from __future__ import annotations

import re
from typing import Any

import pytest

from safelight.sdk.votes import read_votes, table
from web.editor import Editor


@pytest.fixture
def voting(editor: Editor) -> Editor:
    """The voting page over two samplers, with three seeds each."""
    page = editor.page
    page.locator('[data-template="text_to_image"]').first.click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    page.keyboard.press("F4")
    field = page.locator('[data-field="steps"]').get_by_role("slider")
    field.focus()
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    for name in ("seed", "sampler"):
        page.hover(f'[data-field="{name}"]')
        page.locator(f'[data-field="{name}"] .form-tools').get_by_role("button", name="Try several values").click()
    page.get_by_role("textbox", name="Seed").fill("1..3")
    page.locator('[data-field="sampler"]').get_by_role("button", name="heun", exact=True).click()
    page.locator("[data-sweep-count]").click()
    page.get_by_text(re.compile("^6 of 6 done")).wait_for(timeout=90_000)
    page.get_by_role("button", name="Vote", exact=True).click()
    page.wait_for_selector(".vote-pair img")
    return editor


def shown(page: Any) -> list[str]:
    return page.locator(".vote-pair img").evaluate_all("all => all.map(one => one.src)")


def vote(editor: Editor, key: str) -> list[str]:
    """Presses a key; gives the two images that it was about."""
    page = editor.page
    before = shown(page)
    count = int(page.locator("[data-votes]").get_attribute("data-votes"))
    page.keyboard.press(key)
    editor.wait(
        f"document.querySelector('[data-votes]').dataset.votes === '{count + (1 if key != 'Backspace' else -1)}'"
    )
    return before


def test_votes_by_keys_give_a_table_and_files(voting: Editor, tmp_path: Any) -> None:
    page = voting.page
    assert page.get_by_label("Compare").locator("option:checked").inner_text() == "Sampler"
    dialog = page.locator("dialog.voting")
    assert not re.search("euler|heun", dialog.inner_text()), "which is which is not shown"
    first = vote(voting, "1")
    assert shown(page) != first and len(set(first)) == 2
    vote(voting, "Backspace")
    assert shown(page) == first, "a vote that was taken back is asked again"
    # Whoever likes one image of each pair more than the other, wherever it stands.
    for key in ("1", "2", "0"):
        vote(voting, key)
    page.get_by_text("3 of 3 pairs voted on").wait_for()
    page.get_by_role("button", name="Left", exact=True).first.click()
    voting.wait("document.querySelector('[data-votes]').dataset.votes === '4'")
    page.get_by_role("button", name="Table", exact=True).click()
    rows = page.locator(".standings tbody tr")
    assert rows.count() == 2
    names = {name.split("=")[1] for name in page.locator(".standings tbody th").all_inner_texts()}
    assert names == {"euler", "heun"}
    cells = [row.locator("td").all_inner_texts() for row in rows.all()]
    assert sum(int(row[2]) for row in cells) == sum(int(row[3]) for row in cells) == 3
    assert [row[4] for row in cells] == ["1", "1"] and int(cells[0][0]) >= 1000 >= int(cells[1][0])
    assert all(re.fullmatch(r"-?\d+ – -?\d+", row[1]) for row in cells)
    for kind, button in (("votes", "Save the votes as CSV"), ("preferences", "Save the table as CSV")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=button).click()
        assert saved.value.suggested_filename == f"{kind}.csv"
        saved.value.save_as(tmp_path / f"{kind}.csv")
    standings = table(read_votes((tmp_path / "votes.csv").read_text())).standings
    assert [str(round(one.rating)) for one in standings] == [row[0] for row in cells]
    assert (tmp_path / "preferences.csv").read_text().startswith("name,rating,low,high,wins,losses,ties\n")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Vote", exact=True).click()
    page.wait_for_selector(".vote-pair img")
    assert page.locator("[data-votes]").get_attribute("data-votes") == "4", "kept by the server, and none by the table"


def test_another_order_and_another_axis(voting: Editor) -> None:
    page = voting.page
    seen = {tuple(shown(page))}
    for seed in range(2, 6):
        page.get_by_label("Order").fill(str(seed))
        seen.add(tuple(shown(page)))
    assert len(seen) > 1
    page.get_by_label("Compare").select_option(label="Seed")
    page.get_by_text("0 of 6 pairs voted on").wait_for()
    page.get_by_label("Compare").select_option(label="every combination")
    page.get_by_text("0 of 15 pairs voted on").wait_for()
    page.get_by_label("Order").fill("12")
    assert page.locator("[data-votes]").get_attribute("data-votes") == "0", "typed digits are no votes"
