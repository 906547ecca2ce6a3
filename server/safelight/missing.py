"""The models that a workflow names and this machine lacks, with where they can be had."""

from __future__ import annotations

import msgspec

from safelight.app import Studio
from safelight.graph import Document, Graph
from safelight.models.hub import split_name
from safelight.models.manager import base_name, sources
from safelight.models.trees import PLACES
from safelight.models.walk import WEIGHTS
from safelight.protocol.models import MissingModel
from safelight.sdk.problem import ProblemError
from safelight.sdk.widgets import ModelPick

_CODES = frozenset({"model_missing", "model_incomplete", "model_ambiguous", "wrong_model", "bad_path"})


def missing_models(studio: Studio, document: Document) -> list[MissingModel]:
    """Every model of a workflow that cannot be found, each once.

    Raises:
        ProblemError: the workflow has other faults, for which its models cannot be told.
    """
    checked = studio.check(document)
    if checked.graph is None:
        raise ProblemError(checked.problems)
    kinds = _kinds(checked.graph)
    said = sources(checked.document.data())
    found: dict[tuple[str, str], MissingModel] = {}
    for problem in checked.problems:
        if problem.code not in _CODES or not isinstance(problem.value, str):
            continue
        port = f"{problem.node}.{problem.port}"
        kind = kinds.get(port, "embedding" if problem.code == "model_missing" else "")
        if not kind:
            continue
        key = (problem.value, kind)
        if key in found:
            found[key] = msgspec.structs.replace(found[key], ports=(*found[key].ports, port))
            continue
        one = said.get(base_name(problem.value))
        at_hub = not problem.value.lower().endswith(WEIGHTS) and split_name(problem.value.partition("@")[0])[0]
        url = one.url if one is not None else problem.value if at_hub and problem.code == "model_missing" else ""
        found[key] = MissingModel(
            name=problem.value,
            kind=kind,
            ports=(port,),
            problem=problem,
            url=url,
            sha256=one.sha256 if one is not None else "",
            size=one.size if one is not None else 0,
            folder=(one.folder if one is not None else "") or PLACES.get(kind, ""),
            asks="://" in url and not studio.models.manager.rules().names(url),
        )
    return list(found.values())


def _kinds(graph: Graph) -> dict[str, str]:
    """The kind of model that each port asks for."""
    kinds: dict[str, str] = {}
    for path, within in graph.everything():
        for node in within.nodes:
            for name, spec in node.kind.ports.items():
                if isinstance(spec.widget, ModelPick):
                    kinds[f"{path}{node.id}.{name}"] = spec.widget.kind
    return kinds
