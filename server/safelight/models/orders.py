"""What is to be fetched, and what of it has arrived: kept in `.downloads` of the model folder, a folder for each."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from safelight.sdk.codec import hash_text

PARTS = ".downloads"
NOTE = "note.json"
Progress = Callable[[int, int], None]
"""Told the bytes that are there, and those in all (0: unknown)."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch, and where to: `folder` below the models folder, and the file's `name` (by default the address').

    `sha256` and `size` (0: unknown) are what the file must be.
    """

    url: str
    folder: str = ""
    name: str = ""
    sha256: str = ""
    size: int = 0

    @property
    def id(self) -> str:
        """The same for the same file, so that asking again goes on with it."""
        return "d" + hash_text(f"{self.url}\n{self.folder}\n{self.name}")[:12]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The note beside what has arrived. `tag` is what tells that the server still has the same file."""

    order: Order
    name: str = ""
    tag: str = ""
    total: int = 0


def arrived(top: Path) -> list[tuple[Part, int]]:
    """The downloads that were begun and not ended, with the bytes that are there."""
    found: list[tuple[Part, int]] = []
    for note in sorted((top / PARTS).glob(f"*/{NOTE}")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            part = msgspec.json.decode(note.read_bytes(), type=Part)
            found.append((part, note.with_name(part.name).stat().st_size if part.name else 0))
    return found


def forget(top: Path, order: Order) -> None:
    """Removes what has arrived of a file."""
    shutil.rmtree(part_folder(top, order), ignore_errors=True)


def part_folder(top: Path, order: Order) -> Path:
    return top / PARTS / order.id
