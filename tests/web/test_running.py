"""Before, during and after a run: what is told on the nodes and on the button, and the keys that run and cancel."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from serving import Server
from web.editor import Editor, graph

# Values only: no model is loaded, so a run is over at once.
SUM = graph(
    {"a": ("values.number", 0, 0), "b": ("values.number", 0, 160), "sum": ("values.calculate", 340, 0)},
    [("a.value", "sum.a"), ("b.value", "sum.b")],
    outputs=[{"name": "sum", "from": "sum.value"}],
)
SUM["nodes"]["a"]["values"] = {"value": 2.5}
SUM["nodes"]["b"]["values"] = {"value": 4.0}
TAB = "tabs.find(tab => tab.id === state.active)"


def status(editor: Editor, node: str) -> str:
    return editor.node(node).get_attribute("data-status")


def run(editor: Editor, seconds: float = 60) -> None:
    """Asks for a run, and waits for the end of that one: until it is accepted, the tab shows the run before."""
    current = "__safelight.app.getState().tabs.find(t => t.id === __safelight.app.getState().active).run ?? ''"
    before = editor.page.evaluate(current)
    editor.press("Control+Enter")
    editor.wait(f"({current}) !== {before!r}")
    finished(editor, seconds)


def finished(editor: Editor, seconds: float = 60) -> None:
    editor.wait(
        "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
        " return t.run && ['done', 'failed', 'cancelled'].includes(s.runs[t.run]?.status); })()",
        seconds,
    )
    editor.settle()


def sent(editor: Editor) -> list[dict[str, Any]]:
    """The bodies of the runs that were asked for."""
    bodies: list[dict[str, Any]] = []

    def heard(request: Any) -> None:
        if request.method == "POST" and request.url.endswith("/runs"):
            bodies.append(json.loads(request.post_data))

    editor.page.on("request", heard)
    return bodies


def test_what_will_run_is_marked_and_counted_and_only_that_runs(editor: Editor) -> None:
    # A number that no other test has, nor it plus one: of those the server remembers what comes of them.
    b = {"type": "values.number", "values": {"value": round(random.uniform(1000, 9000), 4)}}
    editor.open({**SUM, "nodes": {**SUM["nodes"], "b": b}})
    editor.wait_plan()
    button = editor.page.locator(".run-button")
    first = int(button.get_attribute("data-will-run"))
    assert {status(editor, name) for name in SUM["nodes"]} <= {"will-run", "cached"}
    assert first == sum(status(editor, name) == "will-run" for name in SUM["nodes"])
    run(editor)
    assert {status(editor, name) for name in SUM["nodes"]} <= {"done", "cached"}
    editor.wait("document.querySelector('.run-button').dataset.willRun === '0'")
    assert "Up to date" in button.inner_text()
    field = editor.page.locator('[data-widget="b.value"] .field')
    field.focus()
    editor.page.keyboard.press("ArrowUp")
    editor.wait("document.querySelector('.run-button').dataset.willRun === '2'")
    assert "2 to run" in button.inner_text()
    assert [status(editor, name) for name in ("a", "b", "sum")] == ["cached", "will-run", "will-run"]
    run(editor)
    assert [status(editor, name) for name in ("a", "b", "sum")] == ["cached", "done", "done"]


def test_a_run_that_is_over_before_its_acceptance_is_known_is_taken_note_of(editor: Editor) -> None:
    def late(route: Any) -> None:
        answer = route.fetch()
        time.sleep(1.5)  # the events of the run are there by now
        route.fulfill(response=answer)

    editor.open(SUM)
    editor.wait_plan()
    editor.page.route("**/api/v1/runs", late)
    run(editor)
    editor.wait("document.querySelector('.run-button').dataset.willRun === '0'")
    editor.page.wait_for_selector('[data-node="sum"] .values')


def test_numbers_are_shown_in_the_node_that_made_them(editor: Editor) -> None:
    editor.open(SUM)
    run(editor)
    editor.page.wait_for_selector('[data-node="sum"] .values')
    assert editor.node("sum").locator(".values dd").inner_text() == "6.5"
    # What its own field says anyway is not said twice.
    assert editor.node("a").locator(".values").count() == 0


def test_an_image_that_is_an_output_is_shown_at_the_node_it_comes_from(editor: Editor) -> None:
    editor.open(
        graph({"plain": ("image.solid", 0, 0)}, [], outputs=[{"name": "sheet", "from": "plain.image"}]),
    )
    run(editor)
    editor.page.wait_for_selector('[data-node="plain"] img, [data-node="plain"] canvas', timeout=5000)


def test_a_curve_is_drawn_in_the_node_that_reports_one(editor: Editor) -> None:
    editor.open(SUM)
    run(editor)
    # The events of a training node, without training for a minute: what the page makes of them is what is tested.
    editor.page.evaluate(
        """() => {
            const state = __safelight.app.getState();
            const run = state.tabs.find((tab) => tab.id === state.active).run;
            const curve = Array.from({length: 500}, (_, i) => [i, 1 / (1 + i)]);
            __safelight.receive({event: "node_progress", run, node: "sum", step: 500, total: 500, curve});
        }"""
    )
    curve = editor.node("sum").locator("figure")
    curve.wait_for()
    assert "now 0.002" in curve.get_attribute("aria-label")
    points = curve.locator("polyline").get_attribute("points").split()
    assert 100 < len(points) <= 201
    rises = [float(point.split(",")[1]) for point in points]
    assert rises == sorted(rises), "a falling loss falls on the screen"
    assert editor.rect("sum")["h"] > 200


def test_the_keys_that_run_work_while_a_text_has_the_focus(editor: Editor) -> None:
    editor.open(graph({"prompt": ("values.text", 0, 0)}, outputs=[{"name": "text", "from": "prompt.text"}]))
    bodies = sent(editor)
    editor.node("prompt").locator("textarea, input").first.click()
    editor.page.keyboard.type("hello")
    for keys in ("Control+Enter", "Control+Shift+Enter"):
        editor.page.keyboard.press(keys)
        finished(editor)
    assert [body.get("priority", 0) for body in bodies] == [0, 10]
    assert bodies[0]["document"]["nodes"]["prompt"]["values"] == {"value": "hello"}


def test_running_up_to_a_node_asks_for_that_one_alone(editor: Editor) -> None:
    editor.open(SUM)
    bodies = sent(editor)
    editor.page.mouse.click(*editor.header("a"))
    editor.press("Shift+Enter")
    finished(editor)
    assert bodies[0]["targets"] == ["a"]
    assert status(editor, "a") in ("done", "cached")


def test_mute_and_bypass_change_what_is_sent_and_work_on_many(editor: Editor) -> None:
    editor.open(
        graph(
            {
                "a": ("values.number", 0, 0),
                "r": ("values.to_integer", 300, 0),
                "s": ("values.to_integer", 300, 200),
                "sum": ("values.calculate", 600, 0),
            },
            [("a.value", "sum.a"), ("a.value", "r.value"), ("r.value", "sum.b"), ("a.value", "s.value")],
            outputs=[{"name": "sum", "from": "sum.value"}],
        )
    )
    bodies = sent(editor)
    editor.page.mouse.click(*editor.header("r"))
    editor.page.keyboard.down("Shift")
    editor.page.mouse.click(*editor.header("s"))
    editor.page.keyboard.up("Shift")
    editor.one_step(lambda: editor.press("Control+m"))
    assert {editor.document["nodes"][name]["mode"] for name in "rs"} == {"mute"}
    editor.one_step(lambda: editor.press("Control+b"))
    assert {editor.document["nodes"][name]["mode"] for name in "rs"} == {"bypass"}
    assert "mode-bypass" in editor.node("r").get_attribute("class")
    assert editor.node("r").locator(".badge").inner_text() == "bypassed"
    editor.press("Control+Enter")
    editor.wait("Object.keys(__safelight.app.getState().runs).length > 0")
    assert bodies[0]["document"]["nodes"]["r"]["mode"] == "bypass"


@pytest.mark.parametrize("how", ["Escape", "Control+Alt+Enter", "button"])
def test_a_run_is_cancelled(editor: Editor, how: str) -> None:
    editor.page.click('[data-panel="templates"]')
    editor.page.click('[data-template="text_to_image"]')
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    editor.page.evaluate(
        """seed => { const text = JSON.parse(__safelight.write());
            text.nodes.sample.values.steps = 150; text.nodes.sample.values.seed = seed;
            __safelight.open(JSON.stringify(text)); }""",
        {"Escape": 101, "Control+Alt+Enter": 102, "button": 103}[how],
    )
    editor.wait("JSON.parse(__safelight.write()).nodes.sample.values.steps === 150")
    editor.press("Control+Enter")
    editor.page.wait_for_selector('[data-node="sample"][data-status="running"]', timeout=90_000)
    editor.wait("document.querySelector('[data-node=sample] .badge').textContent.includes('/150')", 60)
    editor.page.wait_for_selector('[data-node="sample"] img.live', timeout=30_000)
    if how == "button":
        editor.page.click(".run .cancel")
    elif how == "Escape":
        editor.press("Escape")  # takes the selection away, if there is one
        editor.press("Escape")
    else:
        editor.node("prompt").locator("textarea").focus()
        editor.page.keyboard.press(how)
    finished(editor)
    run = editor.state(f"runs[state.{TAB}.run]")
    assert run["status"] == "cancelled"


def test_a_problem_marks_its_node_and_socket(editor: Editor) -> None:
    editor.open(graph({"empty": ("latent.empty", 0, 0), "save": ("image.save", 400, 0)}))
    editor.page.wait_for_selector('[data-node="save"][data-status="unfinished"]')
    editor.press("Control+Enter")
    editor.page.wait_for_selector('[data-node="save"][data-status="problem"]')
    socket = editor.page.locator('[data-port="save.image"]')
    assert "faulty" in socket.get_attribute("class")
    assert "rgb(" in socket.locator("i").evaluate("one => getComputedStyle(one).boxShadow")
    other = editor.page.locator('[data-port="empty.latent"]')
    assert "faulty" not in other.get_attribute("class")


def test_a_problem_inside_a_subgraph_is_jumped_to(editor: Editor) -> None:
    editor.open(
        {
            **SUM,
            "nodes": {**SUM["nodes"], "sum": {"type": "values.calculate", "values": {"operation": "divide", "b": 0}}},
            "links": SUM["links"][:1],
        }
    )
    editor.page.mouse.click(*editor.header("sum"))
    editor.press("Control+Shift+G")
    run(editor)
    assert status(editor, "subgraph") == "failed"
    editor.press("e")
    editor.page.click(".problem-list button")
    editor.page.wait_for_selector('[data-node="sum"][data-status="failed"]')
    assert editor.state(f"{TAB}.path") == ["subgraph"]
    assert editor.selection == ["sum"]


def test_the_title_of_the_window_counts_what_waits(editor: Editor, server: Server) -> None:
    server.ask("POST", "/queue/pause", {})
    try:
        editor.open(SUM)
        for count in (1, 2):
            editor.press("Control+Shift+Enter")
            editor.wait(f"document.title.startsWith('({count}) ')")
        server.ask("POST", "/queue/clear", {})
        editor.wait("!document.title.startsWith('(')")
    finally:
        server.ask("POST", "/queue/resume", {})


def test_a_image_in_a_node_opens_large(editor: Editor) -> None:
    editor.open({**graph({"load": ("image.load", 0, 0)}), "outputs": [{"name": "image", "from": "load.image"}]})
    editor.page.locator('[data-widget="load.file"] .choice').click()
    editor.page.click('[data-option="apple.png"]')
    editor.node("load").locator(".result img").dblclick()
    editor.wait("document.querySelector('.viewer .images img')?.naturalWidth > 0")
    editor.page.keyboard.press("Escape")
    assert editor.page.locator(".viewer").count() == 0


def test_a_failed_run_lists_what_failed_and_jumps_there(editor: Editor) -> None:
    editor.open(
        {
            **SUM,
            "nodes": {**SUM["nodes"], "sum": {"type": "values.calculate", "values": {"operation": "divide"}}},
        }
    )
    editor.page.locator('[data-widget="b.value"] .field').focus()
    editor.page.keyboard.type("0")
    editor.page.keyboard.press("Enter")
    run(editor)
    assert status(editor, "sum") == "failed"
    assert editor.node("sum").locator(".node-problem").is_visible()
    editor.page.evaluate("__safelight.view.set(-4000, -4000, 1)")
    editor.press("e")
    editor.page.click(".problem-list button")
    editor.settle()
    editor.wait("!__safelight.view.moving")
    assert editor.selection == ["sum"]
    rect = editor.rect("sum")
    x, y = editor.at(rect["x"] + 10, rect["y"] + 10)
    assert 0 < x < 1440 and 48 < y < 900
