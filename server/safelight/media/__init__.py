"""Media: what is seen and heard, each kind in a module of its own. See `base.py` for the interface."""

from .base import Accepted, Limits, Medium, MediumInfo

__all__ = ["Accepted", "Limits", "Medium", "MediumInfo"]
