"""`safelight models`: other programs' folders, search, equal files, what a workflow lacks, downloads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny_models
from away import serving_away
from cli.safelight_command import Command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_a_folder_of_another_program_is_added_searched_and_forgotten(command: Command) -> None:
    loras = command.folder / "ComfyUI/models/loras"
    tiny_models.tiny_lora(loras / "ink.safetensors", "sd1")
    (loras / "ink.json").write_text('{"activation text": "inkwash"}')
    (loras / "twice.safetensors").write_bytes((loras / "ink.safetensors").read_bytes())
    (loras / "bad.safetensors").write_bytes(b"<!doctype html>")
    done = command("models", "add", "ComfyUI")
    assert "2 of 3 models can be used" in done.stdout, done.stderr
    (found,) = command.json("models", "search", "INKWASH")["models"]
    assert (found["name"], found["tree"], found["family"]) == ("loras/ink.safetensors", "comfyui", "sd1")
    (broken,) = command.json("models", "list", "--broken")["models"]
    assert (broken["name"], broken["problem"]["code"]) == ("loras/bad.safetensors", "weights_damaged")
    (group,) = command.json("models", "duplicates")["groups"]
    assert {model["name"] for model in group} == {"loras/ink.safetensors", "loras/twice.safetensors"}
    shown = command.json("models", "show", "ink", "--hash")
    assert shown["sha256"][:10] == shown["autov2"] and shown["triggers"] == ["inkwash"]
    assert command.json("models", "remove", "comfyui")["like"] == "comfyui"
    assert command.json("models", "list", "--kind", "lora", "--family", "sd1")["models"] == []
    bogus = command("models", "list", "--kind", "bogus").stdout
    assert "no model of the kind 'bogus'" in bogus and "The kinds that there are: " in bogus and "pipeline" in bogus
    assert command.json("models", "remove", "comfyui", code=2)["problems"][0]["code"] == "bad_model_folder"


def test_what_a_workflow_lacks_is_named_and_fetched(command: Command) -> None:
    data = tiny_models.tiny_lora(command.folder / "one.safetensors", "sd1").read_bytes()
    with serving_away(data) as away:
        (command.folder / "home").mkdir()
        (command.folder / "home/models.json").write_text(json.dumps({"hosts": [away.host]}))
        document = json.loads((ROOT / "workflows/few_steps.json").read_text())
        for node in document["nodes"].values():
            for port, value in node.get("values", {}).items():
                if value == "starter/few_step":
                    node["values"][port] = "ink.safetensors"
                    node["properties"] = {
                        "models": [{"name": "ink.safetensors", "url": away.url(), "directory": "loras"}]
                    }
        (command.folder / "w.json").write_text(json.dumps(document))
        (wanted,) = command.json("models", "missing", "w.json", code=1)["models"]
        assert (wanted["kind"], wanted["url"], wanted["folder"]) == ("lora", away.url(), "loras")
        assert command("models", "missing", "w.json", "--get").returncode == 0
        assert (command.folder / "home/models/loras/ink.safetensors").read_bytes() == data
        assert command.json("models", "missing", "w.json")["models"] == []
        # Without a folder it is told by what it is.
        listed = command.json("models", "download", away.url("again.safetensors"))
        assert (listed["name"], listed["kind"]) == ("loras/again.safetensors", "lora")
    refused = command.json("models", "download", "https://example.org/a.safetensors", code=2)["problems"]
    assert [problem["code"] for problem in refused] == ["host_not_allowed"]
    assert command.json("models", "download", code=2)["problems"][0]["code"] == "missing_value"
