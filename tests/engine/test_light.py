"""Light nodes: a plan calls them, and so agrees with the run about what a change does not touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine_bench import Engine, doc
from safelight.app import Studio
from safelight.graph import Document, Port
from safelight.sdk.node import node_type
from safelight_nodes import loras, models


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Engine(tmp_path_factory.mktemp("light"))
    yield made
    made.services.cache.close()


def planned(engine: Engine, document: Document) -> dict[str, str]:
    """The plan's statuses of what a run reports, in the words of a run."""
    said = {name: node.status for name, node in engine.plan(document).nodes.items()}
    return {name: "ran" if status == "run" else status for name, status in said.items() if status != "unneeded"}


def test_what_a_light_node_gives_unchanged_is_known_to_stay(engine: Engine) -> None:
    document = doc(
        {"a": ("number", {"value": 8}), "f": ("divide", {"by": 3}), "g": "divide", "b": "add"},
        [("a.value", "f.a"), ("f.value", "g.a"), ("g.value", "b.a")],
        {"r": "b.value"},
    )
    engine.run(document)
    same = document.with_values({Port("f", "by"): 4})
    assert planned(engine, same) == {"a": "cached", "f": "ran", "g": "cached", "b": "cached"}
    assert engine.statuses(same) == {"a": "cached", "f": "ran", "g": "cached", "b": "cached"}
    other = document.with_values({Port("f", "by"): 1})
    assert planned(engine, other) == {"a": "cached", "f": "ran", "g": "ran", "b": "ran"} == engine.statuses(other)
    # One that fails is left to the run.
    broken = document.with_values({Port("f", "by"): 0})
    assert planned(engine, broken) == {"a": "cached", "f": "ran", "g": "ran", "b": "ran"}
    assert engine.run(broken).nodes["f"].status == "failed"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_runs_that_was_not_planned_in_any_graph_of_light_and_other_nodes(
    engine: Engine, data: st.DataObject
) -> None:
    nodes: dict[str, Any] = {"n0": ("number", {"value": data.draw(st.integers(0, 3))})}
    links = []
    for number in range(1, data.draw(st.integers(2, 7))):
        kind = data.draw(st.sampled_from(["divide", "add"]))
        small = st.integers(1, 3)
        nodes[f"n{number}"] = (kind, {"by": data.draw(small)} if kind == "divide" else {"plus": data.draw(small)})
        links.append((f"n{data.draw(st.integers(0, number - 1))}.value", f"n{number}.a"))
    last = list(nodes)[-1]
    document = doc(nodes, links, {"r": f"{last}.value"})
    foreseen = planned(engine, document)
    for name, status in engine.statuses(document).items():
        # The other way round less may run: what runs may turn out to change nothing.
        assert status == "cached" or foreseen[name] == "ran", (name, foreseen)


def test_the_text_of_a_lora_for_the_denoiser_is_not_planned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    document = Document.parse(
        {
            "format": "safelight/1",
            "nodes": {
                "model": {"type": "models.load"},
                "lora": {"type": "models.apply_lora", "values": {"lora": "starter/few_step", "text_weight": 0.0}},
                "prompt": {"type": "text.encode", "values": {"text": "a red apple"}},
                "latent": {"type": "latent.empty"},
                "sample": {"type": "sampling.sample", "values": {"steps": 1, "guidance": 1.0}},
            },
            "links": [
                {"from": "model.model", "to": "lora.model"},
                {"from": "model.text", "to": "lora.text"},
                {"from": "lora.text", "to": "prompt.encoder"},
                {"from": "model.vae", "to": "latent.vae"},
                {"from": "lora.model", "to": "sample.model"},
                {"from": "prompt.conditioning", "to": "sample.positive"},
                {"from": "latent.latent", "to": "sample.latent"},
            ],
            "outputs": [{"name": "latent", "from": "sample.latent"}],
        }
    )
    with Studio.open(home=tmp_path) as studio:
        studio.run(document, output=tmp_path, targets=["prompt", "latent"])
        weaker = document.with_values({Port("lora", "weight"): 0.5})
        plan = studio.plan(studio.check(weaker).require())
        said = {name: node.status for name, node in plan.nodes.items()}
        assert said == {"model": "cached", "latent": "cached", "prompt": "cached", "lora": "run", "sample": "run"}
        done = studio.run(weaker, output=tmp_path, targets=["prompt"]).result.nodes
        assert {name: report.status for name, report in done.items()} == {
            "model": "cached",
            "lora": "ran",
            "prompt": "cached",
        }


def test_nodes_that_make_recipes_are_light() -> None:
    for function in (models.load, models.load_vae, loras.apply_lora, loras.apply_lora_to_model):
        found = node_type(function)
        assert found is not None and found.light
