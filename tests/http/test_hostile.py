"""Requests that mean harm: each gets a Problem and a 4xx, and the server goes on."""

from __future__ import annotations

import io
import json
import socket
import struct
import time
import zlib
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from safelight.http.security import Guard, host_name
from safelight.http.throttle import Throttle
from serving import Server, chain, serving

Asked = tuple[str, str, bytes | None, dict[str, str]]
JSON = {"Content-Type": "application/json"}


def ask(server: Server, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    """Sends the path as it is: no client may tidy it up."""
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for key, value in headers.items():
            connection.putheader(key, value)
        if body is not None and "Transfer-Encoding" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            if body is not None:
                connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(side: int = 60_000) -> bytes:
    """A few hundred bytes that say they are 3.6 thousand million pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 100)) + END


END = png_chunk(b"IEND", b"")


def bomb_png() -> bytes:
    """A small image whose workflow text unfolds to a hundred megabytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    text = zlib.compress(b"[" * (100 << 20), 6)
    bomb = png_chunk(b"iTXt", b"safelight\0\1\0\0\0" + text)
    data = buffer.getvalue()
    return data[:33] + bomb + data[33:]


def document_of(nodes: str) -> bytes:
    return b'{"document": {"format": "safelight/1", "nodes": ' + nodes.encode() + b"}}"


def upload(name: str, data: bytes) -> Asked:
    return "POST", f"/api/v1/files/input?name={name}", data, {"Content-Type": "application/octet-stream"}


def posted(path: str, body: bytes, **headers: str) -> Asked:
    return "POST", path, body, JSON | headers


HOSTILE: dict[str, tuple[Callable[[], Asked], set[int], str | None]] = {
    "traversal": (lambda: ("GET", "/api/v1/files/output/../server.sqlite", None, {}), {400, 404}, ""),
    "traversal, encoded": (lambda: ("GET", "/api/v1/files/output/..%2fserver.sqlite", None, {}), {400}, "bad_path"),
    "traversal, twice encoded": (lambda: ("GET", "/api/v1/files/output/%252e%252e%252fx", None, {}), {404}, ""),
    "traversal, backslash": (lambda: ("GET", "/api/v1/files/output/..%5cserver.sqlite", None, {}), {400}, "bad_path"),
    "absolute path": (lambda: ("GET", "/api/v1/files/input/%2fetc%2fpasswd", None, {}), {400}, "bad_path"),
    "hidden file": (lambda: ("GET", "/api/v1/files/output/.hidden", None, {}), {404}, "file_missing"),
    "NUL in a path": (lambda: ("GET", "/api/v1/files/input/a%00b", None, {}), {400}, "bad_path"),
    "NUL in a run": (lambda: ("GET", "/api/v1/runs/r1%00", None, {}), {400}, "bad_path"),
    "a name too long for a file": (
        lambda: ("GET", f"/api/v1/templates/{'n' * 300}/image", None, {}),
        {404},
        "template_missing",
    ),
    "another folder": (lambda: ("GET", "/api/v1/files/cache/index.sqlite", None, {}), {404}, "folder_missing"),
    "static traversal": (lambda: ("GET", "/../../etc/passwd", None, {}), {404, 503}, ""),
    "static traversal, encoded": (lambda: ("GET", "/assets/..%2f..%2f..%2fetc%2fpasswd", None, {}), {404, 503}, ""),
    "wrong host": (lambda: ("GET", "/api/v1/queue", None, {"Host": "evil.example"}), {403}, "wrong_host"),
    "no host": (lambda: ("GET", "/api/v1/queue", None, {"Host": ""}), {403}, "wrong_host"),
    "rebound host": (lambda: ("GET", "/", None, {"Host": "127.0.0.1.evil.example:8686"}), {403}, "wrong_host"),
    "wrong origin": (lambda: posted("/api/v1/queue/clear", b"", Origin="https://evil.example"), {403}, "wrong_origin"),
    "null origin": (lambda: posted("/api/v1/queue/clear", b"", Origin="null"), {403}, "wrong_origin"),
    "another port": (
        lambda: posted("/api/v1/queue/clear", b"", Origin="http://127.0.0.1:9"),
        {403},
        "wrong_origin",
    ),
    "cross-site image": (
        lambda: ("GET", "/api/v1/system", None, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        {403},
        "wrong_origin",
    ),
    "cross-site websocket": (
        lambda: (
            "GET",
            "/api/v1/events",
            None,
            {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Origin": "https://evil.example",
            },
        ),
        {403},
        "wrong_origin",
    ),
    "half an emoji": (
        lambda: posted("/api/v1/check", document_of('{"a": {"type": "x", "values": {"text": "\\ud83d!"}}}')),
        {422},
        "bad_value",
    ),
    "half an emoji in an input of a run": (
        lambda: posted("/api/v1/runs", b'{"workflow": "text_to_image", "inputs": {"prompt": "\\ud83d!"}}'),
        {422},
        "bad_value",
    ),
    "a form instead of JSON": (
        lambda: ("POST", "/api/v1/check", b'{"document":{}}', {"Content-Type": "text/plain"}),
        {415},
        "wrong_content_type",
    ),
    "oversized JSON": (lambda: posted("/api/v1/check", b'{"document": "' + b"x" * (33 << 20)), {413}, "too_large"),
    "oversized JSON in chunks": (
        lambda: posted("/api/v1/check", _chunked(b" " * (34 << 20)), **{"Transfer-Encoding": "chunked"}),
        {413},
        "too_large",
    ),
    "deep nesting": (lambda: posted("/api/v1/check", b'{"document": ' + b"[" * 200_000), {400}, "too_deep"),
    "deep nesting that ends": (
        lambda: posted("/api/v1/runs", b'{"document": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        {400},
        "too_deep",
    ),
    "deep nesting in a document": (
        lambda: posted("/api/v1/runs", document_of('{"a":' * 300 + "1" + "}" * 300)),
        {400},
        "too_deep",
    ),
    "not UTF-8": (lambda: posted("/api/v1/check", b'{"document": "\xff\xfe"}'), {200, 400}, ""),
    "not JSON": (lambda: posted("/api/v1/runs", b"{'document': 1}"), {400}, "not_json"),
    "unknown field": (lambda: posted("/api/v1/runs", b'{"documnt": {}}'), {400}, "bad_request"),
    "a number of a million digits": (
        lambda: posted("/api/v1/runs", document_of('{"a": {"type": "x", "values": {"v": ' + "9" * 1_000_000 + "}}}")),
        {400},
        "",
    ),
    "code in place of a node": (
        lambda: posted("/api/v1/runs", document_of('{"a": {"type": "os.system", "values": {"command": "id"}}}')),
        {422},
        "unknown_type",
    ),
    "a file outside as a value": (
        lambda: posted(
            "/api/v1/runs", document_of('{"a": {"type": "image.load", "values": {"file": "../../etc/passwd"}}}')
        ),
        {422},
        "",
    ),
    "a giant sweep": (
        lambda: posted(
            "/api/v1/runs/batch",
            json.dumps({"document": chain(2), "sweep": {name: list(range(200)) for name in "abcd"}}).encode(),
        ),
        {422},
        "too_many_runs",
    ),
    "huge image header": (lambda: upload("huge.png", huge_png()), {413}, "image_too_large"),
    "zip bomb in an image's text": (
        lambda: ("POST", "/api/v1/open", bomb_png(), {"Content-Type": "image/png"}),
        {413},
        "embedded_text_too_large",
    ),
    "oversized upload": (lambda: upload("large.png", b"\x89PNG\r\n\x1a\n" + b"x" * (65 << 20)), {413}, "too_large"),
    "a page as an image": (lambda: upload("x.png", b"<html><script>alert(1)</script>"), {415}, "upload_type"),
    "a vector image": (lambda: upload("x.svg", b"<svg onload='alert(1)'/>"), {415}, "upload_type"),
    "a pickle": (lambda: upload("x.pt", b"\x80\x04\x95"), {415}, "upload_type"),
    "a broken image": (lambda: upload("x.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 50), {422}, "image_damaged"),
    "upload above": (lambda: upload("..%2f..%2fx.txt", b"hello"), {400}, "bad_path"),
    "upload to a device": (lambda: upload("con.txt", b"hello"), {400}, "bad_path"),
    "upload with a NUL": (lambda: upload("a%00.txt", b"hello"), {400}, "bad_path"),
    "upload hidden": (lambda: upload(".bashrc.txt", b"hello"), {400}, "bad_path"),
    "upload of nothing": (lambda: upload("x.png", b""), {400}, "upload_empty"),
    "no such digest": (lambda: ("GET", "/api/v1/blobs/" + "0" * 40, None, {}), {404}, "blob_missing"),
    "a digest that climbs": (lambda: ("GET", "/api/v1/thumbnails/..%2f..%2fx", None, {}), {404}, "blob_missing"),
    "injection into a query": (
        lambda: ("GET", "/api/v1/runs?status=done'%20OR%201=1--", None, {}),
        {400},
        "bad_request",
    ),
    "a number too large": (lambda: ("GET", "/api/v1/runs?limit=99999999999999999999", None, {}), {400}, "bad_request"),
    "a long address": (lambda: ("GET", "/api/v1/runs?search=" + "x" * 20_000, None, {}), {414}, "address_too_long"),
    "an endless address": (lambda: ("GET", "/api/v1/runs?search=" + "x" * 200_000, None, {}), {400}, None),
    "a model by its address": (
        lambda: posted(
            "/api/v1/runs",
            document_of('{"a": {"type": "models.load", "values": {"model": "http://169.254.169.254/latest"}}}'),
        ),
        {422},
        "",
    ),
    "a model outside": (
        lambda: posted(
            "/api/v1/runs", document_of('{"a": {"type": "models.load", "values": {"model": "../../secret"}}}')
        ),
        {422},
        "bad_path",
    ),
    "a run id too large": (lambda: ("GET", "/api/v1/runs/r" + "9" * 400, None, {}), {404}, "run_missing"),
    "a workflow name with a slash": (
        lambda: ("PUT", "/api/v1/workflows/a%2fb", b'{"document":{"format":"safelight/1"},"revision":0}', JSON),
        {400},
        "bad_name",
    ),
}


def _chunked(data: bytes) -> bytes:
    piece = 1 << 20
    parts = [data[at : at + piece] for at in range(0, len(data), piece)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_harm_is_refused(server: Server, name: str) -> None:
    make, statuses, code = HOSTILE[name]
    started = time.monotonic()
    status, body = ask(server, *make())
    assert status in statuses, (status, body[:500])
    if code is not None and status >= 400 and status != 503:
        problems = json.loads(body)["problems"]
        assert problems and problems[0]["message"]
        assert not code or problems[0]["code"] == code
    assert b"Traceback" not in body and b"root:" not in body
    assert time.monotonic() - started < 20
    assert ask(server, "GET", "/healthz", None, {})[0] == 200


def test_a_link_out_of_the_folder_leads_nowhere(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    for folder in ("input", "output"):
        (server.home / folder).mkdir(exist_ok=True)
        link = server.home / folder / "link.txt"
        link.symlink_to(secret)
        inner = server.home / folder / "inside"
        inner.symlink_to(tmp_path)
        status, body = ask(server, "GET", f"/api/v1/files/{folder}/link.txt", None, {})
        assert status == 400 and b"bad_path" in body
        status, body = ask(server, "GET", f"/api/v1/files/{folder}/inside/secret.txt", None, {})
        assert status == 400 and b"bad_path" in body
        listed = ask(server, "GET", f"/api/v1/files/{folder}?limit=500", None, {})[1]
        assert b"link.txt" not in listed and b"secret" not in listed
        status, _ = ask(server, "DELETE", f"/api/v1/files/{folder}/link.txt", None, {})
        assert status == 400 and secret.exists()
        if folder == "input":
            status, body = ask(server, *upload("inside%2fx.txt", b"hello"))
            assert status == 400 and not (tmp_path / "x.txt").exists()
        link.unlink()
        inner.unlink()


def test_one_who_sends_nothing_holds_nobody_up(server: Server) -> None:
    address = urlsplit(server.url)
    sockets = [socket.create_connection((address.hostname, address.port)) for _ in range(50)]
    try:
        for one in sockets:
            one.sendall(b"POST /api/v1/check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n")
        started = time.monotonic()
        assert ask(server, "GET", "/healthz", None, {})[0] == 200
        assert time.monotonic() - started < 1
    finally:
        for one in sockets:
            one.close()


def test_one_who_goes_before_the_end_is_no_fault_of_the_server(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--comfyui-api") as server:
        host, port = urlsplit(server.url).netloc.split(":")
        for address in ("/api/v1/runs", "/api/v1/files/input?name=a.png", "/prompt", "/upload/image"):
            with socket.create_connection((host, int(port))) as one:
                head = f"POST {address} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n"
                one.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        time.sleep(0.5)
        assert ask(server, "GET", "/api/v1/queue", None, {})[0] == 200
        assert "Traceback" not in server.log.read_text()


def test_a_token_is_needed_beyond_this_machine(tmp_path: Path) -> None:
    with serving(tmp_path / "home", "--host", "0.0.0.0", "--token", "correct-horse") as server:
        assert server.said.strip().endswith("/?token=correct-horse") and "://127.0.0.1:" in server.said
        assert ask(server, "GET", "/healthz", None, {})[0] == 200
        assert ask(server, "GET", "/api/v1/queue", None, {})[0] == 401
        assert ask(server, "GET", "/metrics", None, {})[0] == 401
        assert ask(server, "GET", "/api/v1/queue?token=correct-horse", None, {})[0] == 401, "not in API addresses"
        bearer = {"Authorization": "Bearer correct-horse"}
        assert ask(server, "GET", "/api/v1/queue", None, bearer)[0] == 200
        assert ask(server, "GET", "/api/v1/runs/r1/details", None, bearer)[0] == 403
        connection = HTTPConnection(urlsplit(server.url).netloc)
        connection.request("GET", "/?token=correct-horse")
        response = connection.getresponse()
        cookie = response.headers["Set-Cookie"]
        assert response.status == 303 and response.headers["Location"] == "./"
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "correct" not in cookie
        assert ask(server, "GET", "/api/v1/queue", None, {"Cookie": cookie.split(";")[0]})[0] == 200
        for odd in (b"Bearer \xff\xfe", b"Basic \xff", b"Bearer correct-h\xf6rse"):
            assert ask(server, "GET", "/api/v1/queue", None, {"Authorization": odd})[0] == 401  # type: ignore[dict-item]
        assert ask(server, "GET", "/?token=%ff", None, {})[0] == 401
        statuses = [
            ask(server, "GET", "/api/v1/queue", None, {"Authorization": f"Bearer {number}"})[0] for number in range(15)
        ]
        assert statuses[0] == 401 and statuses[-1] == 429
        assert ask(server, "GET", "/api/v1/queue", None, bearer | {"Host": "evil.example"})[0] == 403
        page = ask(server, "GET", "/", None, {"Accept": "text/html"})
        assert page[0] == 401 and b"token" in page[1]


def test_uploads_are_throttled() -> None:
    throttle = Throttle(burst=3, per_second=1000)
    assert [throttle.take("a") == 0 for _ in range(3)] == [True] * 3
    slow = Throttle(burst=2, per_second=0.001)
    assert slow.take("a") == slow.take("a") == 0 and slow.take("a") > 100
    assert slow.take("b") == 0


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost:8686", "localhost"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("A.B", "a.b"), ("x:y", "x:y")],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


def test_a_server_for_everybody_goes_by_addresses_and_given_names() -> None:
    guard = Guard.of("0.0.0.0", "token", ["gpu.example"])
    assert guard.wildcard and {"gpu.example", "localhost"} <= guard.hosts
