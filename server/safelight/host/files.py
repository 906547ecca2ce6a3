"""The input and output folders, and finished bytes by their digest. Everything here blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from safelight.app import Studio
from safelight.disk import find_below, is_below, unnamed, write_file
from safelight.media.registry import UNKNOWN, MediaRegistry
from safelight.places import shipped_workflows
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.unicode import named

from .uploads import Upload, clean_name

_LOOK = 2
"""Counts the ways in which thumbnails were made: a kept one of an earlier way is not shown."""
SIDES = (64, 128, 256, 512, 1024)
_MANY = 200_000
_KNOWN = 50_000
_THUMBNAIL_SOURCE = 256 << 20


@dataclass(frozen=True)
class Found:
    """A file below one of the folders."""

    name: str
    path: Path
    size: int
    modified: float
    media_type: str


@dataclass(frozen=True)
class Bytes:
    """Finished bytes: a file on disk, or what the cache holds. `inline`: browsers may show them by themselves."""

    media_type: str
    size: int
    digest: str
    path: Path | None = None
    data: bytes = b""
    inline: bool = False

    def open(self) -> IO[bytes]:
        """Raises OSError when the file is gone by now."""
        import io

        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")

    def read(self) -> bytes:
        """All of it. Raises OSError when the file is gone by now."""
        with self.open() as file:
            return file.read()


class Folders:
    """Files by folder and name, with no way out of the folders, and by digest."""

    def __init__(self, studio: Studio, inputs: Sequence[Path]) -> None:
        home = studio.home
        self._studio = studio
        self.media = studio.media
        self.uploads = home / "input"
        # All that workflows may read is readable here too, the images of the shipped ones included.
        self._roots = {"input": [*inputs, self.uploads, shipped_workflows() / "input"], "output": [home / "output"]}
        self._thumbnails = home / "thumbnails"
        self._by_digest: OrderedDict[str, tuple[Path, str]] = OrderedDict()

    def listed(self, folder: str, search: str, offset: int, limit: int) -> tuple[list[Found], int]:
        """A page of files, the newest first, and how many there are."""
        words = search.casefold().split()
        found: dict[str, Found] = {}
        for root in self._roots[folder]:
            for one in walk(root, self.media):
                if one.name not in found and all(word in one.name.casefold() for word in words):
                    found[one.name] = one
        ordered = sorted(found.values(), key=lambda one: (-one.modified, one.name))
        return ordered[offset : offset + limit], len(ordered)

    def find(self, folder: str, name: str) -> Found:
        """One file. Raises ProblemError `bad_path` or `file_missing`."""
        parts = name.split("/")
        if not name or "\0" in name or "\\" in name or name.startswith("/") or any(p in ("", ".", "..") for p in parts):
            raise _problem("bad_path", f"{name[:200]!r} is not a path inside the {folder} folder.", name)
        real = find_below(self._roots[folder], name, f"{folder} folder")
        with contextlib.suppress(OSError):
            state = real.stat()
            if not any(part.startswith(".") for part in parts):
                return Found(name, real, state.st_size, state.st_mtime, self.media.type_of(name))
        raise _problem("file_missing", f"There is no file {name[:200]!r} in the {folder} folder.", name)

    def digest(self, found: Found) -> str:
        """The digest of a file's content, remembered; empty when it cannot be read."""
        try:
            digest = self._studio.cache.fingerprint(found.path)
        except OSError:
            return ""
        self.remember(digest, found.path, found.media_type)
        return digest

    def remember(self, digest: str, path: Path, kind: str) -> None:
        self._by_digest[digest] = path, kind
        self._by_digest.move_to_end(digest)
        if len(self._by_digest) > _KNOWN:
            self._by_digest.popitem(last=False)

    def store(self, upload: Upload, *, replace: bool = False) -> tuple[Found, bool]:
        """Keeps an upload. A taken name gets a number; the same bytes under such a name are found again (False). With
        `replace` the file of that name gives way."""
        name = clean_name(upload.name)
        target = self.uploads / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not is_below(target.parent, self.uploads):
            raise _problem("bad_path", f"{name!r} leads out of the input folder.", name)
        try:
            if replace and not target.is_symlink():
                write_file(target, [upload.data])
                return self.find("input", target.relative_to(self.uploads).as_posix()), True
            with unnamed(target.parent, upload.data) as claim:
                for number in range(1, 100_000):
                    path = target if number == 1 else target.with_name(f"{target.stem}_{number}{target.suffix}")
                    if path.is_symlink():
                        continue
                    if path.exists():
                        if path.stat().st_size == len(upload.data) and path.read_bytes() == upload.data:
                            return self.find("input", path.relative_to(self.uploads).as_posix()), False
                    elif claim(path):
                        return self.find("input", path.relative_to(self.uploads).as_posix()), True
            raise _problem("name_taken", f"There are too many files named like {name!r}.", name)
        except OSError as error:
            message = f"The file {name!r} cannot be kept: {error.strerror or error}."
            raise ProblemError(Problem(code="cannot_write", message=message, hint="Make room on the disk.")) from None

    def remove(self, name: str) -> None:
        """Removes an upload. Other input folders belong to the user alone."""
        found = self.find("input", name)
        if not is_below(found.path, self.uploads):
            raise _problem("not_ours", f"{name!r} does not lie in the folder of uploads.", name)
        try:
            found.path.unlink()
        except OSError as error:
            raise _problem("cannot_write", f"{name!r} cannot be removed: {error.strerror or error}.", name) from None

    def bytes_of(self, digest: str, places: Sequence[Path]) -> Bytes | None:
        """Finished bytes by digest. `places` are files that had it once."""
        for path in places:
            with contextlib.suppress(OSError):
                if not path.is_symlink() and self._studio.cache.fingerprint(path) == digest:
                    return self._bytes(self.media.type_of(path.name), path.stat().st_size, digest, path)
        known = self._by_digest.get(digest)
        if known is not None:
            with contextlib.suppress(OSError):
                if self._studio.cache.fingerprint(known[0]) == digest:
                    return self._bytes(known[1], known[0].stat().st_size, digest, known[0])
        data = self._studio.cache.get_bytes(digest)
        if data is not None:
            form = self.media.sniff(data)
            return self._bytes(form.media_type if form is not None else UNKNOWN, len(data), digest, data=data)
        return None

    def _bytes(self, kind: str, size: int, digest: str, path: Path | None = None, data: bytes = b"") -> Bytes:
        return Bytes(kind, size, digest, path, data, self.media.inline(kind))

    def bytes_in(self, found: Found) -> Bytes:
        """The bytes of a file that was found."""
        return self._bytes(found.media_type, found.size, self.digest(found), found.path)

    def learn(self) -> None:
        """Digests all of the input folder that has thumbnails, so that they can be found by digest."""
        for root in self._roots["input"]:
            for one in walk(root, self.media):
                if self.media.has_thumbnail(one.media_type):
                    self.digest(one)

    def small(self, source: Bytes, side: int) -> bytes:
        """The thumbnail of a file, made once and kept. Raises ProblemError `no_thumbnail`, `image_too_large`."""
        path = self._thumbnails / source.digest[:2] / f"{source.digest}-{side}-{_LOOK}.webp"
        with contextlib.suppress(OSError):
            return path.read_bytes()
        if source.size > _THUMBNAIL_SOURCE:
            raise _problem("image_too_large", "The file is too large for a thumbnail.", source.size)
        made = self.media.thumbnail(source.path or source.data, source.media_type, side)
        with contextlib.suppress(OSError):
            write_file(path, [made])
        return made


def walk(root: Path, media: MediaRegistry) -> Iterator[Found]:
    """The files below a folder, hidden ones left out, links followed only where they stay inside."""
    real_root = root.resolve()
    todo, count = [(root, "")], 0
    while todo:
        folder, prefix = todo.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or not named(entry.name, str(folder)):
                continue
            try:
                if entry.is_symlink() and real_root not in Path(entry.path).resolve().parents:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    todo.append((Path(entry.path), f"{prefix}{entry.name}/"))
                elif entry.is_file():
                    state = entry.stat()
                    name = prefix + entry.name
                    yield Found(name, Path(entry.path), state.st_size, state.st_mtime, media.type_of(name))
                    count += 1
            except OSError:
                continue
            if count > _MANY:
                return


def _problem(code: str, message: str, value: object) -> ProblemError:
    return ProblemError(Problem(code=code, message=message, value=value))


__all__ = ["SIDES", "Bytes", "Folders", "Found"]
