"""Files and folders: what may be named below a folder, files that are there whole or not at all, locks."""

from .atomic import STALE_SECONDS, claim, draft, unnamed, write_file
from .lock import exclusive, try_lock
from .paths import find_below, is_below

__all__ = [
    "STALE_SECONDS",
    "claim",
    "draft",
    "exclusive",
    "find_below",
    "is_below",
    "try_lock",
    "unnamed",
    "write_file",
]
