"""Behind a proxy: below a path that it keeps or takes off, with TLS, and what it says of the client."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from multidict import CIMultiDict

from nginx import Proxy, nginx, trusting
from safelight.client import AsyncClient, Client
from safelight.http.proxies import Front
from safelight.protocol.records import RunDetail
from safelight.sdk.problem import ProblemError
from serving import MAIN, Server, chain, saving, serving, single, test_environment

TOKEN = "a token of tests"
TRUSTED = "127.0.0.2"
"""A loopback address that the test can speak from, beside 127.0.0.1, which is not trusted."""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    words = ("--root-path", "/studio/", "--trusted-proxy", "127.0.0.1", "--token", TOKEN)
    with serving(tmp_path_factory.mktemp("behind") / "home", *words) as server:
        yield server


@pytest.fixture(scope="module", params=["strips", "keeps"])
def proxy(request: pytest.FixtureRequest, behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx(tmp_path_factory.mktemp("nginx"), behind.url, keeps=request.param == "keeps") as running:
        yield running


@pytest.fixture
def authority(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
    return proxy.authority


def got(proxy: Proxy, path: str, **headers: str) -> tuple[int, Any, str]:
    """Status, headers and text of what stands below the proxy; redirects are not followed."""
    address = urlsplit(proxy.url)
    connection = HTTPSConnection(address.netloc, timeout=30, context=trusting(proxy.authority))
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request("GET", address.path + path, headers=given)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode(errors="replace")


def test_the_client_works_through_it(proxy: Proxy, authority: Path, tmp_path: Path) -> None:
    with Client(proxy.url, TOKEN) as client:
        assert client.health().status == "ok"
        run = client.run(chain(3), inputs={"value": 40})
        assert run.status == "done" and run.outputs["result"][0].value == 42
        made = client.run(saving(), inputs={"value": 7})
        assert "save: " in client.log(made.id)
        with pytest.raises(ProblemError, match="r999"):
            client.log("r999")
        (path,) = client.download(made, tmp_path / "fetched")
        assert path.read_text(encoding="utf-8").strip() == "7"
        note = tmp_path / "note.txt"
        note.write_text("through the proxy", encoding="utf-8")
        assert client.upload(note).file.name == "note.txt"


def test_the_client_for_asyncio_works_through_it(proxy: Proxy, authority: Path) -> None:
    async def work() -> list[str]:
        async with AsyncClient(proxy.url + "/", TOKEN) as client:
            heard: list[str] = []
            run = await client.run(
                chain(4), on_event=lambda event: heard.append(type(event).__name__), inputs={"value": 1}
            )
            assert run.status == "done"
            return heard

    assert "RunChanged" in asyncio.run(work())


def test_the_command_line_runs_there(proxy: Proxy, tmp_path: Path) -> None:
    workflow = tmp_path / "saving.json"
    workflow.write_text(json.dumps(saving()), encoding="utf-8")
    line = [sys.executable, "-c", MAIN, "run", str(workflow), "--value", "11", "--json", "--server", proxy.url]
    line += ["-o", str(tmp_path / "out")]

    def ran(**more: str) -> tuple[int, dict[str, Any]]:
        environment = test_environment(tmp_path / "home") | {"SAFELIGHT_TOKEN": TOKEN} | more
        ended = subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=120)
        return ended.returncode, json.loads(ended.stdout)

    code, told = ran(SSL_CERT_FILE=str(proxy.authority))
    assert code == 0 and told["status"] == "done", told
    (written,) = (tmp_path / "out").iterdir()
    assert written.read_text(encoding="utf-8").strip() == "11"
    code, told = ran()
    assert code == 2 and [one["code"] for one in told["problems"]] == ["certificate_refused"]


def test_a_server_that_starts_again_is_waited_for(
    proxy: Proxy, authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While it is away the proxy answers in its place."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--root-path", "/studio", "--port", str(port))
    first = Server(tmp_path / "again", *words)
    with nginx(tmp_path / "nginx", f"http://127.0.0.1:{port}", keeps=False) as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.authority))
        done: list[RunDetail] = []

        def run(accepted: threading.Event) -> None:
            with Client(front.url) as client:
                how = {"inputs": {"value": 5}, "on_accepted": lambda _: accepted.set()}
                done.append(client.run(single("steps", count=60), **how))
                assert client.queue().queue.waiting == 0

        accepted = threading.Event()
        thread = threading.Thread(target=run, args=(accepted,))
        thread.start()
        assert accepted.wait(60)
        first.kill()
        time.sleep(3.0)
        with serving(tmp_path / "again", *words):
            thread.join(90)
    assert [one.status for one in done] == ["done"]


def test_a_page_of_the_proxy_is_told_from_an_answer(proxy: Proxy, authority: Path) -> None:
    root = proxy.url.removesuffix("/studio")
    with pytest.raises(ProblemError) as caught, Client(f"{root}/elsewhere", TOKEN) as client:
        client.queue()
    assert caught.value.problems[0].code == "not_the_server"
    assert "404" in caught.value.problems[0].message


def test_pages_cookies_and_addresses_are_below_the_path(proxy: Proxy) -> None:
    status, headers, _ = got(proxy, f"/?token={TOKEN.replace(' ', '%20')}")
    assert status == 303 and headers["Location"] == "./"
    cookie = headers["Set-Cookie"]
    assert "Path=/studio/" in cookie and "Secure" in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    session = cookie.partition(";")[0]
    status, headers, text = got(proxy, "/", Cookie=session, Accept="text/html")
    assert status == 200
    if "not built" not in text:
        assert '<base href="/studio/"' in text
    assert got(proxy, "/api/v1/queue", Cookie=session)[0] == 200
    assert json.loads(got(proxy, "/api/v1/openapi.json", Cookie=session)[2])["servers"] == [{"url": "/studio"}]
    assert got(proxy, "/api/v1/queue")[0] == 401
    assert 'name="token"' in got(proxy, "/", Accept="text/html")[2]
    assert got(proxy, "/healthz")[0] == 200
    status, _, text = got(proxy, "/api/v1/nonsense", Cookie=session)
    assert status == 404 and "not_found" in text


def test_a_visit_without_the_slash_signs_in_once(behind: Server) -> None:
    """The cookie is for what lies below the path: whoever is led to the path itself would be asked for ever."""
    address = urlsplit(behind.url)
    connection = HTTPConnection(address.netloc, timeout=30)
    connection.request("GET", f"/studio?token={TOKEN.replace(' ', '%20')}", headers={"Accept": "text/html"})
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["Location"]) == (303, "./studio/")
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    connection.request("GET", "/studio/", headers={"Accept": "text/html", "Cookie": cookie})
    assert connection.getresponse().status == 200


def test_a_new_run_says_where_it_is(proxy: Proxy) -> None:
    body = json.dumps({"document": chain(2), "inputs": {"value": 5}}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    request = Request(f"{proxy.url}/api/v1/runs", body, headers)
    with urlopen(request, context=trusting(proxy.authority), timeout=30) as answer:
        assert answer.headers["Location"].startswith("/studio/api/v1/runs/r")


def test_the_api_of_comfyui_is_below_the_path_too(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--root-path", "/a/b", "--comfyui-api") as server:
        for root in (server.url, server.url.removesuffix("/a/b")):
            for path in ("/system_stats", "/api/system_stats", "/healthz", "/api/v1/queue"):
                with urlopen(root + path, timeout=30) as answer:
                    assert answer.status == 200


def test_metrics_name_one_route_for_both_forms(behind: Server) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    origin = behind.url.removesuffix("/studio")
    for root in (origin, behind.url):
        urlopen(Request(f"{root}/api/v1/queue", headers=headers), timeout=30).close()
    text = urlopen(Request(f"{origin}/metrics", headers=headers), timeout=30).read().decode()
    assert 'route="/api/v1/queue"' in text and "studio" not in text


@pytest.mark.parametrize(
    "words",
    [
        ("--root-path", "studio"),
        ("--root-path", "https://images.example.org/studio"),
        ("--root-path", "/a/../b"),
        ("--root-path", "/a//b"),
        ("--root-path", "/{x}"),
        ("--root-path", "/api"),
        ("--trusted-proxy", "proxy.example.org"),
        ("--trusted-proxy", "10.0.0.1/8"),
    ],
)
def test_nonsense_is_a_problem(words: tuple[str, str]) -> None:
    path = words[0] == "--root-path"
    with pytest.raises(ProblemError) as caught:
        Front.of(words[1] if path else "", [] if path else [words[1]])
    (problem,) = caught.value.problems
    assert problem.code == ("bad_root_path" if path else "bad_proxy_address")
    assert problem.value == words[1] and repr(words[1]) in problem.message and problem.hint


def test_the_command_tells_all_that_is_nonsense(tmp_path: Path) -> None:
    line = [sys.executable, "-c", MAIN, "serve", "--port", "0", "--root-path", "studio", "--trusted-proxy", "x"]
    ended = subprocess.run(
        line, capture_output=True, text=True, env=test_environment(tmp_path), check=False, timeout=60
    )
    assert ended.returncode == 2 and not ended.stdout
    assert "'studio' is no path" in ended.stderr and "'x' is no address of a proxy" in ended.stderr


# What is believed


@pytest.fixture(scope="module")
def choosy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    words = ("--trusted-proxy", TRUSTED, "--allow-host", "images.example.org", "--token", TOKEN)
    with serving(tmp_path_factory.mktemp("choosy") / "home", *words) as server:
        yield server


def asked(server: Server, source: str, path: str, **headers: str) -> tuple[int, Any, str]:
    try:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30, source_address=(source, 0))
        connection.connect()
    except OSError:
        pytest.skip("this machine has one loopback address")
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for key, value in headers.items():
        connection.putheader(key.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


SIGN_IN = f"/?token={TOKEN.replace(' ', '%20')}"


def test_what_an_unknown_peer_forges_is_ignored(choosy: Server) -> None:
    for told in ({"X_Forwarded_Proto": "https"}, {"Forwarded": "proto=https;host=images.example.org"}):
        assert "Secure" not in asked(choosy, "127.0.0.1", SIGN_IN, **told)[1]["Set-Cookie"]
    bearer = f"Bearer {TOKEN}"
    status, _, text = asked(
        choosy, "127.0.0.1", "/api/v1/queue", Host="evil.example", X_Forwarded_Host="images.example.org"
    )
    assert status == 403 and "wrong_host" in text and "--trusted-proxy" in text
    status, _, text = asked(
        choosy,
        "127.0.0.1",
        "/api/v1/queue",
        Origin="https://images.example.org",
        X_Forwarded_Host="images.example.org",
        X_Forwarded_Proto="https",
        Authorization=bearer,
    )
    assert status == 403 and "wrong_origin" in text


def test_what_a_trusted_proxy_says_counts(choosy: Server) -> None:
    told = {"X_Forwarded_Host": "images.example.org", "X_Forwarded_Proto": "https"}
    assert "Secure" in asked(choosy, TRUSTED, SIGN_IN, **told)[1]["Set-Cookie"]
    assert "Secure" not in asked(choosy, TRUSTED, SIGN_IN, X_Forwarded_Proto="http")[1]["Set-Cookie"]
    standard = {"Forwarded": 'for=192.0.2.7;proto=https;host="images.example.org"'}
    assert "Secure" in asked(choosy, TRUSTED, SIGN_IN, **standard)[1]["Set-Cookie"]
    bearer = f"Bearer {TOKEN}"
    ours = "https://images.example.org"
    for given in (told, standard):
        assert asked(choosy, TRUSTED, "/api/v1/queue", Origin=ours, Authorization=bearer, **given)[0] == 200
        # The same site without TLS is another one.
        other = ours.replace("https", "http")
        assert asked(choosy, TRUSTED, "/api/v1/queue", Origin=other, Authorization=bearer, **given)[0] == 403
    status, _, text = asked(choosy, TRUSTED, "/api/v1/queue", X_Forwarded_Host="evil.example", Authorization=bearer)
    assert status == 403 and "wrong_host" in text


def test_wrong_tokens_are_counted_by_the_clients_address(choosy: Server) -> None:
    def tried(source: str, client: str) -> int:
        headers = {"X_Forwarded_For": client, "Authorization": "Bearer wrong"}
        return asked(choosy, source, "/api/v1/queue", **headers)[0]

    assert [tried(TRUSTED, "192.0.2.1") for _ in range(12)][-1] == 429
    assert tried(TRUSTED, "192.0.2.2") == 401, "another client has tries of its own"
    # One that is not trusted makes up a new address each time, in vain.
    assert [tried("127.0.0.1", f"198.51.100.{number}") for number in range(12)][-1] == 429


def request_of(peer: str, *headers: tuple[str, str], path: str = "/") -> Any:
    return SimpleNamespace(remote=peer, headers=CIMultiDict([("Host", "inside:1"), *headers]), path=path)


@pytest.mark.parametrize(
    ("headers", "remote", "host", "scheme"),
    [
        ([], "10.0.0.1", "inside:1", None),
        ([("X-Forwarded-For", "192.0.2.1")], "192.0.2.1", "inside:1", None),
        ([("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.0.0.9")], "192.0.2.1", "inside:1", None),
        ([("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1:444")], "192.0.2.1", "inside:1", None),
        ([("X-Forwarded-For", "[2001:db8::1]:7")], "2001:db8::1", "inside:1", None),
        ([("X-Forwarded-For", "unknown")], "10.0.0.1", "inside:1", None),
        ([("X-Forwarded-For", "10.0.0.7, 10.0.0.8")], "10.0.0.7", "inside:1", None),
        (
            [
                ("X-Forwarded-For", "6.6.6.6, 192.0.2.1, 10.0.0.9"),
                ("X-Forwarded-Proto", "http, https, http"),
                ("X-Forwarded-Host", "evil.example, a.example:8443, inside"),
            ],
            "192.0.2.1",
            "a.example:8443",
            "https",
        ),
        ([("X-Forwarded-Proto", "gopher")], "10.0.0.1", "inside:1", None),
        (
            [("X-Forwarded-Proto", "HTTPS"), ("Forwarded", "for=6.6.6.6;host=evil.example")],
            "10.0.0.1",
            "inside:1",
            "https",
        ),
        (
            [("Forwarded", 'for=6.6.6.6;host=evil, For="[2001:db8::1]:9";Proto=https;host="a.example:8443"')],
            "2001:db8::1",
            "a.example:8443",
            "https",
        ),
        ([("Forwarded", 'for=_hidden, for="broken')], "10.0.0.1", "inside:1", None),
        ([("Forwarded", 'for="192.0.2.1, for=6.6.6.6')], "6.6.6.6", "inside:1", None),
    ],
)
def test_who_the_client_is(headers: list[tuple[str, str]], remote: str, host: str, scheme: str | None) -> None:
    front = Front.of("", ["10.0.0.0/8"])
    seen = front.seen(request_of("10.0.0.1", *headers))
    assert (seen.remote, seen.host, seen.scheme) == (remote, host, scheme)
    mapped = front.seen(request_of("::ffff:10.0.0.1", ("X-Forwarded-For", "192.0.2.1")))
    assert mapped.remote == "192.0.2.1"
    stranger = front.seen(request_of("192.168.0.1", *headers))
    assert (stranger.remote, stranger.host, stranger.scheme) == ("192.168.0.1", "inside:1", None)


def test_the_path_is_taken_off_whole_parts_alone() -> None:
    front = Front.of("/studio/", [])
    paths = {"/studio": "/", "/studio/": "/", "/studio/a/b": "/a/b", "/studios": "/studios", "/a": "/a", "/": "/"}
    assert {path: front.path(request_of("::1", path=path)) for path in paths} == paths
    assert Front.of("/", []).root == ""
