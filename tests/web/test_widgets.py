"""The fields of a node: dragged, wheeled, stepped, typed, and turned into sockets."""

from __future__ import annotations

from typing import Any

import pytest

from web.editor import Editor, graph


@pytest.fixture
def sample(editor: Editor) -> Editor:
    editor.open(graph({"sample": ("sampling.sample", 0, 0), "prompt": ("text.encode", 400, 0)}))
    return editor


def field(editor: Editor, port: str) -> Any:
    return editor.page.locator(f'[data-widget="{port}"] .field')


def value(editor: Editor, port: str) -> Any:
    node, _, name = port.partition(".")
    return editor.document["nodes"][node]["values"].get(name)


def test_a_number_is_dragged_and_finely_with_shift(sample: Editor) -> None:
    box = field(sample, "sample.denoise").bounding_box()
    start = (box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    sample.one_step(lambda: sample.drag(start, (start[0] - 60, start[1])))
    coarse = 1 - value(sample, "sample.denoise")
    assert coarse == pytest.approx(60 / box["width"], abs=0.03)
    sample.press("Control+z")
    sample.drag(start, (start[0] - 60, start[1]), keys=("Shift",))
    assert 0 < 1 - value(sample, "sample.denoise") < coarse / 5


def test_the_wheel_and_the_arrows_step_a_focused_number(sample: Editor) -> None:
    steps = field(sample, "sample.steps")
    steps.focus()
    before = int(steps.get_attribute("aria-valuenow"))
    zoom = sample.page.evaluate("__safelight.view.zoom")
    sample.page.mouse.move(*[steps.bounding_box()[key] + 20 for key in ("x", "y")])
    sample.page.mouse.wheel(0, -100)
    sample.wait(f"document.querySelector('[data-widget=\"sample.steps\"] .field').ariaValueNow === '{before + 1}'")
    assert sample.page.evaluate("__safelight.view.zoom") == zoom
    sample.page.keyboard.press("ArrowUp")
    sample.page.keyboard.press("Shift+ArrowUp")
    assert value(sample, "sample.steps") == before + 12


def test_an_expression_is_typed_and_escape_takes_it_back(sample: Editor) -> None:
    steps = field(sample, "sample.steps")
    steps.click()
    sample.page.keyboard.type("(20+4)/2")
    sample.page.keyboard.press("Enter")
    assert value(sample, "sample.steps") == 12
    steps.click()
    sample.page.keyboard.type("99")
    sample.page.keyboard.press("Escape")
    assert value(sample, "sample.steps") == 12


def test_the_weight_of_a_word_is_changed_by_key(sample: Editor) -> None:
    area = sample.page.locator('[data-widget="prompt.text"] textarea')
    area.click()
    sample.page.keyboard.type("a red apple")
    sample.page.keyboard.press("Control+ArrowUp")
    assert value(sample, "prompt.text") == "a red (apple:1.1)"
    sample.page.keyboard.press("Control+ArrowDown")
    assert value(sample, "prompt.text") == "a red apple"


def test_a_choice_is_searched_and_a_seed_has_modes_and_a_dice(sample: Editor) -> None:
    sample.page.locator('[data-widget="sample.sampler"] button').click()
    sample.page.keyboard.type("heun")
    sample.page.keyboard.press("Enter")
    assert "heun" in value(sample, "sample.sampler")
    dice, mode = sample.page.locator('[data-widget="sample.seed"] button').all()
    dice.click()
    first = value(sample, "sample.seed")
    dice.click()
    assert value(sample, "sample.seed") != first
    for wanted in ({"seed": "random"}, {"seed": "step"}, None):
        mode.click()
        assert sample.document["ui"]["nodes"]["sample"].get("seeds") == wanted


def test_a_field_becomes_a_socket_and_a_field_again(sample: Editor) -> None:
    for shown in (["steps"], None):
        sample.page.locator('[data-widget="sample.steps"]').click(button="right")
        sample.one_step(lambda: sample.page.click('[data-command="toSocket"]'))
        assert sample.document["ui"]["nodes"]["sample"].get("sockets") == shown


def test_a_switch_is_flipped_by_click_and_by_key(editor: Editor) -> None:
    editor.open(graph({"mask": ("image.to_mask", 0, 0)}))
    switch = editor.page.get_by_role("switch", name="Invert")
    assert switch.get_attribute("aria-checked") == "false"
    editor.one_step(switch.click)
    assert switch.get_attribute("aria-checked") == "true"
    assert value(editor, "mask.invert") is True
    switch.focus()
    editor.page.keyboard.press("Space")
    assert switch.get_attribute("aria-checked") == "false"
    assert not value(editor, "mask.invert")


def test_a_colour_is_chosen_and_shown(editor: Editor) -> None:
    editor.open(graph({"flat": ("image.flatten", 0, 0)}))
    picker = editor.page.locator("input[type=color]")
    assert picker.input_value() == "#ffffff"

    def choose() -> None:
        # The system's dialog tells every colour that it passes on the way, in quick succession.
        picker.evaluate(
            """(field, colors) => {
                const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
                for (const color of colors) {
                    set.call(field, color);
                    field.dispatchEvent(new Event("input", { bubbles: true }));
                }
            }""",
            ["#804000", "#c06000", "#ff8800"],
        )

    editor.one_step(choose)
    assert value(editor, "flat.background") == "#ff8800"
    assert "#ff8800" in editor.page.locator('[data-widget="flat.background"]').inner_text()


def test_typing_is_one_step(sample: Editor) -> None:
    area = sample.page.locator('[data-widget="prompt.text"] textarea')

    def write() -> None:
        area.click()
        sample.page.keyboard.type("a red apple on a table")

    sample.one_step(write)
    sample.press("Control+z")
    sample.press("Control+y")
    assert value(sample, "prompt.text") == "a red apple on a table"


def test_a_zero_that_means_something_says_so(editor: Editor) -> None:
    document = graph({"empty": ("latent.empty", 0, 0), "sample": ("sampling.sample", 400, 0)})
    document["ui"]["nodes"]["sample"]["advanced"] = True
    editor.open(document)
    width = field(editor, "empty.width")
    assert width.inner_text().split() == ["Width", "auto"]
    assert width.get_attribute("aria-valuetext") == "auto"
    assert "off" in field(editor, "sample.guidance_rescale").inner_text()
    assert "0" in field(editor, "sample.seed").inner_text(), "a seed of 0 is one like any other"
    for typed, expected, text in (("640", 640, "640"), ("auto", 0, "auto"), ("512", 512, "512"), ("0", 0, "auto")):
        width.click()
        editor.page.keyboard.type(typed)
        editor.page.keyboard.press("Enter")
        assert value(editor, "empty.width") == expected
        assert text in width.inner_text()
    width.click()
    editor.page.keyboard.press("Enter")
    assert value(editor, "empty.width") == 0, "what stands there may be taken as it is"
