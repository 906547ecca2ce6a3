"""The gallery: what runs have made, on record and as files, in the trash and out of it."""

from . import records
from .archive import Archive
from .records import Record, Wanted, record_of
from .shelf import Shelf

__all__ = ["Archive", "Record", "Shelf", "Wanted", "record_of", "records"]
