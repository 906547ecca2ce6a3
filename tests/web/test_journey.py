"""The way of somebody who has never seen the program: an image, a change, and sharing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving import Server
from web.editor import Editor

STATUS = (
    "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
    " return s.runs[t.run]?.status; })()"
)


def drop(editor: Editor, path: Path, kind: str, at: tuple[float, float]) -> None:
    """A file dropped on the canvas, as the system's file manager would."""
    editor.page.evaluate(
        """([bytes, name, kind, x, y]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
            const canvas = document.getElementById('canvas');
            const at = { dataTransfer: data, clientX: x, clientY: y, bubbles: true, cancelable: true };
            for (const type of ['dragenter', 'dragover', 'drop']) canvas.dispatchEvent(new DragEvent(type, at));
        }""",
        [list(path.read_bytes()), path.name, kind, *at],
    )


def planned(editor: Editor) -> set[str]:
    nodes = editor.state("tabs.find(tab => tab.id === state.active).plan.nodes")
    return {node for node, plan in nodes.items() if plan["status"] == "run"}


def ran(editor: Editor) -> set[str]:
    nodes = editor.page.evaluate(
        "(() => { const s = __safelight.app.getState(); const t = s.tabs.find(t => t.id === s.active);"
        " return s.runNodes[t.run]; })()"
    )
    return {node for node, state in nodes.items() if state["status"] == "ran"}


def wait_planned(editor: Editor) -> set[str]:
    """What will run, once the plan is of the document on screen."""
    editor.page.wait_for_timeout(250)
    editor.wait_plan()
    editor.page.wait_for_load_state("networkidle")
    return planned(editor)


def essence(document: dict[str, Any]) -> str:
    """The graph as it matters: nodes, values, wires, places, fields."""
    kept = {key: document.get(key) or [] for key in ("nodes", "links", "inputs", "outputs")}
    nodes = {name: {**node, "values": node.get("values") or {}} for name, node in document["nodes"].items()}
    places = {name: (look["x"], look["y"]) for name, look in document["ui"]["nodes"].items()}
    return json.dumps({**kept, "nodes": nodes, "places": places}, sort_keys=True)


def test_from_the_first_visit_to_a_shared_image(editor: Editor, browser: Any, server: Server, tmp_path: Path) -> None:
    page = editor.page
    # First visit: a template is one click away.
    page.get_by_role("button", name="Text to image").first.click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    page.evaluate("__safelight.view.set(40, 60, 0.6)")
    # Change the prompt, and run.
    page.locator('[data-node="prompt"] textarea').fill("a yellow banana")
    assert "sample" in wait_planned(editor)
    will_run = int(page.locator(".run-button").get_attribute("data-will-run"))
    assert will_run == len(planned(editor))
    page.click(".run-button")
    editor.wait(f"{STATUS} === 'done'", 90)
    # The image is in the node that saves it, and in the gallery.
    page.locator('[data-node="save"] .result img').first.wait_for()
    page.click('[data-panel="gallery"]')
    page.locator('[data-image^="text_to_image"]').first.wait_for()
    page.click('[data-panel="gallery"]')
    # A reload keeps the work and what it made.
    text = editor.text
    page.reload()
    editor.wait("window.__safelight?.app.getState().ready")
    page.locator('[data-node="save"] .result img').first.wait_for()
    assert editor.text == text
    # Another seed: only what depends on it runs, as predicted.
    seed = page.locator('[data-node="sample"]').get_by_role("spinbutton", name="Seed")
    seed.focus()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expected = wait_planned(editor)
    assert "sample" in expected and not {"model", "prompt", "negative", "latent"} & expected
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(300)
    editor.wait(f"{STATUS} === 'done'", 90)
    assert ran(editor) == expected
    # Share it as an image.
    page.get_by_role("button", name="Share", exact=True).click()
    with page.expect_download() as saved:
        page.locator(".share-images [data-share]").first.click()
    shared = tmp_path / "shared.png"
    saved.value.save_as(shared)
    _shared_with_comfyui(page)
    before = essence(editor.document)
    assert '"seed": 42' in before
    # In a fresh profile: dropped on the canvas, it is the same graph.
    other = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    try:
        fresh = Editor(other.new_page(), server.url)
        fresh.visit()
        assert fresh.document["nodes"] == {}
        drop(fresh, shared, "image/png", (600, 300))
        fresh.page.get_by_role("button", name="Open the workflow").click()
        fresh.wait("__safelight.stage.geometry.nodes.size > 3")
        assert essence(fresh.document) == before
        assert not fresh.errors and not fresh.foreign
    finally:
        other.close()


