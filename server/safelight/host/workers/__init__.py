"""Worker processes: what the server knows of them (`Pool`), those of this machine, and what is said to them."""

from .local_pool import LocalPool, PoolOptions
from .machine import graphics_cards, library_versions, resident_bytes
from .pool import PartEnd, Pool, PoolListener
from .wire import Begin, Ended, Logged, Made, Preview, Setup

__all__ = [
    "Begin",
    "Ended",
    "LocalPool",
    "Logged",
    "Made",
    "PartEnd",
    "Pool",
    "PoolListener",
    "PoolOptions",
    "Preview",
    "Setup",
    "graphics_cards",
    "library_versions",
    "resident_bytes",
]
