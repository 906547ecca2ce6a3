"""The gallery with ten thousand images: found, looked at, compared, dragged, thrown away and taken back."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from safelight.media.registry import built_in
from serving import Server, serving
from web.conftest import ROOT, missing
from web.editor import Editor

embed = built_in().embed

COUNT = 10_000
SUBJECTS = ["a red apple", "a green pear", "a yellow banana", "a blue bird"]


def workflow(prompt: str, seed: int) -> str:
    document = json.loads((ROOT / "workflows" / "text_to_image.json").read_text(encoding="utf-8"))
    document["nodes"]["prompt"]["values"]["text"] = prompt
    document["nodes"]["model"]["values"]["model"] = f"painter-{seed % 2}"
    document["nodes"]["sample"]["values"] |= {"seed": seed, "steps": 7}
    return json.dumps(document)


def image(path: Path, number: int) -> None:
    """A small image that carries the workflow which would have made it."""
    made = Image.new("RGB", (128, 128), (number * 37 % 256, number * 91 % 256, number * 53 % 256))
    ImageDraw.Draw(made).ellipse((20, 20, 108, 108), fill=(255 - number % 256, number * 17 % 256, 90))
    made.save(path)
    path.write_bytes(embed(path.read_bytes(), "image/png", workflow(SUBJECTS[number % len(SUBJECTS)], number)))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with ten thousand images in its output folder: two hundred different ones under many names."""
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    home = tmp_path_factory.mktemp("full")
    output = home / "output"
    output.mkdir()
    for number in range(COUNT):
        path = output / f"made_{number:05}.png"
        if number < 200:
            image(path, number)
        else:
            os.link(output / f"made_{number % 200:05}.png", path)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    with serving(home, pack=False) as server:
        yield server


@pytest.fixture
def gallery(browser: Any, full: Server) -> Iterator[Editor]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US")
    context.set_default_timeout(20_000)
    editor = Editor(context.new_page(), full.url)
    editor.visit()
    editor.page.click('[data-panel="gallery"]')
    editor.page.wait_for_selector("[data-image]", timeout=60_000)
    yield editor
    assert not editor.errors, editor.errors
    context.close()


def wait_count(editor: Editor, number: int) -> None:
    images = "image" if number == 1 else "images"
    text = re.compile(rf"^{number} ({images}|in the trash)$")
    editor.page.locator(".gallery-filters [aria-live]", has_text=text).wait_for(timeout=60_000)


FRAMES = """
async () => {
  const grid = document.querySelector('.gallery-grid');
  const times = [];
  let mounted = 0;
  for (let frame = 0; frame < 90; frame++) {
    grid.scrollTop = (grid.scrollTop + 90) % (grid.scrollHeight - grid.clientHeight);
    times.push(await new Promise(requestAnimationFrame));
    mounted = Math.max(mounted, document.querySelectorAll('.gallery-cell').length);
  }
  const gaps = times.slice(1).map((time, index) => time - times[index]).sort((a, b) => a - b);
  return { median: gaps[44], slow: gaps[80], mounted };
}
"""


def test_scrolling_ten_thousand_images_is_as_smooth_as_scrolling_few(gallery: Editor) -> None:
    wait_count(gallery, COUNT)
    gallery.page.evaluate(FRAMES)  # the thumbnails are made
    many = gallery.page.evaluate(FRAMES)
    gallery.page.get_by_label("Search by prompt, text or name").fill("made_0001")
    wait_count(gallery, 10)
    gallery.page.get_by_label("Search by prompt, text or name").fill("made_000")
    wait_count(gallery, 100)
    gallery.page.evaluate(FRAMES)
    few = gallery.page.evaluate(FRAMES)
    assert many["mounted"] < 120, "only what is in sight is in the page"
    assert many["median"] <= few["median"] * 1.5 + 2, (many, few)
    # A jump to the far end loads what is there, and nothing in between.
    gallery.page.get_by_label("Search by prompt, text or name").fill("")
    wait_count(gallery, COUNT)
    gallery.page.evaluate("document.querySelector('.gallery-grid').scrollTop = 1e9")
    gallery.page.wait_for_selector(f'[data-image][data-index="{COUNT - 1}"]')


