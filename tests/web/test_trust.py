"""What a day's work must not lose or misreport: fields, undo, sheets, clipboard, fingers, several runs, failures."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import Server
from web.editor import CHAIN, Editor, graph
from web.test_running import SUM, TAB, finished, run, status

ROOT = Path(__file__).resolve().parents[2]
PROMPT = graph({"prompt": ("text.encode", 0, 0), "sample": ("sampling.sample", 400, 0)})
PROMPT["nodes"]["prompt"]["values"] = {"text": "a house"}
IMAGES = {
    **graph(
        {"solid": ("image.solid", 0, 0), "repeat": ("image.repeat", 300, 0), "save": ("image.save", 600, 0)},
        [("solid.image", "repeat.image"), ("repeat.image", "save.image")],
    )
}
IMAGES["nodes"]["repeat"]["values"] = {"times": 4}
IMAGES["nodes"]["solid"]["values"] = {"width": 64, "height": 64}


def text_of(editor: Editor) -> str:
    return editor.document["nodes"]["prompt"]["values"]["text"]


# Results


def boxes(editor: Editor) -> list[dict[str, float]]:
    return (
        editor.node("save")
        .locator(".result img")
        .evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
    )


def test_every_image_of_a_result_is_seen_in_its_node_and_more_are_counted(editor: Editor) -> None:
    editor.open(IMAGES)
    run(editor)
    editor.wait("document.querySelectorAll('[data-node=save] .result img').length === 4")
    editor.wait("[...document.querySelectorAll('[data-node=save] .result img')].every(one => one.naturalWidth > 0)")
    room = editor.node("save").locator(".result").bounding_box()
    places = boxes(editor)
    assert len({(round(box["x"]), round(box["y"])) for box in places}) == 4
    for box in places:
        assert box["x"] >= room["x"] - 1 and box["x"] + box["width"] <= room["x"] + room["width"] + 1
        assert box["y"] >= room["y"] - 1 and box["y"] + box["height"] <= room["y"] + room["height"] + 1
    many = json.loads(json.dumps(IMAGES))
    many["nodes"]["repeat"]["values"]["times"] = 13
    editor.open(many)
    run(editor)
    more = editor.node("save").locator(".more-images")
    more.wait_for()
    assert more.inner_text() == "+4"
    more.click()
    assert editor.state("overlay.images.length") == 13


def test_what_the_cache_has_is_seen_when_a_workflow_is_opened(editor: Editor, context: Any, server: Server) -> None:
    kept = json.loads(json.dumps(IMAGES))
    kept["nodes"]["solid"]["values"]["color"] = "#31a354"
    editor.open(kept)
    run(editor)
    other = Editor(context.new_page(), server.url)
    other.visit()
    other.open(kept)
    other.wait("document.querySelectorAll('[data-node=save] .result img').length === 4")
    assert not other.page.evaluate("Object.keys(__safelight.app.getState().runs).length"), "nothing was run here"
    assert not other.errors


# Fields and undo


@pytest.fixture
def prompt(editor: Editor) -> Editor:
    editor.open(PROMPT)
    editor.node("prompt").locator("textarea").click()
    editor.page.keyboard.press("Control+End")
    return editor


def test_escape_takes_back_what_was_typed_and_undo_gives_it_back(prompt: Editor) -> None:
    prompt.page.keyboard.type(" by the sea")
    prompt.page.keyboard.press("Escape")
    prompt.settle()
    assert text_of(prompt) == "a house"
    assert prompt.page.evaluate("document.activeElement.id") == "canvas"
    prompt.page.keyboard.press("Control+z")
    assert text_of(prompt) == "a house by the sea"
    prompt.page.keyboard.press("Control+z")
    assert text_of(prompt) == "a house"


def test_undo_in_a_field_goes_burst_by_burst_like_on_the_canvas(prompt: Editor) -> None:
    keyboard = prompt.page.keyboard
    keyboard.type(" one")
    prompt.page.wait_for_timeout(1400)
    keyboard.type(" two")
    keyboard.press("Control+z")
    assert text_of(prompt) == "a house one"
    keyboard.press("Control+z")
    assert text_of(prompt) == "a house"
    keyboard.press("Control+Shift+Z")
    keyboard.press("Control+y")
    assert text_of(prompt) == "a house one two"
    assert prompt.node("prompt").locator("textarea").evaluate("one => one.selectionStart") == len("a house one two")
    assert prompt.page.evaluate("document.activeElement.tagName") == "TEXTAREA"


def test_a_weight_set_by_key_is_undone_in_the_field(prompt: Editor) -> None:
    prompt.page.keyboard.press("Control+ArrowUp")
    assert text_of(prompt) == "a (house:1.1)"
    prompt.page.keyboard.press("Control+z")
    assert text_of(prompt) == "a house"


def test_escape_in_a_note_follows_the_same_rule(editor: Editor) -> None:
    editor.open(
        {**CHAIN, "ui": {**CHAIN["ui"], "notes": [{"id": "n", "x": 0, "y": 500, "w": 300, "h": 120, "text": "old"}]}}
    )
    editor.page.locator(".note").dblclick()
    editor.page.keyboard.press("Control+End")
    editor.page.keyboard.type(" and new")
    editor.page.keyboard.press("Escape")
    assert editor.document["ui"]["notes"][0]["text"] == "old"
    editor.page.keyboard.press("Control+z")
    assert editor.document["ui"]["notes"][0]["text"] == "old and new"


def test_an_empty_note_does_not_stop_undo(chain: Editor) -> None:
    before = chain.text
    chain.press("n")
    chain.page.wait_for_selector(".note textarea:focus")
    chain.page.keyboard.press("Control+z")
    chain.settle()
    assert chain.text == before


@pytest.fixture
def numbers(editor: Editor) -> Editor:
    editor.open(graph({"n": ("values.number", 0, 0), "s": ("values.seed", 300, 0), "i": ("values.integer", 600, 0)}))
    return editor


def value(editor: Editor, node: str) -> Any:
    return editor.document["nodes"][node]["values"].get("value")


def field(editor: Editor, node: str) -> Any:
    return editor.node(node).locator(".field.number")


def type_into(editor: Editor, node: str, text: str) -> None:
    field(editor, node).focus()
    editor.page.keyboard.press("Enter")
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.type(text)
    editor.page.keyboard.press("Enter")
    editor.settle()


def test_a_number_that_is_looked_at_keeps_its_digits(numbers: Editor) -> None:
    type_into(numbers, "n", "3.14159265")
    before = numbers.text
    field(numbers, "n").click()
    assert numbers.node("n").locator("input").input_value() == "3.14159265"
    numbers.page.keyboard.press("Enter")
    field(numbers, "n").click()
    numbers.page.locator("#canvas").focus()
    assert numbers.text == before and value(numbers, "n") == 3.14159265


def test_thousands_are_thousands_and_a_comma_may_be_a_point(numbers: Editor) -> None:
    type_into(numbers, "i", "1,024")
    assert value(numbers, "i") == 1024
    type_into(numbers, "n", "1,5")
    assert value(numbers, "n") == 1.5


def test_arrows_count_exactly_beyond_what_a_number_holds(numbers: Editor) -> None:
    type_into(numbers, "s", str(2**53))
    for step in (1, 2, 3):
        field(numbers, "s").focus()
        numbers.page.keyboard.press("ArrowUp")
        assert value(numbers, "s") == 2**53 + step
    numbers.page.keyboard.press("ArrowDown")
    assert value(numbers, "s") == 2**53 + 2


def test_backspace_in_a_field_deletes_no_node(numbers: Editor) -> None:
    numbers.page.mouse.click(*numbers.header("n"))
    field(numbers, "n").focus()
    numbers.page.keyboard.press("Backspace")
    numbers.page.keyboard.type("7")
    numbers.page.keyboard.press("Enter")
    assert value(numbers, "n") == 7
    toggle = numbers.node("s").locator("button.icon").first
    toggle.focus()
    numbers.page.keyboard.press("Delete")
    assert set(numbers.document["nodes"]) == {"n", "s", "i"}


def test_tab_leads_through_the_canvas_and_adds_a_node_where_it_was_clicked(chain: Editor) -> None:
    chain.page.locator('[data-rail="shortcuts"]').focus()
    chain.page.keyboard.press("Tab")
    assert chain.page.evaluate("document.activeElement.id") == "canvas"
    chain.page.keyboard.press("Tab")
    assert chain.page.locator('[role="combobox"]').count() == 0
    assert chain.page.evaluate("document.activeElement.id") != "canvas"
    chain.page.mouse.click(*chain.at(200, 500))
    chain.page.keyboard.press("Tab")
    chain.page.wait_for_selector('[role="combobox"]:focus')


def test_find_looks_into_subgraphs(chain: Editor) -> None:
    chain.page.mouse.click(*chain.header("sample"))
    chain.press("Control+Shift+G")
    chain.page.mouse.click(*chain.at(200, 500))
    chain.press("Control+f")
    chain.page.keyboard.type("sampling.sample")
    chain.page.keyboard.press("Enter")
    chain.settle()
    assert chain.state(f"{TAB}.path") == ["subgraph"]
    assert chain.selection == ["sample"]


# Sheets


def test_a_sheet_has_the_focus_where_it_asks_and_keeps_its_keys(chain: Editor) -> None:
    before = chain.text
    chain.press("Control+Shift+S")
    chain.page.wait_for_selector("dialog[open]")
    assert chain.page.evaluate("document.activeElement.tagName") == "INPUT"
    chain.page.keyboard.press("Control+a")
    chain.page.keyboard.type("bnq tm")
    chain.page.locator("dialog h2").click()  # the focus is nowhere in particular now
    for key in ("n", "b", "Delete", "Control+a", "Control+d"):
        chain.page.keyboard.press(key)
    assert chain.text == before and chain.state("panel") is None
    chain.page.locator("dialog input").focus()
    chain.page.keyboard.press("Enter")
    chain.wait(f"(() => {{ const state = __safelight.app.getState(); return state.{TAB}.name === 'bnq tm'; }})()")
    assert chain.page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize(("keys", "tag"), [("Control+,", "SELECT"), ("Control+Shift+E", "BUTTON"), ("?", "INPUT")])
def test_no_sheet_begins_at_its_cross(chain: Editor, keys: str, tag: str) -> None:
    chain.press(keys)
    chain.page.wait_for_selector("dialog[open]")
    at = chain.page.evaluate("[document.activeElement.tagName, document.activeElement.closest('header') !== null]")
    assert not at[1], f"{keys}: the focus is on the cross"


# The clipboard


def test_copy_and_paste_where_pages_have_no_clipboard(browser: Any, server: Server) -> None:
    context = browser.new_context(locale="en-US")
    context.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined });")
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.open(CHAIN)
    editor.page.mouse.click(*editor.header("sample"))
    editor.page.keyboard.press("Control+c")
    editor.page.mouse.move(*editor.at(500, 500))
    editor.page.keyboard.press("Control+v")
    editor.settle()
    assert len(editor.document["nodes"]) == 4
    editor.page.keyboard.press("Control+x")
    editor.settle()
    assert len(editor.document["nodes"]) == 3
    editor.press("Control+v")
    assert len(editor.document["nodes"]) == 4
    editor.page.mouse.click(*editor.header("sample"), button="right")
    editor.page.click('[data-command="copy"]')
    editor.press("Control+v")
    assert len(editor.document["nodes"]) == 5
    assert not editor.errors
    context.close()


def test_marked_text_is_what_is_copied(editor: Editor) -> None:
    editor.open(SUM)
    run(editor)
    editor.page.mouse.click(*editor.header("sum"))
    shown = editor.node("sum").locator(".values dd")
    shown.evaluate("one => getSelection().selectAllChildren(one)")
    editor.page.keyboard.press("Control+c")
    editor.page.wait_for_timeout(100)
    assert editor.page.evaluate("navigator.clipboard.readText()") == "6.5"


# Files


def drop(editor: Editor, where: str, *files: tuple[str, str, bytes]) -> None:
    """Drops files (name, type, bytes) on an element."""
    given = [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files]
    editor.page.evaluate(
        """([where, files]) => {
            const data = new DataTransfer();
            for (const [name, type, text] of files)
                data.items.add(new File([Uint8Array.from(atob(text), one => one.charCodeAt(0))], name, { type }));
            const target = document.querySelector(where);
            for (const kind of ["dragover", "drop"])
                target.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        [where, given],
    )


