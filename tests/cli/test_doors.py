"""What is typed wrong for a server, a worker or the environment is told at the door, all at once and with a remedy."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from safelight.cli import arguments, main
from safelight.cli.worker_command import head_of
from safelight.environment import Environment
from safelight.http.security import require_names
from safelight.sdk.problem import ProblemError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize(
    "words",
    [
        *[("serve", "--port", port) for port in ("-1", "65536", "x")],
        ("serve", "--threads", "-3"),
        ("doctor", "--port", "99999"),
        *[("cache", "collect", "--budget", size) for size in ("infGB", "1e400GB", "nanMB")],
        *[("cache", "collect", "--older-than", age) for age in ("infd", "nand")],
        *[("run", "text_to_image", "--checkpoint", seconds) for seconds in ("inf", "nan", "-1", "soon")],
    ],
)
def test_a_number_that_cannot_be_is_a_mistake_of_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parser().parse_known_args(words)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "give " in said and "invalid _" not in said


def test_all_that_is_wrong_with_a_server_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--root-path", "studio", "--trusted-proxy", "proxy", "--allow-host", "https://images.example.org/"]
    words += ["--allow-origin", "images.example.org", "--device", "gpu", "--device", "tpu", "--input", "nowhere"]
    assert main(["serve", "--port", "0", "--address", "192.0.2.1:6379", *words]) == 2
    said = capsys.readouterr().err
    for wrong in ("'studio'", "'proxy'", "'https://images.example.org/'", "'images.example.org'"):
        assert f"{wrong} is" in said, wrong
    assert "--device is 'gpu'" in said and "--device is 'tpu'" in said
    assert "'nowhere' is no folder" in said and "--address is of a cluster" in said


def test_names_and_origins_that_can_be() -> None:
    require_names(
        ["images.example.org", "localhost", "gpu_1", "192.0.2.1", "::1", "a."],
        ["https://example.org", "http://[::1]:8080", "https://example.org:8443/", "chrome-extension://abc"],
    )
    for name in ("", "a:80", "a/b", "http://a", "a b", "[::1]"):
        with pytest.raises(ProblemError):
            require_names([name], [])
    for origin in ("", "*", "null", "example.org", "https://example.org/path", "https://", "https://me@example.org"):
        with pytest.raises(ProblemError):
            require_names([], [origin])


def test_an_address_that_is_not_of_this_machine_is_not_a_port_that_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", "--port", "0", "--host", "192.0.2.1", "--token", "a token of tests"]) == 2
    said = capsys.readouterr().err
    assert "Give an address of this machine" in said and "Another program" not in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "Another program has it" in capsys.readouterr().err


def test_the_head_of_a_cluster_has_a_host_and_a_port() -> None:
    assert head_of("192.0.2.1:6379") == ("192.0.2.1", 6379)
    assert head_of("[2001:db8::1]:6379") == ("2001:db8::1", 6379)
    for wrong in ("nonsense", ":6379", "head:", "head:0", "head:99999", "http://head:6379", "a b:1", "auto"):
        with pytest.raises(ProblemError, match="no address of a cluster's head"):
            head_of(wrong)


@pytest.mark.parametrize("name", ["SAFELIGHT_HOME", "SAFELIGHT_MODELS", "SAFELIGHT_TEAM_KEY_FILE"])
def test_the_home_of_nobody_is_a_problem_of_every_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "~nobody-is-called-so/x")
    for words in (["doctor"], ["models", "list"], ["run", "text_to_image"]):
        assert main([*words, "--json"]) == 2
        (problem,) = json.loads(capsys.readouterr().out)["problems"]
        assert problem["code"] == "bad_setting" and name in problem["message"] and name in problem["hint"]


def test_a_user_without_a_home_can_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(path: Path) -> Path:
        raise RuntimeError(f"Could not determine home directory of {path}.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    assert Environment.read({}).hub.name == "hub"
