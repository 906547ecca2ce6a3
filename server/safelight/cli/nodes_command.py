"""`safelight nodes`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from safelight.sdk.node import InputSpec, NodeSpec
from safelight.sdk.pack import Catalogue, load_packs
from safelight.sdk.problem import Problem, did_you_mean, one_of

from .answer import print_json
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    catalogue = load_packs()
    if given.type is None:
        if given.json:
            print_json({"nodes": [kind.spec for kind in catalogue.values()], "packs": catalogue.packs})
        else:
            _list(catalogue)
        return 0
    kind = catalogue.get(given.type)
    if kind is None:
        hint = did_you_mean(given.type, catalogue) or "`safelight nodes` lists all types."
        message = f"There is no node type {given.type!r}."
        problem = Problem(code="unknown_type", message=message, hint=hint, value=given.type)
        if given.json:
            print_json({"problems": [problem]})
        else:
            report([problem])
        return 2
    if given.json:
        print_json(kind.spec)
    else:
        _explain(kind.spec)
    return 0


def _list(catalogue: Catalogue) -> None:
    category = ""
    width = max((len(name) for name in catalogue), default=0)
    for name, kind in catalogue.items():
        if kind.spec.category != category:
            category = kind.spec.category
            print(f"\n{category}")
        print(f"  {name:<{width}}  {kind.spec.help.splitlines()[0]}")
    for state in catalogue.packs:
        if state.reason:
            print(f"\nThe pack {state.name!r} is incomplete: {state.reason} {state.remedy}", file=sys.stderr)


def _explain(spec: NodeSpec) -> None:
    print(f"{spec.id}  (version {spec.version}, {spec.pack})\n\n{spec.help}\n")
    if spec.inputs:
        print("inputs:")
    for port in spec.inputs:
        print(f"  {port.name}: {port.type}{_default(port)}{f'   {port.help}' if port.help else ''}")
        if port.choices:
            print(f"      {one_of(port.choices, 40)}")
    if spec.outputs:
        print("outputs:")
    for port in spec.outputs:
        print(f"  {port.name}: {port.type}{f'   {port.help}' if port.help else ''}")


def _default(port: InputSpec) -> str:
    if port.required:
        return "" if port.socket else " (required)"
    return " (optional)" if port.default is None else f" = {port.default!r}"
