"""All media that are installed, asked by media type, by ending, by content and by value."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk.media import Film, Format, Measures, MediaFile
from safelight.sdk.problem import ProblemError, one_of

from .base import Accepted, Medium, MediumInfo, Source, fitted, no_thumbnail, problem, unreadable
from .film import OpenFilms
from .packed import TEXT_LIMIT, broken, inflate, too_much_text

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from PIL.Image import Image as PILImage

    from safelight.sdk.values import Audio

log = logging.getLogger(__name__)

GROUP = "safelight.media"
UNKNOWN = "application/octet-stream"
SNIFFED = 4096
"""Bytes at the start of a file that tell its format."""


class MediaRegistry:
    """Implements `sdk.Media`, and answers what hosts ask. Of media that share something, the first one has it."""

    def __init__(self, media: Iterable[Medium]) -> None:
        self.media = tuple(media)
        self._by_type: dict[str, tuple[Medium, Format]] = {}
        self._by_suffix: dict[str, Format] = {}
        self._by_value: dict[str, Medium] = {}
        self._marked: list[Format] = []
        self._films = OpenFilms()
        for medium in self.media:
            for form in medium.formats:
                self._by_type.setdefault(form.media_type, (medium, form))
                self._marked += [form] if form.head else []
                for suffix in form.suffixes:
                    self._by_suffix.setdefault(suffix, form)
            for cls in medium.values:
                self._by_value.setdefault(vars(cls)["__value_name__"], medium)

    def described(self) -> list[MediumInfo]:
        return [medium.info() for medium in self.media]

    # Finding

    def named(self, name: str) -> Medium | None:
        return next((medium for medium in self.media if medium.name == name), None)

    def of_type(self, media_type: str) -> Medium | None:
        found = self._by_type.get(media_type)
        return found[0] if found else None

    def of_value(self, value: Any) -> Medium | None:
        """The medium that shows a value; None for what has no form outside the graph."""
        return self._by_value.get(getattr(type(value), "__value_name__", ""))

    def format_of(self, name: str) -> Format | None:
        return self._by_suffix.get(Path(name).suffix.lower())

    def type_of(self, name: str) -> str:
        """The media type of a file by the ending of its name."""
        found = self.format_of(name)
        return found.media_type if found else UNKNOWN

    def inline(self, media_type: str) -> bool:
        """Whether a browser may show such a file by itself."""
        found = self._by_type.get(media_type)
        return found is not None and found[1].inline

    def sniff(self, data: bytes) -> Format | None:
        """The format by the first bytes; None for what has no mark of its own, such as texts."""
        return next((form for form in self._marked if form.head and form.head.match(data)), None)

    def formats(self, value: Any) -> tuple[Format, ...]:
        medium = self.of_value(value)
        by_name = {one.name.lower(): one for one in medium.formats} if medium is not None else {}
        return tuple(by_name[name] for name in medium.written) if medium is not None else ()

    # Values and files

    def encode(self, value: Any, format: str = "", **options: Any) -> list[MediaFile]:
        medium = self.of_value(value)
        if medium is None:
            message = f"There is no medium for {type(value).__name__}: it cannot be written into a file."
            raise problem("no_medium", message, "Connect something that can be seen or heard.")
        form = next((one for one in self.formats(value) if format in ("", one.name.lower())), None)
        if form is None:
            hint = f"Choose {one_of(medium.written, 20)}."
            raise problem("format_unknown", f"{medium.name} files are not written as {format!r}.", hint, format)
        return medium.encode(value, form, **options)

    def decode(self, path: Path, medium: str, shown: str = "") -> Any:
        found = self.named(medium)
        if found is None:
            raise unreadable(shown or path.name, f"there is no medium {medium!r}")
        try:
            return found.decode(path, shown or path.name)
        except OSError as error:
            raise unreadable(shown or path.name, error.strerror or str(error)) from error

    def film(self, path: Path, shown: str = "") -> Film:
        try:
            return self._films.open(path, shown or path.name)
        except OSError as error:
            raise unreadable(shown or path.name, error.strerror or str(error)) from error

    def join(self, parts: Sequence[Callable[[], bytes]], path: Path, audio: Audio | None = None) -> Measures:
        from .film import put_together

        return put_together(parts, path, audio)

    def measure(self, source: Source, media_type: str) -> Measures:
        medium = self.of_type(media_type)
        try:
            return medium.measure(source) if medium is not None else Measures()
        except Exception:
            log.debug("a file of the kind %s cannot be measured", media_type, exc_info=True)
            return Measures()

    def has_thumbnail(self, media_type: str) -> bool:
        medium = self.of_type(media_type)
        return medium is not None and medium.thumbnails

    def thumbnail(self, source: Source, media_type: str, side: int) -> bytes:
        """A WebP of at most `side` pixels on a side, upright and in sRGB. Raises ProblemError `no_thumbnail`."""
        medium = self.of_type(media_type)
        if medium is None or not medium.thumbnails:
            raise no_thumbnail(f"it is of the kind {media_type}")
        try:
            return fitted(medium.thumbnail(source, side), side)
        except Exception as error:  # of files that are broken on purpose, and of media of packs
            why = error.problems[0].message if isinstance(error, ProblemError) else str(error) or type(error).__name__
            raise no_thumbnail(why) from error

    def preview(self, value: Any) -> PILImage | None:
        medium = self.of_value(value)
        return medium.preview(value) if medium is not None else None

    def accept(self, data: bytes, form: Format, shown: str) -> Accepted:
        """What is kept of an upload; see `Medium.accept`."""
        medium = self._by_type[form.media_type][0]
        limit = medium.limits.bytes
        if limit and len(data) > limit:
            message = f"{shown!r} has {len(data) >> 20} MiB."
            raise problem("file_too_large", message, f"At most {limit >> 20} MiB are taken.", shown)
        return medium.accept(data, form, shown)

    # Workflows inside files

    def can_embed(self, media_type: str) -> bool:
        medium = self.of_type(media_type)
        return medium is not None and media_type in medium.carries

    def embed(self, data: bytes, media_type: str, document: str) -> bytes:
        """The same file with the document in it, in the place of one that was there.

        Raises:
            ProblemError: `cannot_carry_workflow` for a format that cannot carry one, `image_damaged` for bytes that
                are not such a file, `embedded_text_too_large` for a document beyond 16 MiB.
        """
        medium = self.of_type(media_type)
        if medium is None or media_type not in medium.carries:
            formats = one_of(
                sorted({form.name for one in self.media for form in one.formats if form.media_type in one.carries}), 20
            )
            raise problem("cannot_carry_workflow", f"{media_type} cannot carry a workflow.", f"Save as {formats}.")
        found = self.sniff(data)
        if found is None or found.media_type != media_type:
            raise broken(f"the bytes are not {media_type}")
        return medium.embed(data, media_type, _packed(document))

    def finish(self, path: Path, media_type: str, document: str | None, *, marked: bool) -> None:
        """Does what `embed` (of a document, unless it is None) and `mark` do to a file where it lies.

        Raises:
            ProblemError: as `embed`.
        """
        medium = self.of_type(media_type)
        if medium is None:
            return
        packed = None
        if document is not None:
            with path.open("rb") as file:
                found = self.sniff(file.read(SNIFFED))
            if media_type not in medium.carries or found is None or found.media_type != media_type:
                raise broken(f"the bytes are not {media_type}")
            packed = _packed(document)
        medium.finish(path, media_type, packed, marked=marked)

    def mark(self, data: bytes, media_type: str) -> bytes:
        """The same file with the mark that a model made it, where its format has a place for one."""
        medium = self.of_type(media_type)
        return data if medium is None else medium.mark(data, media_type)

    def extract(self, data: bytes) -> str | None:
        """The document in a file; None when there is none, or when the file is of a kind that cannot carry one.

        Raises:
            ProblemError: `image_damaged` when there is one that cannot be read, `embedded_text_too_large` beyond
                16 MiB.
        """
        found = self.sniff(data)
        medium = self.of_type(found.media_type) if found is not None else None
        packed = medium.extract(data, found.media_type) if medium is not None and found is not None else None
        if packed is None:
            return None
        try:
            return inflate(packed, TEXT_LIMIT).decode("utf-8")
        except (ValueError, zlib.error):
            raise broken("the workflow in it cannot be read") from None


def _packed(document: str) -> bytes:
    # A lone surrogate has no UTF-8; written as \uXXXX it is the same text to a JSON parser.
    text = document.encode("utf-8", "backslashreplace")
    if len(text) > TEXT_LIMIT:
        raise too_much_text()
    return zlib.compress(text, 6)


def built_in() -> MediaRegistry:
    """The media that Safelight itself brings."""
    return MediaRegistry(_own())


def load_media(points: Iterable[EntryPoint] | None = None) -> MediaRegistry:
    """The built-in media, and those of installed packs; one that fails to import is told in the log and left out."""
    from importlib.metadata import entry_points

    found = list(_own())
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        try:
            medium = point.load()
            if not isinstance(medium, Medium):
                raise TypeError(f"{point.value} is no instance of safelight.media.Medium")
            medium.info()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a pack is foreign code: whatever it raises must not take the rest down
            log.warning("the medium %s of a pack cannot be used: %s", point.name, error)
        else:
            found.append(medium)
    return MediaRegistry(found)


def _own() -> tuple[Medium, ...]:
    from .audio import AudioMedium
    from .image import ImageMedium
    from .mesh import MeshMedium
    from .text import TextMedium
    from .video import VideoMedium

    return ImageMedium(), VideoMedium(), AudioMedium(), MeshMedium(), TextMedium()
