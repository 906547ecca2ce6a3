"""`safelight run --server`: the same as here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.client import Client
from safelight.sdk.problem import ProblemError
from serving import MAIN, Server, chain, saving, test_environment


def command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", MAIN, *words]
    return subprocess.run(line, capture_output=True, text=True, env=test_environment(home), check=False, timeout=60)


def test_a_run_there_does_the_same_as_a_run_here(server: Server, tmp_path: Path) -> None:
    for name, document in {"chain": chain(3), "saving": saving()}.items():
        workflow = tmp_path / f"{name}.json"
        workflow.write_text(json.dumps(document), encoding="utf-8")
        here, there = (
            command(
                tmp_path / "home",
                "run",
                str(workflow),
                "--value",
                "31337",
                "--json",
                "-o",
                str(tmp_path / f"{name}-{len(more)}"),
                *more,
            )
            for more in ((), ("--server", server.url))
        )
        assert here.returncode == there.returncode == 0, here.stderr + there.stderr
        ours, theirs = json.loads(here.stdout), json.loads(there.stdout)
        assert ours["status"] == theirs["status"] == "done"
        assert ours["nodes"].keys() == theirs["nodes"].keys()
        if name == "chain":
            assert ours["outputs"] == theirs["outputs"] == {"result": [{"value": 31339}]}


def test_problems_there_are_told_as_here(server: Server, tmp_path: Path) -> None:
    workflow = tmp_path / "wrong.json"
    document = chain(3)
    document["nodes"]["n1"]["type"] = "trivial/work.ad"
    workflow.write_text(json.dumps(document), encoding="utf-8")
    here = command(tmp_path / "home", "run", str(workflow), "--json")
    there = command(tmp_path / "home", "run", str(workflow), "--json", "--server", server.url)
    assert here.returncode == there.returncode == 2
    assert json.loads(here.stdout)["problems"] == json.loads(there.stdout)["problems"]
    gone = command(tmp_path / "home", "run", str(workflow), "--json", "--server", "http://127.0.0.1:9")
    assert gone.returncode == 2 and "server_unreachable" in gone.stdout


def test_what_cannot_be_written_is_told_before_anything_runs(server: Server, tmp_path: Path) -> None:
    workflow = tmp_path / "saving.json"
    workflow.write_text(json.dumps(saving()), encoding="utf-8")
    before = server.ask("GET", "/runs")["total"]
    done = command(
        tmp_path / "home", "run", str(workflow), "--json", "--server", server.url, "-o", str(workflow / "below")
    )
    assert done.returncode == 2 and [one["code"] for one in json.loads(done.stdout)["problems"]] == ["cannot_write"]
    assert server.ask("GET", "/runs")["total"] == before


def test_files_and_answers_that_go_wrong_are_problems(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Client(server.url) as client:
        run = client.run(saving(), inputs={"value": 8})
        with pytest.raises(ProblemError) as caught:
            client.download(run, tmp_path / "file")
        assert caught.value.problems[0].code == "cannot_write"
        with pytest.raises(ProblemError) as caught:
            client.request("GET", "/queue", list[int])
        assert caught.value.problems[0].code == "bad_answer"
        with pytest.raises(ProblemError) as caught:
            client.get("../queue")
        assert caught.value.problems[0].code == "run_missing"


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:8686", "ftp://127.0.0.1", "http://", "http://a:b", ""])
def test_what_is_no_address_is_told_as_such(url: str) -> None:
    with pytest.raises(ProblemError) as caught, Client(url):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "server_unreachable" and "no address" in problem.message and "http://" in problem.hint
