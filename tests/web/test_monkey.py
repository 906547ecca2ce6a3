"""Two thousand gestures without a plan, by real events: whatever is done, the document is whole and can be undone.

After every fifty gestures: the document reads back as it is written; undo leads to its start byte for byte and redo
back to its end; the server holds what the screen shows; nothing was written to the console. A failure names the
gestures since the last look, which the seed repeats.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Error

from serving import Server
from web.editor import Editor, graph

START = graph(
    {
        "empty": ("latent.empty", 0, 0),
        "prompt": ("text.encode", 0, 260),
        "sample": ("sampling.sample", 340, 0),
        "decode": ("vae.decode", 700, 0),
        "save": ("image.save", 1000, 0),
    },
    [("empty.latent", "sample.latent"), ("sample.latent", "decode.latent"), ("decode.image", "save.image")],
)
CHUNK, CHUNKS = 50, 10
"""Gestures between two looks, and looks of one test."""

# What lies on the screen: nodes, sockets, fields and buttons with a place in sight.
SIGHT = """() => {
    const { stage, view, app } = __safelight;
    const inSight = ({ x, y }) => x > 70 && y > 60 && x < innerWidth - 20 && y < innerHeight - 60;
    const headers = [], outputs = [], inputs = [];
    for (const box of stage.geometry.nodes.values()) {
        const at = (x, y) => view.toClient({ x: box.rect.x + x, y: box.rect.y + y });
        headers.push(at(90, 16));
        for (const [side, places] of [["outputs", outputs], ["inputs", inputs]])
            for (const place of Object.values(box.layout[side])) places.push(at(place.x, place.y));
    }
    const middles = (selector) => [...document.querySelectorAll(selector)].map((element) => {
        const { left, top, width, height } = element.getBoundingClientRect();
        return { x: left + width / 2, y: top + height / 2 };
    });
    return {
        headers: headers.filter(inSight), outputs: outputs.filter(inSight), inputs: inputs.filter(inSight),
        fields: middles("#canvas input, #canvas textarea, #canvas select, #canvas button").filter(inSight),
        overlay: app.getState().overlay?.kind ?? null, panel: app.getState().panel,
    };
}"""

KEYS = [
    *["Delete", "Backspace", "Control+a", "Control+c", "Control+x", "Control+v", "Control+Shift+V", "Control+d"],
    *[
        "Control+z",
        "Control+z",
        "Control+Shift+Z",
        "Control+m",
        "Control+b",
        "Alt+c",
        "Alt+o",
        "p",
        "Alt+k",
        "Control+g",
    ],
    *["n", "Control+Shift+G", "Control+ArrowUp", "Control+Alt+g", "Shift+L", "Alt+a", "Alt+d", "Alt+w", "Alt+s"],
    *["Alt+Shift+H", "Alt+Shift+V", "l", "Home", ".", "+", "-", "ArrowLeft", "ArrowRight", "Shift+ArrowDown", "Enter"],
    *["F2", "c", "h", "Escape", "b", "g", "q", "o", "e", "t", "F4", "F6", "Tab", "Shift+Tab", "Control+Delete"],
    *["Control+f", "Control+k", "?", "Control+,", "Control+Alt+Enter", "Control+Enter"],
]
WORDS = ["decode", "sample", "save image", "number", "text", "load", "prompt", "1", "7.5", "-3", "1e9", "ümlaut", "猫"]


class Monkey:
    """Hands on an editor, led by chance alone."""

    def __init__(self, editor: Editor, seed: int) -> None:
        self.editor = editor
        self.page = editor.page
        self.chance = random.Random(seed)
        self.did: list[str] = []

    def gesture(self) -> None:
        sight = self.page.evaluate(SIGHT)
        if sight["overlay"]:
            self.answer()
            return
        kinds: list[tuple[int, Callable[[dict[str, Any]], None]]] = [
            (8, self.move_node),
            (8, self.pull_wire),
            (6, self.click_node),
            (8, self.use_field),
            (4, self.add_node),
            (3, self.marquee),
            (3, self.roll),
            (2, self.menu),
            (2, self.pan),
            (12, self.key),
        ]
        chosen = self.chance.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        chosen(sight)

    def say(self, what: str, *values: object) -> None:
        self.did.append(" ".join([what, *map(str, values)]))

    def place(self, among: list[dict[str, float]] | None = None) -> tuple[float, float]:
        if among and self.chance.random() < 0.9:
            found = self.chance.choice(among)
            return round(found["x"]), round(found["y"])
        return self.chance.randint(90, 1400), self.chance.randint(80, 820)

    def held(self) -> tuple[str, ...]:
        return self.chance.choice([(), (), (), ("Shift",), ("Control",), ("Alt",)])

    def drag(self, what: str, start: tuple[float, float], end: tuple[float, float], **how: Any) -> None:
        keys = self.held()
        self.say(what, start, end, *keys)
        self.editor.drag(start, end, steps=3, keys=keys, **how)

    def move_node(self, sight: dict[str, Any]) -> None:
        self.drag("move", self.place(sight["headers"]), self.place())

    def pull_wire(self, sight: dict[str, Any]) -> None:
        start, end = self.chance.choice([("outputs", "inputs"), ("inputs", "outputs"), ("outputs", "outputs")])
        self.drag("wire", self.place(sight[start]), self.place(sight[end]))

    def marquee(self, sight: dict[str, Any]) -> None:
        self.drag("marquee", self.place(), self.place())

    def pan(self, sight: dict[str, Any]) -> None:
        self.drag("pan", self.place(), self.place(), button="middle")

    def click_node(self, sight: dict[str, Any]) -> None:
        at, keys = self.place(sight["headers"]), self.held()
        self.say("click", at, *keys)
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.click(*at, click_count=self.chance.choice([1, 1, 1, 2]))
        for key in keys:
            self.page.keyboard.up(key)

    def use_field(self, sight: dict[str, Any]) -> None:
        at, word = self.place(sight["fields"]), self.chance.choice(WORDS)
        leave = self.chance.choice(["Enter", "Escape", "Tab", "ArrowUp", "Control+z", "Backspace"])
        self.say("field", at, word, leave)
        self.page.mouse.click(*at)
        self.page.keyboard.type(word)
        self.page.keyboard.press(leave)

    def add_node(self, sight: dict[str, Any]) -> None:
        at, word = self.place(), self.chance.choice(WORDS)
        self.say("add", at, word)
        self.page.mouse.dblclick(*at)
        self.page.keyboard.type(word)
        self.page.keyboard.press("Enter")

    def roll(self, sight: dict[str, Any]) -> None:
        at, by, keys = self.place(sight["headers"]), self.chance.choice([-300, -100, 100, 300]), self.held()
        self.say("roll", at, by, *keys)
        self.page.mouse.move(*at)
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.wheel(0, by)
        for key in keys:
            self.page.keyboard.up(key)

    def menu(self, sight: dict[str, Any]) -> None:
        at = self.place(sight["headers"])
        self.say("menu", at)
        self.page.mouse.click(*at, button="right")

    def key(self, sight: dict[str, Any]) -> None:
        key = self.chance.choice(KEYS)
        self.say("key", key)
        self.page.keyboard.press(key)

    def answer(self) -> None:
        """To a sheet, a menu or a search: a word, a way down the list, or no."""
        how = self.chance.choice(["Escape", "Escape", "word", "down"])
        self.say("answer", how)
        if how == "word":
            self.page.keyboard.type(self.chance.choice(WORDS))
            self.page.keyboard.press("Enter")
        elif how == "down":
            for _ in range(self.chance.randint(1, 6)):
                self.page.keyboard.press("ArrowDown")
            self.page.keyboard.press("Enter")
        self.page.keyboard.press("Escape")


def rest(editor: Editor) -> None:
    """Nothing open, nothing half done, hands off."""
    for _ in range(4):
        editor.page.keyboard.press("Escape")
    editor.page.evaluate("() => { document.activeElement?.blur(); }")
    editor.settle()
    editor.page.evaluate("() => __safelight.app.setState({ overlay: null, panel: null, form: false, choosing: false })")
    editor.settle()


def full(value: Any) -> Any:
    """A document without what is empty: the server leaves it out."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := full(item)) not in ({}, [])}
    return [full(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.patience(600)
@pytest.mark.parametrize("seed", range(4))
def test_five_hundred_gestures(editor: Editor, server: Server, seed: int) -> None:
    name = f"monkey {seed}"
    server.ask("PUT", f"/workflows/{quote(name)}", {"document": START, "revision": 0})
    editor.page.on("filechooser", lambda chooser: None)
    editor.page.on("download", lambda download: None)
    editor.wait(f"__safelight.app.getState().workflows.some(one => one.name === {json.dumps(name)})")
    editor.press("t")
    editor.page.locator(f'[data-workflow="{name}"]').click()
    editor.wait(f"__safelight.app.getState().tabs.some(tab => tab.name === {json.dumps(name)})")
    rest(editor)
    monkey = Monkey(editor, seed)
    # Should the editor's page be left for another: which, and what was done last.
    left: list[str] = []
    editor.page.on("domcontentloaded", lambda page: left.append(page.url))
    for _ in range(CHUNKS):
        monkey.did.clear()
        editor.press("Home")
        for _ in range(CHUNK):
            try:
                monkey.gesture()
            except Error as error:
                pytest.fail(f"{error}, pages {left}, after\n" + "\n".join(monkey.did))
            assert not left, f"the page was left for {left} after\n" + "\n".join(monkey.did)
        rest(editor)
        editor.page.focus("#canvas")
        told = "\n".join(monkey.did)
        assert not editor.errors, f"{editor.errors} after\n{told}"
        # the document reads back as it is written
        text = editor.text
        answer = server.call("POST", "/check", {"document": json.loads(text)})
        assert answer[0] == 200, f"{answer} after\n{told}"
        # the server holds what the screen shows
        mine = f"__safelight.app.getState().tabs.find(tab => tab.name === {json.dumps(name)})"
        editor.wait(f"{mine}.base === {mine}.document", 30)
        shown = json.loads(editor.page.evaluate(f"JSON.stringify({mine}.document)"))
        held = server.ask("GET", f"/workflows/{quote(name)}")["document"]
        assert full(held) == full(shown), f"the server has another after\n{told}"
        undo_and_redo(editor, 2 * CHUNK, told)
    undo_and_redo(editor, 10_000, "all gestures")


def undo_and_redo(editor: Editor, most: int, told: str) -> None:
    """Each undo changes the document until there is none; redo goes the same way back."""
    states = [editor.text]
    enabled = "() => document.querySelector('[data-tool=\"undo\"]')?.disabled === false"
    while len(states) <= most and editor.page.evaluate(enabled):
        editor.page.keyboard.press("Control+z")
        states.append(editor.text)
        assert states[-1] != states[-2], f"an undo that changes nothing, after\n{told}"
    for before in reversed(states[:-1]):
        editor.page.keyboard.press("Control+Shift+Z")
        assert editor.text == before, f"redo gave another document after\n{told}"
