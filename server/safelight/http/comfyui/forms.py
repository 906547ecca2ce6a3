"""Forms with a file in them (`multipart/form-data`), read piece by piece up to a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from safelight.sdk.problem import one_of

from ..problems import Refused
from ..routing import decode_json

_TEXT_BYTES = 64 << 10
_MOST_PARTS = 50
_REMEDY = "Send multipart/form-data as browsers do: a boundary, and a Content-Disposition for each part."


class Reference(msgspec.Struct, kw_only=True):
    """A file as ComfyUI names one."""

    filename: str
    subfolder: str = ""
    type: str = "output"


@dataclass(frozen=True)
class Form:
    """The file, its name, and the other fields."""

    filename: str
    data: bytes
    fields: dict[str, bytes]

    def text(self, name: str) -> str:
        return self.fields.get(name, b"").decode("utf-8", "replace")

    def reference(self, name: str) -> Reference:
        if name not in self.fields:
            raise Refused(400, "bad_request", f"The form has no {name}.", "Send {filename, subfolder, type} as JSON.")
        return decode_json(self.fields[name], Reference, f"The field {name}")


async def read_form(request: web.Request, file: str, most: Callable[[BodyPartReader], int]) -> Form:
    """The fields of a form, of which `file` is the file. Raises Refused for what is none, and for too much."""
    if not request.content_type.startswith("multipart/"):
        raise Refused(400, "bad_request", f"The body is {request.content_type!r}, not a form.", f"Send {file} in one.")
    found: tuple[str, bytes] | None = None
    fields: dict[str, bytes] = {}
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or len(fields) >= _MOST_PARTS:
                raise Refused(400, "bad_request", "The form has parts that are not understood.", _REMEDY)
            if part.name == file and part.filename:
                found = part.filename, await _read(part, most(part))
            else:
                fields[part.name or ""] = await _read(part, _TEXT_BYTES)
    except (ValueError, HttpProcessingError) as error:
        said = " ".join(str(error).split())[:200]
        raise Refused(400, "bad_request", f"The form is not understood: {said}.", _REMEDY) from None
    if found is None:
        named = f"Its fields are {one_of(list(fields))}." if fields else "It is empty."
        message = f"The form has no file {file!r}. {named}"
        raise Refused(400, "bad_request", message, f"Send the file as {file!r}, with a file name.")
    return Form(*found, fields)


async def _read(part: BodyPartReader, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await part.read_chunk():
        size += len(piece)
        if size > limit:
            raise Refused(
                413,
                "too_large",
                f"The part {part.name!r} is larger than the {limit >> 10} KiB that are taken.",
                "Make it smaller, or copy the file into the input folder.",
            )
        pieces.append(piece)
    return b"".join(pieces)
