"""A run as ComfyUI lists it: in the queue, in the history, and what its nodes have made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from safelight.host.queue.prompts import Posted
from safelight.sdk.problem import Problem, errors
from safelight.sdk.values import File

_GIFS = ("VHS_VideoCombine",)
"""Classes that list what they made as `gifs`."""


class Listed(NamedTuple):
    """A finished file as ComfyUI names it, and what it is."""

    media_type: str
    frames: int
    file: dict[str, str]


def item(posted: Posted) -> list[Any]:
    """The five values of a queue's entry."""
    prompt = posted.prompt
    extra = {**prompt.extra_data, "create_time": round(posted.run.created * 1000)}
    if prompt.client is not None:
        extra["client_id"] = prompt.client
    return [posted.number, posted.id, prompt.prompt, extra, list(prompt.outputs)]


def entry(posted: Posted) -> dict[str, Any]:
    """An entry of the history."""
    made = outputs(posted)
    return {
        "prompt": item(posted),
        "outputs": made,
        "status": {
            "status_str": "success" if posted.run.status == "done" else "error",
            "completed": posted.run.status == "done",
            "messages": messages(posted),
        },
        "meta": {name: meta(name) for name in made},
    }


def meta(node: str) -> dict[str, Any]:
    return {"node_id": node, "display_node": node, "parent_node": None, "real_node_id": node}


def outputs(posted: Posted) -> dict[str, dict[str, Any]]:
    """What each output node has made: files of the output folder, and what was shown without saving it."""
    found: dict[str, list[Listed]] = {}
    for file in posted.run.files:
        owner = posted.prompt.nodes.get(file.node or "")
        if owner is not None:
            found.setdefault(owner, []).append(Listed(file.media_type, file.frames, saved(file.name)))
    for name, state in posted.nodes.items():
        owner = posted.prompt.nodes.get(name)
        if owner is not None and state.files:
            found.setdefault(owner, []).extend(map(of_file, state.files))
    kinds = classes(posted)
    return {owner: listed(files, kinds.get(owner, "")) for owner, files in found.items()}


def listed(files: Iterable[Listed], type: str = "") -> dict[str, Any]:
    """Files by the word that ComfyUI has for their medium. `type` is the class of the node."""
    made: dict[str, Any] = {}
    for one in files:
        medium = one.media_type.partition("/")[0]
        word = {"audio": "audio", "model": "3d", "text": "text_files"}.get(medium, "images")
        if type in _GIFS:
            word = "gifs"
        elif medium == "video" or (medium == "image" and one.frames > 1):
            made["animated"] = [True]
        made.setdefault(word, []).append(one.file)
    return made


def saved(name: str) -> dict[str, str]:
    """A file of the output folder."""
    path = PurePosixPath(name)
    folder = path.parent.as_posix()
    return {"filename": path.name, "subfolder": "" if folder == "." else folder, "type": "output"}


def shown(file: File) -> dict[str, str]:
    """A file that was not saved, by the digest of its bytes."""
    return {"filename": f"{file.digest}{PurePosixPath(file.name).suffix}", "subfolder": "", "type": "temp"}


def of_file(file: File) -> Listed:
    return Listed(file.media_type, file.frames, saved(file.name) if file.keep else shown(file))


def messages(posted: Posted) -> list[list[Any]]:
    """What was told of an ended run, in its order."""
    run = posted.run
    states = posted.nodes.items()
    cached = [owner for name, state in states if state.status == "cached" and (owner := posted.prompt.nodes.get(name))]
    told: list[list[Any]] = [
        ["execution_start", {"prompt_id": posted.id, "timestamp": stamp(run.started)}],
        [
            "execution_cached",
            {"nodes": list(dict.fromkeys(cached)), "prompt_id": posted.id, "timestamp": stamp(run.started)},
        ],
    ]
    return [*told, list(end(posted))]


def end(posted: Posted) -> tuple[str, dict[str, Any]]:
    """How an ended run is told: the type of the message, and its data."""
    run = posted.run
    about: dict[str, Any] = {"prompt_id": posted.id, "timestamp": stamp(run.finished)}
    if run.status == "done":
        return "execution_success", about
    problem = next(iter(errors(run.problems)), None)
    node = posted.prompt.nodes.get(problem.node or "", "") if problem is not None else ""
    about |= {
        "node_id": node,
        "node_type": classes(posted).get(node, ""),
        "executed": sorted(
            {
                owner
                for name, state in posted.nodes.items()
                if state.status in ("ran", "cached") and (owner := posted.prompt.nodes.get(name))
            }
        ),
    }
    if run.status == "cancelled":
        return "execution_interrupted", about
    return "execution_error", about | _failure(problem)


def _failure(problem: Problem | None) -> dict[str, Any]:
    return {
        "exception_message": str(problem) if problem is not None else "",
        "exception_type": problem.code if problem is not None else "",
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
    }


def classes(posted: Posted) -> dict[str, str]:
    """The class of each node."""
    nodes = msgspec.json.decode(posted.prompt.prompt, type=dict[str, dict[str, Any]])
    return {name: str(node.get("class_type", "")) for name, node in nodes.items()}


def stamp(seconds: float | None) -> int:
    """Milliseconds since 1970, as ComfyUI counts."""
    return round((seconds or 0.0) * 1000)
