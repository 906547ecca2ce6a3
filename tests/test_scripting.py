"""Safelight in Python: workflows run and built by calling nodes; the README's programs are run as they stand."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from PIL import Image as Images

import safelight
from safelight import Builder
from safelight.app import Studio
from safelight.engine import Cancel, Event, NodeProgress
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes import choice, values
from safelight_nodes.image import files, geometry, sheets

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio.open(tmp_path / "home", inputs=[tmp_path])


def codes(caught: pytest.ExceptionInfo[ProblemError]) -> list[str]:
    return [problem.code for problem in caught.value.problems]


def test_a_run_gives_images_and_what_became_of_each_node(studio: Studio, tmp_path: Path) -> None:
    events: list[Event] = []
    workflow = safelight.load("text_to_image", studio)
    assert workflow.check() == []
    given = {"prompt": "a red apple", "seed": 3, "steps": 2, "batch": 2}
    images = workflow.run(output=tmp_path / "out", emit=events.append, **given)
    assert [pil_image.size for pil_image in images] == [(128, 128)] * 2
    assert all(isinstance(pil_image, Images.Image) for pil_image in images)
    assert [path.name for path in images.files] == [Path(entry["path"]).name for entry in images.outputs["image"]]
    assert [event.step for event in events if isinstance(event, NodeProgress) and event.node == "sample"] == [1, 2]
    again = safelight.load(images.files[0], studio).run(output=tmp_path / "out")
    assert {report.status for report in again.nodes.values()} == {"cached"}
    assert {node.status for node in workflow.plan(**given).nodes.values()} == {"cached"}
    assert again[0].tobytes() == images[0].tobytes()


def test_what_is_wrong_is_raised(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        safelight.load("no_such_workflow", studio)
    assert codes(caught) == ["workflow_missing"]
    with pytest.raises(ProblemError) as caught:
        safelight.load("text_to_image", studio).run(promt="x")
    assert codes(caught) == ["unknown_input"]
    with pytest.raises(ProblemError) as caught:
        safelight.load("text_to_image", studio).run(steps=999, seed="one", output=tmp_path)
    assert sorted(codes(caught)) == ["out_of_range", "wrong_type"]
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        safelight.load("text_to_image", studio).run(cancel=cancel, output=tmp_path)


def test_what_is_not_as_it_was_elsewhere_is_warned_of(studio: Studio, tmp_path: Path) -> None:
    node = {"class_type": "KSampler", "inputs": {"sampler_name": "odd"}}
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps({"1": node}), encoding="utf-8")
    with pytest.warns(UserWarning, match="no sampler 'odd'"):
        loaded = safelight.load(path, studio)
    assert [node.type for node in loaded.document.nodes.values()] == ["sampling.sample"]


def test_a_graph_is_built_by_calling_nodes(studio: Studio, tmp_path: Path) -> None:
    Images.new("RGB", (6, 4), "red").save(tmp_path / "red.png")
    graph = Builder("built", "Two of one image, side by side.")
    loaded = graph.named("image", files.load, file="red.png", ctx=graph.ctx)
    small = graph.add(geometry.resize, loaded.image, width=3)
    chosen = graph.named("pick", choice.switch, small, loaded.image, condition=graph.add(values.toggle, value=False))
    sheet = graph.add(sheets.grid, [loaded.image, chosen], columns=2, gap=0)
    graph.add(files.save, sheet, name="two", ctx=graph.ctx)
    graph.input("small", "toggle", "value", help="Whether the second image is the small one.")
    graph.output("sheet", sheet)
    workflow = graph.workflow(studio)
    assert workflow.check() == []
    made = workflow.run(output=tmp_path / "out")
    assert made[0].size == (12, 4)
    assert made.nodes.keys() == {"image", "toggle", "pick", "grid", "save"}, "the branch not taken is not run"
    assert workflow.run(output=tmp_path / "out", small=True).nodes["resize"].status == "ran"
    workflow.save(tmp_path / "built.json")
    assert safelight.load(tmp_path / "built.json", studio).document == workflow.document


def test_what_cannot_be_built_is_said_at_once() -> None:
    graph = Builder()
    with pytest.raises(TypeError, match="not marked"):
        graph.add(print)
    with pytest.raises(TypeError, match="takes"):
        graph.add(values.toggle, *range(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not an output"):
        graph.output("x", 3)
    number = graph.add(values.integer, value=3)
    with pytest.raises(TypeError, match="no elements yet"):
        list(number)  # type: ignore[call-overload]


def programs() -> list[str]:
    """What the README shows of Python, without what is only a fragment."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    return [textwrap.dedent(block) for block in blocks if block.lstrip().startswith(("import ", "from "))]


@pytest.mark.parametrize("number", range(2))
def test_the_programs_of_the_readme(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(programs()) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path / "home"))
    exec(programs()[number].replace("seed=1", "seed=1, steps=1"), {})
    assert list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("page", [path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if ":" not in link and not (ROOT / page.parent / link).exists()] == []
