"""The shared cache from outside: commands, the server, and programs without the package that it needs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from cache.shared_tools import LocalS3, objects
from cli.safelight_command import Command
from engine.cache_tools import run_python
from safelight.engine.cache.shared.patience import WINDOW, Patience
from serving import chain, serving
from waiting import until

pytest.importorskip("torch")


@pytest.fixture
def team(tmp_path: Path) -> str:
    (tmp_path / "bucket").mkdir()
    return (tmp_path / "bucket").as_uri()


def command(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str = "") -> Command:
    (folder / "home").mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    monkeypatch.setenv("SAFELIGHT_SHARED_CACHE", url)
    monkeypatch.delenv("SAFELIGHT_TEAM_KEY", raising=False)
    return Command(folder)


def workflow(folder: Path) -> str:
    """A workflow of built-in nodes that need no model."""
    path = folder / "sum.json"
    path.write_text(
        """{"format": "safelight/1",
            "nodes": {"a": {"type": "image.solid", "values": {"width": 64, "height": 64, "color": "#336699"}},
                      "b": {"type": "image.invert"}, "save": {"type": "image.save"}},
            "links": [{"from": "a.image", "to": "b.image"}, {"from": "b.image", "to": "save.image"}],
            "outputs": [{"name": "file", "from": "save.files"}]}"""
    )
    return str(path)


def test_the_commands_of_a_team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, team: str) -> None:
    first = command(tmp_path / "first", monkeypatch, team)
    second = Command(tmp_path / "second")
    document = workflow(tmp_path)

    # Without a key nothing runs, and it is said how to come by one.
    (problem,) = first.json("run", document, code=2)["problems"]
    assert problem["code"] == "bad_team_key" and "cache key" in problem["hint"]
    key = Path(first.json("cache", "key")["file"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 or os.name == "nt"
    assert len(key.read_text().strip()) >= 40
    (problem,) = first.json("cache", "key", code=2)["problems"]
    assert problem["code"] == "bad_team_key" and len(key.read_text().strip()) >= 40, "it is not replaced"
    (tmp_path / "second" / "home").mkdir(parents=True)
    (tmp_path / "second" / "home" / "team.key").write_text(key.read_text())

    made = first.json("run", document)
    assert {node["status"] for node in made["nodes"].values()} == {"ran"}
    info = first.json("cache", "info")["shared"]
    assert info["url"] == team and info["sent"] == 3 and info["waiting"] == 0, "sent before the command ended"

    planned = second("plan", document).stdout
    # What is quickly made is kept nowhere, and is not needed.
    assert planned.count("in the team's cache") == 1 and "0 to run, 3 cached" in planned
    assert second.json("plan", document)["nodes"]["save"]["shared"]
    found = second.json("run", document)
    assert {node["status"] for node in found["nodes"].values()} == {"cached"}
    paths = [Path(run["outputs"]["file"][0]["path"]) for run in (made, found)]
    assert (first.folder / paths[0]).read_bytes() == (second.folder / paths[1]).read_bytes()
    assert "in the team's cache" not in second("plan", document, "--shared-cache", "").stdout

    assert second("cache", "send").returncode == 0
    (problem,) = second.json("cache", "collect", code=2)["problems"]
    assert problem["code"] == "missing_value"
    told = second.json("cache", "collect", "--older-than", "30d", "--budget", "1GB", "--dry-run")
    assert told["results"] == 0 and told["results_left"] == 3 and told["dry_run"]
    assert second("cache", "collect", "--older-than", "yesterday").returncode == 2
    shown = second("cache", "clear").stdout
    assert "team's cache is as it was" in shown and len(objects(team)) == 3


@pytest.mark.parametrize(
    "url",
    [
        *["nonsense", "ftp://x/y", "s3://", "file://", "s3://team/x?secret_access_key=abc", "file:///tmp?region=x"],
        *["s3://me:abc@team/x", "file://mnt/team", "s3://team/x?endpoint=nas:9000"],
    ],
)
def test_addresses_that_are_none(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = command(tmp_path, monkeypatch, url)
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "a key of the team that tests")
    (problem,) = there.json("cache", "info", code=2)["problems"]
    assert problem["code"] == "bad_shared_cache" and "s3://bucket" in problem["hint"] and "abc" not in str(problem)


def test_settings_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, team: str) -> None:
    there = command(tmp_path, monkeypatch, team)
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "too short")
    (problem,) = there.json("cache", "info", code=2)["problems"]
    assert problem["code"] == "bad_team_key" and "9 bytes" in problem["message"]
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "a key of the team that tests")
    for name in ("WAIT", "ENTRY", "UPLOAD", "QUEUE"):
        monkeypatch.setenv(f"SAFELIGHT_SHARED_{name}", "-1")
        (problem,) = there.json("cache", "info", code=2)["problems"]
        assert problem["code"] == "bad_setting" and name in problem["message"]
        monkeypatch.delenv(f"SAFELIGHT_SHARED_{name}")
    monkeypatch.delenv("SAFELIGHT_TEAM_KEY")
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY_FILE", str(tmp_path / "not-there.key"))
    monkeypatch.setenv("SAFELIGHT_SHARED_WAIT", "soon")
    monkeypatch.setenv("SAFELIGHT_SHARED_QUEUE", "0")
    problems = there.json("cache", "info", code=2)["problems"]
    assert [problem["code"] for problem in problems] == ["bad_team_key", "bad_setting", "bad_setting"], "all at once"
    assert "not-there.key" in problems[0]["message"]


def test_a_server_that_cannot_have_its_cache_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = command(tmp_path, monkeypatch, "ftp://x")
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "a key of the team that tests")
    done = there("serve", "--port", "0")
    assert done.returncode == 2 and "cannot be used as a shared cache" in done.stderr


def test_a_bucket_that_is_away_is_said_and_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, team: str) -> None:
    there = command(tmp_path / "there", monkeypatch, team)
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "a key of the team that tests")
    (tmp_path / "bucket").rename(tmp_path / "gone")
    done = there("run", workflow(tmp_path))
    assert done.returncode == 0 and "3 results could not be sent" in done.stderr
    assert not (tmp_path / "bucket").exists(), "the place of a network's folder is not filled"
    assert there("cache", "send").returncode == 1
    (tmp_path / "gone").rename(tmp_path / "bucket")
    assert there("cache", "send").returncode == 0
    assert len(objects(team)) >= 3


def test_a_sweep_is_sent_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, team: str) -> None:
    there = command(tmp_path / "there", monkeypatch, team)
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "a key of the team that tests")
    done = there("sweep", workflow(tmp_path), "--vary", "a.color=#336699,#993366")
    assert done.returncode == 0, done.stderr
    assert there.json("cache", "info")["shared"]["sent"] == 6
    assert len([path for path in objects(team) if "/actions/" in path]) == 6


def test_servers_share_what_their_workers_make(tmp_path: Path, s3: LocalS3) -> None:
    url = s3.url(tmp_path.name)
    # Patience for a machine under load: a bucket of tests that takes longer than usual is not one that is away.
    given = {"SAFELIGHT_TEAM_KEY": "a key of the team that tests", "SAFELIGHT_SHARED_WAIT": "60"}
    with serving(tmp_path / "first", "--shared-cache", url, **given) as first:
        run = first.ask("POST", "/runs", {"document": chain(4, 5)})["id"]
        assert first.wait(run)["status"] == "done"
        until(lambda: _metric(first.url, "safelight_shared_cache_sent_total") == 4)
        assert _metric(first.url, "safelight_shared_cache_waiting") == 0
        assert _metric(first.url, "safelight_shared_cache_misses_total") >= 4
        assert first.ask("GET", "/cache")["shared"]["url"].startswith("s3://team/")
    with serving(tmp_path / "second", "--shared-cache", url, **given) as second:
        plan = second.ask("POST", "/plan", {"document": chain(4, 5)})
        assert {(node["status"], node["shared"]) for node in plan["nodes"].values()} == {("cached", True)}
        run = second.ask("POST", "/runs", {"document": chain(4, 5)})["id"]
        found = second.wait(run)
        assert {node["status"] for node in found["nodes"].values()} == {"cached"}, second.log.read_text()
        assert _metric(second.url, "safelight_shared_cache_hits_total") >= 4
        assert _metric(second.url, "safelight_shared_cache_refused_total") == 0
        assert _metric(second.url, "safelight_shared_cache_received_bytes_total") > 0


def test_without_a_shared_cache_its_package_is_not_imported(tmp_path: Path) -> None:
    said = run_python(
        """
        import sys
        from pathlib import Path
        from safelight.app import Studio
        with Studio.open(Path(sys.argv[1])) as studio:
            assert studio.cache.lookup("x") is None and studio.cache.info().shared is None
        print([name for name in sys.modules if "obstore" in name or "cache.shared" in name])
        """,
        tmp_path,
    )
    assert said.strip() == "[]"


def test_where_the_package_is_missing_it_is_said(tmp_path: Path, team: str) -> None:
    said = run_python(
        """
        import sys
        from pathlib import Path

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "obstore":
                    raise ModuleNotFoundError(name)

        from importlib import machinery
        find = machinery.PathFinder.find_spec
        machinery.PathFinder.find_spec = classmethod(
            lambda cls, name, *more: None if name.partition(".")[0] == "obstore" else find(name, *more)
        )
        import os
        os.environ["SAFELIGHT_TEAM_KEY"] = "a key of the team that tests"
        from safelight.app import Studio
        from safelight.sdk import ProblemError
        try:
            Studio.open(Path(sys.argv[1]), shared_cache=sys.argv[2]).cache
        except ProblemError as error:
            print(error.problems[0].code, error.problems[0].hint)
        with Studio.open(Path(sys.argv[1])) as studio:
            print(studio.cache.info().shared)
        """,
        tmp_path / "home",
        team,
    )
    assert said.splitlines() == ["needs_package Install it: pip install 'safelight[bucket]'", "None"]


def test_keys_and_secrets_are_not_printed(tmp_path: Path) -> None:
    from safelight.engine.cache.shared import read_options
    from safelight.environment import Environment

    options = read_options("file:///x", tmp_path, key="s" * 20, key_file=None, wait="", entry="", upload="", queue="")
    assert "ssss" not in repr(options) and "ssss" not in repr(Environment.read({"SAFELIGHT_TEAM_KEY": "s" * 20}))


# How long is waited


def test_waits_in_vain_are_bounded() -> None:
    now = [0.0]
    patience = Patience(2.0, 10.0, lambda: now[0])
    assert patience.left() == 2.0
    for _ in range(14):
        patience.in_vain(0.1)
    assert patience.left() == pytest.approx(0.6)
    patience.in_vain(0.2)
    assert patience.left() == 0.0 and not patience.away, "it is there, and is not asked"
    now[0] += WINDOW + 1
    assert patience.left() == 2.0


def test_one_that_is_away_is_left_alone() -> None:
    now = [0.0]
    patience = Patience(2.0, 10.0, lambda: now[0])
    patience.failed(2.0)
    assert patience.left() == 0.0 and patience.away
    now[0] += 11
    assert patience.left() == 0.0 and not patience.away, "two seconds in half a minute are enough"
    now[0] += WINDOW
    assert patience.left() == 2.0
    patience.failed(0.0)
    patience.answered()
    assert patience.left() == 2.0


def _metric(url: str, name: str) -> float:
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found: list[Any] = [line for line in lines if line.startswith(name + " ")]
    return float(found[0].split()[1])


def test_it_is_an_extra(tmp_path: Path) -> None:
    """What `pip install .` brings has no obstore in it."""
    import tomllib

    told = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in told["dependencies"] if name.startswith("obstore")]
    assert [name for name in told["optional-dependencies"]["bucket"] if name.startswith("obstore")]
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "safelight", "--help"], capture_output=True, text=True, check=True
    )
    assert "obstore" not in imported.stderr
