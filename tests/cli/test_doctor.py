"""`safelight doctor`: what is wrong is told with a remedy, nothing is sent anywhere, and nobody is named."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from away import serving_away
from safelight.doctor import installed
from safelight.doctor.examination import examine
from safelight.doctor.private import Private
from safelight.environment import Environment
from serving import MAIN, serving

SPY = """
import os, sys
def heard(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open({log!r}, "a") as log:
            log.write(f"{{event}} {{given[1:] if event != 'socket.getaddrinfo' else given}}\\n")
sys.addaudithook(heard)
"""
OF_THIS_DISK = {"disk_low", "cache_too_large"}
"""What may be true of the machine that the tests run on."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def asked(home: Path, *words: str, **environment: str) -> tuple[int, str]:
    given = {key: value for key, value in os.environ.items() if not key.startswith(("SAFELIGHT_", "HF_"))}
    given |= {"SAFELIGHT_HOME": str(home), "OMP_NUM_THREADS": "1", "SAFELIGHT_DEVICE": "cpu"}
    given |= {"SAFELIGHT_PRECISION": "float32"} | environment
    line = [sys.executable, "-c", MAIN, "doctor", *words]
    if "--port" not in words:
        line += ["--port", str(free_port())]
    done = subprocess.run(line, capture_output=True, text=True, env=given, check=False, timeout=200)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout


def found(home: Path, *words: str, **environment: str) -> dict[str, Any]:
    code, text = asked(home, "--json", *words, **environment)
    report = json.loads(text)
    assert code == (1 if report["findings"] else 0) and report["ok"] is not bool(report["findings"])
    for one in report["findings"]:
        assert one["code"] and one["message"] and one["hint"], one
    return report


def codes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["findings"]} - OF_THIS_DISK


def test_a_good_installation_is_described_and_nothing_is_sent(tmp_path: Path) -> None:
    log = tmp_path / "sent.txt"
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(SPY.format(log=str(log)), encoding="utf-8")
    path = os.pathsep.join([str(spy), os.environ.get("PYTHONPATH", "")])
    report = found(tmp_path / "home", PYTHONPATH=path)
    assert not codes(report), report["findings"]
    assert report["libraries"]["torch"] and report["libraries"]["diffusers"] and report["libraries"]["transformers"]
    cpu = next(one for one in report["torch"]["devices"] if one["device"] == "cpu")
    assert "float32" in cpu["precisions"] and report["torch"]["threads"] == 1 == report["threads"]
    assert "float32" in report["numerics"]
    assert report["models"]["kinds"]["pipeline"] >= 1 and report["models"]["broken"] == 0
    assert report["storage"]["free"] > 0 and report["storage"]["cache_limit"] > 0
    assert report["packs"]["safelight"] and report["port"].endswith("free") and report["network"] == "not asked"
    assert {one["name"] for one in report["extras"]} >= {"video", "audio", "exr"}
    sent = log.read_text(encoding="utf-8").splitlines()
    assert sent, "the spy hears of the port that is tried"
    assert all("127.0.0.1" in line for line in sent), sent


def test_people_get_the_same_in_lines(tmp_path: Path) -> None:
    code, text = asked(tmp_path / "home")
    assert ("Nothing is wrong." in text) is (code == 0)
    for word in ("Safelight", "processor", "device", "libraries", "extra", "models", "cache", "video", "port"):
        assert any(line.startswith(word) for line in text.splitlines()), word


def test_nobody_is_named_and_no_secret_told(tmp_path: Path) -> None:
    home = tmp_path / "people" / "quentin"
    (home / "safelight" / "models").mkdir(parents=True)
    (home / "safelight" / "models" / "ink.safetensors").write_bytes(b"no model")
    named = {
        "HOME": str(home),
        "USER": "quentin",
        "LOGNAME": "quentin",
        "SAFELIGHT_TOKEN": "tok-5ecret",
        "HF_TOKEN": "hf_5ecret",
        "HTTPS_PROXY": "http://quentin:pa55word@proxy.example:3128",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=5ecret",
        "HF_HOME": "/mnt/disks/quentin/hub",
    }
    for words in ((), ("--json",)):
        _, text = asked(home / "safelight", *words, **named)
        for secret in ("quentin", "5ecret", "pa55word", str(home)):
            assert secret not in text, secret
        assert "~/safelight" in text and "/mnt/disks/USER/hub" in text and "(set)" in text
        assert "proxy.example:3128" in text