def test_files_dropped_anywhere_open_here_and_several_at_once(editor: Editor) -> None:
    texts = [json.dumps({**CHAIN, "name": name}).encode() for name in ("first", "second")]
    drop(editor, ".top-bar", ("first.json", "application/json", texts[0]))
    editor.wait("JSON.parse(__safelight.write()).name === 'first'")
    drop(editor, ".rail", *((f"{n}.json", "application/json", text) for n, text in enumerate(texts)))
    editor.wait("__safelight.app.getState().tabs.length === 3")
    image = (ROOT / "workflows/input/apple.png").read_bytes()
    drop(editor, "#canvas", ("a.png", "image/png", image), ("b.png", "image/png", image))
    editor.wait(
        "Object.values(JSON.parse(__safelight.write()).nodes).filter(n => n.type === 'image.load').length === 2"
    )


def test_a_link_from_another_window_dropped_beside_the_canvas_does_not_leave_the_editor(editor: Editor) -> None:
    editor.open(CHAIN)
    editor.page.evaluate("document.body.append(Object.assign(document.createElement('input'), { id: 'field' }))")
    refused = editor.page.evaluate(
        """() => [".top-bar", ".rail", "#canvas", "#field"].map((where) => {
            const data = new DataTransfer();
            data.setData("text/uri-list", "https://example.org/");
            const over = new DragEvent("dragover", { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector(where).dispatchEvent(over);
            return over.defaultPrevented;
        })"""
    )
    assert refused == [True, True, True, False], "a field takes text as the browser does"


