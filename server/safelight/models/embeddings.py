"""Embeddings (textual inversion) by the names that prompts call them: files in the folder `embeddings`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from safelight.sdk.problem import Problem, ProblemError, did_you_mean

from .headers import SAFETENSORS, is_pickle, is_safetensors
from .pickles import PICKLES

EMBEDDING = "embedding"
FOLDER = "embeddings"


def embedding_place(
    name: str, local: Callable[[str], tuple[Path, str] | None], allow_pickle: bool = False
) -> str | None:
    """The path below the model folders of the file that a prompt means; None when there is none.

    `local` finds a path below the model folders. The ending may be given or left out.

    Raises:
        ProblemError: `unsafe_weights`, when there is only a pickle.
    """
    bare = name[: -len(SAFETENSORS)] if name.lower().endswith(SAFETENSORS) else name
    stem = f"{FOLDER}/{bare}"
    for ending in (SAFETENSORS, SAFETENSORS.upper(), "", *PICKLES):
        found = local(stem + ending)
        if found is None or not found[0].is_file():
            continue
        if is_pickle(found[0]) and not allow_pickle:
            raise _pickle(name, found[0])
        if is_safetensors(found[0]) or is_pickle(found[0]):
            return found[1]
    return None


def embedding_missing(name: str, folders: tuple[Path, ...]) -> ProblemError:
    """The problem of a name that leads to no file."""
    places = [folder / FOLDER for folder in folders]
    known = [
        path.relative_to(place).with_suffix("").as_posix()
        for place in places
        for path in place.rglob("*")
        if is_safetensors(path)
    ]
    message = f"There is no embedding {name!r} on this machine. Searched: {', '.join(map(str, places))}."
    close = did_you_mean(name, known)
    hint = f"{close} Put {name}{SAFETENSORS} there, or take it out of the prompt.".strip()
    return ProblemError(Problem(code="model_missing", message=message, hint=hint, value=name))


def _pickle(name: str, path: Path) -> ProblemError:
    message = f"The embedding {name!r} is a pickle ({path.name}), which can run code when it is opened."
    command = shlex.join(["safelight", "models", "convert", str(path)])
    hint = f"Use its safetensors version, or convert it if you trust where it comes from: `{command}`."
    return ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))
