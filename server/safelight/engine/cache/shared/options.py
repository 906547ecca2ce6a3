"""How the team's cache is reached, and the key that its entries are signed with."""

from __future__ import annotations

import math
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError

KEY_FILE = "team.key"
"""The key's name in the data folder."""
KEY_BYTES = 16
"""The least a key may have."""
_MIB = 1 << 20
_EXTRA = "pip install 'safelight[bucket]'"


@dataclass(frozen=True)
class SharedOptions:
    """
    Attributes:
        url: `s3://bucket/folder`, `gs://...`, `az://...` or `file:///folder`, with `?endpoint=` and the like.
        key: what entries are signed with, the same for the whole team.
        wait: seconds that a question may wait for its answer, and that are waited in vain in half a minute at most.
        entry_bytes: values larger than this are neither sent nor fetched.
        upload_rate: bytes a second that are sent at most; 0 is as many as there is room for.
        queue: results that may wait to be sent; beyond, the oldest are given up.
        rest: seconds after which a bucket that is away is asked again.
        state_seconds: the least between two uploads of one checkpoint.
        linger: seconds that a finished command goes on sending.
    """

    url: str
    key: bytes = field(repr=False)
    wait: float = 3.0
    entry_bytes: int = 1 << 30
    upload_rate: int = 0
    queue: int = 10_000
    rest: float = 30.0
    state_seconds: float = 10.0
    linger: float = 30.0


def read_options(
    url: str, home: Path, *, key: str, key_file: Path | None, wait: str, entry: str, upload: str, queue: str
) -> SharedOptions:
    """The options as the environment has them; what is empty there is as it is by default. See docs/shared_cache.md.

    Raises:
        ProblemError: `bad_team_key` (see `team_key`), `bad_setting`; all of them at once.
    """
    problems: list[Problem] = []
    given = SharedOptions(url, b"")
    try:
        given = replace(given, key=team_key(key, key_file, home))
    except ProblemError as error:
        problems += error.problems

    def number(name: str, text: str, default: float, least: float) -> float:
        try:
            return _number(name, text, default, least=least)
        except ProblemError as error:
            problems.extend(error.problems)
            return default

    made = replace(
        given,
        wait=number("SAFELIGHT_SHARED_WAIT", wait, given.wait, 0.01),
        entry_bytes=int(number("SAFELIGHT_SHARED_ENTRY", entry, given.entry_bytes / _MIB, 0) * _MIB),
        upload_rate=int(number("SAFELIGHT_SHARED_UPLOAD", upload, given.upload_rate / _MIB, 0) * _MIB),
        queue=int(number("SAFELIGHT_SHARED_QUEUE", queue, given.queue, 1)),
    )
    if problems:
        raise ProblemError(problems)
    return made


def check_options(options: SharedOptions) -> None:
    """Whether the bucket can be used as it is set; nothing is asked of the bucket itself.

    Raises:
        ProblemError: `bad_shared_cache`, `needs_package`.
    """
    from importlib.util import find_spec

    if find_spec("obstore") is None:
        message = "The shared cache needs the package obstore, which is not installed."
        raise ProblemError(Problem(code="needs_package", message=message, hint=f"Install it: {_EXTRA}"))
    from .bucket import Bucket

    Bucket(options.url).check()


def team_key(text: str, file: Path | None, home: Path) -> bytes:
    """The team's key: the text itself, else what stands in the file, else in `team.key` of the data folder.

    Raises:
        ProblemError: `bad_team_key`, where there is none, or it cannot be read, or is too short.
    """
    place = file or home / KEY_FILE
    if not text.strip():
        try:
            text = place.read_text(encoding="utf-8")
        except FileNotFoundError:
            if file is not None:
                raise _bad_key(f"The file {str(place)!r} that SAFELIGHT_TEAM_KEY_FILE names is not there.") from None
            message = "The shared cache needs the key that its entries are signed with, and there is none."
            hint = (
                "Put the team's key into $SAFELIGHT_TEAM_KEY, or its file at "
                f"{str(home / KEY_FILE)!r}; `safelight cache key` makes a new one there."
            )
            raise ProblemError(Problem(code="bad_team_key", message=message, hint=hint)) from None
        except (OSError, ValueError) as error:
            raise _bad_key(f"The file {str(place)!r} cannot be read as a key: {error}.") from None
    key = text.strip().encode()
    if len(key) < KEY_BYTES:
        raise _bad_key(f"The team's key has {len(key)} bytes, and needs {KEY_BYTES} at least.")
    return key


def make_key(home: Path) -> Path:
    """Makes a key in the data folder that only its owner can read, and gives the file.

    Raises:
        ProblemError: `bad_team_key`, where there is one: it is not replaced.
    """
    place = home / KEY_FILE
    home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        message = f"There is a key already: {str(place)!r}."
        hint = "Entries signed with it would be of no use under another one. Move the file away if you mean that."
        raise ProblemError(Problem(code="bad_team_key", message=message, hint=hint, value=str(place))) from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return place


def _number(name: str, text: str, default: float, *, least: float) -> float:
    try:
        number = float(text) if text else default
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        message = f"{name} is {text!r}, and must be a number, {least:g} or more."
        hint = "See docs/shared_cache.md."
        raise ProblemError(Problem(code="bad_setting", message=message, hint=hint, value=text))
    return number


def _bad_key(message: str) -> ProblemError:
    hint = "`safelight cache key` makes a good one."
    return ProblemError(Problem(code="bad_team_key", message=message, hint=hint))