# Fingers


def test_a_swipe_over_a_field_moves_the_view_and_changes_no_number(browser: Any, server: Server) -> None:
    context = browser.new_context(viewport={"width": 1024, "height": 768}, has_touch=True, locale="en-US")
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.open(CHAIN)
    touch = editor.fingers()
    before = editor.text
    box = editor.page.locator('[data-widget="sample.steps"] .field').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    start = editor.page.evaluate("({...__safelight.view.viewport})")
    touch("touchStart", (x, y))
    for step in range(1, 7):
        touch("touchMove", (x + 15 * step, y + 2 * step))
    touch("touchEnd")
    editor.settle()
    end = editor.page.evaluate("({...__safelight.view.viewport})")
    assert end["x"] > start["x"] + 50
    assert editor.text == before
    touch("touchStart", (x, y))
    touch("touchStart", (x, y), (x + 60, y + 30))
    for step in range(1, 6):
        touch("touchMove", (x - 8 * step, y), (x + 60 + 8 * step, y + 30))
    touch("touchEnd")
    editor.settle()
    assert editor.page.evaluate("__safelight.view.zoom") > start["zoom"] * 1.3
    assert editor.text == before, "a pinch changed the document"
    assert editor.page.locator("input:focus").count() == 0
    context.close()


def test_undo_zoom_and_fit_are_on_the_screen(chain: Editor) -> None:
    before = chain.text
    chain.page.mouse.click(*chain.header("empty"))
    chain.page.keyboard.press("Delete")
    chain.page.click('[data-tool="undo"]')
    assert chain.text == before
    chain.page.click('[data-tool="redo"]')
    assert "empty" not in chain.document["nodes"]
    chain.page.click('[data-tool="zoomOut"]')
    chain.settle()
    assert chain.page.evaluate("__safelight.view.zoom") == pytest.approx(0.8)
    assert chain.page.locator(".canvas-tools .zoom").inner_text() == "80 %"


