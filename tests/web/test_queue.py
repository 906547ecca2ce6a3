"""The queue: what runs and waits, in an order that can be changed, with the time that is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Server
from web.editor import Editor


@pytest.fixture
def queue(editor: Editor, server: Server) -> Iterator[Editor]:
    """Four runs that wait in a paused queue."""
    server.ask("POST", "/queue/pause", {})
    document = server.ask("GET", "/templates/text_to_image")
    for seed in range(4):
        inputs = {"seed": 100 + seed, "steps": 3}
        server.ask("POST", "/runs", {"document": document, "inputs": inputs, "name": f"run {seed}"})
    editor.page.click('[data-panel="queue"]')
    editor.wait("document.querySelectorAll('.runs li.queued').length >= 4")
    yield editor
    server.ask("POST", "/queue/clear", {})
    server.ask("POST", "/queue/resume", {})


def order(editor: Editor) -> list[str]:
    """Names of the waiting runs; what they were given stands behind."""
    texts = editor.page.locator(".runs li.queued strong").all_inner_texts()
    return [" ".join(text.split()[:2]) for text in texts]


def wait_order(editor: Editor, numbers: str) -> None:
    wanted = [f"run {number}" for number in numbers]
    for _ in range(100):
        if order(editor) == wanted:
            return
        editor.page.wait_for_timeout(50)
    assert order(editor) == wanted


def button(editor: Editor, number: int, act: str) -> Any:
    return editor.page.locator(".runs li", has_text=f"run {number}").first.locator(f'[data-act="{act}"]')


def test_waiting_runs_are_put_in_another_order(queue: Editor) -> None:
    wait_order(queue, "0123")
    queue.wait("document.title.startsWith('(4) ')")
    button(queue, 3, "queue.first").click()
    wait_order(queue, "3012")
    button(queue, 3, "form.down").click()
    wait_order(queue, "0312")
    rows = queue.page.locator(".runs li.queued")
    rows.nth(0).drag_to(rows.nth(3))
    wait_order(queue, "3120")
    button(queue, 1, "run.cancel").click()
    wait_order(queue, "320")


def test_the_queue_goes_on_and_runs_are_retried_opened_and_removed(queue: Editor) -> None:
    page = queue.page
    page.get_by_text("The queue is paused").wait_for()
    page.get_by_role("button", name="Resume the queue").click()
    page.locator(".runs li.running progress").first.wait_for()
    queue.wait("document.querySelectorAll('.runs li.queued, .runs li.running').length === 0", 90)
    done = page.locator(".runs li.done", has_text="run 2").first
    done.locator("img").wait_for()
    done.locator('[data-act="queue.retry"]').click()
    queue.wait(
        "[...document.querySelectorAll('.runs li.done')].filter(row => row.innerText.includes('run 2')).length === 2",
        60,
    )
    done.locator('[data-act="gallery.open"]').click()
    queue.wait("__safelight.stage.geometry.nodes.size > 3")
    assert queue.document["nodes"]["sample"]["values"]["seed"] == 102
    before = page.locator(".runs li.done").count()
    page.locator(".runs li.done").first.locator('[data-act="queue.remove"]').click()
    queue.wait(f"document.querySelectorAll('.runs li.done').length === {before - 1}")
    page.get_by_label("Search finished runs").fill("103")
    queue.wait("[...document.querySelectorAll('.runs li.done')].every(row => row.innerText.includes('run 3'))")


def test_a_run_is_paused_and_goes_on(editor: Editor, server: Server) -> None:
    document = server.ask("GET", "/templates/text_to_image")
    run = server.ask("POST", "/runs", {"document": document, "inputs": {"seed": 7, "steps": 120}, "name": "long one"})
    editor.page.click('[data-panel="queue"]')
    row = editor.page.locator(f'[data-run="{run["id"]}"]')
    row.locator('[data-act="queue.pauseRun"]').click(timeout=60_000)
    row.locator('[data-act="queue.resumeRun"]').wait_for()
    assert "paused" in row.inner_text()
    row.locator('[data-act="queue.resumeRun"]').click()
    row.locator('[data-act="run.cancel"]').click()
    row.locator('[data-act="queue.retry"]').wait_for(timeout=60_000)
    assert "cancelled" in row.inner_text()


def test_the_log_of_a_run_is_downloaded(editor: Editor, server: Server) -> None:
    document = server.ask("GET", "/templates/text_to_image")
    document["nodes"]["prompt"]["values"]["text"] = "a bell"
    run = server.ask("POST", "/runs", {"document": document, "inputs": {"seed": 5, "steps": 2}, "name": "logged"})
    server.wait(run["id"], 120)
    editor.page.click('[data-panel="queue"]')
    with editor.page.expect_download() as coming:
        editor.page.locator(f'[data-run="{run["id"]}"] [data-act="queue.log"]').click()
    assert coming.value.suggested_filename == f"{run['id']}.log"
    text = Path(coming.value.path()).read_text(encoding="utf-8")
    assert f"{run['id']}: logged, done" in text and "sample: begins" in text


def test_all_that_waits_is_cancelled_at_once(queue: Editor) -> None:
    queue.page.get_by_role("button", name="Cancel everything queued").click()
    queue.wait("document.querySelectorAll('.runs li.queued').length === 0")
