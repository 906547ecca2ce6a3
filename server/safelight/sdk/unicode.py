"""Text that is no Unicode: half of a surrogate pair, as a cut emoji or the name of a file in an old encoding leaves it.

Python, JSON escapes and file systems bring such text; UTF-8, and so files, requests and databases, cannot hold it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

log = logging.getLogger(__name__)


def is_whole(text: str) -> bool:
    """Whether UTF-8 can hold the text."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escaped(text: str) -> str:
    """The text with every half character written out, `\\\\ud83d`, so that it can be shown and sent."""
    return text if is_whole(text) else text.encode("utf-8", "backslashreplace").decode()


def named(name: str, folder: str) -> bool:
    """Whether a file can be named to people and programs. One that cannot is left out of lists, and told of once."""
    whole = is_whole(name)
    if not whole:
        _tell(f"{folder}/{name}")
    return whole


@lru_cache(maxsize=1000)
def _tell(path: str) -> None:
    log.warning("%s is left out: its name is not UTF-8. Rename it to use it.", escaped(path))


def halves(data: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of JSON data that are not whole, keys included, each with the keys that lead to it (its own as well).

    Data is nested no deeper than `jsontext.MAX_DEPTH`; it is walked without recursion.
    """
    try:
        msgspec.json.encode(data)  # twenty times faster than the walk, and nearly always enough
        return
    except (UnicodeEncodeError, OverflowError, TypeError):
        pass  # a half; or a number of many digits, which the walk takes
    todo: list[tuple[tuple[str, ...], Any]] = [((), data)]
    while todo:
        path, item = todo.pop()
        if isinstance(item, str):
            if not is_whole(item):
                yield path, item
        elif isinstance(item, dict):
            for key, value in item.items():
                if not is_whole(key):
                    yield (*path, key), key
                if isinstance(value, str | dict | list):
                    todo.append(((*path, key), value))
        elif isinstance(item, list):
            todo += [(path, value) for value in item if isinstance(value, str | dict | list)]


def encode_json(data: Any) -> bytes:
    """JSON of anything that msgspec takes. Half characters come out escaped: no answer fails for the name of a file."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_halves(msgspec.to_builtins(data)))


def _without_halves(data: Any) -> Any:
    if isinstance(data, str):
        return escaped(data)
    if isinstance(data, dict):
        return {_without_halves(key): _without_halves(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_halves(value) for value in data]
    return data
