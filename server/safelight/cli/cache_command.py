"""`safelight cache`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from safelight.app import Studio
from safelight.engine import CacheInfo
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .workflow import report, require_shared

_SEND_SECONDS = 24 * 3600.0


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    actions: dict[str, Callable[[Studio, argparse.Namespace], int]] = {
        "info": _info,
        "clear": _clear,
        "key": _key,
        "send": _send,
        "collect": _collect,
    }
    try:
        # A key is made before there is one, so no bucket is opened with it.
        with Studio.open(shared_cache="" if given.action == "key" else given.shared_cache) as studio:
            return actions[given.action](studio, given)
    except ProblemError as error:
        if given.json:
            print_json({"problems": list(error.problems)})
        else:
            report(error.problems)
        return 2


def _info(studio: Studio, given: argparse.Namespace) -> int:
    return _tell(studio, given, studio.cache.info())


def _clear(studio: Studio, given: argparse.Namespace) -> int:
    studio.cache.clear()
    found = studio.cache.info()
    if not (found.trouble or found.disk_values or found.actions or found.states):
        code = _tell(studio, given, found)
        if found.shared is not None and not given.json:
            print("The team's cache is as it was; `safelight cache collect` takes out of it what is old.")
        return code
    folder = studio.home / "cache"
    message = f"The cache in {str(folder)!r} could not be cleared" + (f": {found.trouble}." if found.trouble else ".")
    hint = "Look for missing rights, or for a run that is writing to it."
    return _failed(given, Problem(code="cache_not_cleared", message=message, hint=hint, value=str(folder)))


def _tell(studio: Studio, given: argparse.Namespace, found: CacheInfo) -> int:
    info = msgspec.to_builtins(found)
    if given.json:
        print_json(info)
        return 0
    print(f"{studio.home / 'cache'}")
    shared = info.pop("shared")
    _list(info)
    if shared:
        print(f"shared: {shared.pop('url')}")
        _list(shared)
    return 0


def _list(info: dict[str, Any]) -> None:
    for name, value in info.items():
        shown = f"{value / 1e6:,.1f} MB" if "bytes" in name else value
        print(f"  {name.replace('_', ' '):<16} {shown}")


def _key(studio: Studio, given: argparse.Namespace) -> int:
    from safelight.engine.cache.shared import make_key

    try:
        place = make_key(studio.home)
    except OSError as error:
        message = f"The key cannot be written into {str(studio.home)!r}: {error.strerror or error}."
        hint = "Give yourself the right to, or set SAFELIGHT_HOME to a folder of your own."
        return _failed(given, Problem(code="cannot_write", message=message, hint=hint, value=str(studio.home)))
    if given.json:
        print_json({"file": str(place)})
    else:
        print(place)
        print("Give this file to the team, as you would a password: who has it can sign what all of you will trust.")
    return 0


def _send(studio: Studio, given: argparse.Namespace) -> int:
    require_shared(studio)
    left = studio.cache.drain(_SEND_SECONDS)
    info = studio.cache.info().shared
    trouble = info.trouble if info is not None else ""
    if left:
        message = f"{left:,} results could not be sent to the team's cache: {trouble or 'another program is at it.'}"
        hint = "What waits stays on record; try again later."
        return _failed(given, Problem(code="shared_cache_away", message=message, hint=hint))
    if given.json:
        print_json({"waiting": 0})
    else:
        print("Nothing waits to be sent.")
    return 0


def _collect(studio: Studio, given: argparse.Namespace) -> int:
    from safelight.engine.cache.shared import Away, collect

    url = require_shared(studio).url
    if given.older_than is None and given.budget is None:
        message = "A collection needs to know what may go."
        hint = "Write --older-than 30d, or --budget 100GB, or both."
        raise ProblemError(Problem(code="missing_value", message=message, hint=hint))
    try:
        found = collect(url, older_than=given.older_than, budget=given.budget, dry_run=given.dry_run)
    except Away as error:
        message = f"The team's cache cannot be reached: {error}"
        hint = "Try again later; what was not taken out stays."
        return _failed(given, Problem(code="shared_cache_away", message=message, hint=hint))
    if given.json:
        print_json({**msgspec.to_builtins(found), "dry_run": given.dry_run})
        return 0
    verb = "would be taken out" if given.dry_run else "taken out"
    print(
        f"{found.results:,} results, {found.values:,} values and {found.states:,} checkpoints {verb}, "
        f"{found.bytes / 1e6:,.1f} MB; {found.results_left:,} results with {found.bytes_left / 1e6:,.1f} MB stay."
    )
    return 0


def _failed(given: argparse.Namespace, problem: Problem) -> int:
    if given.json:
        print_json({"problems": [problem]})
    else:
        report([problem])
    return 1
