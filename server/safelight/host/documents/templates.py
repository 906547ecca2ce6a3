"""What the workflows that come with the program take on this machine: models, packages, time."""

from __future__ import annotations

from importlib.util import find_spec

from safelight.app import Studio
from safelight.graph import Document, Graph
from safelight.missing import missing_models
from safelight.places import shipped_names
from safelight.protocol.workflows import TemplateCost
from safelight.sdk.file_names import STARTER
from safelight.sdk.problem import ProblemError
from safelight.sdk.widgets import FilePick, ModelPick


def template_costs(studio: Studio) -> list[TemplateCost]:
    """Of every shipped workflow that can be read. Nothing runs for it but light nodes, as in any plan."""
    studio.cache.forget_seconds()  # workers have learned since how long nodes take
    found: list[TemplateCost] = []
    for name, path in shipped_names().items():
        try:
            document = Document.loads(path.read_bytes())
            graph = studio.check(document).graph
            if graph is not None:
                found.append(_cost(studio, name, document, graph))
        except (OSError, ProblemError):
            continue
    return found


def _cost(studio: Studio, name: str, document: Document, graph: Graph) -> TemplateCost:
    models: dict[str, None] = {}
    extra, steps, missing = "", 0, [one.name for one in missing_models(studio, document)]
    for _, within in graph.everything():
        for node in within.nodes:
            for port, spec in node.kind.ports.items():
                wire = node.wires.get(port)
                value = wire.value if wire is not None and not wire.sources else None
                if isinstance(spec.widget, ModelPick) and isinstance(value, str) and value:
                    models[STARTER if value.startswith(f"{STARTER}/") else value] = None
                elif isinstance(spec.widget, FilePick) and (medium := studio.media.named(spec.widget.kind)):
                    extra = medium.name if medium.package else extra
                    missing += [extra] if medium.package and find_spec(medium.package) is None else []
                elif port == "steps" and node.kind.spec.id.startswith("sampling.") and isinstance(value, int):
                    steps = max(steps, value)
    return TemplateCost(
        name=name,
        models=tuple(models),
        extra=extra,
        missing=tuple(dict.fromkeys(missing)),
        seconds=None if missing else _seconds(studio, graph),
        steps=steps,
    )


def _seconds(studio: Studio, graph: Graph) -> float | None:
    """What its nodes took when they made what the cache has; what other workflows took says little of this one."""
    planned = studio.plan(graph).nodes
    if any(planned[node.id].status in ("run", "unknown") and not node.kind.light for node in graph.nodes):
        return None
    return round(sum(node.seconds or 0.0 for node in planned.values()), 4)
