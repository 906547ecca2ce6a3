"""Work that several processes of this machine do together, a device each: see `spread`."""

from .lead import spread

__all__ = ["spread"]
