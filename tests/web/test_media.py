"""A video, a sound and a mesh in the editor: dropped, loaded, run, played, and opened again from their files."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
import torch

from safelight.media.registry import built_in
from safelight.sdk import Audio, Mesh, Video
from serving import Server
from web.editor import Editor, graph

MEDIA = built_in()
DROP = """([name, type, text]) => {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, { type }));
    const target = document.querySelector('#canvas');
    const at = { clientX: 700, clientY: 420, bubbles: true, cancelable: true, dataTransfer: data };
    for (const kind of ['dragenter', 'dragover', 'drop']) target.dispatchEvent(new DragEvent(kind, at));
}"""
NODES = {
    "clip": ("video.load", 0, 0),
    "save_clip": ("video.save", 320, 0),
    "tone": ("audio.load", 0, 400),
    "save_tone": ("audio.save", 320, 400),
    "shape": ("mesh.load", 640, 0),
    "save_shape": ("mesh.save", 960, 0),
}
LINKS = [("clip.video", "save_clip.video"), ("tone.audio", "save_tone.audio"), ("shape.mesh", "save_shape.mesh")]


def values() -> dict[str, Any]:
    x, y = torch.arange(160).float() / 160, torch.arange(96).float() / 96
    frames = [
        torch.stack([x.expand(96, 160), y[:, None].expand(96, 160), torch.full((96, 160), n / 12)], -1)
        for n in range(12)
    ]
    wave = torch.sin(torch.arange(22_050) / 12) * torch.sin(torch.arange(22_050) / 3500)
    corners = torch.tensor([[0.0, 1, 0], [1, -0.5, 1], [1, -0.5, -1], [-1, -0.5, -1], [-1, -0.5, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    return {
        "clip.mp4": Video((torch.stack(frames) * 255).byte(), 12.0),
        "tone.wav": Audio(wave[None, None], 22_050),
        "shape.glb": Mesh(corners, faces, (corners + 1) / 2),
    }


@pytest.fixture(scope="module")
def files() -> dict[str, tuple[bytes, str]]:
    pytest.importorskip("av")
    made = {name: MEDIA.encode(value)[0] for name, value in values().items()}
    return {name: (one.data, one.format.media_type) for name, one in made.items()}


@pytest.fixture
def uploaded(files: dict[str, tuple[bytes, str]], server: Server) -> None:
    for name, (data, kind) in files.items():
        assert server.call("POST", f"/files/input?name={name}", data, Content_Type=kind)[0] in (200, 201)


def media_document() -> dict[str, Any]:
    document = graph(NODES, LINKS)
    for node, file in (("clip", "clip.mp4"), ("tone", "tone.wav"), ("shape", "shape.glb")):
        document["nodes"][node]["values"] = {"file": file}
        document["nodes"][f"save_{node}"]["values"] = {"name": f"made_{node}"}
    return document


def test_each_medium_is_shown_in_its_node_and_in_the_gallery(editor: Editor, server: Server, uploaded: None) -> None:
    editor.page.evaluate("__safelight.app.getState()")
    editor.open(media_document(), 0.8)
    editor.wait("__safelight.app.getState().files.some(file => file.name === 'shape.glb')")
    editor.wait("document.querySelector('[data-node=clip] .result video')?.readyState >= 1")
    editor.wait("document.querySelector('[data-node=tone] .result audio')?.readyState >= 1")
    run = server.ask("POST", "/runs", {"document": editor.document})["id"]
    ended = server.wait(run, 120)
    assert ended["status"] == "done", ended["problems"]
    sizes = {file["name"]: (file["frames"], round(file["seconds"], 2)) for file in ended["files"]}
    assert sizes["made_clip.mp4"] == (12, 1.0) and sizes["made_tone.wav"] == (0, 1.0)
    editor.page.get_by_role("button", name="Run").first.click()
    editor.wait("document.querySelector('[data-node=save_clip] .result video')?.readyState >= 1", 60)
    editor.wait("document.querySelector('[data-node=save_tone] .result audio')?.readyState >= 1", 60)
    editor.wait("document.querySelector('[data-node=save_shape] .result img')?.naturalWidth > 0", 60)
    seconds = editor.page.evaluate("document.querySelector('[data-node=save_clip] .result video').duration")
    assert abs(seconds - 1) < 0.05
    if "SAFELIGHT_SHOTS" in os.environ:
        editor.page.screenshot(path=f"{os.environ['SAFELIGHT_SHOTS']}/media-nodes.png")
    editor.page.evaluate("__safelight.app.setState({ panel: 'gallery' })")
    editor.wait("document.querySelector('[data-image=\"made_clip.mp4\"] img')?.naturalWidth > 0")
    editor.wait("document.querySelector('[data-image=\"made_tone.wav\"] img')?.naturalWidth > 0")
    editor.page.locator('[data-image="made_clip.mp4"]').dblclick()
    editor.wait("document.querySelector('.viewer video')?.readyState >= 1")
    if "SAFELIGHT_SHOTS" in os.environ:
        editor.page.screenshot(path=f"{os.environ['SAFELIGHT_SHOTS']}/media-viewer.png")


@pytest.mark.parametrize(
    ("name", "node"), [("tone.wav", "audio.load"), ("clip.mp4", "video.load"), ("shape.glb", "mesh.load")]
)
def test_a_file_dropped_on_the_canvas_is_loaded_and_one_with_a_workflow_asks(
    name: str, node: str, editor: Editor, files: dict[str, tuple[bytes, str]]
) -> None:
    data, kind = files[name]
    editor.page.evaluate(DROP, [f"dropped_{name}", kind, base64.b64encode(data).decode()])
    editor.wait(f"__safelight.write().includes('dropped_{name}')")
    (made,) = editor.document["nodes"].values()
    assert made["type"] == node
    carrying = MEDIA.embed(data, kind, editor.text)
    editor.page.evaluate(DROP, [f"told_{name}", "", base64.b64encode(carrying).decode()])
    editor.wait("__safelight.app.getState().overlay?.kind === 'drop'")


def test_ranges_of_a_video_are_served_and_it_may_be_played_in_the_page(server: Server, uploaded: None) -> None:
    import urllib.request

    asked = urllib.request.Request(f"{server.url}/api/v1/files/input/clip.mp4", headers={"Range": "bytes=4-11"})
    with urllib.request.urlopen(asked) as answer:
        assert (answer.status, answer.read(), answer.headers["Content-Type"]) == (206, b"ftypisom", "video/mp4")
        assert "Content-Disposition" not in answer.headers
