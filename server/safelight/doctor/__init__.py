"""`safelight doctor`: looks at an installation, and tells what is wrong with it in words that may be shown to others."""

from .examination import examine
from .report import Report

__all__ = ["Report", "examine"]
