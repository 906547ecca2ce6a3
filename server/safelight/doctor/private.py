"""Takes out of a report what is nobody's business: where the home folder is, and what its owner is called."""

from __future__ import annotations

import getpass
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Private:
    """`shown` gives a text, or data of texts, without the home folder and the user's name."""

    def __init__(self, home: Path | None = None, user: str | None = None) -> None:
        own = home or Path.home()
        names = {user if user is not None else _user(), own.name}
        folders = sorted({str(own), str(own.resolve())}, key=len, reverse=True)
        self._homes = [folder for folder in folders if len(folder) > 1]
        # As a part of a path, or as a word that stands alone. Names that mean something else everywhere are left.
        self._names = [name for name in names if name and name not in _COMMON]

    def shown(self, data: Any) -> Any:
        if isinstance(data, str):
            return self._text(data)
        if isinstance(data, dict):
            # Names of things: a user may be called as one of them.
            return {self._homeless(str(key)): self.shown(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.shown(item) for item in data]
        return data

    def _homeless(self, text: str) -> str:
        for folder in self._homes:
            text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "~", text)
        return text

    def _text(self, text: str) -> str:
        text = self._homeless(text)
        text = re.sub(r"(?<=://)[^/\s]+@", "", text)  # a name and a password in an address
        for name in self._names:
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "USER", text)
        return text


_COMMON = frozenset({"root", "home", "user", "safelight", "data", "models"})


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""  # a container's process may have no name


def host_of(address: str) -> str:
    """The host of an address, for messages."""
    return urlsplit(address).hostname or address
