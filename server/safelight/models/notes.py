"""What people and programs have noted about a model: in its header, and in files beside it.

kohya's trainer writes how often each tag occurred (`ss_tag_frequency`), the modelspec of Stability AI a title, a
licence and a trigger phrase; downloaders of Civitai keep its answer as `NAME.civitai.info` or `NAME.metadata.json`,
A1111 the user's own words as `NAME.json`, and the hub a card, README.md.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

_MOST = 4 << 20
_WORDS = 20
_LONGEST = 500


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """`triggers` are words that a prompt should have, best first; `source` is where the model came from, an address."""

    title: str = ""
    triggers: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""


def noted(metadata: Mapping[str, str], files: Iterable[Path] = ()) -> Noted:
    """What is noted in a header and in the files beside it. Whatever cannot be understood says nothing."""
    titles, licences, sources = [metadata.get("modelspec.title")], [metadata.get("modelspec.license")], []
    words: list[Any] = [metadata.get("modelspec.trigger_phrase")]
    for path in files:
        text = _text(path)
        if path.suffix.lower() == ".md":
            licences.append(_of_card(text))
            continue
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):
            found = msgspec.json.decode(text.encode(), strict=False)
            for part in _parts(found):
                trained = part.get("trainedWords")
                words += trained if isinstance(trained, list) else []
                words += str(part.get("activation text") or "").split(",")
                titles += [part.get("model_name"), _inner(part, "model", "name")]
                licences += [part.get("license"), _inner(part, "model", "license")]
                if isinstance(part.get("modelId"), int):
                    sources.append(f"https://civitai.com/models/{part['modelId']}")
    words += _tags(metadata.get("ss_tag_frequency", "")) if not any(map(_clean, words)) else []
    titles.append(metadata.get("ss_output_name"))
    shown = dict.fromkeys(filter(None, map(_clean, words)))
    return Noted(
        title=next(filter(None, map(_clean, titles)), ""),
        triggers=tuple(shown)[:_WORDS],
        licence=next(filter(None, map(_clean, licences)), ""),
        source=next(iter(sources), ""),
    )


def _parts(found: Any) -> list[dict[str, Any]]:
    """The dictionaries of a note that may tell something: itself, and Civitai's answer within it."""
    return [part for part in (found, found.get("civitai")) if isinstance(part, dict)] if isinstance(found, dict) else []


def _inner(part: Mapping[str, Any], *keys: str) -> Any:
    value: Any = part
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _tags(text: str) -> list[str]:
    """Tags by how often they occurred, over all data sets of the training."""
    counts: Counter[str] = Counter()
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):
        found = msgspec.json.decode(text or "{}", type=dict[str, dict[str, int]])
        for tags in found.values():
            counts.update({tag.strip(): count for tag, count in tags.items()})
    return [tag for tag, _ in counts.most_common(_WORDS)]


def _of_card(text: str) -> str:
    """The licence that the head of a model card names."""
    head = re.match(r"---\s*\n(.*?)\n---", text, re.S)
    named = re.search(r"^license(?:_name)?:\s*[\"']?([\w.+-]+)", head[1], re.M) if head else None
    return named[1] if named else ""


def _text(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(_MOST).decode("utf-8-sig", errors="replace")
    return ""


def _clean(value: Any) -> str:
    return " ".join(value.split())[:_LONGEST].strip(" ,") if isinstance(value, str) else ""
