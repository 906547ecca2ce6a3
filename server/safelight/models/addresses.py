"""Which addresses models are fetched from, and how: from hosts that the user has named, over TLS, from public machines.

What a workflow names is an address that a stranger wrote. It must not make this machine speak to its own network.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from safelight.sdk.problem import Problem, ProblemError, one_of

if TYPE_CHECKING:
    import urllib.request

_TRIES = 4
_TIMEOUT = 30.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Rules(msgspec.Struct, frozen=True):
    """Where files may come from, and which.

    `hosts` are those that a setting names, as `host` or `host:port`; only they may be machines of a private network,
    and only those with a port be spoken to without TLS. `confirmed` are others that the user has agreed to. `tries` is
    how often in a row a line may break with nothing having come, `pauses` the seconds between them, `timeout` how long
    nothing may come.
    """

    hosts: tuple[str, ...]
    confirmed: tuple[str, ...] = ()
    allow_pickle: bool = False
    tries: int = _TRIES
    timeout: float = _TIMEOUT
    pauses: tuple[float, ...] = (0.5, 2.0, 5.0)

    def names(self, url: str) -> bool:
        """Whether a setting names the host of an address."""
        return _named(url, self.hosts)

    def plain(self, url: str) -> bool:
        """Whether a setting names host and port of an address, so that it may be spoken to without TLS."""
        return _named(url, tuple(host for host in self.hosts if ":" in host))

    def check(self, url: str) -> None:
        """Raises ProblemError for an address that nothing may be fetched from."""
        parts = _parts(url)
        if parts is None or parts.scheme not in ("https", "http") or parts.username is not None:
            message = f"{url[:200]!r} is no address that a model can be fetched from."
            raise problem("bad_url", message, "Give the https address of the file itself.", url)
        if parts.scheme == "http" and not self.plain(url):
            message = f"{url[:200]!r} is not encrypted, so anybody on the way could change the file."
            raise problem("bad_url", message, "Give its https address.", url)
        if not self.names(url) and not _named(url, self.confirmed):
            message = f"Models are not fetched from {parts.hostname} before you have agreed to it."
            hint = f"If you trust it: `safelight models download URL --from {parts.netloc}`. Now: {one_of(self.hosts)}."
            raise problem("host_not_allowed", message, hint, parts.netloc)
        self.check_reach(url)

    def check_reach(self, url: str) -> None:
        """Raises ProblemError for an address that is a number of this network; names are looked at later."""
        host = urlsplit(url).hostname or ""
        with contextlib.suppress(ValueError):
            if not self.names(url) and not _is_public(host):
                raise _inside(host, host)


def hub_token(url: str) -> str:
    """The user's own token for the hub, which goes to the hub alone."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname == "huggingface.co":
        from huggingface_hub import get_token

        return get_token() or ""
    return ""


def _named(url: str, hosts: tuple[str, ...]) -> bool:
    """Whether one of these is the host of an address; one with a port means that port."""
    parts = _parts(url)
    if parts is None:
        return False
    host = (parts.hostname or "").lower()
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return any(one.lower() in (host, f"{host}:{port}", f"[{host}]:{port}") for one in hosts)


def opener(rules: Rules) -> urllib.request.OpenerDirector:
    """Connects to public machines alone, but for those that the settings name and the proxies of this machine."""
    # What speaks to the network takes longer to import than all of a start that needs none.
    import http.client
    import socket
    import urllib.request

    proxies = {urlsplit(proxy).hostname or "" for proxy in urllib.request.getproxies().values()}

    def connect(address: tuple[str, int], timeout: Any = None, source_address: Any = None) -> socket.socket:
        del source_address  # as `socket.create_connection` is called
        host, port = address
        trusted = host in proxies or _named(
            f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", rules.hosts
        )
        last: OSError | None = None
        for family, kind, proto, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if not trusted and not _is_public(str(where[0])):
                raise _inside(f"{host}:{port}", str(where[0]))
            # Connected to the very address that was looked at: the name might lead elsewhere by now.
            line = socket.socket(family, kind, proto)
            try:
                line.settimeout(timeout)
                line.connect(where)
                return line
            except OSError as error:
                line.close()
                last = error
        raise last or ConnectionError(f"{host} has no address")

    class Plain(http.client.HTTPConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class Secure(http.client.HTTPSConnection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._create_connection = connect

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Plain, req)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> Any:
            return self.do_open(Secure, req)

    class Redirects(urllib.request.HTTPRedirectHandler):
        """Hosts send on to where they keep their files; that may be any public machine, but never without TLS."""

        def redirect_request(
            self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
        ) -> urllib.request.Request | None:
            if urlsplit(newurl).scheme != "https" and not rules.plain(newurl):
                message = f"{urlsplit(req.full_url).hostname} sends on to an address without TLS: {newurl[:200]!r}."
                raise problem("bad_url", message, "Fetch it from another place.", newurl)
            rules.check_reach(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    return urllib.request.build_opener(PlainHandler, SecureHandler, Redirects)


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None where it has none that make sense."""
    try:
        parts = urlsplit(url)
        sound = parts.port != 0 and (parts.hostname or "").isascii() and url.isprintable() and " " not in url
    except ValueError:
        return None
    return parts if sound and parts.hostname else None


def quoted(url: str) -> str:
    """An address as it is sent: letters that no address may have are written in percents."""
    parts = urlsplit(url)
    safe = "/%:=&?~+!$,;'@()*[]"
    return parts._replace(path=quote(parts.path, safe), query=quote(parts.query, safe), fragment="").geturl()


def _is_public(address: str) -> bool:
    """Whether a number leads to the open network, also where it is one of IPv4 within one of IPv6.

    Raises:
        ValueError: it is a name.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    inner: list[ipaddress.IPv4Address] = []
    if isinstance(found, ipaddress.IPv6Address):
        inner += [one for one in (found.ipv4_mapped, found.sixtofour) if one is not None]
        inner += [ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)] if found in _NAT64 else []
    return all(one.is_global and not one.is_multicast for one in (found, *inner))


def _inside(host: str, address: str) -> ProblemError:
    message = f"{host} leads to {address}, a machine of this network, which models are not fetched from."
    return problem("host_not_allowed", message, f"Name it in `hosts` of models.json: {host}.", host)


def problem(code: str, message: str, hint: str, value: Any) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, hint=hint, value=value))
