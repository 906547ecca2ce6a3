"""Every text of the built-in nodes and of the shipped workflows is there in each language, and none that is gone.

The English text is the key: whoever changes a docstring changes the key as well, and is told here what to translate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import safelight_nodes
from safelight.graph import Document
from safelight.places import shipped_groups, shipped_names, shipped_workflows
from safelight.sdk.pack import PackState, load_packs
from safelight.sdk.problem import ProblemError
from safelight.sdk.texts import label, pack_texts, read_texts, texts_of

NODES = Path(safelight_nodes.__file__).parent / "locale"
WORKFLOWS = shipped_workflows() / "locale"
LANGUAGES = sorted(file.stem for file in NODES.glob("*.json"))
SPECS = [kind.spec for kind in load_packs().values() if kind.spec.pack == "safelight"]
CHOICES = {choice for spec in SPECS for port in (*spec.inputs, *spec.outputs) for choice in port.choices}


def workflow_texts() -> Iterator[str]:
    yield from shipped_groups()
    for path in shipped_names().values():
        document = Document.loads(path.read_text(encoding="utf-8"))
        yield from (label(document.name), document.description)
        for entry in document.inputs:
            yield from (label(entry.name), entry.help)
        yield from {node.title for node in document.nodes.values()} - CHOICES
        for inside in document.subgraphs.values():
            yield from (inside.name, inside.description)
            yield from {node.title for node in inside.nodes.values()} - CHOICES


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_untranslated(language: str) -> None:
    there = read_texts(NODES, language)
    missing = {text: spec.id for spec in SPECS for text in texts_of(spec) if text and text not in there}
    missing = {text: node for text, node in missing.items() if text not in CHOICES}
    assert not missing, f"add to nodes/safelight_nodes/locale/{language}.json:\n{listed(missing)}"
    untold = set(workflow_texts()) - {""} - set(there) - set(read_texts(WORKFLOWS, language))
    assert not untold, f"add to workflows/locale/{language}.json:\n{listed(dict.fromkeys(untold, ''))}"


def listed(texts: dict[str, str]) -> str:
    return "\n".join(f"  {json.dumps(text, ensure_ascii=False)}: {json.dumps(node)}," for text, node in texts.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    said = {text for spec in SPECS for text in texts_of(spec)}
    assert sorted(set(read_texts(NODES, language)) - said) == [], "these texts have changed or are gone: remove them"
    assert sorted(set(read_texts(WORKFLOWS, language)) - set(workflow_texts())) == []


@pytest.mark.parametrize("folder", [NODES, WORKFLOWS], ids=["nodes", "workflows"])
def test_the_files_are_sorted_and_every_text_says_something(folder: Path) -> None:
    for file in folder.glob("*.json"):
        texts = json.loads(file.read_text(encoding="utf-8"))
        written = json.dumps(dict(sorted(texts.items())), ensure_ascii=False, indent=2) + "\n"
        assert file.read_text(encoding="utf-8") == written, f"sort {file.name}, indented by 2"
        assert all(text.strip() for text in texts.values())
        for english, text in texts.items():
            assert ("{counter}" in english) == ("{counter}" in text), english


def test_packs_bring_their_own_and_a_damaged_file_hurts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("texts_good", '{"Stretch": "拉长", "Sample": "不同"}'), ("texts_bad", "[1]")):
        (tmp_path / name / "locale").mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text("")
        (tmp_path / name / "locale" / "zh.json").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = load_packs([EntryPoint(name, name, "safelight.nodes") for name in ("texts_good", "texts_bad")])
    (tmp_path / "texts_lone.py").write_text("")
    lone = PackState(name="lone", modules=("texts_lone",))
    assert pack_texts([lone], "zh") == {}, "a pack of a single file has nowhere to keep any"
    built_in = PackState(name="safelight", modules=("safelight_nodes",))
    texts = pack_texts((built_in, *found.packs), "zh")
    assert texts["Stretch"] == "拉长"
    assert texts["Sample"] == "采样", "the built-in pack's word stands"
    with pytest.raises(ProblemError, match="object from English"):
        read_texts(tmp_path / "texts_bad" / "locale", "zh")
    assert pack_texts(found.packs, "../zh") == {} == pack_texts(found.packs, "de")
