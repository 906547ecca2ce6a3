"""The models that a workflow names and this machine lacks, with where they can be had."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from safelight.app import Studio
from safelight.graph import Document, migrate
from safelight.graph.expand import expand
from safelight.models.hub import split_name
from safelight.models.manager import base_name, sources
from safelight.models.trees import PLACES
from safelight.models.walk import WEIGHTS
from safelight.protocol.models import MissingModel
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.widgets import ModelPick, Text

_CODES = frozenset({"model_missing", "model_incomplete", "model_ambiguous", "wrong_model", "bad_path"})


def missing_models(studio: Studio, document: Document) -> list[MissingModel]:
    """Every model of a workflow that cannot be found, each once. The workflow may have other faults."""
    current = migrate(document, studio.catalogue)
    said = sources(current.data())
    found: dict[tuple[str, str], MissingModel] = {}
    for problem, kind in _lacking(studio, current):
        name, port = str(problem.value), f"{problem.node}.{problem.port}"
        key = (name, kind)
        if key in found:
            found[key] = msgspec.structs.replace(found[key], ports=(*found[key].ports, port))
            continue
        one = said.get(base_name(name))
        at_hub = not name.lower().endswith(WEIGHTS) and split_name(name.partition("@")[0])[0]
        url = one.url if one is not None else name if at_hub and problem.code == "model_missing" else ""
        found[key] = MissingModel(
            name=name,
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


def _lacking(studio: Studio, document: Document) -> Iterator[tuple[Problem, str]]:
    """What is wrong with each model that a node which is on names, and the kind of model that is asked for."""
    for step in expand(document, studio.catalogue).everything():
        for spec in step.kind.spec.inputs if step.kind and step.mode == "on" else ():
            value = step.values.get(spec.name, spec.default)
            if step.links.get(spec.name) or not isinstance(value, str):
                continue
            if isinstance(spec.widget, ModelPick):
                names, kind = [value] if spec.required or value.strip() else [], spec.widget.kind
            elif isinstance(spec.widget, Text):
                names, kind = spec.widget.embeddings(value), "embedding"
            else:
                continue
            for name in names:
                try:
                    studio.models.find(name, kind if kind == "embedding" else "")
                except ProblemError as error:
                    told = [one.at(step.id, spec.name) for one in error.problems if one.code in _CODES]
                    yield from ((one, kind) for one in told if isinstance(one.value, str))
