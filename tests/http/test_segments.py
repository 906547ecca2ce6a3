"""Selecting by segment over HTTP: what the node gives, cached, and without a trace in the list of runs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

import tiny_segmenters
from node_bench import BenchContext, offline_store
from safelight.http.segment_routes import _workflow
from safelight.protocol.segments import SegmentBody
from serving import Server, serving

PIL = pytest.importorskip("PIL.Image")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("segments") / "home"
    tiny_segmenters.tiny_sam(home / "models" / "tiny_sam")
    tiny_segmenters.tiny_depth(home / "models" / "tiny_depth")
    (home / "input").mkdir(parents=True)
    made = PIL.new("RGB", (64, 48), "#eeeeee")
    made.paste("#aa2211", (10, 8, 30, 28))
    made.save(home / "input" / "square.png")
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, pack=False) as made:
        made.wait_ready()
        yield made


def mask_of(server: Server, answer: dict[str, Any]) -> Any:
    with urlopen(f"{server.url}/api/v1/blobs/{answer['digest']}") as body:
        image = PIL.open(io.BytesIO(body.read())).convert("L")
    assert image.size == (answer["width"], answer["height"]) == (64, 48)
    return image


def ask(server: Server, **changes: Any) -> tuple[int, Any]:
    return server.call("POST", "/segments", {"image": "square.png", "point": [20, 18], **changes})


def test_a_sam_is_listed_with_what_it_is_and_its_segment_is_that_of_the_node(server: Server, home: Path) -> None:
    from safelight.sdk import Image
    from safelight_nodes.preprocess.segments import segment_at

    listed = {one["name"]: one for one in server.ask("GET", "/models?kind=preprocessor")["models"]}
    assert {name: one["sort"] for name, one in listed.items()} == {
        "tiny_sam": "SamModel",
        "tiny_depth": "DepthAnythingForDepthEstimation",
    }
    status, answer = ask(server, model="tiny_sam")
    assert status == 200, answer
    pixels = torch.tensor(list(PIL.open(home / "input" / "square.png").tobytes())).reshape(1, 48, 64, 3) / 255
    wanted = segment_at(Image(pixels), points="20 18", model="tiny_sam", ctx=BenchContext(models=offline_store(home)))
    assert 0 < wanted.coverage.mean() < 1
    assert list(mask_of(server, answer).tobytes()) == (wanted.coverage[0] * 255).int().flatten().tolist()


def test_without_a_model_the_square_is_found_and_asking_again_computes_nothing(server: Server) -> None:
    status, answer = ask(server)
    assert status == 200, answer
    mask = mask_of(server, answer)
    assert mask.crop((12, 10, 28, 26)).getextrema() == (255, 255) and mask.crop((40, 0, 64, 48)).getextrema() == (0, 0)
    plan = server.ask("POST", "/plan", {"document": _workflow(SegmentBody(image="square.png", point=(20.0, 18.0)))})
    assert plan["nodes"]["segment"]["status"] == "cached"
    assert ask(server)[1] == answer


def test_it_goes_before_what_is_queued_and_leaves_no_run_behind(server: Server) -> None:
    before = server.ask("GET", "/runs")["total"]
    assert ask(server, point=[50, 40])[0] == 200
    assert server.ask("GET", "/runs")["total"] == before and server.ask("GET", "/queue")["running"] == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"point": [64, 0]}, 422, "no_place"),
        ({"point": [-1, 0]}, 400, "bad_request"),
        ({"image": "none.png"}, 422, "file_missing"),
        ({"image": "../server.sqlite"}, 422, "bad_value"),
        ({"model": "tiny_depth"}, 422, "wrong_model"),
        ({"model": "no_such"}, 422, "model_missing"),
    ],
)
def test_what_cannot_be_is_told(server: Server, changes: dict[str, Any], status: int, code: str) -> None:
    found, answer = ask(server, **changes)
    assert (found, answer["problems"][0]["code"]) == (status, code)
    assert server.ask("GET", "/runs")["total"] == 0


def test_a_paused_queue_is_told_instead_of_waited_for(server: Server) -> None:
    server.ask("POST", "/queue/pause")
    try:
        status, answer = ask(server)
    finally:
        server.ask("POST", "/queue/resume")
    assert (status, answer["problems"][0]["code"]) == (409, "queue_paused")