def test_fit_leaves_room_for_the_panel_the_tools_and_the_minimap(chain: Editor) -> None:
    chain.page.click('[data-panel="outline"]')
    chain.press("Home")
    chain.wait("!__safelight.view.moving")
    chain.settle()
    covered = chain.page.evaluate(
        "['.side-panel', '.minimap', '.canvas-tools']"
        ".map(one => document.querySelector(one).getBoundingClientRect().toJSON())"
    )
    for name in CHAIN["nodes"]:
        box = chain.node(name).bounding_box()
        for other in covered:
            apart = (
                box["x"] + box["width"] <= other["left"] + 1
                or box["x"] >= other["right"] - 1
                or box["y"] + box["height"] <= other["top"] + 1
                or box["y"] >= other["bottom"] - 1
            )
            assert apart, f"{name} lies under something: {box} {other}"


# Runs


@pytest.fixture
def quiet(editor: Editor, server: Server) -> Iterator[None]:
    """What a test has begun is over after it: other tests share the server."""
    yield
    for name in editor.page.evaluate("Object.keys(__safelight.app.getState().runs)"):
        server.call("POST", f"/runs/{name}/cancel", {})


def test_of_several_runs_the_one_at_work_is_shown_and_cancelled(editor: Editor, quiet: None) -> None:
    document = json.loads((ROOT / "workflows/text_to_image.json").read_text())
    document["nodes"]["sample"]["values"]["steps"] = 150
    ids: list[str] = []
    for seed in (7001, 7002):
        document["nodes"]["sample"]["values"]["seed"] = seed
        if not ids:
            editor.open(document)
        else:
            box = editor.page.locator('[data-widget="sample.seed"] .field')
            box.focus()
            editor.page.keyboard.press("Enter")
            editor.page.keyboard.press("Control+a")
            editor.page.keyboard.type(str(seed))
            editor.page.keyboard.press("Enter")
        editor.press("Control+Enter")
        editor.wait(f"Object.keys(__safelight.app.getState().runs).length === {len(ids) + 1}")
        if not ids:
            ids.append(editor.state(f"{TAB}.run"))
    ids.append(editor.state(f"{TAB}.queued[0].id"))
    assert editor.state(f"{TAB}.run") == ids[0], "the first is still the one that is shown"
    editor.page.wait_for_selector('[data-node="sample"][data-status="running"]', timeout=240_000)
    editor.wait("/^\\(2\\) \\d+ % /.test(document.title)", 240)
    editor.page.wait_for_selector('[data-node="sample"] img.live', timeout=240_000)
    editor.page.click(".run .cancel")
    editor.wait(f"__safelight.app.getState().runs[{ids[0]!r}].status === 'cancelled'", 240)
    assert editor.state(f"{TAB}.run") == ids[1]
    assert editor.state(f"runs[{ids[1]!r}].status") in ("queued", "running")
    editor.wait(f"__safelight.app.getState().runs[{ids[1]!r}].status === 'running'", 240)
    editor.page.wait_for_selector('[data-node="sample"] img.live', timeout=240_000)
    editor.page.click(".run .cancel")
    editor.wait(f"__safelight.app.getState().runs[{ids[1]!r}].status === 'cancelled'", 240)
    editor.wait("document.querySelectorAll('img.live, .node.running').length === 0")
    assert "%" not in editor.page.title()