def test_images_are_found_by_prompt_node_model_and_date(gallery: Editor) -> None:
    page = gallery.page
    wait_count(gallery, COUNT)
    page.get_by_label("Search by prompt, text or name").fill("red apple")
    wait_count(gallery, COUNT // 4)
    page.get_by_label("Search by prompt, text or name").fill("red apple made_0000")
    wait_count(gallery, 3)
    page.get_by_label("Search by prompt, text or name").fill("")
    wait_count(gallery, COUNT)
    page.get_by_label("Any node").select_option("sampling.sample")
    wait_count(gallery, COUNT)
    page.get_by_label("Any model").select_option("painter-1")
    wait_count(gallery, COUNT // 2)
    page.get_by_label("Any time").select_option("today")
    page.get_by_text("Nothing found").wait_for()
    page.get_by_label("Any model").select_option("")
    page.get_by_label("Any time").select_option("between")
    page.get_by_label("From this day").fill("2023-11-13")
    wait_count(gallery, COUNT)
    page.get_by_label("To this day").fill("2023-11-13")
    page.get_by_text("Nothing found").wait_for()


def test_details_open_the_workflow_and_compare(gallery: Editor) -> None:
    page = gallery.page
    page.get_by_label("Search by prompt, text or name").fill("made_00005 made_00005")
    wait_count(gallery, 1)
    page.click("[data-image]")
    detail = page.locator(".image-detail")
    detail.get_by_text("a green pear").first.wait_for()
    detail.get_by_text("All parameters").click()
    detail.get_by_text("Steps").first.wait_for()
    assert "7" in detail.inner_text()
    page.get_by_label("Search by prompt, text or name").fill("made_0000")
    wait_count(gallery, 10)
    first, second = page.locator("[data-image]").nth(0), page.locator("[data-image]").nth(1)
    first.click()
    page.get_by_role("button", name="Compare with…").click()
    second.click()
    slider = page.get_by_label("How much of each image is seen")
    slider.focus()
    before = page.locator(".viewer .over").get_attribute("style")
    page.keyboard.press("ArrowRight")
    style = "document.querySelector('.viewer .over').getAttribute('style')"
    gallery.wait(f"{style} !== {json.dumps(before)}")
    box = page.locator(".viewer .images img").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50, steps=4)
    page.mouse.up()
    gallery.wait(f"{style}.includes('25')")
    page.keyboard.press("Escape")
    first.click()
    page.get_by_role("button", name="Open its workflow").click()
    gallery.wait("__safelight.stage.geometry.nodes.size > 3")
    assert gallery.document["nodes"]["prompt"]["values"]["text"] in SUBJECTS


def test_a_image_is_dragged_onto_the_canvas(gallery: Editor) -> None:
    page = gallery.page
    page.locator("[data-image]").first.drag_to(page.locator("#canvas"), target_position={"x": 400, "y": 300})
    gallery.wait("__safelight.stage.geometry.nodes.size === 1")
    (node,) = gallery.document["nodes"].values()
    assert node["type"] == "image.load" and node["values"]["file"].startswith("made_")


def test_images_are_thrown_away_and_taken_back(gallery: Editor) -> None:
    page = gallery.page
    page.get_by_label("Search by prompt, text or name").fill("made_0002")
    wait_count(gallery, 10)
    page.locator("[data-image]").nth(0).click()
    page.locator("[data-image]").nth(3).click(modifiers=["Shift"])
    page.get_by_text("4 chosen").wait_for()
    page.keyboard.press("Delete")
    wait_count(gallery, 6)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    wait_count(gallery, 10)
    page.locator("[data-image]").nth(0).click()
    page.locator(".image-detail").get_by_role("button", name="Delete").click()
    wait_count(gallery, 9)
    page.get_by_role("button", name="Trash", exact=True).click()
    wait_count(gallery, 1)
    page.locator("[data-image]").first.click()
    page.get_by_role("button", name="Restore").click()
    wait_count(gallery, 0)
    page.get_by_role("button", name="Trash", exact=True).click()
    wait_count(gallery, 10)
