"""`safelight nodes`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from safelight.sdk.node import InputSpec, NodeSpec
from safelight.sdk.pack import Catalogue, load_packs
from safelight.sdk.problem import Problem, one_of

from .answer import print_json
from .workflow import report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    del rest
    catalogue = load_packs()
    if given.type is None or given.search is not None:
        kinds = list(catalogue.values()) if given.search is None else catalogue.search(given.search)
        if given.json:
            print_json({"nodes": [kind.spec for kind in kinds], "packs": catalogue.packs})
        else:
            _list([kind.spec for kind in kinds], by_category=given.search is None)
            _report_packs(catalogue)
            if not kinds:
                print(f"No node matches {given.search!r}. {catalogue.suggest(given.search or '')}", file=sys.stderr)
        return 0
    kind = catalogue.get(given.type) or catalogue.former(given.type)
    if kind is None:
        hint = catalogue.suggest(given.type) or "`safelight nodes` lists all types."
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


def _list(specs: Sequence[NodeSpec], *, by_category: bool) -> None:
    category = ""
    width = max((len(spec.id) for spec in specs), default=0)
    for spec in specs:
        if by_category and spec.category != category:
            category = spec.category
            print(f"\n{category}")
        mark = "(deprecated) " if spec.deprecated else ""
        print(f"  {spec.id:<{width}}  {mark}{spec.help.splitlines()[0]}")


def _report_packs(catalogue: Catalogue) -> None:
    for state in catalogue.packs:
        if state.reason:
            print(f"\nThe pack {state.name!r} is incomplete: {state.reason} {state.remedy}", file=sys.stderr)


def _explain(spec: NodeSpec) -> None:
    print(f"{spec.id}  (version {spec.version}, {spec.pack})\n\n{spec.help}\n")
    if spec.deprecated:
        print(f"deprecated: {spec.deprecated}\n")
    if spec.aliases:
        print(f"formerly: {', '.join(spec.aliases)}\n")
    if spec.tags:
        print(f"also found as: {', '.join(spec.tags)}\n")
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
