"""A real nginx with TLS in front of a server, as docs/proxy/nginx.conf sets it up.

The certificate and the authority that signs it are made by the library `cryptography`. Without nginx such tests skip;
with CI=true they fail.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

RECIPE = Path(__file__).parents[1] / "docs" / "proxy" / "nginx.conf"
_WHOLE = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


class Proxy:
    """`url` is where the server is reached through it, `authority` the file of the authority to trust."""

    def __init__(self, url: str, authority: Path, process: subprocess.Popen[bytes]) -> None:
        self.url, self.authority, self.process = url, authority, process

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@contextmanager
def nginx(folder: Path, upstream: str, *, keeps: bool, path: str = "/studio") -> Iterator[Proxy]:
    """`upstream` is the address of the server. The proxy takes the path off, or `keeps` it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        reason = "nginx was not found: install nginx-light."
        (pytest.fail if os.environ.get("CI", "").lower() in ("1", "true") else pytest.skip)(reason)
    folder.mkdir(parents=True, exist_ok=True)
    authority = certificates(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = RECIPE.read_text(encoding="utf-8")
    behind = urlsplit(upstream).netloc
    for shipped, ours in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server_name images.example.org;": "server_name localhost;",
        "/etc/ssl/images.example.org.pem": str(folder / "server.pem"),
        "/etc/ssl/images.example.org.key": str(folder / "server.key"),
        "location /studio/ {": f"location {path}/ {{",
        "proxy_pass http://127.0.0.1:8686/;": f"proxy_pass http://{behind}{'' if keeps else '/'};",
    }.items():
        assert site.count(shipped) == 1, f"the recipe has no {shipped!r}"
        site = site.replace(shipped, ours)
    (folder / "site.conf").write_text(site, encoding="utf-8")
    whole = folder / "nginx.conf"
    whole.write_text(_WHOLE.format(folder=folder), encoding="utf-8")
    process = subprocess.Popen([program, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(whole)])
    proxy = Proxy(f"https://localhost:{port}{path}", authority, process)
    try:
        _wait(port, process, folder)
        yield proxy
    finally:
        if process.poll() is None:
            proxy.stop()


def trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, (folder / "error.log").read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")


def certificates(folder: Path) -> Path:
    """Writes `authority.pem`, and `server.pem` and `server.key` for localhost; gives the first."""
    x509: Any = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)

    def named(name: str) -> Any:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def built(subject: str, key: Any, signer: Any, extensions: list[tuple[Any, bool]]) -> Any:
        made = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("Tests of Safelight"))
        made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - hour).not_valid_after(now + 48 * hour)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(signer, hashes.SHA256())

    def usage(**of: bool) -> Any:
        names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        names = (*names, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
        return x509.KeyUsage(**{name: of.get(name, False) for name in names})

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    signs = usage(key_cert_sign=True, crl_sign=True, digital_signature=True)
    authority = built("Tests of Safelight", root, root, [(x509.BasicConstraints(True, None), True), (signs, True)])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    ends = [(x509.BasicConstraints(False, None), True), (names, False), (usage(digital_signature=True), True)]
    server = built("localhost", own, root, ends)
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "server.key").write_bytes(own.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "authority.pem"
