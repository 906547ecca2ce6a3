"""Which program made an image, by what it has written into it. Nothing of it is translated here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from safelight.media.embedding import texts
from safelight.media.registry import MediaRegistry
from safelight.sdk.problem import Problem, ProblemError

_WORKFLOW = "Build it again here; its models can be used as they are."
_SETTINGS = "Its prompt and settings can be typed into the shipped workflow text_to_image."


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
    raise ProblemError(
        Problem(code="no_workflow_inside", message=f"{image} carries no workflow.", hint=hint, value=value)
    )


def _comfyui(found: Mapping[str, str]) -> Foreign | None:
    graph = isinstance(_object(found.get("workflow")).get("nodes"), list)
    nodes = _object(found.get("prompt")).values()
    prompt = any(isinstance(node, dict) and "class_type" in node for node in nodes)
    if not graph and not prompt:
        return None
    both = "a ComfyUI workflow and the prompt that was run" if prompt else "a ComfyUI workflow"
    return Foreign("ComfyUI", both if graph else "a ComfyUI prompt (a workflow in its API format)", _WORKFLOW)


def _invokeai(found: Mapping[str, str]) -> Foreign | None:
    if "invokeai_workflow" in found or "invokeai_graph" in found:
        return Foreign("InvokeAI", "an InvokeAI workflow", _WORKFLOW)
    if "invokeai_metadata" in found or "sd-metadata" in found or "Dream" in found:
        return Foreign("InvokeAI", "the settings that InvokeAI made it with", _SETTINGS)
    return None


def _parameters(found: Mapping[str, str]) -> Foreign | None:
    text = found.get("parameters", "")
    if "sui_image_params" in text[:1_000]:
        return Foreign("SwarmUI", "its generation parameters", _SETTINGS)
    if "Steps: " in text and ("Sampler: " in text or "Seed: " in text):
        program = "AUTOMATIC1111's web UI, or a program that writes as it does"
        return Foreign(program, "generation parameters (prompt, steps, sampler, seed)", _SETTINGS)
    return None


def _novelai(found: Mapping[str, str]) -> Foreign | None:
    return Foreign("NovelAI", "its generation parameters", _SETTINGS) if found.get("Software") == "NovelAI" else None


_LOOKS: tuple[Callable[[Mapping[str, str]], Foreign | None], ...] = (_comfyui, _invokeai, _parameters, _novelai)


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        data = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
