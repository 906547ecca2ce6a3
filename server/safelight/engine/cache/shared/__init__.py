"""The third tier: a bucket that a team shares, behind the memory and the disk of each machine."""

from .bucket import Away
from .collect import Collected, collect
from .models import send_model
from .options import SharedOptions, check_options, make_key, read_options
from .tier import Shared

__all__ = [
    "Away",
    "Collected",
    "Shared",
    "SharedOptions",
    "check_options",
    "collect",
    "make_key",
    "read_options",
    "send_model",
]
