"""The routes, as a client sees them."""

from __future__ import annotations

import io
import json
import os
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

import pytest
from PIL import Image

from safelight.graph import Document
from safelight.http.graph_routes import connection_rules
from safelight.media.registry import built_in
from safelight.sdk import Catalogue
from safelight.sdk.pack import load_packs
from safelight.sdk.types import can_connect
from serving import Server, chain, saving, single

embed = built_in().embed


def raw(server: Server, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def image(kind: str = "PNG", size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 30, 40)).save(buffer, kind, **options)
    return buffer.getvalue()


def code_of(answer: Any) -> str:
    return answer["problems"][0]["code"]


# The graph


def test_the_catalogue_lists_nodes_and_packs_and_is_not_sent_twice(server: Server) -> None:
    status, headers, body = raw(server, "GET", "/api/v1/catalogue")
    answer = json.loads(body)
    assert status == 200 and answer["digest"] in headers["ETag"]
    assert {"trivial/work.add", "sampling.sample"} <= {node["id"] for node in answer["nodes"]}
    assert {pack["name"] for pack in answer["packs"]} >= {"safelight", "trivial"}
    status, _, body = raw(server, "GET", "/api/v1/catalogue", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")


def test_nodes_are_told_in_other_languages_and_what_is_missing_stays_english(server: Server) -> None:
    _, _, body = raw(server, "GET", "/api/v1/texts?language=zh")
    texts = json.loads(body)["texts"]
    assert texts["Change the size of images. With both sides at 0 they stay as they are."]
    assert texts["An image from a prompt."] == "由提示词生成图片。"
    _, _, body = raw(server, "GET", "/api/v1/texts?language=tlh")
    assert json.loads(body) == {"language": "tlh", "texts": {}}
    status, _, body = raw(server, "GET", "/api/v1/texts?language=../../secret")
    assert (status, code_of(json.loads(body))) == (400, "bad_request")


def decide(rules: Any, given: str, wanted: str, choices: tuple[list[str], list[str]]) -> str:
    """What docs/api.md says an editor does with the rules."""

    def taken_off(name: str) -> tuple[str, int]:
        depth = 0
        while name.startswith("list["):
            name, depth = name[5:-1], depth + 1
        return name, depth

    (x, a), (y, b) = taken_off(given), taken_off(wanted)
    if (y == "Any" and b == 0) or x in rules["variables"] or y in rules["variables"]:
        return "same"
    entry = rules["table"].get(x, {}).get(y, {"how": "no"})
    if entry["how"] == "no":
        return "no"
    if x == y == "choice" and choices[0] and not set(choices[0]) <= set(choices[1]):
        return "no"
    if a == b:
        return entry["how"]
    return "wrap" if b == a + 1 else "map" if a > b else "no"


def test_the_rules_decide_as_can_connect_does() -> None:
    catalogue: Catalogue = load_packs()
    rules = json.loads(_encoded(connection_rules(catalogue)))
    outputs = [kind for node in catalogue.values() for kind in node.outputs.values()]
    inputs = [kind for node in catalogue.values() for kind in node.inputs.values()]
    lifted = [kind.lifted(1) for kind in outputs] + [kind.lifted(2) for kind in outputs]
    pairs = {(str(a), str(b), a, b) for a in [*outputs, *lifted] for b in [*inputs, *(k.lifted(1) for k in inputs)]}
    assert len(pairs) > 500
    for given, wanted, source, target in pairs:
        choices = list(source.innermost.choices), list(target.innermost.choices)
        assert decide(rules, given, wanted, choices) == can_connect(source, target).how, (given, wanted)


def _encoded(data: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(data)


def test_check_names_every_problem_and_types(server: Server) -> None:
    status, answer = server.call("POST", "/check", {"document": chain(3)})
    assert status == 200 and answer["ok"] and answer["types"]["n1"] == {"value": "int"}
    broken = chain(3)
    broken["nodes"]["n1"]["type"] = "trivial/work.ad"
    broken["nodes"]["n0"]["values"]["value"] = "x"
    status, answer = server.call("POST", "/check", {"document": broken})
    assert status == 200 and not answer["ok"]
    assert {problem["code"] for problem in answer["problems"]} == {"unknown_type", "wrong_type"}
    status, answer = server.call("POST", "/check", {"document": {"format": "other"}})
    assert status == 200 and not answer["ok"] and answer["problems"][0]["code"] == "not_workflow"


def test_a_document_is_written_for_comfyui(server: Server) -> None:
    status, answer = server.call("POST", "/convert", {"document": chain(2), "to": "comfyui"})
    assert status == 200
    assert answer["file"]["version"] == 0.4
    assert sum(answer["report"]["kept"].values()) + answer["report"]["written"] == answer["report"]["nodes"] > 0
    status, answer = server.call("POST", "/convert", {"document": {"format": "other"}})
    assert status == 422 and code_of(answer)
    status, answer = server.call("POST", "/convert", {"document": chain(2), "to": "a1111"})
    assert status == 400


def test_plan_says_what_is_cached_before_a_run(server: Server) -> None:
    body = {"document": chain(4), "inputs": {"value": 7001}}
    _, before = server.call("POST", "/plan", body)
    assert {node["status"] for node in before["nodes"].values()} == {"run"}
    server.wait(server.call("POST", "/runs", body)[1]["id"])
    _, after = server.call("POST", "/plan", body)
    assert {node["status"] for node in after["nodes"].values()} == {"cached"}
    _, forced = server.call("POST", "/plan", body | {"force": ["n3"]})
    assert forced["nodes"]["n3"]["status"] == "run"


def test_plan_names_the_files_that_are_cached(server: Server) -> None:
    body = {"document": saving(), "inputs": {"value": 7002}}
    _, before = server.call("POST", "/plan", body)
    assert before["nodes"]["save"]["files"] == []
    ended = server.wait(server.call("POST", "/runs", body)[1]["id"])
    assert ended["status"] == "done", ended["problems"]
    _, after = server.call("POST", "/plan", body)
    (file,) = after["nodes"]["save"]["files"]
    with urlopen(f"{server.url}/api/v1/blobs/{file['digest']}") as answer:
        assert len(answer.read()) == file["size"] > 0


# Runs


def test_a_wrong_document_is_refused_with_all_its_problems(server: Server) -> None:
    status, answer = server.call("POST", "/runs", {"document": chain(3), "inputs": {"value": "x", "wrong": 1}})
    assert status == 422 and code_of(answer) == "unknown_input"
    status, answer = server.call("POST", "/runs", {"document": chain(3), "values": {"n1.b": "x", "n2.b": "y"}})
    assert status == 422 and [problem["node"] for problem in answer["problems"]] == ["n1", "n2"]


def test_values_are_typed_into_any_port(server: Server) -> None:
    _, run = server.call("POST", "/runs", {"document": chain(3), "values": {"n0.value": 10, "n2.b": 100}})
    assert server.wait(run["id"])["outputs"] == {"result": [{"value": 111}]}
    _, document = server.call("GET", f"/runs/{run['id']}/document")
    assert document["nodes"]["n2"]["values"] == {"b": 100}


def test_a_key_makes_a_request_repeatable(server: Server) -> None:
    body = {"document": chain(2), "key": "the same"}
    first, again = server.call("POST", "/runs", body), server.call("POST", "/runs", body)
    assert (first[0], again[0]) == (201, 200) and first[1]["id"] == again[1]["id"]


def test_a_sweep_runs_every_combination(server: Server) -> None:
    document = chain(2)
    document["inputs"].append({"name": "b", "to": "n1.b"})
    body = {"document": document, "sweep": {"value": [1, 2, 3], "b": [10, 20]}}
    status, answer = server.call("POST", "/runs/batch", body)
    assert status == 201 and len(answer["runs"]) == 6
    results = [server.wait(run)["outputs"]["result"][0]["value"] for run in answer["runs"]]
    assert sorted(results) == [11, 12, 13, 21, 22, 23]
    _, page = server.call("GET", f"/runs?batch={answer['batch']}")
    assert page["total"] == 6
    status, answer = server.call("POST", "/runs/batch", body | {"sweep": {"value": [1, "x"]}})
    assert status == 422 and answer["problems"][0]["message"].startswith("Run 2: ")
    broken = document | {"outputs": [{"name": "result", "from": "n9.value"}]}
    _, answer = server.call("POST", "/runs/batch", {"document": broken, "sweep": {"value": ["x", 2, "x"]}})
    said = [problem["message"].partition(":")[0] for problem in answer["problems"]]
    assert said.count("Run 1") == said.count("Run 3") == 1 and len(said) == 3, "what all have is told once"


def test_a_sweep_over_any_port_is_kept_as_a_grid(server: Server) -> None:
    body = {"document": chain(3), "sweep": {"value": [1, 2], "n2.b": [10, 20, 30]}, "name": "grid"}
    status, answer = server.call("POST", "/runs/batch", body)
    assert status == 201, answer
    for run in answer["runs"]:
        server.wait(run)
    _, batch = server.call("GET", f"/batches/{answer['batch']}")
    assert batch["name"] == "grid" and batch["missing"] == 0
    assert batch["axes"] == [{"name": "value", "values": [1, 2]}, {"name": "n2.b", "values": [10, 20, 30]}]
    cells = {tuple(run["cell"]): (run["values"], run["outputs"]["result"][0]["value"]) for run in batch["runs"]}
    assert cells[0, 0] == ([1, 10], 12) and cells[1, 2] == ([2, 30], 33) and len(cells) == 6
    _, run = server.call("GET", f"/runs/{answer['runs'][5]}")
    assert run["inputs"] == {"value": 2, "n2.b": 30}
    assert server.call("GET", f"/runs/{run['id']}/document")[1]["nodes"]["n2"]["values"] == {"b": 30}
    retried = server.call("POST", f"/runs/{run['id']}/retry")[1]
    assert server.wait(retried["id"])["outputs"]["result"] == [{"value": 33}]
    _, rows = server.call("POST", "/runs/batch", {"document": chain(2), "rows": [{"value": 5}, {"n1.b": 6}]})
    _, batch = server.call("GET", f"/batches/{rows['batch']}")
    assert batch["axes"] == [{"name": "rows", "values": [{"value": 5}, {"n1.b": 6}]}]
    status, refused = server.call("POST", "/runs/batch", {"document": chain(2), "sweep": {"n9.b": [1]}})
    assert (status, code_of(refused)) == (422, "unknown_node")
    twice = {"value": [1, 2], "n0.value": [10, 20]}
    status, refused = server.call("POST", "/runs/batch", {"document": chain(2), "sweep": twice})
    assert (status, code_of(refused)) == (422, "duplicate_name")
    assert server.call("GET", "/batches/b000000000000")[0] == 404


def test_the_time_that_is_left_is_told(server: Server) -> None:
    document = single("steps", count=20, seconds=0.05)
    server.wait(server.call("POST", "/runs", {"document": document})[1]["id"])
    deadline = time.monotonic() + 20
    while not server.call("POST", "/plan", {"document": document})[1]["nodes"]["x"]["seconds"]:
        assert time.monotonic() < deadline, "a worker writes down how long a node took"
        time.sleep(0.05)
    body = {"document": document, "sweep": {"value": [1, 2, 3]}}
    _, answer = server.call("POST", "/runs/batch", body)
    _, queue = server.call("GET", "/queue")
    runs = {run["id"]: run for run in [*queue["running"], *queue["waiting"]]}
    lefts = [runs[run]["left"] for run in answer["runs"] if run in runs]
    assert len(lefts) >= 2 and lefts == sorted(lefts) and 0.3 < lefts[-1] < 30
    assert queue["queue"]["seconds"] == pytest.approx(max(lefts), abs=0.5)
    # What is cached takes no time.
    cached = {"document": chain(4), "inputs": {"value": 5150}}
    server.call("POST", "/queue/clear")
    for run in answer["runs"]:
        server.call("POST", f"/runs/{run}/cancel")
    server.wait(server.call("POST", "/runs", cached)[1]["id"])
    assert server.call("POST", "/runs", cached)[1]["estimate"] == 0


def test_a_shipped_or_saved_name_can_be_run(server: Server) -> None:
    name = quote("to run")
    server.call("PUT", f"/workflows/{name}", {"document": chain(2), "revision": 0})
    _, run = server.call("POST", "/runs", {"workflow": "to run", "inputs": {"value": 4}})
    assert server.wait(run["id"])["workflow"] == "to run"
    assert server.call("GET", f"/runs?workflow={name}")[1]["total"] == 1
    status, answer = server.call("POST", "/runs", {"workflow": "/etc/passwd"})
    assert (status, code_of(answer)) == (404, "workflow_missing")


# Workflows


def test_two_tabs_cannot_overwrite_each_other(server: Server) -> None:
    address = "/workflows/two%20tabs"
    assert server.call("PUT", address, {"document": chain(2), "revision": 0})[0] == 201
    assert server.call("PUT", address, {"document": chain(3), "revision": 1})[1]["revision"] == 2
    status, answer = server.call("PUT", address, {"document": chain(4), "revision": 1})
    assert (status, code_of(answer), answer["problems"][0]["value"]) == (409, "workflow_conflict", 2)
    assert len(server.call("GET", address)[1]["document"]["nodes"]) == 3
    assert len(server.call("GET", f"{address}/revisions/1")[1]["document"]["nodes"]) == 2
    assert [one["revision"] for one in server.call("GET", f"{address}/revisions")[1]] == [2, 1]
    assert server.call("POST", f"{address}/rename", {"name": "renamed", "revision": 2})[0] == 200
    assert server.call("DELETE", "/workflows/renamed?revision=1")[0] == 409
    assert server.call("DELETE", "/workflows/renamed?revision=2")[0] == 200
    assert server.call("GET", "/workflows/renamed")[0] == 404


def test_unknown_fields_of_a_document_come_back(server: Server) -> None:
    document = chain(2) | {"something": {"new": [1, 2.50]}}
    server.call("PUT", "/workflows/unknown", {"document": document, "revision": 0})
    found = server.call("GET", "/workflows/unknown")[1]["document"]
    assert found == Document.parse(document).data()


# Files


def test_a_finished_file_is_served_by_content_with_ranges(server: Server) -> None:
    run = server.wait(server.call("POST", "/runs", {"document": saving(), "inputs": {"value": 123456}})[1]["id"])
    (file,) = run["files"]
    assert file["digest"] in file["url"]
    status, headers, body = raw(server, "GET", file["url"])
    assert (status, body) == (200, b"123456\n") and "immutable" in headers["Cache-Control"]
    assert raw(server, "GET", file["url"], If_None_Match=headers["ETag"])[0] == 304
    for asked, part in {
        "bytes=0-2": b"123",
        "bytes=-3": b"56\n",
        "bytes=4-": b"56\n",
        "bytes=2-9999": b"3456\n",
    }.items():
        status, headers, body = raw(server, "GET", file["url"], Range=asked)
        assert (status, body) == (206, part), asked
    assert raw(server, "GET", file["url"], Range="bytes=99-")[0] == 416
    assert raw(server, "GET", file["url"], Range="lines=1-2")[0] == 200
    _, page = server.call("GET", f"/files/output?search={quote(file['name'])}")
    assert page["files"][0]["run"] == run["id"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_images_are_written_anew_and_have_thumbnails(server: Server, kind: str) -> None:
    data = image(kind) + b"PK\x03\x04 something appended"
    status, answer = server.call("POST", f"/files/input?name=up-{kind}.{kind.lower()}", data)
    assert status == 201, answer
    file = answer["file"]
    assert (file["width"], file["height"]) == (40, 30)
    _, _, body = raw(server, "GET", file["url"])
    assert b"appended" not in body
    with Image.open(io.BytesIO(body)) as found:
        assert found.size == (40, 30)
        red, green, blue = found.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
        assert abs(red - 200) < 8 and abs(green - 30) < 8 and abs(blue - 40) < 8
    status, headers, body = raw(server, "GET", file["thumbnail"] + "?size=64")
    assert status == 200 and headers["Content-Type"] == "image/webp"
    assert server.call("POST", f"/files/input?name=up-{kind}.{kind.lower()}", data)[0] == 200, "the same again"
    status, other = server.call("POST", f"/files/input?name=up-{kind}.{kind.lower()}", image(kind, (41, 30)))
    assert status == 201 and other["file"]["name"] != file["name"]
    assert server.call("DELETE", f"/files/input/{quote(other['file']['name'])}")[0] == 200
    assert server.call("GET", f"/files/input/{quote(other['file']['name'])}")[0] == 404


def test_the_place_of_a_photo_does_not_stay_in_it(server: Server) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = 6  # turned by a quarter
    status, answer = server.call("POST", "/files/input?name=photo.jpg", image("JPEG", exif=exif))
    assert status == 201 and (answer["file"]["width"], answer["file"]["height"]) == (30, 40)
    assert b"a camera" not in raw(server, "GET", answer["file"]["url"])[2]


def test_the_workflow_in_a_image_is_given_back(server: Server) -> None:
    data = embed(image(), "image/png", json.dumps(chain(2)))
    _, answer = server.call("POST", "/files/input?name=with.png", data)
    assert answer["document"] == Document.parse(chain(2)).data()
    _, opened = server.call("POST", "/open", data)
    assert opened["document"] == answer["document"]
    _, opened = server.call("POST", "/open", json.dumps(chain(3)).encode())
    assert len(opened["document"]["nodes"]) == 3
    status, refused = server.call("POST", "/open", image())
    assert (status, code_of(refused)) == (422, "no_workflow_inside")


def test_a_file_opens_as_what_it_holds(server: Server) -> None:
    data = embed(image(), "image/png", json.dumps(chain(2)))
    _, opened = server.call("POST", "/open", data)
    assert (opened["kind"], opened["kinds"]) == ("safelight", ["safelight"])
    settings = b"a cat\nNegative prompt: b\nSteps: 5, Sampler: Euler, Seed: 3"
    _, opened = server.call("POST", "/open?kind=a1111", settings)
    assert (opened["kind"], opened["document"]["nodes"]["prompt"]["values"]) == ("a1111", {"text": "a cat"})
    status, refused = server.call("POST", "/open?kind=comfyui", settings)
    assert (status, code_of(refused)) == (422, "kind_missing")
    assert server.call("POST", "/open?kind=nothing", settings)[0] == 400


# The rest


def test_system_settings_models_and_cache_answer(server: Server) -> None:
    _, system = server.call("GET", "/system")
    assert system["workers"][0]["pid"] and system["memory"] > 0
    _, changed = server.call("PATCH", "/settings", {"checkpoint_seconds": 2.5, "editor": {"theme": "dark"}})
    assert changed["checkpoint_seconds"] == 2.5
    assert server.call("GET", "/settings")[1] == changed
    assert server.call("PATCH", "/settings", {"editor": {"x": "y" * 70_000}})[0] == 413
    status, models = server.call("GET", "/models")
    assert status == 200 and models["scanning"] is None
    assert "starter" in {model["name"] for model in models["models"]}
    assert server.call("GET", "/cache")[1]["disk_limit"] > 0
    assert server.call("POST", "/system/free")[0] == 200
    status, headers, body = raw(server, "GET", "/metrics")
    assert status == 200 and b'safelight_worker_up{worker="w1"} 1.0' in body
    assert "text/plain" in headers["Content-Type"]


def test_after_clearing_the_cache_everything_runs_again(server: Server) -> None:
    body = {"document": chain(3), "inputs": {"value": 9000}}
    server.wait(server.call("POST", "/runs", body)[1]["id"])
    server.call("POST", "/cache/clear")
    run = server.wait(server.call("POST", "/runs", body)[1]["id"])
    assert {node["status"] for node in run["nodes"].values()} == {"ran"}


def test_wrong_methods_and_addresses_are_told_apart(server: Server) -> None:
    status, headers, _ = raw(server, "DELETE", "/api/v1/queue")
    assert status == 405 and headers["Allow"] == "GET,HEAD"
    status, headers, _ = raw(server, "GET", "/api/v1/runs/r1/cancel")
    assert status == 405 and headers["Allow"] == "POST"
    assert raw(server, "GET", "/api/v1/nothing")[0] == 404
    assert raw(server, "HEAD", "/api/v1/queue")[0] == 200


def test_every_answer_has_its_security_headers(server: Server) -> None:
    for path in ("/", "/api/v1/queue", "/api/v1/nothing", "/healthz"):
        _, headers, _ = raw(server, "GET", path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "aiohttp" not in headers["Server"].lower()


def test_the_server_process_does_not_hold_torch(server: Server) -> None:
    server.wait(server.call("POST", "/runs", {"document": chain(2)})[1]["id"])
    server.call("POST", "/plan", {"document": single("steps")})
    mapped = Path(f"/proc/{server.process.pid}/maps")
    if not mapped.exists():
        pytest.skip("this system does not say what a process has loaded")
    assert "libtorch" not in mapped.read_text()


def test_a_plan_calls_no_choice_node_of_a_pack_in_the_server(server: Server, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    document = single("either", journal=str(journal))
    document["nodes"]["m"] = {"type": "trivial/work.number", "values": {"value": 2}}
    document["links"].append({"from": "m.value", "to": "x.b"})
    _, found = server.call("POST", "/plan", {"document": document})
    assert not journal.exists(), "its function was called for the plan"
    assert {found["nodes"][name]["status"] for name in ("n", "m")} == {"unknown"}
    run = server.wait(server.ask("POST", "/runs", {"document": document})["id"])
    assert run["outputs"] == {"result": [{"value": 1}]}, run["problems"]
    assert int(journal.read_text()) != server.process.pid


def test_files_whose_names_are_not_utf8_are_left_out_of_lists_and_nothing_fails(server: Server) -> None:
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    for folder in ("input", "output", "models"):
        (server.home / folder).mkdir(exist_ok=True)
        try:
            Path(os.fsdecode(os.fsencode(server.home / folder) + b"/caf\xe9.png")).write_bytes(image.getvalue())
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
        (server.home / folder / "fine.png").write_bytes(image.getvalue())
    for folder in ("input", "output"):
        found = [file["name"] for file in server.ask("GET", f"/files/{folder}")["files"]]
        assert "fine.png" in found and not any("caf" in name for name in found)
    assert server.ask("GET", "/models")["models"]
    run = server.wait(server.ask("POST", "/runs", {"document": saving()})["id"])
    assert run["status"] == "done"
    assert "caf\\udce9.png is left out" in server.log.read_text(encoding="utf-8")
