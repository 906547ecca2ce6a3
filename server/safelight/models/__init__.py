"""Models: what there is on disk, and what is in memory. Importing it loads nothing heavy."""

from .entries import ModelEntry
from .hardware import Numerics, numerics
from .held import LoadedModel
from .memory import Memory
from .store import ModelStore

__all__ = ["LoadedModel", "Memory", "ModelEntry", "ModelStore", "Numerics", "numerics"]
