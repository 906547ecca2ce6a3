"""Pipelines of diffusers that no family knows: loaded whole, by the class that their folder names.

Only classes of the installed diffusers and transformers are made, and only safetensors are read: nothing in a folder
runs as code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safelight.sdk.problem import Problem, ProblemError

from .layout import Layout, component_folders, read_json

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from .weights import Target

_LIBRARIES = ("diffusers", "transformers")
_PROCESSORS = ("image_processor", "video_processor")
"""What turns tensors into arrays by way of float32. Pipelines that have none (DDPM, DDIM, latent diffusion) hand their
tensors to NumPy, which has no bfloat16: they compute in float32."""


def load_pipeline(layout: Layout, target: Target) -> Any:
    """The pipeline of a folder, on the device.

    Raises:
        ProblemError: `pipeline_unknown` when the installed libraries have no such class; `model_incomplete`.
    """
    import diffusers as library
    import torch

    diffusers: Any = library
    name, root = layout.root.name, layout.root
    index = read_json(root / "model_index.json")
    made = index.get("_class_name")
    cls = getattr(diffusers, made, None) if isinstance(made, str) and re.fullmatch(r"[A-Za-z0-9_]+", made) else None
    if not (isinstance(cls, type) and issubclass(cls, diffusers.DiffusionPipeline)):
        raise _unknown(name, f"is a {made}, which the installed diffusers {diffusers.__version__} does not have")
    named = component_folders(index)
    odd = [
        key
        for key, entry in index.items()
        if isinstance(entry, list) and key not in named and entry and isinstance(entry[0], str)
    ]
    if odd:
        raise _unknown(name, f"has a part {odd[0]!r} whose entry in model_index.json cannot be read")
    for part, (origin, what) in named.items():
        if not _is_known(origin, what, cls):
            raise _unknown(name, f"has a {part} of the class {origin}.{what}, which is not part of diffusers")
    try:
        pipeline = _made(cls, root, target.dtype)
        if target.dtype is torch.bfloat16 and not any(hasattr(pipeline, name) for name in _PROCESSORS):
            pipeline = _made(cls, root, torch.float32)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        message = f"The pipeline {name!r} does not load: {error}"
        hint = "Get its files again; every part that model_index.json names must be there as safetensors."
        raise ProblemError(Problem(code="model_incomplete", message=message[:1000], hint=hint, value=name)) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(target.device)


def _made(cls: Any, root: Path, dtype: torch.dtype) -> Any:
    return cls.from_pretrained(
        str(root), local_files_only=True, use_safetensors=True, trust_remote_code=False, torch_dtype=dtype
    )


def modules_of(pipeline: Any) -> dict[str, Any]:
    """Its torch modules by the name of their part."""
    import torch

    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}


def _is_known(library: str, name: str, cls: type) -> bool:
    import importlib

    import diffusers.pipelines

    if library in _LIBRARIES:
        found = getattr(importlib.import_module(library), name, None)
        # The classes of transformers that choose another one by themselves would ask the folder for code.
        chooses = library == "transformers" and name.startswith("Auto")
        return isinstance(found, type) and hasattr(found, "from_pretrained") and not chooses
    # Some have classes of their own beside them, such as a safety checker.
    own = getattr(diffusers.pipelines, library, None)
    return own is not None and hasattr(own, name) and cls.__module__.startswith("diffusers.")


def _unknown(name: str, what: str) -> ProblemError:
    hint = "Update diffusers, if a newer one has it; code that lies in the folder is not run."
    return ProblemError(Problem(code="pipeline_unknown", message=f"{name!r} {what}.", hint=hint, value=name))
