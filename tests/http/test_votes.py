"""Votes on a sweep: kept on disk, taken back, and told as ratings and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight.sdk.votes import read_votes, table
from serving import Server, chain, serving


@pytest.fixture(scope="module")
def batch(server: Server) -> str:
    """Two values, each with three of another port."""
    body = {"document": chain(3), "sweep": {"value": [1, 2], "n2.b": [10, 20, 30]}, "name": "votes"}
    return server.call("POST", "/runs/batch", body)[1]["batch"]


def vote(server: Server, batch: str, left: Any, right: Any, preferred: str = "left") -> tuple[int, Any]:
    body = {"left": left, "right": right, "preferred": preferred}
    return server.call("POST", f"/batches/{batch}/votes", body)


def test_votes_become_ratings_of_what_an_axis_compares(server: Server, batch: str) -> None:
    for left, right, preferred in (
        ([0, 0], [1, 0], "left"), ([1, 1], [0, 1], "right"), ([0, 2], [1, 2], "right"), ([0, 0], [0, 1], "tie"),
    ):  # fmt: skip
        status, made = vote(server, batch, left, right, preferred)
        assert status == 201 and (made["left"], made["right"], made["preferred"]) == (left, right, preferred)
    _, found = server.call("GET", f"/batches/{batch}/votes?by=value")
    assert len(found["votes"]) == 4 and found["steady"]
    assert [(one["name"], one["wins"], one["losses"], one["ties"]) for one in found["standings"]] == [
        ("value=1", 2, 1, 0), ("value=2", 1, 2, 0),
    ]  # fmt: skip
    assert found["standings"][0]["low"] < found["standings"][0]["rating"] < found["standings"][0]["high"]
    _, other = server.call("GET", f"/batches/{batch}/votes?by=n2.b")
    assert [(one["name"], one["ties"]) for one in other["standings"]] == [("n2.b=10", 1), ("n2.b=20", 1)]
    _, every = server.call("GET", f"/batches/{batch}/votes")
    assert "value=1, n2.b=10" in {one["name"] for one in every["standings"]} and not every["steady"]
    _, text = server.call("GET", f"/batches/{batch}/votes.csv?by=value")
    assert text.decode().splitlines()[:2] == ["left,right,preferred", "value=1,value=2,left"]
    again = table(read_votes(text.decode())).standings
    assert [one.rating for one in again] == pytest.approx([one["rating"] for one in found["standings"]])
    _, text = server.call("GET", f"/batches/{batch}/preferences.csv?by=value")
    assert text.decode().splitlines()[1].startswith("value=1,") and text.decode().splitlines()[1].endswith(",2,1,0")


def test_a_vote_is_taken_back_once(server: Server, batch: str) -> None:
    _, made = vote(server, batch, [0, 0], [1, 1])
    place = f"/batches/{batch}/votes/{made['id']}"
    assert server.call("DELETE", place)[0] == 200
    for gone in (place, f"/batches/{batch}/votes/v0", f"/batches/{batch}/votes/vx"):
        status, refused = server.call("DELETE", gone)
        assert (status, refused["problems"][0]["code"]) == (404, "vote_missing")


@pytest.mark.parametrize(
    ("left", "right"), [([0, 0], [0, 3]), ([0], [1, 1]), ([0, 0], [0, 0]), ([0, 0, 0], [1, 1]), ([], [])]
)
def test_what_is_not_in_the_grid_is_refused(server: Server, batch: str, left: Any, right: Any) -> None:
    status, refused = vote(server, batch, left, right)
    assert (status, refused["problems"][0]["code"]) == (422, "bad_vote") and refused["problems"][0]["hint"]


def test_a_wrong_axis_or_batch_or_word_is_told(server: Server, batch: str) -> None:
    status, refused = server.call("GET", f"/batches/{batch}/votes?by=steps")
    assert (status, refused["problems"][0]["code"]) == (422, "bad_vote")
    assert "value or n2.b" in refused["problems"][0]["hint"]
    assert vote(server, "b000000000000", [0], [1])[0] == 404
    assert server.call("GET", "/batches/b000000000000/votes")[0] == 404
    assert vote(server, batch, [0, 0], [1, 0], "neither")[0] == 400


def test_votes_outlive_runs_and_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        _, answer = server.call("POST", "/runs/batch", {"document": chain(2), "sweep": {"value": [1, 2]}})
        for run in answer["runs"]:
            server.wait(run)
            server.call("DELETE", f"/runs/{run}")
        _, made = vote(server, answer["batch"], [1], [0], "tie")
    with serving(tmp_path / "home") as server:
        _, found = server.call("GET", f"/batches/{answer['batch']}/votes?by=value")
    assert found["votes"] == [made] and [one["ties"] for one in found["standings"]] == [1, 1]
