"""The log of a run: what happened in it, as a file, for as long as the run is on record."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from safelight.host.run_logs import LINES, RunLogs, shown
from safelight.protocol.events import NodeFailed, NodeStarted, RunFinished
from safelight.sdk.problem import Problem
from serving import Server, chain, saving, serving, single


def log_of(server: Server, run: str) -> str:
    with urlopen(f"{server.url}/api/v1/runs/{run}/log", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{run}.log"'
        return answer.read().decode()


def ran(server: Server, document: dict[str, Any], value: int = 1) -> str:
    run = server.ask("POST", "/runs", {"document": document, "inputs": {"value": value}})["id"]
    server.wait(run)
    return run


def test_it_tells_what_happened_in_order(server: Server) -> None:
    run = ran(server, saving(), 4711)
    head, *lines = log_of(server, run).splitlines()
    assert head.startswith("Safelight ") and f" {run}: " in head and "done" in head
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) ", line) for line in lines), lines
    told = "\n".join(lines)
    order = ["attempt 1 goes to worker w1", "begins, with 2 nodes", "save: begins", "save: done after"]
    places = [told.index(part) for part in order]
    assert places == sorted(places)
    assert re.search(r"info +done after", lines[-1])
    assert re.search(r"save: done after [\d.]+ s, made number_\d+.*\.txt", told)
    again = log_of(server, ran(server, chain(3), 5)) + log_of(server, ran(server, chain(3), 5))
    assert "n1: was cached" in again


def test_a_failure_has_its_code_its_remedy_and_here_its_traceback(server: Server) -> None:
    text = log_of(server, ran(server, single("fail"), 13))
    assert re.search(r"error +x: .*13 is a bad number.*\[\w+\]", text)
    assert "ValueError: 13 is a bad number" in text and "Traceback" in text
    assert len(re.findall(r" error +x: ", text)) == 1 == text.count("Traceback"), "a problem is told once"


def test_what_programs_log_is_in_it(server: Server) -> None:
    text = log_of(server, ran(server, single("remark"), 3))
    assert re.search(r"warning +\[trivial\] 3 is rather small \?", text), "half a character is no reason to fail"
    other = log_of(server, ran(server, chain(2), 999))
    assert "rather small" not in other


def test_a_worker_that_died_is_in_it(server: Server, tmp_path: Path) -> None:
    run = ran(server, single("die", times=1, journal=str(tmp_path / "journal")), 8)
    text = log_of(server, run)
    places = [text.index(part) for part in ("attempt 1 goes", "[worker_died]", "attempt 2 goes", "x: done after")]
    assert places == sorted(places)


def test_it_stays_after_a_restart_and_goes_with_its_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as server:
        run = ran(server, chain(2), 6)
        queued = log_of(server, run)
    with serving(home) as server:
        assert log_of(server, run) == queued
        assert (home / "logs" / f"{run}.jsonl").is_file()
        server.ask("DELETE", f"/runs/{run}")
        assert not (home / "logs" / f"{run}.jsonl").exists()
        with pytest.raises(HTTPError) as caught:
            log_of(server, run)
        assert caught.value.code == 404


def test_beyond_this_machine_it_has_no_traceback_and_no_foreign_lines(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--allow-host", "images.example.org") as server:
        text = log_of(server, ran(server, single("fail"), 13))
        assert "13 is a bad number" in text and "Traceback" not in text and "work.py" not in text
        assert "rather small" not in log_of(server, ran(server, single("remark"), 3))


def in_loop(folder: Path, work: Any) -> None:
    async def whole() -> None:
        tasks: set[asyncio.Task[Any]] = set()

        def spawn(coroutine: Coroutine[Any, Any, Any]) -> None:
            tasks.add(asyncio.create_task(coroutine))

        logs = RunLogs(folder, spawn)
        await work(logs)
        await logs.close()
        await asyncio.gather(*tasks)

    asyncio.run(whole())


def test_a_long_run_keeps_its_first_lines_and_what_goes_wrong(tmp_path: Path) -> None:
    async def work(logs: RunLogs) -> None:
        for number in range(LINES + 50):
            logs.follow("r1", NodeStarted(run="r1", node=f"n{number}"))
        problem = Problem(code="bad_value", message="No.", hint="Try another.", details="Traceback: here")
        logs.follow("r1", NodeFailed(run="r1", node="last", problem=problem))
        logs.follow("r1", RunFinished(run="r1", status="failed", seconds=1))
        lines = await logs.read("r1")
        assert len(lines) == LINES + 2
        text = shown(lines, private=False)
        assert "left out" in text and "last: No. Try another. [bad_value]" in text and "failed after" in text
        assert "here" not in text and "    Traceback: here" in shown(lines, private=True)

    in_loop(tmp_path / "logs", work)


def test_logs_of_runs_that_are_forgotten_go(tmp_path: Path) -> None:
    async def work(logs: RunLogs) -> None:
        for run in ("r1", "r2", "r3"):
            logs.say(run, "here")
        await logs.keep(["r2"])
        left = sorted(path.name for path in (tmp_path / "logs").iterdir())
        assert left == ["r2.jsonl", "r3.jsonl"], "a run that was accepted meanwhile is not known here"
        await logs.keep(["r3"])
        assert [path.name for path in (tmp_path / "logs").iterdir()] == ["r3.jsonl"]
        assert await logs.read("r2") == []

    in_loop(tmp_path / "logs", work)


def test_a_folder_that_cannot_be_written_and_a_damaged_line_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder", encoding="utf-8")

    async def work(logs: RunLogs) -> None:
        logs.say("r1", "lost")
        await logs.close()

    in_loop(tmp_path / "logs", work)

    async def damaged(logs: RunLogs) -> None:
        logs.say("r1", "first")
        await logs.close()
        with (tmp_path / "other" / "r1.jsonl").open("ab") as file:
            file.write(b'{"at": 1, "lev\n')
        logs.say("r1", "last")
        assert [line.said for line in await logs.read("r1")] == ["first", "last"]

    in_loop(tmp_path / "other", damaged)
