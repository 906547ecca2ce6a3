"""`safelight models`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from safelight.app import Studio
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    with Studio.open() as studio:
        try:
            if given.action == "list":
                found = [msgspec.to_builtins(model) for model in studio.models.list_models()]
            elif given.name:
                found = msgspec.to_builtins(studio.models.describe(given.name))
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
    else:
        for name, value in found.items():
            print(f"  {name:<12} {value}")
    return 0
