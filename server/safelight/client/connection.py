"""How a client reaches its server: patience with one that starts again, and problems for what goes wrong."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from safelight.environment import Environment
from safelight.protocol.common import Problems
from safelight.sdk.problem import Problem, ProblemError

_RETRIES = (0.1, 0.2, 0.5, 1.0, 2.0)
_RETRY = 5.0
RESTART = 60.0
GATEWAY = (502, 503, 504)
"""What a proxy answers with while the server behind it is away."""


class Connection:
    """To be used as `async with`, on one event loop."""

    def __init__(self, url: str, token: str | None = None, *, patience: float = 10.0) -> None:
        """`url` may have a path that the server is below (`https://images.example.org/studio`). Of `https` the
        certificate is checked, by the system's authorities or those in the file that `$SSL_CERT_FILE` names.

        `token` is that of the server, `$SAFELIGHT_TOKEN` by default; `patience` how long to try to reach it."""
        self._url = url.rstrip("/")
        self._token = token or Environment.read().token or None
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._met = False
        """Whether the server was there: then it is given the time that a restart takes."""

    async def __aenter__(self) -> Self:
        self._require_address()
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        # A long run says nothing for a while: only connecting has a limit.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context()) if self._url.startswith("https:") else None
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # Requests

    async def request(
        self,
        method: str,
        address: str,
        kind: Any = Any,
        body: Any = None,
        *,
        data: bytes | None = None,
        query: Mapping[str, str] | None = None,
        repeat: bool = False,
    ) -> Any:
        """Any route: `address` below `/api/v1`, the answer as `kind`. What may be asked twice without harm is, where a
        server that was there restarts: every GET, and what says `repeat`."""
        content = msgspec.json.encode(body) if body is not None else data
        headers = {"Content-Type": "application/json" if body is not None else "application/octet-stream"}
        status, answer = await self._send(method, "/api/v1" + address, content, headers, query or {}, repeat=repeat)
        return self._decoded(status, answer, kind)

    async def _send(
        self,
        method: str,
        address: str,
        content: bytes | None,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        *,
        page: bool = False,
        repeat: bool = False,
    ) -> tuple[int, bytes]:
        """Status and body of an answer, which may be a `page` for people."""
        again = repeat or method == "GET"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (max(self._patience, RESTART) if self._met else self._patience)
        for pause in itertools.chain(_RETRIES, itertools.repeat(_RETRY)):
            late = loop.time() + pause > deadline
            try:
                async with self._open.request(
                    method, self._url + address, data=content, headers=headers, params=query
                ) as response:
                    away = response.status in GATEWAY and response.content_type != "application/json"
                    if not (away and self._met and again) or late:
                        if not page:
                            self._refuse_page(response)
                        self._met = True
                        return response.status, await response.read()
            except aiohttp.ClientConnectorCertificateError as error:
                raise self._distrusted(error) from None
            except aiohttp.ClientConnectorError as error:
                # Nothing was sent, so the same request may be made again.
                if late:
                    raise self._unreachable(error) from None
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                if late or not self._met or not again:
                    raise self._unreachable(error) from None
            await asyncio.sleep(pause)
        raise AssertionError("it is tried again without end, or given up above")

    def _require_address(self) -> None:
        """Raises ProblemError `server_unreachable` for what is no address of a server."""
        try:
            parts = urlsplit(self._url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good:
            message = f"{self._url[:200]!r} is no address of a server."
            hint = "Write http://HOST:PORT, or https://HOST/PATH of one behind a proxy."
            raise ProblemError(Problem(code="server_unreachable", message=message, hint=hint, value=self._url[:200]))

    def _unreachable(self, error: BaseException) -> ProblemError:
        message = f"The server {self._url} cannot be reached: {str(error) or type(error).__name__}."
        hint = "Start it with `safelight serve`, or check the address."
        return ProblemError(Problem(code="server_unreachable", message=message, hint=hint, value=self._url))

    def _distrusted(self, error: aiohttp.ClientConnectorCertificateError) -> ProblemError:
        message = f"The certificate of {self._url} is not trusted: {error.certificate_error}"
        hint = "Name the file with the certificate of the authority that signed it: SSL_CERT_FILE=authority.pem."
        return ProblemError(Problem(code="certificate_refused", message=message, hint=hint, value=self._url))

    def _refuse_page(self, response: aiohttp.ClientResponse) -> None:
        """Raises ProblemError `not_the_server` for a page for people: the server answers programs with none."""
        if response.content_type != "text/html":
            return
        message = f"{response.url.host} answered with a web page (status {response.status}), not as a Safelight server."
        hint = "A proxy in between may want a sign-in, or the server behind it is away; check the address and its path."
        raise ProblemError(Problem(code="not_the_server", message=message, hint=hint, value=str(response.url)))

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the client in a with block.")
        return self._session

    @staticmethod
    def _decoded(status: int, answer: bytes, kind: Any) -> Any:
        if status < 400:
            try:
                return msgspec.json.decode(answer, type=kind)
            except msgspec.MsgspecError as error:
                message = f"The server's answer is not what was asked for: {error}."
                hint = "Is this a Safelight server, of the same version?"
                raise ProblemError(Problem(code="bad_answer", message=message, hint=hint)) from None
        try:
            problems = msgspec.json.decode(answer, type=Problems).problems
        except msgspec.DecodeError:
            message = f"The server answered with status {status}."
            problems = (Problem(code="bad_answer", message=message, hint="Is this a Safelight server?"),)
        raise ProblemError(problems)

    def _refused(self, error: aiohttp.WSServerHandshakeError) -> ProblemError:
        hints = {
            401: "It needs its token: set SAFELIGHT_TOKEN to what the server printed when it was started.",
            403: "It does not go by this name; start it with --allow-host NAME.",
            404: "Is this a Safelight server?",
            502: "A proxy answers for it: the server behind it is away.",
        }
        message = f"The server {self._url} refused the connection (status {error.status})."
        hint = hints.get(error.status, "Its log may say more.")
        return ProblemError(Problem(code="refused", message=message, hint=hint, value=self._url))
