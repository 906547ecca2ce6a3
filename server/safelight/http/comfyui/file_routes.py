"""Files: seen by name, uploaded."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader, web

from safelight.host.files import Bytes, Found
from safelight.host.uploads import accept, clean_name, most_bytes
from safelight.protocol.records import FileChanged
from safelight.sdk.codec import hash_bytes
from safelight.sdk.problem import Problem, ProblemError

from ..problems import Refused
from ..ranges import send
from ..state import State
from .answers import answer
from .forms import Form, read_form

if TYPE_CHECKING:
    from PIL.Image import Image

_FOLDERS = ("input", "output", "temp")
_NAMES = "Give the name as /history has it: filename, subfolder and type."
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Of Pillow, that PNG and WebP have."""
_PATIENCE = (0.0, 0.1, 0.3, 0.6)
"""Seconds before each look for a file that is not there yet."""


async def view(state: State, request: web.Request) -> web.StreamResponse:
    """A file of a folder; what was shown without being saved is in `temp`, by its digest."""
    name, folder = annotated(request.query.get("filename", ""), request.query.get("type", "output"))
    source = await found_source(state, name, request.query.get("subfolder", ""), folder)
    if "preview" in request.query or request.query.get("channel", "rgba") != "rgba":
        preview, channel = request.query.get("preview"), request.query.get("channel", "rgba")
        source = await asyncio.to_thread(_changed, source, preview, channel)
    return await send(request, source, immutable=folder == "temp", name=name)


def annotated(name: str, folder: str) -> tuple[str, str]:
    """A name that says its folder in brackets, taken apart."""
    for known in _FOLDERS:
        if name.endswith(f" [{known}]"):
            return name.removesuffix(f" [{known}]"), known
    if folder not in _FOLDERS:
        raise Refused(
            400, "folder_missing", f"There is no folder {folder[:50]!r}.", "There are input, output and temp."
        )
    return name, folder


async def found_source(state: State, name: str, below: str, folder: str) -> Bytes:
    """The bytes of a file. Raises Refused for what is not there, or lies outside of the folder."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts:
        raise Refused(400, "bad_path", f"{name[:200]!r} is not the name of a file.", _NAMES)
    if below.startswith("/") or ".." in below.replace("\\", "/").split("/"):
        raise Refused(403, "bad_path", f"{below[:200]!r} leads out of the {folder} folder.", _NAMES)
    if folder == "temp":
        digest = PurePosixPath(name).stem
        # A worker writes behind: what an event has just announced may be a moment away.
        for pause in _PATIENCE if state.host.dispatcher.announced(digest) else _PATIENCE[:1]:
            await asyncio.sleep(pause)
            found = await asyncio.to_thread(state.folders.bytes_of, digest, ()) if _is_digest(digest) else None
            if found is not None:
                return found
        hint = "It was evicted from the cache; SaveImage keeps images."
        raise Refused(404, "blob_missing", f"There is no file {name[:200]!r} in the temp folder.", hint)
    path = f"{below.strip('/')}/{name}" if below.strip("/") else name
    try:
        one = await asyncio.to_thread(state.folders.find, folder, path)
    except ProblemError as error:
        problem = error.problems[0]
        hint = problem.hint or (f"Look for it in another folder: {', '.join(_FOLDERS)}." if folder else "")
        raise Refused(404 if problem.code == "file_missing" else 400, problem.code, problem.message, hint) from None
    return await asyncio.to_thread(state.folders.bytes_in, one)


def _is_digest(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{40}", text) is not None


def _changed(source: Bytes, preview: str | None, channel: str) -> Bytes:
    """An image in another format, or some of its channels."""

    def work(image: Image) -> bytes:
        made = image
        if channel == "rgb":
            made = image.convert("RGB")
        elif channel == "a":
            alpha = image.convert("RGBA").getchannel("A")
            made = image.convert("RGBA")
            made.paste((0, 0, 0), (0, 0, *made.size))
            made.putalpha(alpha)
        elif channel != "rgba":
            raise Refused(400, "bad_request", f"There is no channel {channel[:20]!r}.", "There are rgba, rgb and a.")
        buffer = io.BytesIO()
        kept = kind != "jpeg" and made.mode in _MODES
        made.convert(made.mode if kept else "RGB").save(buffer, kind.upper(), quality=quality)
        return buffer.getvalue()

    kind, _, given = (preview or "png").partition(";")
    kind = kind if kind in ("webp", "jpeg", "png") else "webp"
    quality = min(100, int(given)) if given.isascii() and given.isdigit() and len(given) < 9 else 90
    data = _drawn(source, work)
    return Bytes(f"image/{kind}", len(data), hash_bytes(data), data=data, inline=True)


def _drawn(source: Bytes, work: Callable[[Image], bytes]) -> bytes:
    from PIL import Image, UnidentifiedImageError

    try:
        with source.open() as file, Image.open(file) as image:
            return work(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        message = "The file is no image that can be read."
        raise Refused(400, "image_unreadable", message, "Send or name a PNG, JPEG or WebP image.") from None


async def upload_image(state: State, request: web.Request) -> web.Response:
    form = await _form(state, request)
    replace = form.text("overwrite").lower() in ("true", "1")
    return await _kept(state, _name(form), form.data, replace=replace)


async def upload_mask(state: State, request: web.Request) -> web.Response:
    """The original image with the transparency of what is uploaded, as a new file."""
    form = await _form(state, request)
    original = form.reference("original_ref")
    name, folder = annotated(original.filename, original.type)
    source = await found_source(state, name, original.subfolder, folder)
    data = await asyncio.to_thread(_masked, source, form.data)
    return await _kept(state, str(PurePosixPath(_name(form)).with_suffix(".png")), data, replace=False)


def _masked(source: Bytes, mask: bytes) -> bytes:
    def work(image: Image) -> bytes:
        made = image.convert("RGBA")
        alpha = _opened(mask).getchannel("A")
        if alpha.size != made.size:
            message = f"The mask has {alpha.width}x{alpha.height} pixels, the image {made.width}x{made.height}."
            raise ProblemError(Problem(code="wrong_size", message=message, hint="Send a mask of the image's size."))
        made.putalpha(alpha)
        buffer = io.BytesIO()
        made.save(buffer, "PNG")
        return buffer.getvalue()

    return _drawn(source, work)


def _opened(data: bytes) -> Image:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGBA")


async def _form(state: State, request: web.Request) -> Form:
    wait = state.uploads.take(state.guard.front.seen(request).remote)
    if wait:
        headers = {"Retry-After": str(int(wait) + 1)}
        raise Refused(429, "too_many_uploads", "Too many uploads in a short time.", "Wait a while.", headers=headers)

    def most(part: BodyPartReader) -> int:
        return most_bytes(part.filename or "", state.folders.media)

    return await read_form(request, "image", most)


def _name(form: Form) -> str:
    below = form.text("subfolder").strip("/")
    return clean_name(f"{below}/{form.filename}" if below else form.filename)


async def _kept(state: State, name: str, data: bytes, *, replace: bool) -> web.Response:
    path = PurePosixPath((await keep(state, name, data, replace=replace)).name)
    below = path.parent.as_posix()
    return answer({"name": path.name, "subfolder": "" if below == "." else below, "type": "input"})


async def keep(state: State, name: str, data: bytes, *, replace: bool = False) -> Found:
    """Puts a file into the input folder."""

    def work() -> tuple[Found, bool]:
        return state.folders.store(accept(name, data, state.folders.media), replace=replace)

    found, new = await asyncio.to_thread(work)
    if new:
        state.host.publish(FileChanged(folder="input", name=found.name))
    return found
