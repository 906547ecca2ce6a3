"""Several files as one: a zip that is made while it is sent, so that nothing of it has to be kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import quote
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from aiohttp import web

from safelight.host.files import Bytes

from .security import FILE_POLICY

_PIECE = 1 << 20
_EARLIEST, _LATEST = 315_619_200.0, 4_354_732_800.0
"""2 January 1980 and 30 December 2107, in seconds since 1970: a zip knows no time outside of them."""


class Member(NamedTuple):
    """A file in the zip: its path there, when it was made (seconds since 1970), and what finds its bytes, which may
    raise OSError."""

    name: str
    made: float
    find: Callable[[], Bytes]


class _Sink:
    """What a zip is written to, and taken out of piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        found, self._pieces = b"".join(self._pieces), []
        return found


def unlike(members: Sequence[Member]) -> list[Member]:
    """The same with names of which no two are alike on any system: `cat.png`, `cat (2).png`. No name has a backslash,
    which some programs take for a folder."""
    seen: set[str] = set()
    found: list[Member] = []
    for member in members:
        name = normalize("NFC", member.name.replace("\\", "_"))
        path, number = PurePosixPath(name), 1
        while name.casefold() in seen:
            number += 1
            name = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        seen.add(name.casefold())
        found.append(member._replace(name=name))
    return found


async def send_zip(request: web.Request, members: Sequence[Member], name: str) -> web.StreamResponse:
    """The files as they are, not compressed again: images and videos are. Raises OSError, which ends the download
    before its end, where a file goes while it is sent."""
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": FILE_POLICY,
        "Cache-Control": "no-store",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:  # pyright: ignore[reportArgumentType, reportCallIssue]
        for member in unlike(members):
            # One after another: what lies in the cache alone is read whole.
            found = await asyncio.to_thread(member.find)
            about = ZipInfo(member.name, time.gmtime(min(max(member.made, _EARLIEST), _LATEST))[:6])
            source = await asyncio.to_thread(found.open)
            try:
                with archive.open(about, "w", force_zip64=found.size >= 1 << 31) as file:
                    while piece := await asyncio.to_thread(source.read, _PIECE):
                        file.write(piece)
                        await response.write(sink.take())
            finally:
                await asyncio.to_thread(source.close)
    await response.write(sink.take())
    return response
