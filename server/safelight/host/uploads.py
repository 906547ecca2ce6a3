"""Files from outside: looked at before they are believed, and nothing but the medium itself is kept.

What is taken, up to which size, and what is kept of it, says each medium (`safelight.media`).
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from safelight.media.registry import MediaRegistry
from safelight.sdk.media import Format, Measures
from safelight.sdk.problem import Problem, ProblemError

MAX_BYTES = 64 << 20
"""Of a file whose ending says nothing, and of a workflow."""
_TEXT = "text"
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


class Upload:
    """An upload that was accepted: its bytes as they are to be kept, its name, and the workflow that was in it."""

    def __init__(self, name: str, data: bytes, workflow: str | None, measures: Measures) -> None:
        self.name = name
        self.data = data
        self.workflow = workflow
        self.measures = measures


def most_bytes(name: str, media: MediaRegistry) -> int:
    """How many bytes are read of an upload of this name, before anything is known of its content."""
    form = media.format_of(name)
    medium = media.of_type(form.media_type) if form is not None else None
    return medium.limits.bytes if medium is not None else MAX_BYTES


def accept(name: str, data: bytes, media: MediaRegistry) -> Upload:
    """Looks at an upload.

    Raises:
        ProblemError: `bad_path`, `upload_empty`, `upload_type`, and what its medium finds wrong with it.
    """
    name = clean_name(name)
    if not data:
        raise _problem("upload_empty", f"The file {name!r} is empty.", "Choose another file.", name)
    form = _format(name, data, media)
    try:
        kept = media.accept(data, form, name)
    except ProblemError as error:
        raise _unknown(name, media) if error.problems[0].code == "upload_type" and not form.head else error from None
    try:
        workflow = media.extract(data)
    except ProblemError:
        workflow = None  # the file may be good even if the workflow in it is not
    if PurePosixPath(name).suffix.lower() not in kept.format.suffixes:
        name = str(PurePosixPath(name).with_suffix(kept.format.suffixes[0]))
    return Upload(name, kept.data, workflow, kept.measures)


def _format(name: str, data: bytes, media: MediaRegistry) -> Format:
    """What an upload is: by its ending where that stands for a format without a mark, else by its first bytes."""
    named = media.format_of(name)
    found = media.sniff(data)
    if named is not None and named.head is None:
        medium = media.of_type(named.media_type)
        # A text that begins like an image, with P1 or BM, is still a text.
        if found is None or (medium is not None and medium.name == _TEXT and _is_text(data)):
            return named
    if found is None:
        raise _unknown(name, media)
    return found


def clean_name(name: str) -> str:
    """The name of a file in the input folder: one level of folders at most, nothing that any system trips over."""
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    bad = (
        not name
        or len(name.encode("utf-8", "replace")) > 200
        or len(parts) > 4
        or any(
            not part
            or part.startswith(".")
            or part.strip(" .") != part
            or _RESERVED.match(part)
            or re.search(r'[\\<>:"|?*\x00-\x1f\x7f]', part)
            or any(unicodedata.category(mark) in ("Cc", "Cf", "Cs") for mark in part)
            for part in parts
        )
    )
    if bad:
        hint = "Use a plain name such as apple.png, or folder/apple.png."
        raise _problem("bad_path", f"{name[:200]!r} cannot be the name of a file here.", hint, name[:200])
    return name


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8-sig")
    except ValueError:
        return False


def _unknown(name: str, media: MediaRegistry) -> ProblemError:
    kinds = [f"{medium.name} ({', '.join(form.name for form in medium.formats)})" for medium in media.media]
    hint = f"These are taken: {', '.join(kinds)}."
    return _problem("upload_type", f"{name!r} is of no kind that is known here.", hint, name)


def _problem(code: str, message: str, hint: str, value: object) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, hint=hint, value=value))
