"""Model folders of other programs, in place: what lies where, by which names, and what a second look costs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import tiny_models
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.models.entries import matching
from safelight.models.trees import Trees
from safelight.sdk import ProblemError

PLAIN = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32"}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_lora(tmp_path_factory.mktemp("weights") / "one.safetensors", "sd1")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tiny_lora(tmp_path_factory.mktemp("weights") / "two.safetensors", "sd1", seed=9)


def put(file: Path, *places: Path) -> None:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)


def opened(home: Path, **environ: str) -> ModelStore:
    given = {**PLAIN, "HF_HUB_CACHE": str(home / "hub"), **environ}
    return ModelStore(home, fingerprint=lambda path: path.read_bytes().hex(), environment=Environment.read(given))


def names(store: ModelStore) -> list[str]:
    return [entry.name for entry in store.list_models() if entry.place != "starter"]


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ProblemError) as caught:
        call()
    return caught.value.problems[0].code


def comfy(folder: Path, one: Path) -> Path:
    put(one, folder / "models/loras/sd15/ink.safetensors", folder / "models/unet/old.safetensors")
    (folder / "models/checkpoints").mkdir(parents=True)
    return folder


def test_one_name_for_one_file_whichever_program_laid_it_out(tmp_path: Path, one: Path, two: Path) -> None:
    forge = tmp_path / "webui"
    put(two, forge / "models/Lora/brush.safetensors", forge / "extensions/sd-webui-controlnet/models/c.safetensors")
    put(one, forge / "embeddings/word.safetensors")
    (forge / "models/Stable-diffusion").mkdir()
    trees = Trees(tmp_path / "home")
    assert trees.add(comfy(tmp_path / "ComfyUI", one)).like == "comfyui"
    assert trees.add(forge).like == "a1111"
    store = opened(tmp_path / "home")
    assert sorted(names(store)) == [
        *("controlnet/c.safetensors", "diffusion_models/old.safetensors", "embeddings/word.safetensors"),
        *("loras/brush.safetensors", "loras/sd15/ink.safetensors"),
    ]
    by_name = {entry.name: entry for entry in store.list_models()}
    assert by_name["loras/brush.safetensors"].tree == "a1111"
    assert by_name["loras/sd15/ink.safetensors"].family == "sd1"
    assert store.library.layout(store.find("loras/sd15/ink.safetensors", "lora")).root.parent.name == "sd15"
    # As their programs write them, and where they lie.
    for typed in (
        "ink.safetensors",
        "sd15\\ink.safetensors",
        "ink",
        str(tmp_path / "ComfyUI/models/loras/sd15/ink.safetensors"),
    ):
        assert store.find(typed, "lora").name == "loras/sd15/ink.safetensors", typed
    assert code(lambda: store.find("org/ink", "lora")) == "model_missing"
    assert code(lambda: store.find("models/loras/../../secret", "lora")) == "bad_path"
    trees.remove("comfyui")
    assert "loras/sd15/ink.safetensors" not in names(store) and (tmp_path / "ComfyUI/models/loras/sd15").is_dir()


def test_a_name_in_two_trees_means_the_first_and_its_end_alone_asks(tmp_path: Path, one: Path, two: Path) -> None:
    put(one, tmp_path / "a/models/loras/x/same.safetensors", tmp_path / "b/models/loras/x/same.safetensors")
    put(one, tmp_path / "a/models/loras/ink.safetensors", tmp_path / "a/models/loras/y/diff.safetensors")
    put(two, tmp_path / "b/models/loras/ink.safetensors", tmp_path / "b/models/loras/z/diff.safetensors")
    trees = Trees(tmp_path / "home")
    for name in "ab":
        trees.add(tmp_path / name, "comfyui")
    store = opened(tmp_path / "home")
    assert {"loras/ink.safetensors", "comfyui-2:loras/ink.safetensors"} <= set(names(store))
    first, second = store.find("loras/ink.safetensors"), store.find("comfyui-2:loras/ink.safetensors")
    assert first.fingerprint != second.fingerprint and first == store.find("comfyui:loras/ink.safetensors")
    # By its path it is the very file that is meant, and stays it.
    typed = store.find(str(tmp_path / "b/models/loras/ink.safetensors"))
    assert typed == second and store.library.layout(typed).root == tmp_path / "b/models/loras/ink.safetensors"
    assert store.add(tmp_path / "b/models/loras/ink.safetensors") == "comfyui-2:loras/ink.safetensors"
    assert store.find("same.safetensors", "lora").name == "loras/x/same.safetensors"  # equal files are one model
    with pytest.raises(ProblemError) as caught:
        store.find("diff.safetensors", "lora")
    (problem,) = caught.value.problems
    assert problem.code == "model_ambiguous"
    assert "loras/y/diff.safetensors" in problem.hint and "loras/z/diff.safetensors" in problem.hint


def test_a_hash_that_was_made_finds_its_file(tmp_path: Path, one: Path) -> None:
    put(one, tmp_path / "home/models/loras/ink.safetensors")
    store = opened(tmp_path / "home")
    assert code(lambda: store.find("0" * 10, "lora")) == "model_missing"
    made = store.library.hash_of(tmp_path / "home/models/loras/ink.safetensors")
    again = opened(tmp_path / "home")
    for given in (made.sha256, f"sha256:{made.sha256}", made.auto1, made.auto2, made.auto3):
        assert again.find(given, "lora").name == "loras/ink.safetensors"
    listed = {entry.name: entry.sha256 for entry in again.list_models()}
    assert listed["loras/ink.safetensors"] == made.sha256
    (tmp_path / "home/models/loras/ink.safetensors").write_bytes(one.read_bytes() + b"\0")
    assert code(lambda: again.find(made.auto2, "lora")) == "model_missing"


def test_extra_model_paths_are_read(tmp_path: Path, one: Path) -> None:
    folder = comfy(tmp_path / "ComfyUI", one)
    put(one, tmp_path / "big/lo/a.safetensors", tmp_path / "big/lo2/b.safetensors", folder / "near/c.safetensors")
    (folder / "extra_model_paths.yaml").write_text(
        f"disk:\n  base_path: {tmp_path / 'big'}\n  is_default: true\n  loras: |\n    lo\n    lo2\n  clip: none\n"
        "near:\n  vae: near\nodd: 3\n"
    )
    trees = Trees(tmp_path / "home")
    trees.add(folder)
    store = opened(tmp_path / "home")
    assert {"loras/a.safetensors", "loras/b.safetensors", "vae/c.safetensors"} <= set(names(store))
    assert store.find("loras/b.safetensors", "lora").place == "file"
    (folder / "extra_model_paths.yaml").write_text("a: [")
    assert [problem.code for problem in trees.problems()] == ["bad_model_folder"]
    assert store.find("starter").name == "starter"  # all else goes on


def test_the_models_of_invokeai_are_told_by_its_database(tmp_path: Path, one: Path) -> None:
    folder = tmp_path / "invokeai"
    put(one, folder / "models/6f1e/weights.safetensors", tmp_path / "apart/far.safetensors")
    put(one, folder / "models/sd-1/lora/old.safetensors")
    (folder / "databases").mkdir()
    with sqlite3.connect(folder / "databases/invokeai.db") as database:
        database.execute("CREATE TABLE models (path TEXT, type TEXT, name TEXT)")
        rows = [
            ("6f1e/weights.safetensors", "lora", "Ink/..style"),
            (str(tmp_path / "apart/far.safetensors"), "lora", "far"),
        ]
        rows += [("gone.safetensors", "lora", "gone"), ("sd-1/lora/old.safetensors", "lora", "old")]
        database.executemany("INSERT INTO models VALUES (?, ?, ?)", rows)
    Trees(tmp_path / "home").add(folder)
    store = opened(tmp_path / "home")
    assert names(store) == ["loras/old.safetensors", "loras/Ink_..style.safetensors", "loras/far.safetensors"]
    assert store.find("loras/far.safetensors", "lora").place == "file"


def test_links_in_a_circle_unreadable_files_and_folders_that_are_gone(tmp_path: Path, one: Path) -> None:
    folder = comfy(tmp_path / "ComfyUI", one)
    loras = folder / "models/loras"
    (loras / "round").symlink_to(loras)
    (loras / "self").symlink_to(loras / "self")
    (loras / "broken.safetensors").symlink_to(tmp_path / "nowhere.safetensors")
    put(one, tmp_path / "outside/out.safetensors", loras / "shut.safetensors")
    (loras / "out.safetensors").symlink_to(tmp_path / "outside/out.safetensors")
    (loras / "shut.safetensors").chmod(0)
    trees = Trees(tmp_path / "home")
    trees.add(folder)
    store = opened(tmp_path / "home")
    found = {entry.name: entry.problem.code if entry.problem else "" for entry in store.list_models()}
    del found["starter"]
    assert found.pop("loras/shut.safetensors") == (
        "" if os.access(loras / "shut.safetensors", os.R_OK) else "file_unreadable"
    )
    assert {name: why for name, why in found.items() if not name.startswith("starter")} == {
        "loras/sd15/ink.safetensors": "",
        "loras/out.safetensors": "bad_path",
        "diffusion_models/old.safetensors": "",
    }
    trees.add(tmp_path / "outside")
    assert store.find("loras/out.safetensors", "lora").place == "file"  # its folder may be read now
    shutil.rmtree(folder)
    assert [name for name in names(store) if name.startswith("diffusion")] == []
    assert code(lambda: store.find("loras/sd15/ink.safetensors", "lora")) == "model_missing"
    assert [problem.code for problem in trees.problems()] == ["bad_model_folder"]


def test_what_cannot_be_added_says_why(tmp_path: Path) -> None:
    trees = Trees(tmp_path / "home")
    (tmp_path / "empty").mkdir()
    for call in (
        lambda: trees.add(tmp_path / "nowhere"),
        lambda: trees.add(tmp_path / "empty", "comfyui"),
        lambda: trees.add(tmp_path / "empty", "drawthings"),
        lambda: trees.remove("never"),
    ):
        assert code(call) == "bad_model_folder"
    assert trees.add(tmp_path / "empty").like == "plain"
    assert trees.add(tmp_path / "empty").name == "empty" and len(trees.kept.trees) == 1
    (tmp_path / "home/models.json").write_text("{")
    assert code(lambda: Trees(tmp_path / "home").kept) == "config_damaged"
    assert opened(tmp_path / "home").find("starter").name == "starter"


def test_what_is_noted_beside_a_model_is_told_and_searched(tmp_path: Path, one: Path) -> None:
    folder = tmp_path / "home/models/loras"
    put(one, folder / "ink.safetensors", folder / "own.safetensors", folder / "bad.safetensors")
    (folder / "ink.preview.png").write_bytes(b"png")
    note = {"trainedWords": ["ink style", "brush"], "model": {"name": "Ink!"}, "modelId": 7}
    (folder / "ink.civitai.info").write_bytes(msgspec.json.encode(note))
    (folder / "own.json").write_text('{"activation text": "mine, own"}')
    (folder / "bad.json").write_text("[" * 100_000)
    store = opened(tmp_path / "home")
    listed = {entry.name: entry for entry in store.list_models() if entry.kind == "lora" and entry.place == "file"}
    ink = listed["loras/ink.safetensors"]
    assert (ink.title, ink.triggers, ink.source) == ("Ink!", ("ink style", "brush"), "https://civitai.com/models/7")
    assert ink.preview == str(folder / "ink.preview.png") and ink.format == "safetensors"
    assert listed["loras/own.safetensors"].triggers == ("mine", "own")
    assert [entry.name for entry in matching(listed.values(), "BRUSH sd1")] == ["loras/ink.safetensors"]
    assert matching(listed.values(), "", kind="vae") == []
    (folder / "own.json").write_text(
        '{"activation text": "changed"}'
    )  # told of at once, though the weights are as before
    assert {entry.name: entry.triggers for entry in store.list_models()}["loras/own.safetensors"] == ("changed",)


def test_the_tags_and_the_licence_of_a_header_are_told() -> None:
    from safelight.models.notes import noted

    tags = '{"a": {"cat": 3, "ink": 9}, "b": {"cat": 4}}'
    told = noted({"ss_tag_frequency": tags, "modelspec.license": "MIT", "ss_output_name": "out"})
    assert (told.triggers, told.licence, told.title) == (("ink", "cat"), "MIT", "out")
    assert noted({"ss_tag_frequency": "[1", "modelspec.trigger_phrase": "word"}).triggers == ("word",)


def test_five_thousand_files_are_known_again_in_two_seconds(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    one = tmp_path / "one.safetensors"
    save_file({f"{layer}.lora_down.weight": np.zeros((4, 320)), f"{layer}.lora_up.weight": np.zeros((320, 4))}, one)
    folder = tmp_path / "ComfyUI/models/loras"
    for number in range(5000):
        if number % 100 == 0:
            (folder / f"s{number // 100}").mkdir(parents=True)
        os.link(one, folder / f"s{number // 100}/f{number}.safetensors")
    Trees(tmp_path / "home").add(tmp_path / "ComfyUI", "comfyui")
    began = time.perf_counter()
    first = opened(tmp_path / "home").list_models()
    between = time.perf_counter()
    assert opened(tmp_path / "home").list_models() == first and len(first) >= 5000
    once, again = between - began, time.perf_counter() - between
    assert again < 2 or again < once / 3  # a busy machine is slower both times


def test_where_a_workflow_says_that_its_models_are() -> None:
    from safelight.models.manager import sources

    digest = "A" * 64
    said = sources(
        {
            "models": [
                {"name": "x/Ink.safetensors", "url": "https://a/1", "sha256": digest, "size": 7},
                3,
                {"name": 4},
            ],
            "nodes": {
                "n": {"properties": {"models": [{"name": "ink.safetensors", "url": "https://b"}]}},
                "m": {
                    "models": [
                        {"name": "vae.pt", "url": "u", "hash": digest, "hash_type": "SHA256", "directory": "vae"},
                        {"name": "odd", "url": "u", "hash": digest, "hash_type": "MD5", "size": "big"},
                    ]
                },
            },
            "subgraphs": {"s": {"models": [{"name": "deep", "url": "https://c"}], "nodes": [1]}},
        }
    )
    assert (said["ink.safetensors"].url, said["ink.safetensors"].sha256) == ("https://a/1", digest.lower())
    assert (said["vae.pt"].sha256, said["vae.pt"].folder) == (digest.lower(), "vae")
    assert (said["odd"].sha256, said["odd"].size, said["deep"].url) == ("", 0, "https://c")
