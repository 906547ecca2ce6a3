"""`safelight sweep`: rows and variations, here and on a server."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.safelight_command import Command
from safelight.cli.rows import read_rows
from safelight.sdk.problem import ProblemError
from serving import MAIN, Server, document, serving, test_environment

SUM = {
    "format": "safelight/1",
    "name": "sum",
    "nodes": {
        "a": {"type": "values.integer", "values": {"value": 1}},
        "b": {"type": "values.integer", "values": {"value": 10}},
        "sum": {"type": "values.calculate", "values": {"operation": "divide"}},
    },
    "links": [{"from": "a.value", "to": "sum.a"}, {"from": "b.value", "to": "sum.b"}],
    "inputs": [{"name": "first", "to": "a.value"}],
    "outputs": [{"name": "result", "from": "sum.value"}],
}


@pytest.fixture
def safelight(tmp_path: Path) -> Command:
    (tmp_path / "sum.json").write_text(json.dumps(SUM))
    return Command(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sweeps") / "home") as made:
        yield made


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def table_of(folder: Path, told: dict[str, Any]) -> list[dict[str, str]]:
    with (folder / told["table"]).open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_variations_are_combined_here(safelight: Command) -> None:
    (safelight.folder / "rows.csv").write_text("first\n1\n2\n3\n")
    told = safelight.json("sweep", "sum.json", "--rows", "rows.csv", "--vary", "b.value=5,10")
    assert told["status"] == "done" and len(told["runs"]) == 6
    rows = table_of(safelight.folder, told)
    assert [(row["first"], row["b.value"], row["status"], float(row["result"])) for row in rows] == [
        (first, other, "done", int(first) / int(other)) for first in "123" for other in ("5", "10")
    ]
    assert told["runs"][1]["outputs"] == {"result": [{"value": 0.1}]}


def test_a_run_that_fails_is_set_apart_and_the_others_go_on(safelight: Command) -> None:
    told = safelight.json("sweep", "sum.json", "--vary", "b.value=0,1", code=1)
    assert [run["status"] for run in told["runs"]] == ["failed", "done"]
    rows = table_of(safelight.folder, told)
    assert rows[0]["problems"] and not rows[1]["problems"]


def test_what_is_wrong_with_the_values_is_told_at_once_before_anything_runs(safelight: Command) -> None:
    (safelight.folder / "rows.csv").write_text("first,second\n1,2\nx,3\n")
    told = safelight.json("sweep", "sum.json", "--rows", "rows.csv", code=2)
    assert [problem["code"] for problem in told["problems"]] == ["unknown_input", "wrong_type"], "a column once"
    assert told["problems"][1]["message"].startswith("Row 2: ")
    told = safelight.json("sweep", "sum.json", "--set", "sum.operation=root", "--vary", "first=1,2", code=2)
    assert [problem["node"] for problem in told["problems"]] == ["sum"], "once, and nothing has run"
    assert safelight.json("sweep", "sum.json", code=2)["problems"][0]["code"] == "bad_set"
    many = ",".join(map(str, range(101)))
    told = safelight.json("sweep", "sum.json", "--vary", f"first={many}", "--vary", f"b.value={many}", code=2)
    assert told["problems"][0]["code"] == "too_many_runs"


def test_on_a_server_it_is_a_batch_that_can_be_waited_for_again_and_repeated(
    safelight: Command, server: Server
) -> None:
    told = safelight.json("sweep", "sum.json", "--vary", "b.value=0,1,2", "--server", server.url, code=1)
    assert [run["status"] for run in told["runs"]] == ["failed", "done", "done"]
    rows = table_of(safelight.folder, told)
    assert [(row["b.value"], row["status"], row["result"]) for row in rows] == [
        ("0", "failed", ""),
        ("1", "done", "1.0"),
        ("2", "done", "0.5"),
    ]
    before = server.ask("GET", "/runs?batch=" + told["batch"])["total"]
    again = safelight.json("sweep", "--server", server.url, "--batch", told["batch"], "--retry", code=1)
    assert [run["status"] for run in again["runs"]] == ["failed", "done", "done"]
    assert server.ask("GET", "/runs?batch=" + told["batch"])["total"] == before + 1, "only what failed ran again"
    assert again["runs"][0]["id"] != told["runs"][0]["id"] and again["runs"][1]["id"] == told["runs"][1]["id"]


def test_a_batch_is_cancelled_as_a_whole(server: Server) -> None:
    server.ask("POST", "/queue/pause")
    try:
        made = server.ask("POST", "/runs/batch", {"document": SUM, "sweep": {"first": list(range(50))}})
        assert server.ask("POST", f"/batches/{made['batch']}/cancel")["count"] == 50
    finally:
        server.ask("POST", "/queue/resume")
    assert {run["status"] for run in server.ask("GET", f"/batches/{made['batch']}")["runs"]} == {"cancelled"}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.json", "t.jsonl", "t.parquet"])
def test_every_kind_of_table(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": 'a "red", apple', "seed": 3}, {"prompt": "ein Löwe", "seed": 4}]
    path = tmp_path / name
    if name.endswith("sv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["prompt", "seed"], delimiter="\t" if name == "t.tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
        rows = [{**row, "seed": str(row["seed"])} for row in rows]
    elif name == "t.parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) if name == "t.jsonl" else f"[{','.join(lines)}]")
    assert read_rows(path) == rows


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "x", "is not a table"),
        ("a.csv", "first\n", "has no rows"),
        ("a.csv", "first,first\n1,2\n", "two columns have one name"),
        ("a.csv", "first,second\n1\n", "row 1 has another number of cells"),
        ("a.csv", "first\n1,2\n", "row 1 has another number of cells"),
        ("a.csv", ",first\n1,2\n", "column 1 has no name"),
        ("a.json", "[" * 100_000, "too deep"),
        ("a.json", '{"first": 1}', "no list of objects"),
        ("a.jsonl", '{"first": 1}\n[2]\n', "line 2 is no object"),
        ("a.jsonl", "{first}", "cannot be read"),
        ("a.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_table_that_is_none_is_refused_with_a_reason(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ProblemError) as caught:
        read_rows(path)
    assert caught.value.problems[0].code == "bad_table" and said in caught.value.problems[0].message


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_told_how_to_be_saved(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("prompt\nein Löwe\n".encode(encoding))
    with pytest.raises(ProblemError) as caught:
        read_rows(path)
    assert "not UTF-8" in caught.value.problems[0].message and "Save it as UTF-8" in caught.value.problems[0].hint


def test_cells_of_parquet_are_as_json_has_them(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    cells = {
        "day": [datetime.date(2026, 1, 2), None],
        "at": [datetime.datetime(2026, 1, 2, 3, 4), None],
        "exact": [decimal.Decimal("1.50"), decimal.Decimal("2.00")],
        "seed": [1, None],
        "many": [[decimal.Decimal("0.5")], []],
    }
    parquet.write_table(pyarrow.table(cells), path)
    assert read_rows(path) == [
        {"day": "2026-01-02", "at": "2026-01-02T03:04:00", "exact": 1.5, "seed": 1, "many": [0.5]},
        {"exact": 2, "many": []},
    ]
    parquet.write_table(pyarrow.table({"raw": [b"x"]}), path)
    with pytest.raises(ProblemError, match="'raw' holds bytes"):
        read_rows(path)
    twice = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["first", "first"])
    parquet.write_table(twice, path)
    with pytest.raises(ProblemError, match="two columns have one name"):
        read_rows(path)


def refused_codes(safelight: Command, *words: str) -> list[str]:
    return [problem["code"] for problem in safelight.json("sweep", *words, code=2)["problems"]]


def test_what_would_change_nothing_is_refused(safelight: Command) -> None:
    (safelight.folder / "rows.csv").write_text("first\n1\n2\n")
    twice = refused_codes(safelight, "sum.json", "--vary", "first=1", "--vary", "first=2", "--vary", "b.value=[]")
    assert twice == ["bad_set", "bad_set"]
    assert refused_codes(safelight, "sum.json", "--rows", "rows.csv", "--vary", "first=3") == ["duplicate_name"]
    assert refused_codes(safelight, "sum.json", "--vary", "first=1,2", "--vary", "a.value=3,4") == ["duplicate_name"]
    assert refused_codes(safelight, "sum.json", "--vary", 'b.value=["1","2",]') == ["bad_set"]
    assert refused_codes(safelight, "sum.json", "--vary", "first=1", "--retry", "--fetch") == ["bad_set", "bad_set"]
    batch = ("--server", "http://127.0.0.1:1", "--batch", "b000000000000")
    assert refused_codes(safelight, *batch, "--rows", "rows.csv", "--odd") == ["bad_set", "bad_set"]
    assert refused_codes(safelight, "sum.json", "--vary", "first=1", "--device", "gpu0") == ["bad_setting"]
    assert not (safelight.folder / "output").exists()


def test_what_may_not_be_overwritten_is_not(safelight: Command, server: Server) -> None:
    before = (safelight.folder / "sum.json").read_text()
    words = ("sum.json", "--vary", "first=1", "--table", "sum.json")
    assert refused_codes(safelight, *words) == ["cannot_write"]
    held = server.ask("GET", "/runs")["total"]
    assert refused_codes(safelight, *words, "--server", server.url) == ["cannot_write"]
    assert server.ask("GET", "/runs")["total"] == held, "told before it is accepted, not when it is over"
    assert (safelight.folder / "sum.json").read_text() == before


def test_a_batch_that_is_none_leads_to_no_other_address(safelight: Command, server: Server) -> None:
    words = ("--server", server.url, "--batch")
    assert refused_codes(safelight, *words, "../runs") == ["batch_missing"]
    assert refused_codes(safelight, *words, "b000000000000") == ["batch_missing"]


def test_a_sweep_is_waited_for_while_its_server_starts_again(tmp_path: Path) -> None:
    port = str(free_port())
    slow = document(
        {"n": {"type": "trivial/work.number"}, "x": {"type": "trivial/work.steps", "values": {"count": 80}}},
        [{"from": "n.value", "to": "x.a"}],
        value="n.value",
        output="x.value",
    )
    (tmp_path / "slow.json").write_text(json.dumps(slow))
    first = Server(tmp_path / "again", "--port", port)
    try:
        line = [sys.executable, "-c", MAIN, "sweep", "slow.json", "--vary", "value=1,2", "--json"]
        waiting = subprocess.Popen(
            [*line, "--server", first.url],
            env=test_environment(tmp_path / "home"),
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("Accepted as b")
    finally:
        first.kill()
    time.sleep(5.0)  # longer than it tries to reach a server that it has never met
    with serving(tmp_path / "again", "--port", port):
        said, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0 and json.loads(said)["status"] == "done"


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="cannot be read"):
        read_rows(tmp_path / "none.csv")
