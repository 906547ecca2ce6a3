"""Who may speak to the server, and what a browser may do with its answers.

The dangers are of the browser: any page that the user visits can send requests to this machine. A name that resolves to
it (DNS rebinding) is told by its Host, another site's script by its Origin, and without one by Sec-Fetch-Site. Beyond
this machine a token is needed for everything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from safelight.sdk.problem import Problem, ProblemError

from .problems import Refused
from .proxies import Front
from .throttle import Throttle

COOKIE = "safelight_session"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = frozenset({"/healthz"})
"""What needs no token."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; "
    "base-uri 'self'; form-action 'self'"
)
"""For the editor: everything from here, nothing inline, nothing from anywhere else."""
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For answers and files: even an SVG or HTML file that came in somehow can do nothing."""
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(\[[0-9A-Fa-f:.]+\]|[^/\s?#@:\[\]]+)(:[0-9]+)?/?")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def require_names(names: Iterable[str], origins: Iterable[str]) -> None:
    """Whether these can be the names of a server, and the origins of sites.

    Raises:
        ProblemError: `bad_setting`, with all of them at once.
    """
    problems: list[Problem] = []
    for name in names:
        if not (_NAME.fullmatch(name) or _is_address(name)):
            message = f"{name[:200]!r} is no name of a host."
            hint = "Give the name alone, without a scheme, a port or a path: --allow-host images.example.org."
            problems.append(Problem(code="bad_setting", message=message, hint=hint, value=name[:200]))
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            message = f"{origin[:200]!r} is no origin of a site."
            hint = "Give it as a browser does, with its scheme and without a path: --allow-origin https://example.org."
            problems.append(Problem(code="bad_setting", message=message, hint=hint, value=origin[:200]))
    if problems:
        raise ProblemError(problems)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass
class Guard:
    """The rules of one server. `hosts` are the names it goes by; with `wildcard` every plain address is one, too."""

    hosts: frozenset[str]
    wildcard: bool = False
    token: str | None = None
    origins: frozenset[str] = frozenset()
    front: Front = field(default_factory=Front)
    _failures: Throttle = field(default_factory=lambda: Throttle(burst=10, per_second=0.2))

    @classmethod
    def of(
        cls,
        address: str,
        token: str | None,
        names: Iterable[str] = (),
        origins: Iterable[str] = (),
        front: Front | None = None,
    ) -> Guard:
        """The rules for a server that listens on `address`. `names` are further host names it is reached by."""
        hosts = {name.lower() for name in names}
        if is_loopback(address):
            hosts.update(LOOPBACK)
        wildcard = address in ("0.0.0.0", "::", "")
        hosts.add(address.lower())
        if wildcard:
            import socket

            hosts.update({*LOOPBACK, socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"})
        allowed = frozenset(origin.rstrip("/").lower() for origin in origins)
        return cls(frozenset(hosts), wildcard, token, allowed, front or Front())

    def check(self, request: web.Request) -> None:
        """Raises Refused for a request that may not be served."""
        self._check_host(request)
        self._check_origin(request)
        if self.token is not None and self.front.path(request) not in OPEN:
            self._check_token(request)

    @property
    def cookie(self) -> str:
        """The name of the cookie. Another server on the same host, below another path, has another one: a browser may
        send both."""
        root = self.front.root
        return f"{COOKIE}_{hashlib.sha256(root.encode()).hexdigest()[:8]}" if root else COOKIE

    def session(self) -> str:
        """The value of the cookie: made from the token, so that it ends with it, but not the token itself."""
        return hmac.new((self.token or "").encode(), b"safelight session", hashlib.sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        return self.token is not None and secrets.compare_digest(_bytes(given), _bytes(self.token))

    def _check_host(self, request: web.Request) -> None:
        name = host_name(self.front.seen(request).host)
        if name in self.hosts or (self.wildcard and _is_address(name)):
            return
        message = f"This server does not go by the name {name[:100]!r}."
        hint = "Start it with --allow-host NAME if it should."
        raise Refused(403, "wrong_host", message, hint + self._unheard(request))

    def _unheard(self, request: web.Request) -> str:
        if not self.front.unheard(request):
            return ""
        return " What a proxy says of the client is believed with --trusted-proxy ADDRESS."

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None:
            site = request.headers.get("Sec-Fetch-Site", "none")
            visit = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
            if site in ("cross-site", "same-site") and not (visit and not self.front.path(request).startswith("/api/")):
                raise _wrong_origin("another site")
            return
        parts = urlsplit(origin)
        here = self.front.seen(request)
        schemes = ("http", "https") if here.scheme is None else (here.scheme,)
        if parts.scheme in schemes and parts.netloc.lower() == here.host.lower():
            return
        if origin.lower() not in self.origins:
            raise _wrong_origin(origin[:100], self._unheard(request))

    def _check_token(self, request: web.Request) -> None:
        cookie = request.cookies.get(self.cookie, "")
        if secrets.compare_digest(_bytes(cookie), _bytes(self.session())):
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return
        # Many a client of another API knows a name and a password alone. Browsers are never asked for them here, so
        # they send none by themselves.
        if scheme.lower() == "basic" and self.is_token(_password(given)):
            return
        hint = "Open the address with ?token=TOKEN that the server printed, or send Authorization: Bearer TOKEN."
        if scheme or cookie:
            wait = self._failures.take(self.front.seen(request).remote)
            if wait:
                headers = {"Retry-After": str(int(wait) + 1)}
                raise Refused(429, "too_many_tries", "Too many wrong tokens.", "Wait a while.", headers=headers)
        headers = {"WWW-Authenticate": "Bearer"}
        raise Refused(401, "token_needed", "This server needs its token.", hint, headers=headers)


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    name, _, port = header.rpartition(":")
    return name if name and port.isdigit() else header


def _bytes(text: str) -> bytes:
    """What was sent, also where that is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _password(given: str) -> str:
    """The password of `Basic` credentials; empty for what are none."""
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _wrong_origin(origin: str, more: str = "") -> Refused:
    message = f"A request from {origin!r} is not served."
    return Refused(403, "wrong_origin", message, "Start the server with --allow-origin URL if it should be." + more)
