"""A file of weights from an address into a model folder: in any number of sittings, whole or not at all.

What has arrived lies in `.downloads` of the model folder, beside a note of what it is. The next try goes on from there
by a range request (RFC 9110, 14), provided that the server still has the same file. Only a file that is of the length
and the digest that were told, and whose header can be read, gets its name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from safelight.disk import try_lock, write_file
from safelight.sdk.problem import ProblemError, one_of

from .addresses import Rules, hub_token, opener, problem, quoted
from .headers import is_pickle, read_header
from .layout import unsafe
from .orders import NOTE, Order, Part, Progress, forget, part_folder
from .walk import WEIGHTS

_DISK = (errno.ENOSPC, getattr(errno, "EDQUOT", -1), errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
SPARE = 256 << 20
"""Bytes of the disk that are left free."""
_BLOCK = 1 << 20


Sort = Callable[[Path], str]


def fetch(
    order: Order, top: Path, rules: Rules, progress: Progress | None = None, sort: Sort | None = None
) -> tuple[Path, str]:
    """Fetches a file; returns where it lies, and its SHA-256.

    `progress` is told the bytes that are there and those in all (0: unknown), and may raise `Stopped`. `sort` says the
    folder of a whole file, for orders that name none.

    Raises:
        Stopped: what has arrived is kept.
        ProblemError: `bad_url`, `host_not_allowed`, `download_failed`, `disk_full`, `wrong_checksum`,
            `weights_damaged`, `unsafe_weights`, `bad_path`, `name_taken` or `download_busy`.
    """
    rules.check(order.url)
    _target(top, order.folder, order.name or "any.safetensors", rules)
    release = None
    try:
        part_folder(top, order).mkdir(parents=True, exist_ok=True)
        release = try_lock(part_folder(top, order).with_suffix(".lock"))
        if release is None:
            raise problem("download_busy", f"{order.url[:200]!r} is being fetched already.", "Wait for it.", order.url)
        return _Sitting(order, top, rules, progress, sort).run()
    except OSError as error:
        if error.errno not in _DISK:
            raise _failed(order, str(getattr(error, "reason", "") or error)) from None
        message = f"{top} cannot be written: {error.strerror or error}."
        raise problem("disk_full", message, "Make room, or give yourself the right to write there.", str(top)) from None
    finally:
        if release is not None:
            release()


class _Sitting:
    """One try to have a file, with the tries within it after the line broke."""

    def __init__(self, order: Order, top: Path, rules: Rules, progress: Progress | None, sort: Sort | None) -> None:
        self._order = order
        self._top = top
        self._rules = rules
        self._progress = progress
        self._sort = sort
        self._folder = part_folder(top, order)
        self._note = self._folder / NOTE
        self._part = Part(order=order)
        self._digest = hashlib.sha256()
        self._opener = opener(rules)

    @property
    def _file(self) -> Path:
        """Where it arrives, under its own name, by which it is told what it should be."""
        return self._folder / (self._part.name or "unnamed")

    def run(self) -> tuple[Path, str]:
        self._take_up()
        failures = 0
        while True:
            before = _size(self._file)
            try:
                if self._get():
                    return self._place()
                reason = f"the server ended at {_size(self._file):,} of {self._part.total:,} bytes"
            except (
                http.client.HTTPException,
                TimeoutError,
                ConnectionError,
                ssl.SSLError,
                urllib.error.URLError,
            ) as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise self._refused(error) from None
                reason = str(getattr(error, "reason", "") or error) or type(error).__name__
            # A line that breaks again and again is no failure as long as something arrives each time.
            failures = failures + 1 if _size(self._file) <= before else 1
            if failures >= self._rules.tries:
                raise _failed(self._order, reason)
            self._tell()
            time.sleep(self._rules.pauses[min(failures, len(self._rules.pauses)) - 1])

    def _take_up(self) -> None:
        """Goes on with what was begun."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            part = msgspec.json.decode(self._note.read_bytes(), type=Part)
            if part.order == self._order:
                self._part = part
                if self._file.exists():
                    with self._file.open("rb") as file:
                        while block := file.read(_BLOCK):
                            self._digest.update(block)
                return
        self._begin_again()

    def _begin_again(self) -> None:
        self._file.unlink(missing_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._digest = hashlib.sha256()
        self._part = Part(order=self._order)
        self._keep()

    def _keep(self) -> None:
        write_file(self._note, [msgspec.json.encode(self._part)])

    def _get(self) -> bool:
        """Asks for what is missing and writes what comes; whether all is there now."""
        have = _size(self._file)
        if have and self._part.total == have:
            return True
        request = urllib.request.Request(
            quoted(self._order.url), headers={"User-Agent": "safelight", "Accept-Encoding": "identity"}
        )
        token = hub_token(self._order.url)
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        if have and self._part.tag:
            request.add_header("Range", f"bytes={have}-")
            request.add_header("If-Range", self._part.tag)
        elif have:  # nothing tells whether the server still has the same file
            self._begin_again()
            have = 0
        try:
            answer = self._opener.open(request, timeout=self._rules.timeout)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            self._begin_again()
            return False
        with answer:
            self._begin(answer, have)
            self._write(answer)
        return _size(self._file) == self._part.total if self._part.total else True

    def _begin(self, answer: Any, have: int) -> None:
        """Looks at what the server is about to send, before a byte of it is kept."""
        headers: Message = answer.headers
        kind = headers.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):
            hint = "Give the link of the file itself. If it needs a login, fetch it in the browser, and put it there."
            raise _failed(self._order, "the server sent a web page instead of the file", hint)
        length = int(headers["Content-Length"]) if (headers["Content-Length"] or "").isdigit() else 0
        if answer.status == 206:
            start, total = _range(headers.get("Content-Range", ""))
            if start != have:
                self._begin_again()
                raise ConnectionError("the server sent another part of the file than it was asked for")
            total = total or have + length
        else:
            if have:
                self._begin_again()
            have, total = 0, length
        told = {size for size in (total, self._order.size, self._part.total) if size}
        if len(told) > 1:
            forget(self._top, self._order)
            message = f"it is {total:,} bytes long, and {self._order.size or self._part.total:,} were promised"
            raise _failed(self._order, message, "The file there is another one than is meant.")
        name = self._order.name or self._part.name or _name_of(headers, answer.url, self._order.url)
        _target(self._top, self._order.folder, name, self._rules)
        tag = headers.get("ETag", "")
        tag = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        self._part = Part(order=self._order, name=name, tag=tag, total=max(told, default=0))
        free = shutil.disk_usage(self._file.parent).free
        if total and free < total - have + SPARE:
            message = (
                f"{name!r} needs {(total - have) / 1e9:,.2f} GB more, and {free / 1e9:,.2f} GB are free in {self._top}."
            )
            raise problem("disk_full", message, "Make room; what has arrived is kept.", name)
        self._keep()

    def _write(self, answer: Any) -> None:
        there = _size(self._file)
        self._tell()
        with self._file.open("ab") as file:
            while block := answer.read1(_BLOCK):
                there += len(block)
                if self._part.total and there > self._part.total:
                    raise _failed(self._order, "the server sent more than it had promised")
                file.write(block)
                file.flush()
                self._digest.update(block)
                self._tell(there)

    def _tell(self, there: int | None = None) -> None:
        if self._progress is not None:
            self._progress(_size(self._file) if there is None else there, self._part.total)

    def _place(self) -> tuple[Path, str]:
        """Gives a whole file its name.

        Raises:
            ProblemError: it is not what it should be; it is removed then.
        """
        digest = self._digest.hexdigest()
        try:
            self._check(digest)
        except ProblemError:
            forget(self._top, self._order)
            raise
        folder = self._order.folder or (self._sort(self._file) if self._sort is not None else "")
        target = _target(self._top, folder, self._part.name, self._rules)
        with self._file.open("rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and _digest_of(target) != digest:
            message = f"{target.relative_to(self._top).as_posix()!r} is there, and it is another file."
            raise problem("name_taken", message, "Give it another name: --name NAME.", self._part.name)
        self._file.replace(target)
        forget(self._top, self._order)
        return target, digest

    def _check(self, digest: str) -> None:
        name = self._part.name
        if self._order.sha256 and self._order.sha256.lower() != digest:
            message = f"{name!r} is not the file that is meant: its SHA-256 is {digest}, not {self._order.sha256}."
            raise problem("wrong_checksum", message, "Fetch it again, or from another place.", self._order.url)
        try:
            read_header(self._file)
        except ProblemError as error:
            # Whether it can be run is no matter here, as long as it is whole.
            if error.problems[0].code != "unsupported_weights":
                raise

    def _refused(self, error: urllib.error.HTTPError) -> ProblemError:
        hint = ""
        if error.code in (401, 403):
            hint = "It needs a login: for the hub `hf auth login`; else fetch it in the browser, and put it there."
        return _failed(self._order, f"the server answered {error.code} {error.reason}", hint)


def _target(top: Path, into: str, name: str, rules: Rules) -> Path:
    """Where a file will lie.

    Raises:
        ProblemError: `bad_path` for a name that leads elsewhere or is none of weights, `unsafe_weights` for a pickle.
    """
    folder = Path(into)
    strange = "/" in name or "\\" in name or "\0" in name or name.startswith(".") or len(name.encode()) > 240
    if strange or folder.is_absolute() or ".." in folder.parts or "\0" in into or not name.isprintable():
        message = f"{f'{into}/{name}'[:200]!r} is no place in the model folder."
        raise problem("bad_path", message, "Give a plain name: --name NAME.safetensors.", name)
    if not name.lower().endswith(WEIGHTS):
        message = f"{name[:200]!r} is not called as a file of weights is."
        raise problem("bad_path", message, f"Its name should end in {one_of(WEIGHTS[:3])}: --name NAME.", name)
    path = top / folder / name
    if is_pickle(path) and not rules.allow_pickle:
        raise unsafe(name, path)
    if not path.resolve().is_relative_to(top.resolve()):
        message = f"{into!r} leads out of the model folder {top}."
        raise problem("bad_path", message, "Give a folder that lies in it.", into)
    return path


def _name_of(headers: Message, *urls: str) -> str:
    """What the server calls a file, or else its address."""
    told = headers.get_filename()
    names = [told or "", *(unquote(urlsplit(url).path) for url in reversed(urls))]
    plain = [name.replace("\\", "/").rpartition("/")[2] for name in names]
    return next((name for name in plain if name.lower().endswith(WEIGHTS)), plain[-1])


def _range(text: str) -> tuple[int, int]:
    """First byte and length of the whole of a `Content-Range`; (-1, 0) where it is none."""
    unit, _, rest = text.strip().partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit.lower() != "bytes" or not first.isdigit():
        return -1, 0
    return int(first), int(total) if total.isdigit() else 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failed(order: Order, reason: str, hint: str = "") -> ProblemError:
    message = f"{order.url[:200]} could not be downloaded: {reason}."
    return problem("download_failed", message, hint or "Try again; what has arrived is kept.", order.url)
