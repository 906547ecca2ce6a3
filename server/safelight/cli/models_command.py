"""`safelight models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from safelight.app import Studio
from safelight.environment import Environment
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .workflow import model_here, report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    if given.action == "convert" and given.name:
        return _convert(Path(given.name), given.json)
    with Studio.open(allow_download=given.action == "get") as studio:
        try:
            if given.action == "list":
                found = [msgspec.to_builtins(model) for model in studio.models.list_models()]
            elif given.name:
                if given.action == "get" and Environment.read().offline:
                    message = f"{given.name!r} is not fetched: this machine is told to stay offline."
                    hint = "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE."
                    raise ProblemError(Problem(code="download_failed", message=message, hint=hint, value=given.name))
                studio.models.on_download(_show)
                found = msgspec.to_builtins(studio.models.describe(model_here(studio, given.name)))
            else:
                hint = "`safelight models list` names them."
                raise ProblemError(Problem(code="missing_value", message="Which model?", hint=hint))
        except ProblemError as error:
            if given.json:
                print_json({"problems": list(error.problems)})
            else:
                report(error.problems)
            return 2
    if given.json:
        print_json({"models": found} if isinstance(found, list) else found)
    elif isinstance(found, list):
        for model in found:
            print(f"  {model['name']:<32} {model['family']:<8} {model['bytes'] / 1e6:10,.1f} MB  {model['path']}")
            if model["problem"]:
                print(f"      cannot be used: {model['problem']['message']} {model['problem']['hint']}".rstrip())
    else:
        for name, value in found.items():
            print(f"  {name:<12} {value}")
    return 0


def _convert(file: Path, as_json: bool) -> int:
    from safelight.models.converting import converted

    try:
        made = converted(file)
    except ProblemError as error:
        if as_json:
            print_json({"problems": list(error.problems)})
        else:
            report(error.problems)
        return 2
    if as_json:
        print_json({"path": str(made)})
    else:
        print(made)
    return 0


def _show(file: str, done: int, total: int) -> None:
    """A line for each file on a terminal; anywhere else it is quiet."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r\x1b[2K  {file}  {done / 1e6:,.1f} of {total / 1e6:,.1f} MB{end}")
        sys.stderr.flush()