def test_a_failure_stays_told_with_its_traceback_until_it_is_dismissed(editor: Editor) -> None:
    editor.open(
        {
            **SUM,
            "nodes": {**SUM["nodes"], "sum": {"type": "values.calculate", "values": {"operation": "divide", "b": 0}}},
            "links": SUM["links"][:1],
        }
    )
    run(editor)
    card = editor.page.locator(".failure-card")
    card.wait_for()
    message = card.locator("p").first.inner_text()
    assert message
    editor.page.evaluate("__safelight.view.set(-4000, -4000, 1)")
    card.locator('[data-act="show"]').click()
    editor.settle()
    assert editor.selection == ["sum"]
    card.locator('[data-act="details"]').click()
    card.locator("pre").wait_for()
    card.locator('[data-act="copy"]').click()
    editor.wait("navigator.clipboard.readText().then(text => text.length > 0)")
    copied = editor.page.evaluate("navigator.clipboard.readText()")
    assert message in copied and editor.state(f"{TAB}.failure") in copied
    with editor.page.expect_download() as coming:
        card.locator('[data-act="log"]').click()
    assert message.split()[0] in Path(coming.value.path()).read_text(encoding="utf-8")
    editor.page.wait_for_timeout(500)
    card.locator("header button").click()
    assert card.count() == 0
    assert status(editor, "sum") == "failed", "the node still says so"
    editor.press("q")
    assert message.split()[0] in editor.page.locator(".side-panel").inner_text(), "and the queue lists it"