def test_a_image_of_the_graph_holds_it_too(editor: Editor, tmp_path: Path) -> None:
    page = editor.page
    page.locator(".start-strip .more").click()
    page.get_by_role("button", name="Hires fix").first.click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    before = essence(editor.document)
    page.keyboard.press("Control+Shift+E")
    with page.expect_download() as saved:
        page.locator('[data-share="graph"]').click()
    saved.value.save_as(tmp_path / "graph.png")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+n")
    drop(editor, tmp_path / "graph.png", "image/png", (600, 300))
    page.get_by_role("button", name="Open the workflow").click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    assert essence(editor.document) == before


def test_a_image_that_was_only_shown_is_shared_with_its_workflow(
    editor: Editor, server: Server, tmp_path: Path
) -> None:
    document = server.ask("GET", "/templates/text_to_image")
    document["nodes"]["save"] = {"type": "image.preview"}
    document["nodes"]["sample"]["values"]["steps"] = 2
    document["outputs"] = []
    editor.open(document, zoom=0.6)
    editor.page.keyboard.press("Control+Enter")
    editor.wait(f"{STATUS} === 'done'", 90)
    editor.page.locator('[data-node="save"] .result img').first.wait_for()
    before = essence(editor.document)
    editor.page.get_by_role("button", name="Share", exact=True).click()
    with editor.page.expect_download() as saved:
        editor.page.locator(".share-images [data-share]").first.click()
    saved.value.save_as(tmp_path / "shown.png")
    editor.page.keyboard.press("Escape")
    editor.page.keyboard.press("Alt+n")
    drop(editor, tmp_path / "shown.png", "image/png", (600, 300))
    editor.page.get_by_role("button", name="Open the workflow").click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    assert essence(editor.document) == before


def test_what_is_dropped_or_pasted_becomes_what_it_is(editor: Editor, tmp_path: Path) -> None:
    """A JSON file opens; an image without a workflow is loaded; an image from the clipboard, too."""
    from PIL import Image

    document = {"format": "safelight/1", "name": "dropped", "nodes": {"one": {"type": "values.seed"}}, "links": []}
    (tmp_path / "dropped.json").write_text(json.dumps(document))
    drop(editor, tmp_path / "dropped.json", "application/json", (600, 300))
    editor.wait("__safelight.write().includes('dropped')")
    assert editor.document["nodes"]["one"]["type"] == "values.seed"
    tabs = editor.page.locator(".tab").count()
    Image.new("RGB", (64, 48), (200, 30, 60)).save(tmp_path / "plain.png")
    drop(editor, tmp_path / "plain.png", "image/png", (700, 500))
    editor.wait("__safelight.stage.geometry.nodes.size === 2")
    loaded = next(node for name, node in editor.document["nodes"].items() if name != "one")
    assert loaded["type"] == "image.load" and loaded["values"]["file"].startswith("plain")
    shown = "document.querySelector('[data-node^=load] .result img')?.naturalWidth > 0"
    editor.wait(shown)
    assert editor.page.locator(".tab").count() == tabs
    editor.page.evaluate(
        """async bytes => {
            const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
            await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
        }""",
        list((tmp_path / "plain.png").read_bytes()),
    )
    editor.page.mouse.move(500, 600)
    editor.press("Control+v")
    editor.wait("__safelight.stage.geometry.nodes.size === 3")
    # A workflow dropped beside unsaved work opens in a tab of its own.
    drop(editor, tmp_path / "dropped.json", "application/json", (600, 300))
    editor.wait(f"document.querySelectorAll('.tab').length === {tabs + 1}")


