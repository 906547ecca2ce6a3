"""Models: what there is on disk, and what is in memory. Importing it loads nothing heavy."""

from .hardware import Numerics, numerics
from .library import ModelEntry, model_folders
from .memory import Memory
from .shelf import LoadedModel
from .store import ModelStore

__all__ = ["LoadedModel", "Memory", "ModelEntry", "ModelStore", "Numerics", "model_folders", "numerics"]