def test_a_failure_in_a_gap_of_the_stream_is_told_as_well(editor: Editor) -> None:
    """As where a run ends before the stream of a page that was just opened has begun."""
    failing = {"type": "values.calculate", "values": {"operation": "divide", "b": 0}}
    editor.open({**SUM, "nodes": {**SUM["nodes"], "sum": failing}, "links": SUM["links"][:1]})
    run(editor)
    card = editor.page.locator(".failure-card")
    card.locator("header button").click()
    # As it was known when the gap began, and what the stream says first after it: nothing goes on.
    editor.page.evaluate(
        f"""() => {{
            const {{ app, receive }} = window.__safelight;
            const state = app.getState(), {{ runs, queue }} = state, id = state.{TAB}.run;
            app.setState({{ runs: {{ ...runs, [id]: {{ ...runs[id], status: "running" }} }} }});
            receive({{ event: "snapshot", runs: [], nodes: {{}}, queue }});
        }}"""
    )
    card.wait_for()


def test_what_a_run_gave_before_the_stream_began_is_shown_as_well(context: Any, server: Server) -> None:
    away = True
    context.route_web_socket(re.compile("/api/v1/events"), lambda one: one.close() if away else one.connect_to_server())
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.open(SUM)
    with editor.page.expect_response(lambda one: one.url.endswith("/runs") and one.request.method == "POST") as posted:
        editor.press("Control+Enter")
    server.wait(posted.value.json()["id"])
    away = False
    assert editor.node("sum").locator(".values dd").inner_text() == "6.5"


def test_what_runs_in_line_gave_in_a_gap_of_the_stream_is_shown(context: Any, server: Server) -> None:
    """The one that waited is the last to end, and so it is the one that is seen; the feed has both."""
    away = False
    streams: list[Any] = []

    def reach(one: Any) -> None:
        if away:
            one.close()
        else:
            streams.append(one.connect_to_server())

    context.route_web_socket(re.compile("/api/v1/events"), reach)
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.open(IMAGES)
    server.ask("POST", "/queue/pause", {})
    runs: list[str] = []
    try:
        for width in (72, 80):
            editor.node("solid").get_by_role("spinbutton", name="Width").focus()
            editor.page.keyboard.type(str(width))
            editor.page.keyboard.press("Enter")
            with editor.page.expect_response(lambda one: one.url.endswith("/runs") and one.ok) as posted:
                editor.press("Control+Enter")
            runs.append(posted.value.json()["id"])
            editor.wait(f"__safelight.app.getState().runs['{runs[-1]}']?.status === 'queued'")
        assert editor.state(f"{TAB}.queued.map(one => one.id)") == runs[1:]
        away = True
        for stream in streams:
            stream.close()
        editor.wait("__safelight.app.getState().connection !== 'online'")
    finally:
        server.ask("POST", "/queue/resume", {})
    for number in runs:
        server.wait(number)
    # What a stream says first where it has forgotten what was told in the gap: nothing goes on.
    editor.page.evaluate(
        """() => {
            const { app, receive } = window.__safelight;
            receive({ event: "snapshot", runs: [], nodes: {}, queue: app.getState().queue });
        }"""
    )
    editor.page.click('.canvas-tools [data-tool="feed"]')
    seen = "[...new Set([...document.querySelectorAll('.feed [data-feed]')].map(one => one.dataset.feed))]"
    editor.wait(f"{seen}.length === 2")
    assert editor.page.evaluate(seen) == runs[::-1]
    assert editor.state(f"{TAB}.queued") == []