def test_a_model_that_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "models" / "loras"
    folder.mkdir(parents=True)
    (folder / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    report = found(tmp_path / "home")
    (one,) = [one for one in report["findings"] if one["code"] not in OF_THIS_DISK]
    assert "cut.safetensors" in one["message"] and report["models"]["broken"] == 1
    code, text = asked(tmp_path / "home")
    assert code == 1 and f"[{one['code']}]" in text and one["hint"] in text


def test_torch_that_does_not_start_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    (fake / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object')", encoding="utf-8")
    report = found(tmp_path / "home", PYTHONPATH=os.pathsep.join([str(fake), os.environ.get("PYTHONPATH", "")]))
    assert "torch_broken" in codes(report)
    (one,) = [one for one in report["findings"] if one["code"] == "torch_broken"]
    assert "libcudart.so.13" in one["message"]
    assert report["models"]["kinds"] and report["port"], "the checks after it were made"


def test_a_setting_that_names_nothing_is_told(tmp_path: Path) -> None:
    report = found(tmp_path / "home", SAFELIGHT_DEVICE="warp")
    assert codes(report) == {"bad_setting"} and "warp" in report["findings"][0]["message"]


def test_who_has_the_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        report = found(tmp_path / "home", "--port", str(port))
    assert codes(report) == {"port_in_use"} and report["port"] == f"{port} other"
    with serving(tmp_path / "served") as server:
        port = int(server.url.rpartition(":")[2])
        report = found(tmp_path / "served", "--port", str(port))
    assert not codes(report) and report["port"] == f"{port} safelight"


def test_the_hub_is_asked_only_where_it_is_wanted(tmp_path: Path) -> None:
    with serving_away(b"hub") as hub:
        assert found(tmp_path / "home", "--network", HF_ENDPOINT=f"http://{hub.host}")["network"] == "reached"
    report = found(tmp_path / "home", "--network", HF_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert codes(report) == {"hub_unreachable"} and report["network"] == "failed"
    report = found(tmp_path / "home", "--network", HF_HUB_OFFLINE="1")
    assert not codes(report) and "offline" in report["network"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """In this process, without torch, which has its own tests."""
    monkeypatch.setattr("safelight.doctor.examination._torch", lambda report: None)
    (tmp_path / "home").mkdir()
    return Environment.read({"SAFELIGHT_HOME": str(tmp_path / "home")})


def codes_of(given: Environment) -> set[str]:
    return {one.code for one in examine(port=free_port(), environment=given).findings}


def test_libraries_that_are_missing_or_old_are_named(here: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["surely-not-installed>=1.2", "msgspec>=999", 'also-not-there>=3; extra == "video"', "aiohttp"]
    monkeypatch.setattr(installed, "requires", lambda name: wanted)
    versions, problems = installed.libraries()
    assert set(versions) == {"surely-not-installed", "msgspec", "aiohttp"} and versions["surely-not-installed"] == ""
    assert [one.code for one in problems] == ["library_missing", "library_version"]
    assert "pip install 'surely-not-installed>=1.2'" in problems[0].hint
    (video,) = [one for one in installed.extras() if one.name == "video"]
    assert not video.there and video.missing == ("also-not-there>=3",)


def test_a_damaged_database_is_told(here: Environment) -> None:
    assert here.home is not None
    (here.home / "server.sqlite").write_bytes(b"no database at all" * 100)
    assert "database_damaged" in codes_of(here)


def test_a_full_disk_is_told(here: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**9))
    assert "disk_low" in codes_of(here)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**10))
    assert "cache_too_large" in codes_of(here)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    assert not codes_of(here)


def test_a_data_folder_that_can_be_none_is_told_once(
    tmp_path: Path, here: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        findings = examine(port=free_port(), environment=replace(here, home=home)).findings
        assert [one.code for one in findings].count("cannot_write") == 1, findings
    monkeypatch.setenv("SAFELIGHT_SHARED_CACHE", "s3://team/x")
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", "too short")
    (tmp_path / "home" / "cache").mkdir()
    findings = examine(port=free_port(), environment=here).findings
    assert [one.code for one in findings].count("bad_team_key") == 1, "though several checks meet it"


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    here: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("safelight.doctor.examination._models", broken)
    report = examine(port=free_port(), environment=here)
    (one,) = [one for one in report.findings if one.code == "check_failed"]
    assert "the disk is gone" in one.message and report.port


def test_what_is_private_is_taken_out_and_nothing_else() -> None:
    private = Private(Path("/people/ann"), "ann")
    given = {"/people/ann/x": ["/people/anna/y", "/mnt/ann/z", "the annual ann", "https://ann:pw@host/ann"], "n": 3}
    assert private.shown(given) == {
        "~/x": ["/people/anna/y", "/mnt/USER/z", "the annual USER", "https://host/USER"],
        "n": 3,
    }
    assert Private(Path("/root"), "root").shown("/root/x below the root path") == "~/x below the root path"
