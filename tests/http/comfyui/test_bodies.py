"""What cannot be run is refused as ComfyUI refuses it; who may ask; what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from comfyui_client import Client, pixels, prompt
from safelight.interop.comfyui.rules import rules
from serving import Server, serving


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"", "invalid_prompt"),
        (b"{}", "invalid_prompt"),
        (b"not json", "not_json"),
        (b'{"prompt": {"1": {"class_type": "\xff"}}}', "not_json"),
        (b"[1]", "bad_request"),
        (b'{"prompt": 7}', "bad_request"),
        (b'{"prompt": {}}', "prompt_no_outputs"),
        (b'{"prompt": {"1": 7}}', "invalid_prompt"),
        (b'{"prompt": {"1": {"inputs": {}}}}', "invalid_prompt"),
        (b'{"prompt": {"1": {"class_type": "LoadImage"}}, "number": "first"}', "bad_request"),
        (b'{"prompt": {"1": {"class_type": "LoadImage"}}, "prompt_id": ""}', "bad_request"),
        (b'{"prompt": {"1": {"class_type": "LoadImage"}}, "partial_execution_targets": ["2"]}', "unknown_node"),
        (b'{"prompt": {"1": {"class_type": "LoadImage", "inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}}}", "too_deep"),
    ],
)
def test_what_is_no_prompt(client: Client, body: bytes, type: str) -> None:
    status, answer = client.call("POST", "/prompt", body)
    assert (status, answer["error"]["type"]) == (400, type), answer
    assert answer["error"]["message"] and answer["node_errors"] == {}


def test_classes_without_a_counterpart_are_named(client: Client) -> None:
    nodes = prompt() | {"20": {"class_type": "Made Up", "inputs": {"image": ["8", 0]}}}
    nodes["9"]["inputs"]["images"] = ["20", 0]
    status, answer = client.call("POST", "/prompt", {"prompt": nodes})
    assert status == 400 and answer["error"]["type"] == "missing_node_type"
    (error,) = answer["node_errors"]["20"].pop("errors")
    assert "Made Up" in error["message"] and error["type"] == "missing_node_type"
    assert answer["node_errors"] == {"20": {"class_type": "Made Up", "dependent_outputs": ["9"]}}


@pytest.mark.parametrize(
    ("node", "name", "value", "type"),
    [
        ("4", "ckpt_name", "sd15/missing.safetensors", "value_not_in_list"),
        ("3", "steps", 100_000, "out_of_range"),
        ("3", "steps", "many", "invalid_input_type"),
        ("9", "filename_prefix", "../out", "bad_file_name"),
        ("8", "vae", None, "required_input_missing"),
        ("8", "vae", ["6", 0], "return_type_mismatch"),
        ("8", "samples", ["77", 0], "bad_linked_input"),
        ("8", "samples", ["3", 1], "bad_linked_input"),
        ("8", "samples", ["3", "0"], "invalid_input_type"),
        ("3", "cfg", "much", "invalid_input_type"),
        ("3", "seed", 2**64, "out_of_range"),
        ("3", "seed", -1, "out_of_range"),
        ("3", "sampler_name", "heunpp2", "value_not_in_list"),
        ("3", "scheduler", "odd", "value_not_in_list"),
    ],
)
def test_what_is_wrong_at_a_node_is_told_there(client: Client, node: str, name: str, value: Any, type: str) -> None:
    nodes = prompt()
    nodes[node]["inputs"][name] = value
    status, answer = client.call("POST", "/prompt", {"prompt": nodes})
    assert status == 400 and answer["error"]["type"] == "prompt_outputs_failed_validation", answer
    assert set(answer["node_errors"]) == {node} and answer["node_errors"][node]["dependent_outputs"] == ["9"]
    assert type in [error["type"] for error in answer["node_errors"][node]["errors"]], answer
    error = next(error for error in answer["node_errors"][node]["errors"] if error["type"] == type)
    assert error["message"] and error["details"], "without a remedy"


def test_values_are_taken_as_comfyui_takes_them(client: Client) -> None:
    """Text for a number, a fraction for a whole one."""
    plain, odd = prompt(seed=2**64 - 7, cfg=3.5, steps=3), prompt(seed=str(2**64 - 7), cfg="3.5", steps=3.7)
    odd["5"]["inputs"] |= {key: str(value) for key, value in odd["5"]["inputs"].items()}
    made = [client.files(client.run(nodes)[0])["9"] for nodes in (plain, odd, prompt(seed=2**64 - 8, cfg=3.5, steps=3))]
    assert made[0] == made[1] and pixels(made[0][0]) != pixels(made[2][0])


def test_what_is_not_as_it_is_there_is_told(client: Client) -> None:
    nodes = prompt()
    nodes["9"]["inputs"]["images"] = ["10", 0]
    nodes["10"] = {"class_type": "ImageQuantize", "inputs": {"image": ["8", 0], "colors": 8, "dither": "bayer-4"}}
    status, answer = client.call("POST", "/prompt", {"prompt": nodes})
    assert status == 200, answer
    (remark,) = answer["remarks"]
    assert remark["node_id"] == "10" and "Dithered otherwise" in remark["message"]


@pytest.mark.parametrize(
    ("method", "address", "body", "status"),
    [
        ("POST", "/queue", b"[", 400),
        ("POST", "/queue", {"delete": "one"}, 400),
        ("POST", "/queue", {"delete": ["unknown"]}, 200),
        ("POST", "/history", {"delete": ["unknown"]}, 200),
        ("POST", "/interrupt", {"prompt_id": "unknown"}, 200),
        ("POST", "/free", {"unload_models": True, "free_memory": True}, 200),
        ("GET", "/history?max_items=x", None, 400),
        ("GET", "/history/unknown", None, 200),
        ("GET", "/api/jobs?status=odd", None, 400),
        ("GET", "/api/jobs?sort_by=size", None, 400),
        ("GET", "/api/jobs?limit=0", None, 400),
        ("GET", "/api/jobs/unknown", None, 404),
        ("POST", "/api/jobs/cancel", {"job_ids": ["unknown"]}, 200),
        ("POST", "/api/jobs/cancel", {}, 400),
        ("GET", "/models/elsewhere", None, 404),
        ("GET", "/view_metadata/checkpoints?filename=../x", None, 404),
        ("GET", "/ws", None, 400),
        ("GET", "/api/manager/version", None, 404),
    ],
)
def test_odd_requests(client: Client, method: str, address: str, body: Any, status: int) -> None:
    found, answer = client.call(method, address, body)
    assert found == status, answer


def test_what_there_is(client: Client) -> None:
    told = client.get("/object_info")
    assert set(told) <= set(rules()) and len(told) > 200
    sampler = told["KSampler"]
    assert sampler["input_order"]["required"][:2] == ["model", "seed"] and sampler["output"] == ["LATENT"]
    assert "dpmpp_2m" in sampler["input"]["required"]["sampler_name"][0]
    assert sampler["input"]["required"]["steps"] == ["INT", {"default": 20, "min": 0, "max": 150}]
    assert told["SaveImage"]["output_node"] and not sampler["output_node"]
    assert client.get("/object_info/KSampler") == {"KSampler": sampler}
    assert client.get("/object_info/Made Up".replace(" ", "%20")) == {}
    assert told["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] == ["starter"]
    assert told["ImageScale"]["input"]["required"]["upscale_method"][0][-1] == "lanczos"
    assert client.get("/models/checkpoints") == ["starter"] and "loras" in client.get("/api/models")
    assert client.get("/embeddings") == [] and client.get("/extensions") == []
    about = client.get("/system_stats")
    assert about["system"]["comfyui_version"] and about["devices"][0]["vram_total"] > 0
    assert client.get("/features")["supports_preview_metadata"] is True


@pytest.mark.slow
def test_models_are_named_as_their_folder_has_them(tmp_path: Path) -> None:
    """A checkpoint below `checkpoints` goes by its name there, and what it says of itself can be read."""
    import numpy
    from safetensors.numpy import save_file

    home = tmp_path / "home"
    for folder, metadata in (("loras", {"ss_tag": "apple"}), ("embeddings", {})):
        (home / "models" / folder).mkdir(parents=True)
        weights = {"lora_unet_x.lora_down.weight": numpy.zeros((4, 8), "float32")}
        weights |= {"lora_unet_x.lora_up.weight": numpy.zeros((8, 4), "float32")}
        if folder == "embeddings":
            weights = {"emb_params": numpy.zeros((2, 768), "float32")}
        save_file(weights, home / "models" / folder / "mine.safetensors", metadata)
    with serving(home, "--comfyui-api", pack=False) as server:
        client = Client(server)
        assert client.get("/models/embeddings") == ["mine.safetensors"] and client.get("/embeddings") == ["mine"]
        assert "mine.safetensors" in client.get("/models/loras")
        assert client.get("/view_metadata/loras?filename=mine.safetensors") == {"ss_tag": "apple"}
        assert client.call("GET", "/view_metadata/loras?filename=other.safetensors")[0] == 404
        choices = client.get("/object_info/LoraLoader")["LoraLoader"]["input"]["required"]["lora_name"][0]
        assert "mine.safetensors" in choices


@pytest.mark.slow
def test_a_token_is_asked_for_and_a_password_may_be_it(tmp_path: Path, apple: bytes) -> None:
    with serving(tmp_path / "home", "--comfyui-api", "--token", "sesame", pack=False) as server:
        for address in ("/prompt", "/api/queue", "/ws?clientId=a", "/view?filename=a.png"):
            status, answer = Client(server).call("GET", address)
            assert (status, answer["problems"][0]["code"]) == (401, "token_needed")
        assert Client(server).call("POST", "/prompt", {"prompt": prompt()})[0] == 401
        basic = "Basic bWU6c2VzYW1l"  # me:sesame
        assert Client(server).call("GET", "/prompt", Authorization=basic)[0] == 200
        for wrong in ("Basic bWU6b3BlbiE=", "Basic !", "Basic c2VzYW1l", "Bearer open"):
            assert Client(server).call("GET", "/prompt", Authorization=wrong)[0] == 401
        client = Client(server, "sesame")
        made, _ = client.run(prompt())
        assert [pixels(data) for data in client.files(made)["9"]] == [apple]


def test_pages_of_other_sites_are_not_served(client: Client) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Host": "evil.example"}):
        status, answer = client.call("POST", "/prompt", {"prompt": prompt()}, **headers)
        assert status == 403 and answer["problems"], headers


def test_without_being_asked_for_it_is_not_served(tmp_path: Path) -> None:
    with serving(tmp_path / "home", pack=False) as server:
        assert Client(server).call("POST", "/prompt", {"prompt": prompt()})[0] == 405
        assert Client(server).call("GET", "/api/queue")[0] == 404
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(f"{server.url}/history"), timeout=10)
        assert refused.value.code in (404, 503)


def test_our_own_routes_are_as_they_were(comfyui: Server) -> None:
    assert comfyui.ask("GET", "/queue")["queue"]["paused"] is False
    status, answer = comfyui.call("GET", "/queue/none")
    assert status == 404 and answer["problems"][0]["code"] == "not_found"
    assert json.loads(json.dumps(comfyui.ask("GET", "/catalogue")))["nodes"]
