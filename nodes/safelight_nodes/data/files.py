"""Texts and names of the input folder, and texts into the output folder."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Context, File, FilePick, Number, Text, node

from .._natural import natural_key
from .._refusal import refusal
from .._text_files import LARGEST, read_text_file
from .._wildcards import prompts_of

_File = Annotated[str, FilePick("text"), "A text of the input folder."]


@node(version=1, title="Load text", tags=("Load Text File", "read file", "txt", "caption file", "json file"))
def load_text(*, file: _File, ctx: Context) -> str:
    """Read a text: a caption, JSON, a table."""
    return read_text_file(ctx.files.path(file), file)


@node(
    version=1,
    title="Load prompts",
    tags=("prompt file", "Load Prompts From File", "lines", "Text Load Line From File", "batch prompts"),
)
def load_lines(
    *,
    file: _File,
    comments: Annotated[bool, "Lines that begin with # are left out."] = True,
    start: Annotated[int, Number(0), "The first line to take, counted from 0 without empty ones."] = 0,
    limit: Annotated[int, Number(0, zero="all"), "How many lines at most. 0: all."] = 0,
    ctx: Context,
) -> list[str]:
    """The lines of a text, such as prompts, without empty ones. The node behind it runs once for each."""
    text = read_text_file(ctx.files.path(file), file)
    lines = prompts_of(text) if comments else [line.strip() for line in text.splitlines() if line.strip()]
    return lines[start : start + limit] if limit else lines[start:]


class Listed(NamedTuple):
    files: Annotated[list[str], "Paths inside the input folder, for a node that loads them."]
    names: Annotated[list[str], "The same without folders and endings."]


@node(
    version=1,
    title="List folder",
    cache=False,
    tags=("Load Image Batch", "load images from directory", "LoadImagesFromDir", "glob", "batch folder", "file list"),
)
def list_folder(
    *,
    file: Annotated[str, FilePick("any", beside=True), "Any file of the folder: those beside it are listed."],
    pattern: Annotated[
        str, Text(max_length=200), "Which files, * for any letters: *.png, photo_*. Several with a comma between."
    ] = "*",
    deep: Annotated[bool, "Whether folders inside the folder are looked into, too."] = False,
    limit: Annotated[int, Number(0, 100_000, zero="all"), "How many at most. 0: all."] = 0,
    ctx: Context,
) -> Listed:
    """The files of a folder in order, so that image2 comes before image10. Hidden ones are left out."""
    from fnmatch import fnmatch
    from pathlib import PurePosixPath

    folder = ctx.files.path(file).parent
    inside = PurePosixPath(file.replace("\\", "/")).parent
    wanted = [part.strip().lower() for part in pattern.split(",") if part.strip()] or ["*"]
    found: list[str] = []
    waiting = [(folder, inside)]
    while waiting:
        here, name = waiting.pop()
        ctx.check_cancelled()
        for entry in here.iterdir():
            if entry.name.startswith("."):
                continue
            if entry.is_dir() and not entry.is_symlink():
                waiting += [(entry, name / entry.name)] if deep else []
            elif entry.is_file() and any(fnmatch(entry.name.lower(), part) for part in wanted):
                found.append(str(name / entry.name))
    found.sort(key=lambda path: (natural_key(path), path))
    found = found[:limit] if limit else found
    return Listed(found, [PurePosixPath(path).stem for path in found])


class NameParts(NamedTuple):
    stem: Annotated[str, "The name without folder and ending."]
    name: Annotated[str, "The name with its ending."]
    suffix: Annotated[str, "The ending with its point, in small letters."]
    folder: Annotated[str, "The folders before it; empty when there are none."]


@node(
    version=1,
    title="Parts of a file name",
    tags=("basename", "file extension", "stem", "dirname", "path split", "filename"),
)
def name_parts(file: Annotated[str, "The path of a file."]) -> NameParts:
    """Take the path of a file apart, to name a result after its source."""
    from pathlib import PurePosixPath

    path = PurePosixPath(file.replace("\\", "/"))
    folder = "" if str(path.parent) == "." else str(path.parent)
    return NameParts(path.stem, path.name, path.suffix.lower(), folder)


_MEDIA_TYPES = {"txt": "text/plain", "md": "text/plain", "csv": "text/csv", "json": "application/json"}


@node(
    version=1,
    output=True,
    title="Save text",
    tags=("Save Text File", "write file", "export", "caption file", "save csv", "save json"),
)
def save_text(
    text: Annotated[str, "The text."],
    *,
    name: Annotated[str, Text(file_name=True), "Of the file, below the output folder."] = "text_{counter}",
    format: Annotated[Literal["txt", "md", "csv", "json"], "The ending of the file."] = "txt",
    ctx: Context,
) -> list[File]:
    """Save a text in the output folder, as UTF-8."""
    from .._files import checked_name

    data = text.encode()
    if len(data) > LARGEST:
        message, hint = "The text has more than 64 MB.", "Split it."
        raise refusal(code="text_too_long", message=message, hint=hint, port="text")
    stem = checked_name(name, format, ()).removesuffix(f".{format}")
    return [ctx.save(data, name=f"{stem}.{format}", media_type=_MEDIA_TYPES[format], embed="nothing")]
