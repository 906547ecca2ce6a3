"""The contract of the command line, on the shipped model."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import tiny_models
from cli.safelight_command import Command
from safelight.cli import main
from safelight.media.registry import built_in

extract = built_in().extract

RUN = ("run", "text_to_image", "--prompt", "a red apple", "--steps", "6")


@pytest.fixture
def safelight(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A data folder in which one image has been made, and the report of that run."""
    command = Command(tmp_path_factory.mktemp("used"))
    return command, command.json(*RUN, "--seed", "1", "-o", "out")


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {name: entry["status"] for name, entry in report["nodes"].items()}


def test_a_run_writes_a_image_with_its_workflow(used: Any) -> None:
    command, report = used
    assert report["status"] == "done"
    assert set(statuses(report).values()) == {"ran"}
    (made,) = report["outputs"]["image"]
    path = command.folder / made["path"]
    with Image.open(path) as image:
        assert image.size == (128, 128)
        assert json.loads(image.text["safelight"])["nodes"]["prompt"]["values"]["text"] == "a red apple"  # type: ignore[attr-defined]


def test_again_nothing_runs_and_the_file_is_the_same(used: Any) -> None:
    command, first = used
    path = command.folder / first["outputs"]["image"][0]["path"]
    before = path.read_bytes()
    again = command.json(*RUN, "--seed", "1", "-o", "out")
    assert set(statuses(again).values()) == {"cached"}
    assert [entry["path"] for entry in again["outputs"]["image"]] == [
        entry["path"] for entry in first["outputs"]["image"]
    ]
    assert path.read_bytes() == before
    assert len(list((command.folder / "out").iterdir())) == len({*(command.folder / "out").iterdir()})


def test_another_seed_runs_only_what_depends_on_it_as_planned(used: Any) -> None:
    command, _ = used
    plan = command.json("plan", *RUN[1:], "--seed", "2")
    expected = {"sample", "decode", "save"}
    assert {name for name, entry in plan["nodes"].items() if entry["status"] == "run"} == expected
    assert {name for name, entry in plan["nodes"].items() if entry["status"] == "cached"} == set(
        plan["nodes"]
    ) - expected
    assert plan["seconds"] > 0
    report = command.json(*RUN, "--seed", "2", "-o", "out")
    assert {name for name, status in statuses(report).items() if status == "ran"} == expected


def test_the_image_makes_itself_again(used: Any) -> None:
    command, first = used
    path = first["outputs"]["image"][0]["path"]
    report = command.json("run", path, "-o", "again")
    assert set(statuses(report).values()) == {"cached"}
    made = command.folder / report["outputs"]["image"][0]["path"]
    assert made.read_bytes() == (command.folder / path).read_bytes()


def test_another_folder_gets_the_file_without_a_run(used: Any) -> None:
    command, _ = used
    report = command.json(*RUN, "--seed", "1", "-o", "elsewhere")
    assert set(statuses(report).values()) == {"cached"}
    assert (command.folder / report["outputs"]["image"][0]["path"]).is_file()


def test_problems_end_with_2_and_come_all_at_once(safelight: Command) -> None:
    report = safelight.json("run", "text_to_image", "--set", "sample.stesp=3", "--set", "sample.sampler=eular", code=2)
    assert report["status"] == "invalid"
    assert {problem["code"] for problem in report["problems"]} == {"unknown_port", "not_a_choice"}
    flags = safelight.json("run", "text_to_image", "--promt", "x", "--steps", "many", code=2)
    assert [(p["code"], p["hint"]) for p in flags["problems"]] == [
        ("unknown_input", "Did you mean --prompt?"),
        ("wrong_type", "Give a whole number."),
    ]
    told = safelight("check", "text_to_image", "--steps", "999")
    assert told.returncode == 2
    assert "999 is outside 0 to 150" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_missing_model_is_told_with_the_way_to_get_it(safelight: Command) -> None:
    report = safelight.json("run", "text_to_image", "--model", "nobody/nothing", code=2)
    (problem,) = report["problems"]
    assert (problem["code"], problem["node"], problem["port"]) == ("model_missing", "model", "model")
    assert "nobody/nothing" in problem["message"]
    assert "models download nobody/nothing" in problem["hint"]


def test_a_port_of_a_subgraph_is_set_by_what_it_leads_to(safelight: Command) -> None:
    report = safelight.json("check", "hires_fix", "--set", "hires.scale=1.5", "--set", "hires.denoise=2", code=2)
    (problem,) = report["problems"]
    assert problem["code"] == "out_of_range", "2 is read as a number, and 1.5 is one"


def test_a_model_is_found_by_its_path(safelight: Command) -> None:
    tiny_models.tiny_sd1(safelight.folder / "elsewhere" / "tiny")
    tiny_models.tiny_lora(safelight.folder / "mine.safetensors", "sd1")
    shipped = safelight.json("plan", "text_to_image", "--model", "./elsewhere/tiny")
    assert shipped["status"] == "ok"
    whole = str(safelight.folder / "elsewhere" / "tiny")
    done = safelight.json("run", "text_to_image", "--model", whole, "--steps", "1", "--width", "64", "--height", "64")
    assert done["status"] == "done"
    # The saved workflow has the name, which another machine can have in its model folder, and no path of this one.
    saved = extract((safelight.folder / done["outputs"]["image"][0]["path"]).read_bytes())
    assert saved is not None and '"tiny"' in saved and whole not in saved
    for path in ("mine.safetensors", "./mine.safetensors"):
        assert safelight.json("check", "text_to_image", "--model", path)["status"] == "ok"
    described = safelight.json("models", "info", "./mine.safetensors")
    assert (described["name"], described["kind"]) == ("mine.safetensors", "lora")
    (problem,) = safelight.json("check", "text_to_image", "--set", "model.model=./gone.safetensors", code=2)["problems"]
    assert problem["code"] == "model_missing" and "'./gone.safetensors'" in problem["message"]


