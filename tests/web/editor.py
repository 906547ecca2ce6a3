"""What the tests do with the editor: places in the graph as places on the screen, and the document behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

Point = tuple[float, float]
PREFERENCES = "safelight.preferences"


def graph(
    nodes: dict[str, tuple[str, float, float]], links: list[tuple[str, str]] | None = None, **rest: Any
) -> dict[str, Any]:
    """A document from ids, types and places."""
    return {
        "format": "safelight/1",
        "nodes": {name: {"type": kind, "values": {}} for name, (kind, _, _) in nodes.items()},
        "links": [{"from": source, "to": target} for source, target in links or []],
        "ui": {"nodes": {name: {"x": x, "y": y} for name, (_, x, y) in nodes.items()}},
        **rest,
    }


CHAIN = graph(
    {"empty": ("latent.empty", 0, 0), "sample": ("sampling.sample", 340, 0), "decode": ("vae.decode", 700, 0)},
    [("empty.latent", "sample.latent")],
)


def two_frames(page: Any, seconds: float) -> bool:
    """Whether a page draws two frames before so many seconds have passed."""
    drawn = page.evaluate(
        "seconds => new Promise(done => {"
        " requestAnimationFrame(() => requestAnimationFrame(() => done(true)));"
        " setTimeout(() => done(false), 1000 * seconds); })",
        seconds,
    )
    return bool(drawn)


class Editor:
    def __init__(self, page: Any, url: str, preferences: dict[str, Any] | None = None) -> None:
        """`preferences` are those of a browser that has none yet; without them the tour was seen."""
        self.page = page
        kept = json.dumps(json.dumps({"offerTour": False} if preferences is None else preferences))
        page.add_init_script(f"""try {{ localStorage["{PREFERENCES}"] ??= {kept}; }} catch {{ /* an empty page */ }}""")
        self.url = url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        # The browser itself reports failed requests; the tests that stop the server want them.
        if (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            self.errors.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws"), "blob:", "data:")):
            self.foreign.append(request.url)

    def visit(self) -> None:
        self.page.goto(self.url)
        self.wait("window.__safelight?.app.getState().ready")

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Until the expression is true. (Playwright's own waiting needs `eval`, which the page forbids.)"""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            self.page.wait_for_timeout(50)

    # The document

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.page.evaluate("__safelight.write()"))

    @property
    def text(self) -> str:
        return self.page.evaluate("__safelight.write()")

    @property
    def links(self) -> set[str]:
        return {f"{link['from']} > {link['to']}" for link in self.document["links"]}

    @property
    def selection(self) -> list[str]:
        return self.state("tabs.find(tab => tab.id === state.active).selection")

    def state(self, path: str) -> Any:
        return self.page.evaluate(f"(() => {{ const state = __safelight.app.getState(); return state.{path}; }})()")

    def open(self, document: dict[str, Any], zoom: float | None = 1.0) -> None:
        self.page.evaluate("text => __safelight.open(text)", json.dumps(document))
        self.wait(f"__safelight.stage.geometry.nodes.size === {len(document['nodes'])}")
        if zoom is not None:
            self.page.evaluate(f"__safelight.view.set(40, 60, {zoom})")
        self.settle()

    def settle(self) -> None:
        """Two frames were drawn."""
        assert two_frames(self.page, 30), "no frame was drawn for half a minute"

    def wait_plan(self) -> None:
        self.wait(
            "(() => { const s = __safelight.app.getState();"
            " return s.tabs.find(t => t.id === s.active).plan !== null; })()",
            60,  # the first plan of a server waits for a worker, which loads its libraries
        )

    # Places on the screen

    def at(self, x: float, y: float) -> Point:
        """A place of the graph on the screen."""
        found = self.page.evaluate("([x, y]) => __safelight.view.toClient({x, y})", [x, y])
        return found["x"], found["y"]

    def socket(self, port: str, side: str) -> Point:
        node, _, name = port.rpartition(".")
        found = self.page.evaluate(
            """([node, name, side]) => {
                const box = __safelight.stage.geometry.nodes.get(node);
                const place = box.layout[side][name];
                return __safelight.view.toClient({x: box.rect.x + place.x, y: box.rect.y + place.y});
            }""",
            [node, name, side],
        )
        return found["x"], found["y"]

    def output(self, port: str) -> Point:
        return self.socket(port, "outputs")

    def input(self, port: str) -> Point:
        return self.socket(port, "inputs")

    def header(self, node: str) -> Point:
        rect = self.rect(node)
        return self.at(rect["x"] + 90, rect["y"] + 16)

    def rect(self, node: str) -> dict[str, float]:
        return self.page.evaluate("id => __safelight.stage.geometry.nodes.get(id).rect", node)

    def is_in_the_middle(self, node: str) -> bool:
        """Of the part of the canvas that neither the tools nor the minimap lie over."""
        rect = self.rect(node)
        x, y = self.at(rect["x"] + rect["w"] / 2, rect["y"] + rect["h"] / 2)
        return abs(x - 758) < 110 and abs(y - 474) < 80

    def middle(self, source: str, target: str) -> Point:
        """The middle of the wire between two sockets: its curve is symmetric."""
        (a, b), (c, d) = self.output(source), self.input(target)
        return (a + c) / 2, (b + d) / 2

    # Hands

    def drag(
        self,
        start: Point,
        end: Point,
        *,
        button: str = "left",
        steps: int = 8,
        release: bool = True,
        keys: tuple[str, ...] = (),
    ) -> None:
        mouse, keyboard = self.page.mouse, self.page.keyboard
        mouse.move(*start)
        for key in keys:
            keyboard.down(key)
        mouse.down(button=button)
        mouse.move((start[0] * 3 + end[0]) / 4, (start[1] * 3 + end[1]) / 4, steps=steps)
        mouse.move(*end, steps=steps)
        if release:
            mouse.up(button=button)
        for key in keys:
            keyboard.up(key)
        self.settle()

    def fingers(self) -> Callable[..., None]:
        """`touch(kind, *points)` puts fingers on these places, moves them there, or lifts them."""
        session = self.page.context.new_cdp_session(self.page)

        def touch(kind: str, *points: Point) -> None:
            places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        return touch

    def press(self, keys: str) -> None:
        self.page.focus("#canvas")
        self.page.keyboard.press(keys)
        self.settle()

    def node(self, node: str) -> Any:
        return self.page.locator(f'[data-node="{node}"]')

    def one_step(self, action: Any) -> None:
        """The action changes the document, is undone by one step byte for byte, and redone."""
        before = self.text
        action()
        self.settle()
        after = self.text
        assert after != before, "nothing changed"
        self.press("Control+z")
        assert self.text == before, "one undo did not give the document back"
        self.press("Control+Shift+Z")
        assert self.text == after