def test_several_files_at_once_are_all_there(editor: Editor) -> None:
    """Images lie beside each other, a workflow opens, and one that is broken is told."""
    from io import BytesIO

    from PIL import Image

    files: list[tuple[str, list[int]]] = []
    for number in range(7):
        data = BytesIO()
        Image.new("RGB", (32, 32), (number * 30, 90, 90)).save(data, "PNG")
        files.append((f"many_{number}.png", list(data.getvalue())))
    files.insert(3, ("broken.png", files[0][1][:40]))
    editor.page.evaluate(
        """files => {
            const data = new DataTransfer();
            for (const [name, bytes] of files)
                data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
            const given = { dataTransfer: data, bubbles: true, cancelable: true, clientX: 300, clientY: 200 };
            const event = type => new DragEvent(type, given);
            for (const type of ['dragenter', 'dragover', 'drop'])
                document.elementFromPoint(300, 200).dispatchEvent(event(type));
        }""",
        files,
    )
    editor.wait("__safelight.stage.geometry.nodes.size === 7")
    nodes = editor.document["nodes"]
    assert {node["values"]["file"].partition(".")[0] for node in nodes.values()} == {f"many_{n}" for n in range(7)}
    places = {(at["x"], at["y"]) for at in editor.document["ui"]["nodes"].values()}
    assert len(places) == 7
    editor.wait("document.body.innerText.includes('broken.png')")


def test_a_pasted_text_of_another_program_opens(editor: Editor) -> None:
    page = editor.page
    theirs = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64}}}
    theirs["2"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
    settings = "a red apple\nNegative prompt: dark\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512"
    for text, held in ((json.dumps(theirs), "image.save"), (settings, "a red apple")):
        page.evaluate("text => navigator.clipboard.writeText(text)", text)
        editor.press("Control+v")
        editor.wait(f"__safelight.write().includes({held!r})")
        page.keyboard.press("Escape")
    for text, told in (("just words", "no workflow and no image"), ('{"nodes": [', "cannot be opened")):
        page.evaluate("text => navigator.clipboard.writeText(text)", text)
        editor.press("Control+v")
        editor.wait(f"document.body.innerText.includes({told!r})")


def test_a_failed_run_lists_its_problems_and_leads_to_the_node(editor: Editor) -> None:
    page = editor.page
    page.get_by_role("button", name="Image to image").first.click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    # What the check cannot know: the image is there, but too small to be encoded without padding.
    from io import BytesIO

    from PIL import Image

    data = BytesIO()
    Image.new("RGB", (2, 2)).save(data, "PNG")
    page.evaluate(
        "bytes => fetch('/api/v1/files/input?name=tiny.png', { method: 'POST', body: new Uint8Array(bytes),"
        " headers: { 'Content-Type': 'image/png' } })",
        list(data.getvalue()),
    )
    document = editor.document
    document["nodes"]["encode"]["values"] = {"fit": "refuse"}
    editor.open(document)
    page.evaluate("__safelight.view.set(40, 60, 0.6)")
    page.locator('[data-node="load"] .file-field').get_by_role("button", name="File car.png").click()
    page.locator('[data-option="tiny.png"]').click()
    page.evaluate("__safelight.view.set(-4000, -4000, 0.6)")
    page.keyboard.press("Control+Enter")
    editor.wait(f"{STATUS} === 'failed'", 60)
    editor.press("e")
    page.locator(".problem-list button").first.click()
    node = editor.selection[0]
    editor.wait(f"!__safelight.view.moving && document.querySelector('[data-node=\"{node}\"]') !== null")
    assert editor.node(node).get_attribute("data-status") == "failed"
    assert editor.node(node).locator(".node-problem").is_visible()


def _shared_with_comfyui(page: Any) -> None:
    with page.expect_download() as theirs:
        page.locator("[data-share=comfyui]").click()
    assert {one["type"] for one in json.loads(theirs.value.path().read_text())["nodes"]} >= {"KSampler", "SaveImage"}
    assert "7 of 7 nodes" in page.locator("[data-share=report]").inner_text()
    page.keyboard.press("Escape")
