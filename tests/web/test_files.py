"""Files into fields: by the button, from the list of recent ones, dropped from outside, dragged from the gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from serving import Server
from web.editor import Editor, graph

FIELD = '[data-widget="load.file"]'
IMAGE = "(() => {{ const one = document.querySelector('{0}'); return Boolean(one?.complete && one.naturalWidth); }})()"


@pytest.fixture
def loader(editor: Editor) -> Editor:
    """A node that loads an image, with none chosen."""
    editor.open(graph({"load": ("image.load", 0, 0), "note": ("values.text", 500, 0)}))
    return editor


def chosen(editor: Editor) -> Any:
    return editor.document["nodes"]["load"]["values"].get("file")


def made(folder: Path, name: str, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (96, 64), color).save(folder / name)
    return folder / name


def shown(editor: Editor) -> None:
    """The node shows the image that is chosen."""
    editor.wait(IMAGE.format("[data-node=load] .result img"))


def test_a_file_is_uploaded_by_the_button(loader: Editor, tmp_path: Path) -> None:
    with loader.page.expect_file_chooser() as asked:
        loader.page.locator(FIELD).get_by_role("button", name="Upload a file").click()
    before = loader.text
    asked.value.set_files(made(tmp_path, "by_button.png", (30, 90, 200)))
    loader.wait("__safelight.write().includes('by_button.png')")
    assert chosen(loader) == "by_button.png"
    shown(loader)
    loader.press("Control+z")
    assert loader.text == before


def test_images_that_belong_together_go_into_a_folder_of_their_own(
    editor: Editor, server: Server, tmp_path: Path
) -> None:
    editor.open(graph({"images": ("dataset.image_folder", 0, 0)}))
    field = editor.page.locator('[data-widget="images.captions"]')
    given = [made(tmp_path, f"photo_{number}.png", (20 * number, 90, 60)) for number in (2, 1, 3)]
    with editor.page.expect_file_chooser() as asked:
        field.get_by_role("button", name="Upload files").click()
    assert asked.value.is_multiple()
    asked.value.set_files(given)
    editor.wait("__safelight.write().includes('photo_1.png')")
    folder, _, name = editor.document["nodes"]["images"]["values"]["captions"].partition("/")
    assert (folder[:7], name) == ("images_", "photo_1.png")
    listed = {one["name"] for one in server.call("GET", f"/files/input?search={folder}")[1]["files"]}
    assert listed == {f"{folder}/photo_{number}.png" for number in (1, 2, 3)}


def test_recent_files_are_listed_with_thumbnails_the_newest_first(
    loader: Editor, server: Server, tmp_path: Path
) -> None:
    for number, name in enumerate(("older.png", "newer.png")):
        data = made(tmp_path, name, (200, 60 * number, 40)).read_bytes()
        assert server.call("POST", f"/files/input?name={name}", data, Content_Type="image/png")[0] == 201
    loader.wait("__safelight.app.getState().files.some(file => file.name === 'newer.png')")
    loader.page.locator(FIELD).get_by_role("button", name="No file chosen").click()
    listed = loader.page.locator('[role="option"]').evaluate_all("all => all.map(one => one.dataset.option)")
    assert listed.index("newer.png") < listed.index("older.png") < listed.index("apple.png")
    loader.wait(IMAGE.format('[data-option="newer.png"] img'))
    loader.page.keyboard.type("older")
    loader.one_step(lambda: loader.page.keyboard.press("Enter"))
    assert chosen(loader) == "older.png"
    shown(loader)


def test_a_file_dropped_onto_the_field_goes_into_it(loader: Editor, tmp_path: Path) -> None:
    path = made(tmp_path, "dropped_in.png", (10, 160, 70))
    loader.page.evaluate(
        """([bytes, name]) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
            const field = document.querySelector('[data-widget="load.file"] .file-field');
            const event = type => new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true });
            for (const type of ['dragenter', 'dragover', 'drop']) field.dispatchEvent(event(type));
        }""",
        [list(path.read_bytes()), path.name],
    )
    loader.wait("__safelight.write().includes('dropped_in.png')")
    assert chosen(loader) == "dropped_in.png"
    assert len(loader.document["nodes"]) == 2, "it went into the field, not onto the canvas"
    shown(loader)


def test_a_node_dropped_onto_a_file_field_is_added_all_the_same(loader: Editor) -> None:
    loader.page.evaluate("__safelight.view.set(440, 60, 1)")  # beside the panel
    loader.press("b")
    loader.page.fill(".side-panel .filter", "vae encode")
    loader.page.locator('[data-type="vae.encode"]').drag_to(loader.page.locator(FIELD))
    loader.wait("__safelight.stage.geometry.nodes.size === 3")


@pytest.mark.parametrize("onto", ["field", "canvas"])
def test_a_image_of_the_gallery_is_dragged_in(loader: Editor, server: Server, onto: str) -> None:
    name = f"painted_for_{onto}.png"
    (server.home / "output").mkdir(exist_ok=True)
    made(server.home / "output", name, (90, 10, 120 if onto == "field" else 130))
    loader.page.evaluate("__safelight.view.set(440, 60, 1)")
    loader.page.click('[data-panel="gallery"]')
    image = loader.page.locator(f'[data-image="{name}"]')
    image.wait_for(timeout=30_000)
    if onto == "field":
        image.drag_to(loader.page.locator(FIELD))
        loader.wait(f"__safelight.write().includes('{name}')")
        assert chosen(loader) == name
        assert len(loader.document["nodes"]) == 2
        shown(loader)
    else:
        image.drag_to(loader.page.locator("#canvas"), target_position={"x": 700, "y": 600})
        loader.wait("__safelight.stage.geometry.nodes.size === 3")
        assert loader.document["nodes"]["load_2"]["values"]["file"] == name
        loader.wait(IMAGE.format("[data-node=load_2] .result img"))
