"""Texts: plain, Markdown, tables and JSON, in UTF-8."""

from __future__ import annotations

from typing import Any

from safelight.sdk.media import Format, Measures, MediaFile, file_format

from .base import Accepted, Limits, Medium, Source, problem, read, unreadable


class TextMedium(Medium):
    """Texts. No class of values belongs to it: texts and numbers travel as plain data."""

    name = "text"
    formats = (
        file_format("TXT", "text/plain", ".txt .md .log", inline=True),
        file_format("CSV", "text/csv", ".csv"),
        file_format("JSON", "application/json", ".json"),
    )
    written = ("txt", "csv", "json")
    view = "text"
    limits = Limits(bytes=64 << 20)

    def encode(self, value: Any, format: Format, **options: Any) -> list[MediaFile]:
        return [MediaFile(str(value).encode(), format, Measures())]

    def decode(self, source: Source, shown: str) -> str:
        try:
            return read(source).decode("utf-8-sig")
        except ValueError as error:
            raise unreadable(shown, "it is not UTF-8 text") from error

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        if not is_text(data):
            raise problem("upload_type", f"{shown!r} is not UTF-8 text.", "Save it as UTF-8.", shown)
        return Accepted(data, format, Measures())


def is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8-sig")
    except ValueError:
        return False
