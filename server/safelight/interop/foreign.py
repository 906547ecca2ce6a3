"""Which program made an image, by what it has written into it, where that is not translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from safelight.media.embedding import texts
from safelight.media.registry import MediaRegistry
from safelight.sdk.problem import Problem, ProblemError

_WORKFLOW = "Build it again here; its models can be used as they are."
_SETTINGS = "Its prompt and settings can be typed into the shipped workflow text_to_image."

_ELSEWHERE = "In the gallery it can be opened from the run that made the file; or save in another format next time."


class Foreign(NamedTuple):
    """A program, what an image carries of it, and what to do about that."""

    program: str
    carries: str
    hint: str


def foreign(data: bytes) -> Foreign | None:
    """What another program has put into an image, the most telling first; None where nothing is known."""
    try:
        found = texts(data)
    except ProblemError:  # more text than is read
        return None
    return next((told for look in _LOOKS if (told := look(found))), None)


def carried(data: bytes, media: MediaRegistry, name: str = "") -> str:
    """The text of the workflow that a file carries. `name` is how messages call the file.

    Raises:
        ProblemError: `foreign_workflow` for what another program has put into it, `no_workflow_inside` where there is
            nothing, and what `extract` raises.
    """
    text = media.extract(data)
    if text is not None:
        return text
    form = media.sniff(data)
    medium = media.of_type(form.media_type) if form is not None else None
    kind = "The " + (medium.name if medium is not None else "file")
    image, value = (f"{kind} {name!r}", name) if name else (kind, None)
    told = foreign(data)
    if told:
        message = f"{image} was made by {told.program}: it carries {told.carries}, and no workflow of Safelight."
        raise ProblemError(Problem(code="foreign_workflow", message=message, hint=told.hint, value=value))
    hint = "Programs that send files often strip it; use the file that Safelight saved."
    if form is not None and not media.can_embed(form.media_type):
        hint = f"{form.name} files cannot carry one. {_ELSEWHERE}"
    raise ProblemError(
        Problem(code="no_workflow_inside", message=f"{image} carries no workflow.", hint=hint, value=value)
    )


def _invokeai(found: Mapping[str, str]) -> Foreign | None:
    if "invokeai_workflow" in found or "invokeai_graph" in found:
        return Foreign("InvokeAI", "an InvokeAI workflow", _WORKFLOW)
    if "invokeai_metadata" in found or "sd-metadata" in found or "Dream" in found:
        return Foreign("InvokeAI", "the settings that InvokeAI made it with", _SETTINGS)
    return None


_LOOKS: tuple[Callable[[Mapping[str, str]], Foreign | None], ...] = (_invokeai,)