def test_a_missing_workflow_names_the_shipped_ones(safelight: Command) -> None:
    report = safelight.json("run", "text_to_imag", code=2)
    assert report["problems"][0]["code"] == "workflow_missing"
    assert "text_to_image" in report["problems"][0]["hint"]
    assert safelight("run").returncode == 2
    assert safelight("fly").returncode == 2


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--prompt", "a red apple", "text_to_image"], "'a red apple' is neither a file", "The workflow comes first"),
        ([__file__], "neither JSON nor a file that can carry one", "*.json"),
        (["."], "'.' is a folder", "text_to_image"),
        (["text_to_image", "--outptu", "x"], "'--outptu'", "Did you mean --output"),
        (["text_to_image", "--ste", "5"], "'--ste'", "Did you mean --steps"),
        (["text_to_image", "--force", "sampel"], "no node 'sampel'", "Did you mean sample"),
        (["text_to_image", "-o", __file__], "cannot be used", "Choose another"),
    ],
)
def test_what_was_meant_is_told_before_anything_runs(
    words: list[str], message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path))
    assert main(["run", *words, "--json"]) == 2
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert message in problem["message"]
    assert hint in problem["hint"]


def test_a_key_pressed_outside_a_run_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("safelight.cli.nodes_command.execute", interrupt)
    assert main(["nodes"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_failing_node_ends_with_1(safelight: Command) -> None:
    (safelight.folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    report = safelight.json("run", "image_to_image", "--image", "broken.png", code=1)
    assert report["status"] == "failed"
    assert statuses(report)["load"] == "failed"
    assert statuses(report)["save"] == "skipped"
    assert statuses(report)["prompt"] in ("ran", "skipped")


def test_help_shows_the_inputs_of_the_workflow(safelight: Command) -> None:
    shown = safelight("run", "text_to_image", "--help").stdout
    for words in ("--prompt", "What the image should show.", "--sampler", "euler", "(now 20)"):
        assert words in shown


def test_help_names_an_input_of_several_ports_once(safelight: Command) -> None:
    assert safelight("run", "in_a_style", "--help").stdout.count("--seed ") == 1


def test_the_catalogue(safelight: Command) -> None:
    listed = safelight.json("nodes")
    assert {"sampling.sample", "models.load"} <= {spec["id"] for spec in listed["nodes"]}
    assert safelight.json("nodes", "sampling.sample")["outputs"][0]["type"] == "Latent"
    assert safelight.json("nodes", "sampling.sampel", code=2)["problems"][0]["hint"].startswith(
        "Did you mean sampling.sample"
    )


def test_cache_and_models(used: Any) -> None:
    command, _ = used
    assert command.json("cache", "info")["disk_bytes"] > 0
    assert "starter" in {model["name"] for model in command.json("models", "list")["models"]}
    assert command.json("models", "info", "starter")["family"] == "sd1"


def kept(states: Path) -> bool:
    """Whether there is a state; what a killed process was just writing is none."""
    return states.is_dir() and any(path.is_file() and not path.name.startswith(".") for path in states.rglob("*"))


LONG = ("run", "text_to_image", "--prompt", "a red apple", "--steps", "100", "--seed", "5")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    command = Command(tmp_path_factory.mktemp("whole"))
    report = command.json(*LONG, "-o", "out")
    return (command.folder / report["outputs"]["image"][0]["path"]).read_bytes()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was_and_ends_in_the_same_bits(
    safelight: Command, how: signal.Signals, uninterrupted: bytes
) -> None:
    states = safelight.folder / "home" / "cache" / "states"
    process = safelight.start(*LONG, "-o", "out")
    deadline = time.monotonic() + 120
    while not kept(states):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (-9 if how is signal.SIGKILL else 130)
    assert kept(states), "the state of the sampler is kept"
    report = safelight.json(*LONG, "-o", "out")
    assert report["nodes"]["sample"]["status"] == "ran"
    made = safelight.folder / report["outputs"]["image"][0]["path"]
    assert made.read_bytes() == uninterrupted
    assert not kept(states), "and dropped when the work is done"


def test_two_processes_on_one_cache(safelight: Command, used: Any) -> None:
    both = [safelight.start(*RUN, "--seed", "1", "-o", f"out{number}", "--json") for number in range(2)]
    reports = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    paths = [safelight.folder / report["outputs"]["image"][0]["path"] for report in reports]
    command, first = used
    alone = (command.folder / first["outputs"]["image"][0]["path"]).read_bytes()
    assert [path.read_bytes() for path in paths] == [alone, alone]
    assert set(statuses(safelight.json(*RUN, "--seed", "1", "-o", "out0")).values()) == {"cached"}
