"""Queue and history: the runs on disk, the batches they belong to, and what is going on right now."""

from . import batches, history, prompts, runs, votes
from .live import Active, Live
from .rows import number_of, without_details
from .runs import End

__all__ = ["Active", "End", "Live", "batches", "history", "number_of", "prompts", "runs", "votes", "without_details"]
