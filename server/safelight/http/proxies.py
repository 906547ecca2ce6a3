"""Proxies in front of the server: the path that it is reached below, and what they tell of the client.

A proxy may take the path off before it passes a request on, or leave it there: both forms of an address are served.
What it says of the client is believed only where it comes from an address that was named as a proxy's: anybody can
write such headers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from safelight.sdk.problem import Problem, ProblemError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_OURS = ("api", "assets", "healthz", "metrics")
_PART = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*')
_READ = 2_000
"""Characters of a header that are read: quotes without an end take the square of its length."""
_TOLD = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")


@dataclass(frozen=True)
class Seen:
    """A request as the client sent it: its address, the host it asked (with port), and `http` or `https`, if known."""

    remote: str
    host: str
    scheme: str | None


@dataclass(frozen=True)
class Front:
    """What stands in front of a server. `root` is the path it is reached below (`/studio`; empty: none)."""

    root: str = ""
    trusted: tuple[Network, ...] = ()

    @classmethod
    def of(cls, root: str, proxies: Iterable[str]) -> Front:
        """From what was typed. Raises ProblemError: `bad_root_path`, `bad_proxy_address`, with all of them at once."""
        problems: list[Problem] = []
        made: list[Any] = []
        for read, given in [(root_path, root), *((network, text) for text in proxies)]:
            try:
                made.append(read(given))
            except ProblemError as error:
                problems += error.problems
        if problems:
            raise ProblemError(problems)
        return cls(made[0], tuple(made[1:]))

    @property
    def plain(self) -> bool:
        """Whether clients reach the server themselves, as far as is known."""
        return not self.root and not self.trusted

    def path(self, request: web.Request) -> str:
        """The decoded path of a request, from where the server begins."""
        path = request.path
        if self.root and (path == self.root or path.startswith(self.root + "/")):
            return path[len(self.root) :] or "/"
        return path

    def seen(self, request: web.Request) -> Seen:
        """The client of a request: what the connection says, or what the proxies say that are trusted.

        `X-Forwarded-For`, `-Proto` and `-Host` are read; only where there is none of them, `Forwarded` (RFC 7239). Each
        proxy adds to the right, so entries are read from there for as long as they name trusted proxies. The
        entry of scheme and host that stands at the client's place counts, or the last one where there are not as many.
        """
        peer, host = request.remote or "", request.headers.get("Host", "")
        if not self.trusted or not self._is_trusted(peer):
            return Seen(peer, host, None)
        if any(name in request.headers for name in _TOLD):
            clients, schemes, hosts = ([part.strip() for part in _values(request, name)] for name in _TOLD)
        else:
            told = _forwarded(_values(request, "Forwarded"))
            clients, schemes, hosts = ([one.get(key, "") for one in told] for key in ("for", "proto", "host"))
        remote, place = peer, len(clients) - 1
        for place in range(len(clients) - 1, -1, -1):
            address = _address(clients[place])
            if address is None:
                break  # a name that a proxy has made up; the nearest address that is known stands for it
            remote = str(address)
            if not self._is_trusted(remote):
                break
        scheme = _at(schemes, place, len(clients)).lower()
        return Seen(remote, _at(hosts, place, len(clients)) or host, scheme if scheme in ("http", "https") else None)

    def unheard(self, request: web.Request) -> bool:
        """Whether a proxy has said something that is not believed."""
        told = any(name in request.headers for name in (*_TOLD, "Forwarded"))
        return told and not self._is_trusted(request.remote or "")

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in one for one in self.trusted)


def root_path(text: str) -> str:
    """A path to be reached below: `/studio`, without a slash at its end; empty for `/`. Raises ProblemError."""
    path = text.rstrip("/")
    parts = path.split("/")[1:]
    why = ""
    if path and not path.startswith("/"):
        why = "It begins with '/', and is no address."
    elif len(path) > 200 or not all(_PART.fullmatch(part) for part in parts):
        why = "Its parts are letters, digits, '-', '_', '~' and dots inside."
    elif parts and parts[0] in _OURS:
        why = f"The server's own addresses begin with /{parts[0]}."
    if why:
        message = f"{text[:200]!r} is no path that the server can be reached below. {why}"
        hint = "Give the path alone: --root-path /studio."
        raise ProblemError(Problem(code="bad_root_path", message=message, hint=hint, value=text[:200]))
    return path


def network(text: str) -> Network:
    """The addresses of a proxy: one, or a range as `10.0.0.0/8`. Raises ProblemError `bad_proxy_address`."""
    try:
        return ipaddress.ip_network(text.strip().strip("[]"))
    except ValueError as error:
        message = f"{text[:100]!r} is no address of a proxy: {error}."
        hint = "Give an address such as 127.0.0.1, or a range such as 10.0.0.0/8; names are not looked up."
        raise ProblemError(Problem(code="bad_proxy_address", message=message, hint=hint, value=text[:100])) from None


def _values(request: web.Request, name: str) -> list[str]:
    """The entries of a header that may stand several times."""
    whole = ",".join(request.headers.getall(name, []))[-_READ:]  # from the right; the rest is the client's own word
    return re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*"|")+', whole)


def _forwarded(entries: Sequence[str]) -> list[dict[str, str]]:
    """The elements of a `Forwarded` header."""
    made: list[dict[str, str]] = []
    for entry in entries:
        pairs = (_PAIR.fullmatch(part) for part in re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+', entry))
        made.append({pair[1].lower(): _unquoted(pair[2]) for pair in pairs if pair is not None})
    return made


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _at(entries: Sequence[str], place: int, count: int) -> str:
    if not entries:
        return ""
    return entries[place if len(entries) == count else -1]


def _address(text: str) -> _Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:5`, `::1` or `[::1]:5`; of an IPv4 one in IPv6 the former."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
