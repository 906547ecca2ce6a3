"""Files and models that values name: their state is part of the key, typed in, linked, or one of a list."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.engine_bench import Engine, doc
from safelight.engine import Services
from safelight.engine.cache import MISSING
from safelight.environment import Environment
from safelight.media.registry import built_in
from safelight.models import ModelStore
from safelight.places import InputFolders

PROMPT = "a embedding:ink drawing by (embedding:old:0.8)"


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    made = Engine(tmp_path)
    cache = made.services.cache
    store = ModelStore(
        tmp_path, fingerprint=cache.fingerprint, environment=Environment.read({"HF_HUB_CACHE": str(tmp_path / "hub")})
    )
    made.services = Services(cache, store, InputFolders((tmp_path,)), built_in())
    yield made
    cache.close()


Put = Callable[..., None]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes an embedding of one number."""
    folder = tmp_path / "models" / "embeddings"
    folder.mkdir(parents=True)

    def write(name: str, number: int, changed: int = 0) -> None:
        header = b'{"emb_params":{"dtype":"U8","shape":[1,1],"data_offsets":[0,1]}}'
        path = folder / f"{name}.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([number]))
        os.utime(path, (changed, changed))

    write("ink", 1)
    write("old", 2)
    return write


TYPED = doc({"p": ("prompted", {"text": PROMPT})}, outputs={"o": "p.text"})
LINKED = doc({"w": ("words", {"text": PROMPT}), "p": "prompted"}, [("w.text", "p.text")], outputs={"o": "p.text"})
LISTED = doc(
    {"a": ("words", {"text": "plain"}), "b": ("words", {"text": PROMPT}), "l": "texts", "p": "prompted"},
    [("a.text", "l.given"), ("b.text", "l.given"), ("l.texts", "p.text")],
    outputs={"o": "p.text"},
)


@pytest.mark.parametrize("document", [TYPED, LINKED, LISTED], ids=["typed", "linked", "listed"])
def test_a_changed_embedding_is_never_mistaken_for_the_old_one(engine: Engine, put: Put, document: Any) -> None:
    assert engine.statuses(document)["p"] == "ran"
    assert engine.plan(document).nodes["p"].status == "cached"
    assert engine.statuses(document)["p"] == "cached"
    put("old", 3, changed=1)
    assert engine.plan(document).nodes["p"].status == "run"
    assert engine.statuses(document)["p"] == "ran"
    put("old", 2, changed=2)
    assert engine.plan(document).nodes["p"].status == "cached", "what was made of the old one is found again"
    put("unused", 9)
    assert engine.statuses(document)["p"] == "cached"


def test_a_text_that_names_none_has_the_key_it_always_had(engine: Engine, put: Put) -> None:
    plain = doc({"p": ("prompted", {"text": "a red apple"})}, outputs={"o": "p.text"})
    assert engine.statuses(plain)["p"] == "ran"
    put("ink", 7, changed=3)
    assert engine.plan(plain).nodes["p"].status == "cached"


@pytest.mark.parametrize("document", [TYPED, LINKED], ids=["typed", "linked"])
def test_all_missing_embeddings_are_told_at_once(engine: Engine, document: Any) -> None:
    result = engine.run(document)
    assert [(problem.code, problem.value) for problem in result.problems] == [
        ("model_missing", "ink"),
        ("model_missing", "old"),
    ]
    assert {problem.node for problem in result.problems} == {"p"}
    told = engine.plan(document).problems
    assert [(problem.value, problem.port) for problem in told] == [("ink", "text"), ("old", "text")]


def test_a_long_linked_prompt_is_looked_into(engine: Engine, put: Put) -> None:
    longer = doc(
        {"w": ("repeat", {"text": "a embedding:ink ", "times": 2000}), "p": "prompted"},
        [("w.text", "p.text")],
        outputs={"o": "p.text"},
    )
    assert engine.statuses(longer)["p"] == "ran"
    assert engine.plan(longer).nodes["p"].status == "cached"
    put("ink", 8, changed=4)
    assert engine.plan(longer).nodes["p"].status == "run"


def test_a_linked_text_that_is_no_longer_kept_is_made_again(
    engine: Engine, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    del put
    engine.run(LINKED)
    cache = engine.services.cache
    kept = cache.get
    monkeypatch.setattr(cache, "get", lambda ref: MISSING if kept(ref) == PROMPT else kept(ref))
    assert engine.plan(LINKED).nodes["p"].status == "run"
    result = engine.run(LINKED)
    assert {name: report.status for name, report in result.nodes.items()} == {"w": "ran", "p": "cached"}
    assert engine.output(result, "o") == PROMPT.upper()


def test_a_list_of_files(engine: Engine) -> None:
    for name in ("one.txt", "two.txt"):
        (engine.folder / name).write_text(name)
        os.utime(engine.folder / name, (0, 0))
    document = doc(
        {"a": ("words", {"text": "one.txt"}), "b": ("words", {"text": "two.txt"}), "l": "texts", "r": "read"},
        [("a.text", "l.given"), ("b.text", "l.given"), ("l.texts", "r.file")],
        outputs={"o": "r.text"},
    )
    assert engine.output(engine.run(document), "o") == ["one.txt", "two.txt"]
    assert engine.plan(document).nodes["r"].status == "cached"
    (engine.folder / "two.txt").write_text("changed")
    os.utime(engine.folder / "two.txt", (1, 1))
    assert engine.plan(document).nodes["r"].status == "run"
    assert engine.output(engine.run(document), "o") == ["one.txt", "changed"]
