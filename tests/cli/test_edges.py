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
