"""From a prompt to a clip of two seconds in the page: shown, played, cancelled halfway, gone on with to the same bits.

The model is Wan in miniature, in the folder of models of a real server.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight.families import load_families
from serving import Server
from web.editor import Editor, graph
from web.test_running import TAB, finished, run, status

FRAMES, FPS, STEPS = 33, 16, 150
WIDTH, HEIGHT = 160, 96
"""Large enough for a step to take longer than a click on a fast machine."""
CANCEL_HALFWAY = """() => {
  const look = () => {
    const shown = document.querySelector("[data-node=sample] .badge")?.textContent ?? "";
    const step = Number(/(\\d+)\\/150/.exec(shown)?.[1]);
    const cancel = document.querySelector(".run .cancel");
    if (!(step >= 20) || !cancel) return void requestAnimationFrame(look);
    cancel.click();
    window.cancelled = true;
  };
  look();
}"""
PLAYED = "document.querySelector('[data-node=save] .result video')"


@pytest.fixture(scope="module")
def model(server: Server) -> str:
    folder = server.home / "models" / "clips"
    if not folder.exists():
        load_families()["wan"].tiny(folder)
    return folder.name


def clip(model: str, seed: int, steps: int) -> dict[str, Any]:
    """Saved as what browsers play, and without loss to compare every pixel."""
    document = graph(
        {
            "load": ("models.load", 0, 0),
            "said": ("text.encode", 300, 0),
            "unsaid": ("text.encode", 300, 200),
            "empty": ("latent.empty_video", 300, 400),
            "sample": ("sampling.sample", 600, 0),
            "decode": ("vae.decode_video", 600, 500),
            "save": ("video.save", 900, 0),
            "exact": ("video.save", 900, 500),
        },
        [
            ("load.text", "said.encoder"),
            ("load.text", "unsaid.encoder"),
            ("load.vae", "empty.vae"),
            ("load.model", "sample.model"),
            ("said.conditioning", "sample.positive"),
            ("unsaid.conditioning", "sample.negative"),
            ("empty.latent", "sample.latent"),
            ("load.vae", "decode.vae"),
            ("sample.latent", "decode.latent"),
            ("decode.video", "save.video"),
            ("decode.video", "exact.video"),
        ],
    )
    values = {
        "load": {"model": model},
        "said": {"text": "a red apple"},
        "unsaid": {"text": "dark"},
        "empty": {"width": WIDTH, "height": HEIGHT, "frames": FRAMES},
        "sample": {"steps": steps, "guidance": 4.0, "seed": seed},
        "save": {"name": f"clip_{seed}", "format": "mp4"},
        "exact": {"name": f"exact_{seed}", "format": "webp", "quality": 100, "embed_workflow": False},
    }
    for node, given in values.items():
        document["nodes"][node]["values"] = given
    return document


class Told:
    """The steps of the sampler that the server told the page of, run by run."""

    def __init__(self, editor: Editor) -> None:
        self.steps: dict[str, list[int]] = {}
        editor.page.on("websocket", lambda socket: socket.on("framereceived", self._heard))
        editor.page.reload()
        editor.wait("window.__safelight?.app.getState().ready")

    def _heard(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            return
        for event in json.loads(frame).get("events", ()):
            data = event["data"]
            if data["event"] == "node_progress" and data["node"] == "sample":
                self.steps.setdefault(data["run"], []).append(data["step"])


def current(editor: Editor) -> dict[str, Any]:
    return editor.state(f"runs[state.{TAB}.run]")


def exact(server: Server, run_id: str) -> bytes:
    """The pixels that a run saved without loss."""
    ended = server.ask("GET", f"/runs/{run_id}")
    assert ended["status"] == "done", ended["problems"]
    (name,) = (file["name"] for file in ended["files"] if file["name"].startswith("exact"))
    return (server.home / "output" / name).read_bytes()


def test_a_clip_of_two_seconds_is_shown_and_plays(editor: Editor, server: Server, model: str) -> None:
    pytest.importorskip("av")
    editor.open(clip(model, 1, 8), 0.7)
    run(editor)
    made = current(editor)
    assert made["status"] == "done", made["problems"]
    editor.wait(f"{PLAYED}?.readyState >= 2")
    told = editor.page.evaluate(
        f"(() => {{ const v = {PLAYED}; return [v.duration, v.videoWidth, v.videoHeight]; }})()"
    )
    assert abs(told[0] - FRAMES / FPS) < 0.05 and told[1:] == [WIDTH, HEIGHT]
    editor.page.evaluate(
        f"(() => {{ const v = {PLAYED}; v.muted = true; v.loop = false; v.currentTime = 0; v.play(); }})()"
    )
    editor.wait(f"{PLAYED}.currentTime > 0.5")
    editor.wait(f"{PLAYED}.ended && {PLAYED}.currentTime > 2")
    assert editor.page.evaluate(f"{PLAYED}.error") is None


def test_cancelled_halfway_it_goes_on_and_ends_in_the_same_bits(editor: Editor, server: Server, model: str) -> None:
    told = Told(editor)
    editor.open(clip(model, 2, STEPS), 0.7)
    # In the page itself: on a fast machine the run would be over before the word had come here and back.
    editor.page.evaluate(CANCEL_HALFWAY)
    editor.press("Control+Enter")
    editor.wait("window.cancelled", 60)
    finished(editor)
    stopped = current(editor)
    assert stopped["status"] == "cancelled"
    last = told.steps[stopped["id"]][-1]
    assert last < STEPS
    run(editor)
    resumed = current(editor)
    assert status(editor, "sample") == "done"
    first = told.steps[resumed["id"]][0]
    assert last <= first <= last + 2, "it went on where it had stopped"
    straight = server.ask("POST", "/runs", {"document": editor.document, "force": ["sample"]})["id"]
    server.wait(straight, 60)
    assert exact(server, straight) == exact(server, resumed["id"])
