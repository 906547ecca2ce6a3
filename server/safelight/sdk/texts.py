"""What packs say in other languages.

A pack has a folder `locale` with a file for each language, such as `locale/zh.json`: one JSON object from the English
text, as the catalogue has it, to the text in that language. The English text is the key, so a text that changes in the
code falls back to English until it is translated again, instead of saying something that is no longer true; and what
several nodes have in common is translated once. Names of ports and families are translated as their labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

from .node import NodeSpec
from .pack import PackState
from .problem import Problem, ProblemError
from .widgets import Number, Slider, Text


def label(name: str) -> str:
    """The label of a port or family: `guidance_rescale` is "Guidance rescale"."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def texts_of(spec: NodeSpec) -> Iterator[str]:
    """All texts of a node that the editor shows, some of them several times."""
    yield label(spec.category)
    yield spec.title
    yield spec.help
    yield spec.deprecated
    for port in (*spec.inputs, *spec.outputs):
        yield label(port.name)
        yield port.help
        yield from port.choices
    for port in spec.inputs:
        yield port.widget.group if port.widget else ""
        if isinstance(port.widget, Text):
            yield port.widget.placeholder
        elif isinstance(port.widget, Number | Slider):
            yield port.widget.zero


def read_texts(folder: Traversable, language: str) -> dict[str, str]:
    """The texts of one folder `locale`; none where it has no such language.

    Raises:
        ProblemError: `texts_unreadable`: the file is not an object of texts.
    """
    file = folder / f"{language}.json"
    if not language.replace("-", "").isalnum() or not file.is_file():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{file.name} is not an object from English texts to translated ones: {error}."
        raise ProblemError(Problem(code="texts_unreadable", message=message, hint="Mend or remove the file.")) from None


def locale_folder(package: str) -> Traversable | None:
    """Where the translations of a pack lie, if anywhere; None for a pack that is a single file."""
    return files(package) / "locale" if hasattr(import_module(package), "__path__") else None


def pack_texts(packs: Iterable[PackState], language: str) -> dict[str, str]:
    """The texts of all packs. Where two translate the same text, the built-in pack's word stands.

    A pack whose file is damaged stays untranslated: that is no reason to show nothing at all.
    """
    found: dict[str, str] = {}
    for pack in packs:
        if not pack.modules:
            continue
        folder = locale_folder(pack.modules[0])
        if folder is None:
            continue
        try:
            found = read_texts(folder, language) | found
        except ProblemError:
            continue
    return found
