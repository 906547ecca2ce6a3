"""Frames per second of the editor's canvas, and of a plain React Flow page with the same graph, in one run.

python -m benchmarks.editor [--nodes 100 500 2000] [--seconds 2]

Needs Chromium, Playwright, and both pages built: `npm ci && npm run build && npm run bench` in web/. A node has four
inputs, two outputs and four fields (number, slider, choice of ten, text); two wires go to the next node. The editor is
served by `safelight serve`; only its catalogue gets the type of these nodes in addition, and the answers about what
would run are given here, so that the canvas is measured and not the server. Frames are counted by
requestAnimationFrame while the driver moves the mouse; "whole graph" is everything in sight, "near" is zoom 1.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
# The screen's 60 frames a second would be the editor's in nearly every row, and no ratio could be told from it.
FLAGS += ["--disable-frame-rate-limit", "--disable-gpu-vsync"]
SIZE = {"width": 1440, "height": 900}
INPUTS, OUTPUTS = "abcd", "xy"
ACTIONS = ("pan", "zoom", "drag")
Figures = dict[tuple[str, str], float]

COUNT = """() => {
    const frames = window.__frames = [];
    const count = (now) => { frames.push(now); window.__frame = requestAnimationFrame(count); };
    window.__frame = requestAnimationFrame(count);
}"""
COUNTED = "() => { cancelAnimationFrame(window.__frame); return window.__frames; }"
OPEN = """async ([text, size]) => {
    const start = performance.now();
    await __safelight.open(text);
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    while (__safelight.stage.geometry.nodes.size !== size) await frame();
    await frame();
    await frame();
    return performance.now() - start;
}"""
OPEN_PLAIN = """async ([nodes, links]) => {
    const start = performance.now();
    window.bench.open(nodes, links);
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    while (document.querySelectorAll(".react-flow__edge").length !== links.length) await frame();
    await frame();
    await frame();
    return performance.now() - start;
}"""


def bench_type() -> dict[str, Any]:
    plain = {"required": False, "lazy": False, "default": None, "choices": [], "help": ""}
    fields: list[dict[str, Any]] = [
        {"name": "count", "type": "int", "default": 1, "widget": {"widget": "number", "min": 0, "max": 100}},
        {"name": "amount", "type": "float", "default": 0.5, "widget": {"widget": "slider", "min": 0, "max": 1}},
        {"name": "choice", "type": "choice", "default": "choice 0", "widget": {"widget": "choice"}},
        {"name": "text", "type": "str", "default": "some text", "widget": {"widget": "text", "multiline": False}},
    ]
    fields[0]["widget"] |= {"step": 1, "multiple_of": None}
    fields[1]["widget"] |= {"step": 0.01}
    fields[2]["choices"] = [f"choice {number}" for number in range(10)]
    fields[3]["widget"] |= {"placeholder": "", "prompt": False, "max_length": 1000}
    sockets = [{**plain, "name": name, "type": "Image", "socket": True, "widget": None} for name in INPUTS]
    return {
        "id": "bench.node",
        "version": 1,
        "title": "Bench",
        "category": "bench",
        "help": "",
        "inputs": [*sockets, *({**plain, "socket": False, **field} for field in fields)],
        "outputs": [{"name": name, "type": "Image", "choices": [], "help": ""} for name in OUTPUTS],
        "output": False,
        "cache": True,
        "pack": "bench",
    }


def places(count: int) -> list[dict[str, Any]]:
    columns = max(1, round((count * 1.4) ** 0.5))
    return [{"id": f"n{i}", "x": i % columns * 340, "y": i // columns * 320} for i in range(count)]


def links(count: int) -> list[tuple[str, str, str, str]]:
    return [(f"n{i}", out, f"n{i + 1}", to) for i in range(count - 1) for out, to in zip("xy", "ab", strict=True)]


class Editor:
    """The editor's page."""

    name = "editor"

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.route("**/api/v1/catalogue", self._catalogue)
        page.route("**/api/v1/check", lambda route: route.fulfill(json={"ok": True, "problems": [], "types": {}}))
        page.route("**/api/v1/plan", self._plan)
        page.goto(url)
        while not page.evaluate("window.__safelight?.app.getState().ready"):
            page.wait_for_timeout(50)

    @staticmethod
    def _catalogue(route: Any) -> None:
        answer = route.fetch().json()
        answer["nodes"].append(bench_type())
        route.fulfill(json=answer)

    @staticmethod
    def _plan(route: Any) -> None:
        nodes = json.loads(route.request.post_data)["document"]["nodes"]
        planned = {name: {"status": "run", "seconds": 1.0} for name in nodes}
        route.fulfill(json={"ok": True, "nodes": planned, "seconds": 1.0, "problems": []})

    def open(self, count: int) -> float:
        document = {
            "format": "safelight/1",
            "nodes": {place["id"]: {"type": "bench.node", "values": {}} for place in places(count)},
            "links": [{"from": f"{a}.{out}", "to": f"{b}.{to}"} for a, out, b, to in links(count)],
            "ui": {"nodes": {place["id"]: {"x": place["x"], "y": place["y"]} for place in places(count)}},
        }
        return self.page.evaluate(OPEN, [json.dumps(document), count]) / 1000

    def look(self, x: float, y: float, zoom: float) -> None:
        self.page.evaluate("([x, y, zoom]) => __safelight.view.set(x, y, zoom)", [x, y, zoom])