def test_running_what_is_up_to_date_says_so_and_offers_a_new_seed(editor: Editor) -> None:
    document = graph({"s": ("values.seed", 0, 0), "t": ("values.calculate", 300, 0)}, [("s.value", "t.a")])
    document["nodes"]["t"]["values"] = {"b": 1.0}
    document["outputs"] = [{"name": "sum", "from": "t.value"}]
    editor.open(document)
    run(editor)
    editor.wait("document.querySelector('.run-button').dataset.willRun === '0'")
    before = editor.text
    run(editor)
    toast = editor.page.locator(".toast")
    toast.wait_for()
    assert "up to date" in toast.inner_text()
    toast.locator("button").first.click()
    editor.wait("!document.querySelector('.toast')")
    finished(editor)
    assert editor.text != before
    assert editor.state(f"{TAB}.plan.ok")


def test_a_graph_whose_outputs_are_bypassed_says_that_nothing_can_run(editor: Editor) -> None:
    document = json.loads(json.dumps(IMAGES))
    document["nodes"]["save"]["mode"] = "bypass"
    editor.open(document)
    editor.press("Control+Enter")
    toast = editor.page.locator(".toast.error")
    toast.wait_for()
    assert "bypassed" in toast.inner_text()


def test_what_is_merely_unfinished_stays_calm_until_run(editor: Editor) -> None:
    editor.open(graph({"save": ("image.save", 0, 0)}))
    editor.page.wait_for_selector('[data-node="save"][data-status="unfinished"]')
    assert editor.node("save").locator(".node-problem").count() == 0
    assert editor.page.locator(".problems-button.mild").count() == 1
    editor.press("Control+Enter")
    editor.page.wait_for_selector('[data-node="save"][data-status="problem"]')
    assert editor.node("save").locator(".node-problem").count() == 1


def test_of_many_tabs_the_active_one_and_the_plus_are_in_sight(chain: Editor) -> None:
    for number in range(11):
        chain.page.evaluate(
            "text => __safelight.open(text)", json.dumps({**CHAIN, "name": f"workflow number {number}"})
        )
    chain.wait("__safelight.app.getState().tabs.length === 12")

    def in_sight(what: str) -> bool:
        return chain.page.evaluate(
            """what => {
                const box = document.querySelector(what).getBoundingClientRect();
                const at = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
                return document.querySelector(what).contains(at);
            }""",
            what,
        )

    chain.settle()
    assert in_sight(".tab.active .file-menu") and in_sight(".tab.active > button") and in_sight(".new-tab")
    chain.page.evaluate("__safelight.app.setState({ active: __safelight.app.getState().tabs[0].id })")
    chain.settle()
    assert in_sight(".tab.active .file-menu") and in_sight(".new-tab")


def test_on_a_phone_the_form_comes_first_with_the_results_above(browser: Any, server: Server) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="en-US"
    )
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    assert editor.page.locator(".rail button").first.bounding_box()["y"] > 760, "the parts lie at the bottom"
    document = {**SUM, "inputs": [{"name": "left", "to": "a.value"}]}
    editor.page.evaluate("text => __safelight.open(text)", json.dumps(document))
    editor.page.locator('[data-field="left"]').wait_for()
    editor.page.tap(".form-run .primary")
    result = editor.page.locator(".form-group pre")
    result.wait_for()
    assert result.bounding_box()["y"] < editor.page.locator('[data-field="left"]').bounding_box()["y"]
    assert editor.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not editor.errors
    context.close()


def test_the_keys_and_the_mouse_of_comfyui(chain: Editor) -> None:
    chain.press("Control+,")
    chain.page.locator('[data-setting="keys"]').select_option("comfyui")
    chain.page.keyboard.press("Escape")
    before = chain.text
    chain.press("n")
    assert chain.state("panel") == "nodes" and chain.text == before, "no note was added"
    chain.press("w")
    assert chain.state("panel") == "templates"
    chain.press("q")
    assert chain.state("panel") == "queue"
    chain.press("q")
    start = chain.page.evaluate("__safelight.view.x")
    chain.drag(chain.at(200, 500), chain.at(300, 500))
    assert chain.page.evaluate("__safelight.view.x") == pytest.approx(start + 100, abs=2)
    chain.press("?")
    assert "W" in chain.page.locator("dialog").inner_text()
    chain.page.keyboard.press("Escape")
    chain.press("Control+,")
    chain.page.locator('[data-setting="keys"]').select_option("safelight")
    chain.page.keyboard.press("Escape")
    chain.press("n")
    assert chain.text != before
