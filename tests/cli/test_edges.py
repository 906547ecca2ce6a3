"""The command line at its edges: what nodes print, names of any length and encoding, logs, a cache that stays."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.safelight_command import Command
from safelight.cli import main
from safelight.cli import progress as cli_progress
from safelight.engine import NodeFinished, NodeProgress, NodeStarted

LONG = "n" * 400


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_the_version_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    shown = capsys.readouterr()
    assert ended.value.code == 0 and shown.out.startswith("safelight ") and not shown.err


@pytest.mark.parametrize(
    "words",
    [
        ("check", LONG),
        ("check", "text_to_image", "--set", f"{LONG}.x=1"),
        ("check", "text_to_image", "--set", f"save.name={LONG}"),
        ("check", "text_to_image", "--model", LONG),
        ("check", "image_to_image", "--image", LONG),
        ("run", "text_to_image", "--to", LONG),
        ("run", "text_to_image", "-o", f"{LONG}/x"),
        ("nodes", LONG),
        ("models", "info", LONG),
    ],
)
def test_names_of_any_length_are_problems(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["problems"]


def test_a_prompt_in_another_encoding_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "text_to_image", "--prompt", os.fsdecode(b"caf\xe9"), "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["node"], problem["port"]) == ("bad_value", "prompt", "text")


def test_what_is_printed_meanwhile_does_not_stand_in_the_answer(tmp_path: Path) -> None:
    """By Python, by C and by a child; the node that does it stands in a pack of the test."""
    code = (
        "import os, subprocess, sys\n"
        "from safelight.cli.answer import print_json, reserved\n"
        "with reserved():\n"
        "    print('one')\n"
        "    os.write(1, b'two\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(3)'])\n"
        "    print_json({'status': 'ok'})\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer, _, rest = done.stdout.partition("}")
    assert json.loads(answer + "}") == {"status": "ok"} and rest.strip() == "after"
    assert {"one", "two", "3"} <= set(done.stderr.split())


def test_a_cache_that_cannot_be_cleared_ends_with_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "cache").write_text("a file in its place")
    assert main(["cache", "clear", "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["code"] == "cache_not_cleared"
    (home / "cache").unlink()
    assert main(["cache", "clear"]) == 0


LOOP = {
    "format": "safelight/1",
    "nodes": {"loop": {"type": "subgraph:body", "repeat": {"times": 30, "index": "a"}}},
    "links": [],
    "outputs": [{"name": "out", "from": "loop.out"}],
    "subgraphs": {
        "body": {
            "nodes": {"sum": {"type": "values.calculate", "values": {"b": 1}}},
            "links": [],
            "inputs": [{"name": "a", "to": "sum.a"}],
            "outputs": [{"name": "out", "from": "sum.value"}],
        }
    },
}


def test_a_plan_says_which_turns_it_has_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("safelight.graph.survey._MOST_TURNS", 20)
    (tmp_path / "loop.json").write_text(json.dumps(LOOP))
    assert main(["plan", "loop.json"]) == 0
    first = capsys.readouterr().out
    assert "0 of 30 turns cached, 10 not looked at" in first and "1 to run, 0 cached; about 0.0 s or more." in first
    assert main(["run", "loop.json"]) == 0
    capsys.readouterr()
    assert main(["plan", "loop.json"]) == 0
    then = capsys.readouterr().out
    assert "20 of 30 turns cached, 10 not looked at" in then
    assert "0 to run, 0 cached, 1 not known yet; about 0.0 s or more." in then


def test_a_loop_goes_on_while_a_comparison_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = {
        "nodes": {
            "double": {"type": "values.calculate", "values": {"b": 2, "operation": "multiply"}},
            "more": {"type": "values.compare", "values": {"b": 100.0, "operation": "less"}},
        },
        "links": [{"from": "double.value", "to": "more.a"}],
        "inputs": [{"name": "a", "to": "double.a"}],
        "outputs": [{"name": "out", "from": "double.value"}, {"name": "more", "from": "more.value"}],
    }
    loop = {"type": "subgraph:body", "values": {"a": 3}, "repeat": {"while": "more", "carry": {"a": "out"}}}
    document = {**LOOP, "nodes": {"loop": loop}, "subgraphs": {"body": body}}
    (tmp_path / "loop.json").write_text(json.dumps(document))
    assert main(["run", "loop.json"]) == 0
    assert "out: 192.0" in capsys.readouterr().out
    body["outputs"][1] = {"name": "more", "from": "double.value"}
    (tmp_path / "loop.json").write_text(json.dumps(document))
    assert main(["check", "loop.json"]) != 0
    assert "values.compare gives yes or no" in capsys.readouterr().err


def test_set_knows_the_former_name_of_a_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = {"s": {"type": "sampling.sample", "version": 1, "values": {"spacing": "normal"}}}
    outputs = [{"name": "out", "from": "s.latent"}]
    document = {"format": "safelight/1", "nodes": nodes, "links": [], "outputs": outputs}
    (tmp_path / "old.json").write_text(json.dumps(document))
    for name in ("spacing", "scheduler"):
        main(["check", "old.json", "--json", "--set", f"s.{name}=nonsense"])
        problems = json.loads(capsys.readouterr().out)["problems"]
        told = [(problem["port"], problem["value"]) for problem in problems if problem["code"] != "missing_input"]
        assert told == [("scheduler", "nonsense")]


def test_a_search_that_finds_no_model_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "nonsense"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(("There is no model with 'nonsense' among", "There are no models."))


def test_progress_off_a_terminal_is_a_few_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(cli_progress.time, "monotonic", lambda: now)
    written = io.StringIO()
    told = cli_progress.Progress(written)
    told(NodeStarted(run="r", node="sample"))
    for step in range(1, 1001):
        now += 1.0
        told(NodeProgress(run="r", node="sample", step=step, total=1000))
    told(NodeFinished(run="r", node="sample", cached=False, seconds=1000.0, bytes=0))
    told.close()
    lines = written.getvalue().splitlines()
    assert lines[0] == "sample: 5 of 1000" and lines[-1] == "sample: done in 1000.0 s"
    assert 10 < len(lines) < 60 and "\x1b" not in written.getvalue()


def test_paths_in_another_encoding_come_out_as_they_went_in(tmp_path: Path) -> None:
    folder = os.fsdecode(b"caf\xe9")
    command = Command(tmp_path)
    line = command.line("check", f"{folder}/none.json")
    done = subprocess.run(line, env={**command.env, "LC_ALL": "C.UTF-8"}, capture_output=True, check=False)
    assert done.returncode == 2 and b"Traceback" not in done.stderr


def test_lists_that_turns_give_stay_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = {
        "nodes": {
            "twice": {"type": "values.calculate", "values": {"b": 2.0}},
            "pair": {"type": "values.integers", "values": {"values": [5, 6]}},
        },
        "links": [],
        "inputs": [{"name": "n", "to": "twice.a"}],
        "outputs": [{"name": "pair", "from": "pair.values"}],
    }
    document = {
        "format": "safelight/1",
        "nodes": {
            "count": {"type": "values.integers", "values": {"values": [1, 2]}},
            "loop": {"type": "subgraph:body", "repeat": {"each": ["n"]}},
        },
        "links": [{"from": "count.values", "to": "loop.n"}],
        "outputs": [{"name": "pairs", "from": "loop.pair"}, {"name": "numbers", "from": "count.values"}],
        "subgraphs": {"body": body},
    }
    (tmp_path / "w.json").write_text(json.dumps(document))
    assert main(["run", "w.json", "--json"]) == 0
    outputs = json.loads(capsys.readouterr().out)["outputs"]
    assert outputs["pairs"] == [{"value": [5, 6]}, {"value": [5, 6]}]
    assert outputs["numbers"] == [{"value": 1}, {"value": 2}]


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_what_is_not_as_it_was_elsewhere_is_told_by_every_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "upscale_method": "odd", "width": 32}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    }
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(nodes), encoding="utf-8")
    assert main([command, str(path)]) == 0
    shown = capsys.readouterr()
    assert "warning: " in shown.err and "upscale_method" in shown.err, shown.err
    assert command != "check" or "1 warning" in shown.out
    assert main([command, str(path), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["problems"]
    assert (told["code"], told["level"], told["node"]) == ("imported_otherwise", "warning", "image_scale_2")
