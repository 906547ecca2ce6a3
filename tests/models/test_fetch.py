"""Downloads from a server that breaks off, lies, is slow, sends web pages, and sends on to elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from away import Away, serving_away
from safelight.models import addresses
from safelight.models.addresses import Rules
from safelight.models.fetch import fetch
from safelight.models.hub import Stopped
from safelight.models.orders import Order, arrived
from safelight.sdk import Problem, ProblemError


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_models.tiny_lora(tmp_path_factory.mktemp("weights") / "one.safetensors", "sd1").read_bytes()


@pytest.fixture
def away(weights: bytes) -> Iterator[Away]:
    with serving_away(weights) as made:
        yield made


def rules(away: Away, **options: Any) -> Rules:
    return Rules((away.host,), timeout=1.0, pauses=(0.01,), **options)


def refused(call: Callable[[], object]) -> Problem:
    with pytest.raises(ProblemError) as caught:
        call()
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("manner", ["whole", "chunks", "slow"])
def test_a_file_comes_whole_and_is_told_of(away: Away, tmp_path: Path, manner: str) -> None:
    away.manner = manner
    told: list[tuple[int, int]] = []
    digest = hashlib.sha256(away.data).hexdigest()
    order = Order(url=away.url(), folder="loras", sha256=digest.upper())
    path, found = fetch(order, tmp_path, rules(away), lambda *now: told.append(now))
    assert (path, found) == (tmp_path / "loras/ink.safetensors", digest)
    assert path.read_bytes() == away.data and told[-1][0] == len(away.data)
    assert manner != "slow" or len(told) > 3
    assert not list(tmp_path.glob(".downloads/*/*")) and arrived(tmp_path) == []
    assert fetch(order, tmp_path, rules(away))[0] == path  # the same again is no fault
    away.data += b"\0" * 8
    away.tag = '"two"'
    taken = refused(lambda: fetch(Order(url=away.url(), folder="loras"), tmp_path, rules(away)))
    assert taken.code == "name_taken" and path.read_bytes() == away.data[:-8]


def test_an_address_of_any_letters_is_sent(away: Away, tmp_path: Path) -> None:
    path, _ = fetch(Order(url=away.url("模型%20ä.safetensors?b=ö")), tmp_path, rules(away))
    assert path.name == "模型 ä.safetensors" and path.read_bytes() == away.data


def test_the_folder_is_told_by_what_it_is(away: Away, tmp_path: Path) -> None:
    def sort(path: Path) -> str:
        return "loras" if path.name == "ink.safetensors" and path.read_bytes() == away.data else "wrong"

    assert (
        fetch(Order(url=away.url("a/ink.safetensors?x=1")), tmp_path, rules(away), None, sort)[0].parent.name == "loras"
    )


def test_a_line_that_breaks_is_taken_up_where_it_broke(away: Away, tmp_path: Path) -> None:
    away.manner = "breaks"
    path, _ = fetch(Order(url=away.url()), tmp_path, rules(away))
    assert path.read_bytes() == away.data
    assert away.asked[0] == "" and away.asked[1] == "bytes=3000-" and len(away.asked) == -(-len(away.data) // 3000)


def test_a_pause_keeps_what_is_there_and_another_process_goes_on(away: Away, tmp_path: Path) -> None:
    away.manner = "slow"

    def stop(done: int, total: int) -> None:
        if done >= 4000:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(Order(url=away.url()), tmp_path, rules(away), stop)
    ((part, there),) = arrived(tmp_path)
    assert 4000 <= there < len(away.data) == part.total and part.name == "ink.safetensors"
    away.manner = "whole"
    path, _ = fetch(part.order, tmp_path, rules(away))
    assert path.read_bytes() == away.data and away.asked == ["", f"bytes={there}-"]


def test_a_file_that_has_changed_meanwhile_begins_again(away: Away, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 2000:
            raise Stopped

    away.manner = "slow"
    with pytest.raises(Stopped):
        fetch(Order(url=away.url()), tmp_path, rules(away), stop)
    away.tag, away.manner = '"two"', "whole"
    away.data = away.data[:-4] + b"abcd"
    assert fetch(Order(url=away.url()), tmp_path, rules(away))[0].read_bytes() == away.data


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("page", "download_failed"),
        ("page as a file", "weights_damaged"),
        ("403", "download_failed"),
        ("no ranges", "download_failed"),
        ("too short", "weights_damaged"),
        ("too long", "download_failed"),
        ("stalls", "download_failed"),
    ],
)
def test_what_is_not_the_file_gets_no_name(away: Away, tmp_path: Path, manner: str, code: str) -> None:
    away.manner = manner
    found = refused(lambda: fetch(Order(url=away.url()), tmp_path, rules(away, tries=2)))
    assert found.code == code and found.hint
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_wrong_digest_or_size_gets_no_name_and_leaves_nothing(away: Away, tmp_path: Path) -> None:
    wrong = refused(lambda: fetch(Order(url=away.url(), sha256="0" * 64), tmp_path, rules(away)))
    assert wrong.code == "wrong_checksum" and hashlib.sha256(away.data).hexdigest() in wrong.message
    assert refused(lambda: fetch(Order(url=away.url(), size=7), tmp_path, rules(away))).code == "download_failed"
    assert arrived(tmp_path) == [] and not list(tmp_path.glob("**/*.safetensors"))


def test_a_full_disk_is_told_before_it_is_full(away: Away, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safelight.models.fetch.SPARE", 1 << 60)
    found = refused(lambda: fetch(Order(url=away.url()), tmp_path, rules(away)))
    assert found.code == "disk_full" and "ink.safetensors" in found.message


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (Order(url="x", name="../up.safetensors"), "bad_path"),
        (Order(url="x", name="run.py"), "bad_path"),
        (Order(url="x", name=".hidden.safetensors"), "bad_path"),
        (Order(url="x", folder="../up"), "bad_path"),
        (Order(url="x", folder="/etc"), "bad_path"),
        (Order(url="x", folder="link"), "bad_path"),
        (Order(url="x", name="old.ckpt"), "unsafe_weights"),
    ],
)
def test_places_that_it_may_not_have_are_refused_at_once(away: Away, tmp_path: Path, order: Order, code: str) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path)
    order = Order(url=away.url(), name=order.name, folder=order.folder)
    assert refused(lambda: fetch(order, tmp_path / "top", rules(away))).code == code
    assert away.asked == [] and sorted(path.name for path in tmp_path.iterdir()) == ["top"]


def test_a_pickle_is_refused_by_the_name_that_the_server_gives(away: Away, tmp_path: Path) -> None:
    assert refused(lambda: fetch(Order(url=away.url("a.ckpt")), tmp_path, rules(away))).code == "unsafe_weights"
    assert refused(lambda: fetch(Order(url=away.url("download/7")), tmp_path, rules(away))).code == "bad_path"


def test_hosts_that_nobody_named_are_not_spoken_to(away: Away, tmp_path: Path) -> None:
    nobody = Rules(("huggingface.co",))
    for url, code in (
        ("https://example.org/a.safetensors", "host_not_allowed"),
        (away.url(), "bad_url"),  # not encrypted
        ("http://huggingface.co/a.safetensors", "bad_url"),
        ("http://huggingface.co.evil.org/a.safetensors", "bad_url"),
        ("https://huggingface.co@evil.org/a.safetensors", "bad_url"),
        ("https://evil.org/huggingface.co/a.safetensors", "host_not_allowed"),
        ("ftp://huggingface.co/a.safetensors", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("https:///a.safetensors", "bad_url"),
        ("https://[::1/a.safetensors", "bad_url"),
        ("https://hugging\u0441face.co/a.safetensors", "bad_url"),
        ("https://huggingface.co/a b.safetensors", "bad_url"),
        ("https://huggingface.co:bad/a.safetensors", "bad_url"),
    ):
        assert refused(lambda url=url: fetch(Order(url=url), tmp_path, nobody)).code == code, url
    for number in (
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "0.0.0.0",
    ):
        reach, order = Rules((), confirmed=(number, number.strip("[]"))), Order(url=f"https://{number}/a.safetensors")
        assert refused(lambda reach=reach, order=order: fetch(order, tmp_path, reach)).code == "host_not_allowed"
    # Agreeing to a host does not open this machine's own network: only a setting does.
    agreed = Rules((), confirmed=("localhost",), timeout=1.0)
    inside = f"https://localhost:{away.port}/a.safetensors"
    assert refused(lambda: fetch(Order(url=inside), tmp_path, agreed)).code == "host_not_allowed"
    assert away.asked == []


def test_a_server_may_not_send_on_into_this_network(away: Away, tmp_path: Path) -> None:
    for there, code in (
        ("http://169.254.169.254/latest", "bad_url"),
        ("https://127.0.0.1:9/x", "host_not_allowed"),
        ("https://[::1]:9/x", "host_not_allowed"),
        ("file:///etc/passwd", "download_failed"),
    ):
        away.manner = there
        assert refused(lambda: fetch(Order(url=away.url()), tmp_path, rules(away))).code == code, there


def test_the_token_of_the_hub_goes_to_the_hub_alone(
    away: Away, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert addresses.hub_token("https://huggingface.co/a") == "secret"
    for url in (away.url(), "http://huggingface.co/a", "https://cdn.huggingface.co/a", "https://civitai.com/a"):
        assert addresses.hub_token(url) == ""
    # And not to where the hub sends on to.
    monkeypatch.setattr("safelight.models.fetch.hub_token", lambda url: "secret")
    away.manner = away.url("elsewhere/ink.safetensors")
    with pytest.raises(ProblemError):
        fetch(Order(url=away.url()), tmp_path, rules(away, tries=1))
    assert away.sent[0] == "Bearer secret" and set(away.sent[1:]) == {None}
