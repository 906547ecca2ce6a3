"""The interface of a medium: all that Safelight has to know of one kind of media, in one object.

The server, the command line, nodes and the editor ask the registry (`registry.py`) and know no medium by name. A pack
brings one of its own by an entry point in the group `safelight.media`, which names an instance.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from safelight.sdk.media import Format, Limits, Measures, MediaFile, MediumInfo, View
from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Source = Path | bytes


class Accepted(NamedTuple):
    """An upload that was looked at: the bytes that are kept of it, their format, and how large it is."""

    data: bytes
    format: Format
    measures: Measures


class Medium:
    """One kind of media. Methods that a medium does not have stay as they are here.

    Nothing here may import torch but `encode`, `decode` and `preview`, which workers call: the server calls the rest.
    Files come from strangers: lengths are checked before memory is asked for.
    """

    name: ClassVar[str]
    values: ClassVar[tuple[type[Any], ...]] = ()
    """Classes marked @value that this medium shows."""
    formats: ClassVar[tuple[Format, ...]] = ()
    """What is read, and what of it is written: `written` names those, the default first."""
    written: ClassVar[tuple[str, ...]] = ()
    carries: ClassVar[frozenset[str]] = frozenset()
    """Media types that can carry a workflow."""
    view: ClassVar[View] = "file"
    thumbnails: ClassVar[bool] = False
    package: ClassVar[str] = ""
    """The module that its usual files take; it comes with the extra that has the medium's name."""
    limits: ClassVar[Limits] = Limits()

    def info(self) -> MediumInfo:
        return MediumInfo(
            name=self.name,
            view=self.view,
            values=tuple(vars(cls)["__value_name__"] for cls in self.values),
            types=tuple(dict.fromkeys(one.media_type for one in self.formats)),
            suffixes=tuple(suffix for one in self.formats for suffix in one.suffixes),
            carries=tuple(sorted(self.carries)),
            thumbnails=self.thumbnails,
            limits=self.limits,
        )

    def encode(self, value: Any, format: Format, **options: Any) -> list[MediaFile]:
        """The files that show a value. `format` is one of those that are `written`."""
        raise NotImplementedError

    def decode(self, source: Source, shown: str) -> Any:
        """The value in a file. Raises ProblemError; `shown` is how messages call the file."""
        raise unreadable(shown, f"a file of this kind ({self.name}) cannot be read")

    def measure(self, source: Source) -> Measures:
        """How large a file is, by its header where there is one; zeros for what cannot be read."""
        del source
        return Measures()

    def thumbnail(self, source: Source, side: int) -> PILImage:
        """A Pillow image of about `side` pixels on a side; it is fitted by the caller.

        Raises:
            ProblemError: there is none.
        """
        raise no_thumbnail(f"files of this kind ({self.name}) have none")

    def preview(self, value: Any) -> PILImage | None:
        """A Pillow image of a value while it is made; None where there is nothing to see."""
        del value
        return None

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        """The same file with these bytes in it, in the place of such that were there. Raises ProblemError."""
        raise NotImplementedError

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        """What `embed` has put into a file; None when there is nothing. Raises ProblemError for what is damaged."""
        del data, media_type
        return None

    def mark(self, data: bytes, media_type: str) -> bytes:
        """The same file, saying for machines to read that a model made it. Raises ProblemError.

        Media whose formats have no place for that leave them as they are.
        """
        del media_type
        return data

    def finish(self, path: Path, media_type: str, packed: bytes | None, *, marked: bool) -> None:
        """Does what `embed` (of `packed`, unless it is None) and `mark` do to a file where it lies."""
        data = path.read_bytes()
        if marked:
            data = self.mark(data, media_type)
        path.write_bytes(data if packed is None else self.embed(data, media_type, packed))

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        """The upload rule: proves that a file is what it says, and keeps nothing but the medium itself.

        Raises:
            ProblemError: it is damaged, too large or too long.
        """
        raise problem("upload_type", f"{shown!r} cannot be uploaded.", "Put it into the input folder.", shown)


def fitted(image: PILImage, side: int) -> bytes:
    """A WebP of at most `side` pixels on a side."""
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()


def read(source: Source) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def first_bytes(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:64]
    with source.open("rb") as file:
        return file.read(64)


def problem(code: str, message: str, hint: str = "", value: object = None, port: str | None = None) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, hint=hint, value=value, port=port))


def unreadable(shown: str, why: str) -> ProblemError:
    """A file that a node was to read, and that is not what it should be."""
    hint = "Open and save it with another program, or choose another file."
    return problem("file_unreadable", f"{shown} cannot be read: {why.rstrip('.')}.", hint, shown, "file")


def damaged(shown: str, why: str) -> ProblemError:
    """An upload whose pieces do not fit together."""
    message = f"{shown!r} cannot be decoded: {why[:200].rstrip('.')}."
    return problem("file_damaged", message, "Take another copy of the file.", shown)


def too_large(shown: str, what: str, most: str) -> ProblemError:
    """A file with more pixels, seconds or bytes than are taken."""
    return problem(
        "file_too_large", f"{shown!r} has {what}.", f"At most {most} are taken. Make it smaller first.", shown
    )


def no_thumbnail(why: str) -> ProblemError:
    return problem("no_thumbnail", f"There is no thumbnail of this file: {why.rstrip('.')}.")


def needs_package(what: str, package: str, extra: str) -> ProblemError:
    """Something that takes a library which is not there."""
    message = f"{what} needs the package {package}, which is not installed."
    return problem("needs_package", message, f"pip install {package} (or pip install 'safelight[{extra}]').", package)
