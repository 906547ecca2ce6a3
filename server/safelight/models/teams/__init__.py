"""Work that several processes of this machine do together, a device each: see `spread`."""

from .lead import spread
from .orders import Place

__all__ = ["Place", "spread"]
