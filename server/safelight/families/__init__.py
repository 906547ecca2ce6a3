"""Model families: one object in one folder each, and the only place that knows one by name.

Public: a pack may bring a family; see `base.Family` for what it is made of.
"""

from __future__ import annotations

from .base import (
    Family,
    FileKind,
    Files,
    Folder,
    Held,
    LatentSpace,
    Loaded,
    Lora,
    Parts,
    Rows,
    unsupported,
)
from .files import Header, TensorEntry
from .registry import Families, family_names, load_families

__all__ = [
    "Families",
    "Family",
    "FileKind",
    "Files",
    "Folder",
    "Header",
    "Held",
    "LatentSpace",
    "Loaded",
    "Lora",
    "Parts",
    "Rows",
    "TensorEntry",
    "family_names",
    "load_families",
    "unsupported",
]