class Plain:
    """The page of React Flow."""

    name = "React Flow"

    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.goto(url)
        while not page.evaluate("Boolean(window.bench)"):
            page.wait_for_timeout(50)

    def open(self, count: int) -> float:
        return self.page.evaluate(OPEN_PLAIN, [places(count), links(count)]) / 1000

    def look(self, x: float, y: float, zoom: float) -> None:
        self.page.evaluate("([x, y, zoom]) => window.bench.flow.setViewport({x, y, zoom})", [x, y, zoom])


def frames(page: Any, drive: Any, seconds: float) -> float:
    """Frames per second while `drive` is called again and again."""
    page.evaluate(COUNT)
    end = time.monotonic() + seconds
    step = 0
    while time.monotonic() < end:
        drive(step)
        step += 1
    counted = page.evaluate(COUNTED)
    return (len(counted) - 1) * 1000 / (counted[-1] - counted[0]) if len(counted) > 1 else 0.0


def measure(shown: Editor | Plain, count: int, seconds: float) -> Figures:
    """Frames per second by distance and action."""
    mouse = shown.page.mouse
    all_places = places(count)
    width = max(place["x"] for place in all_places) + 300
    height = max(place["y"] for place in all_places) + 300
    fit = min(1.0, SIZE["width"] * 0.95 / width, (SIZE["height"] - 60) * 0.95 / height)
    found: Figures = {}
    for distance, zoom in (("near", 1.0), ("whole graph", fit)):
        for action in ACTIONS:
            shown.look(20, 20, zoom)
            shown.page.wait_for_timeout(400)
            # The head of the second node: its place on screen follows from that of the graph.
            grip = (20 + (340 + 120) * zoom, 20 + 14 * zoom + (48 if shown.name == "editor" else 0))
            middle = (SIZE["width"] / 2, SIZE["height"] / 2)
            if action == "zoom":
                mouse.move(*middle)
                turn = lambda step: mouse.wheel(0, -40 if step // 8 % 2 else 40)  # noqa: E731 - two lines less
            else:
                start = middle if action == "pan" else grip
                button = "middle" if action == "pan" else "left"
                mouse.move(*start)
                mouse.down(button=button)
                turn = functools.partial(_wander, mouse, start)
            found[distance, action] = frames(shown.page, turn, seconds)
            if action != "zoom":
                mouse.up(button=button)
            shown.page.wait_for_timeout(200)
    return found


def _wander(mouse: Any, start: tuple[float, float], step: int) -> None:
    """Back and forth, a few pixels a move."""
    away = abs((step * 6) % 400 - 200)
    mouse.move(start[0] + away, start[1] + away / 3)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the table is the output."""


@contextlib.contextmanager
def safelight() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "log.txt"
        command = [sys.executable, "-m", "safelight", "serve", "--port", "0"]
        with log.open("w") as output:
            environment = {**os.environ, "SAFELIGHT_HOME": home}
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            while not (found := re.search(r"http://[\w.]+:\d+", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit("the server did not start: " + log.read_text())
                time.sleep(0.1)
            yield found.group()
        finally:
            process.terminate()
            process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.editor", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each movement")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    plain_page = ROOT / "web" / "bench" / "dist"
    if not (plain_page / "index.html").is_file():
        raise SystemExit("Build both pages first: npm ci && npm run build && npm run bench, in web/.")
    head = [f"{distance} {action}" for distance in ("near", "whole graph") for action in ACTIONS]
    print(f"| nodes | page | opens | {' | '.join(head)} |\n|---|---|---|{'---|' * len(head)}")
    results: dict[tuple[int, str], tuple[float, Figures]] = {}
    with safelight() as url, served(plain_page) as plain, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for count in given.nodes:
            for kind, address in ((Editor, url), (Plain, plain)):
                context = browser.new_context(viewport=SIZE)
                context.set_default_timeout(120_000)
                shown = kind(context.new_page(), address)
                opened = shown.open(count)
                figures = measure(shown, count, given.seconds)
                results[count, shown.name] = opened, figures
                rates = " | ".join(f"{rate:.0f}" for rate in figures.values())
                print(f"| {count} | {shown.name} | {opened * 1000:.0f} ms | {rates} |", flush=True)
                context.close()
        browser.close()
    print()
    for row in bars(results):
        print(row)


def bars(results: dict[tuple[int, str], tuple[float, Figures]]) -> Iterator[str]:
    """What the editor promises of itself, as far as the sizes were measured."""
    yield "| what | measured | bar | reached |\n|---|---|---|---|"
    pan = ("whole graph", "pan")
    if (500, "editor") in results:
        opened, ours = results[500, "editor"]
        ratio = ours[pan] / results[500, "React Flow"][1][pan]
        yield f"| panning 500 nodes, all in sight, against React Flow | {ratio:.1f} x | 5 x | {_said(ratio >= 5)} |"
        yield f"| opening 500 nodes | {opened:.2f} s | 0.5 s | {_said(opened <= 0.5)} |"
    if (2000, "editor") in results:
        slowest = min(rate for (distance, _), rate in results[2000, "editor"][1].items() if distance == "near")
        yield f"| near view of 2,000 nodes, slowest of three | {slowest:.0f} / s | 45 / s | {_said(slowest >= 45)} |"


def _said(reached: bool) -> str:
    return "yes" if reached else "NO"


if __name__ == "__main__":
    main()
