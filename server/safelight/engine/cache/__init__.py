"""The cache of the engine: an action cache over a content-addressed store, in memory and on disk."""

from .refs import MISSING, Action, CacheInfo, ValueRef
from .store import Cache

__all__ = ["MISSING", "Action", "Cache", "CacheInfo", "ValueRef"]
