"""The ports of one node, before links are looked at together: what is not there, and what comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from safelight.sdk.pack import BUILT_IN, Catalogue
from safelight.sdk.problem import did_you_mean, one_of

from .document import SUBGRAPH
from .flat import Source, Step

Say = Callable[..., None]
"""Takes a problem: code, message, hint, node, port, value, the ids of the steps that it concerns, and whether it is
a warning."""

_SUGGESTIONS = 20
"""Unknown types that are compared with all names: each takes milliseconds, and a file may have thousands."""


PROGRAMS = {"comfyui": "ComfyUI", "invokeai": "InvokeAI"}
"""Programs whose nodes stay as placeholders, `comfyui:KSampler`, where they have no counterpart."""


class Ports:
    """Holds steps against the ports of their types."""

    def __init__(self, steps: list[Step], catalogue: Catalogue, say: Say) -> None:
        self._steps = steps
        self._catalogue = catalogue
        self._say = say
        self._suggested: dict[str, str] = {}

    def look(self, step: Step) -> None:
        """Says what is wrong with the ports of a step, and takes away links that end nowhere."""
        kind = step.kind
        if kind is None:
            if not step.told:
                self._unknown_type(step)
            return
        if step.node.repeat is not None and not step.given and not step.node.type.startswith(SUBGRAPH):
            message = f"{step.id} is a {kind.spec.id}, and only instances of subgraphs are repeated."
            self._say("bad_repeat", message, "Put it into a subgraph, and repeat that.", step.id)
        version = step.node.version
        if version is not None and version > kind.spec.version:
            message = (
                f"The file was made with version {version} of {kind.spec.id}; version {kind.spec.version} is here."
            )
            self._say("newer_version", message, "Update the pack that brings this node.", step.id, value=version)
        if kind.spec.deprecated:
            said = kind.spec.deprecated[:1].upper() + kind.spec.deprecated[1:]
            hint = said if said.endswith((".", "!")) else f"{said}."
            self._say("deprecated", f"{kind.spec.id} is deprecated.", hint, step.id, warning=True)
        for port in [name for name in step.values if name not in kind.inputs]:
            message = f"{kind.spec.id} has no input {port!r}."
            self._say("unknown_port", message, known_names(port, kind.inputs), step.id, port, step.values[port])
        for port, sources in step.links.items():
            if port not in kind.inputs:
                message = f"A link ends at {step.id}.{port}, but {kind.spec.id} has no input {port!r}."
                self._say("unknown_port", message, known_names(port, kind.inputs), step.id, port)
            elif len(sources) > 1 and kind.inputs[port].name != "list":
                names = one_of([f"{self._steps[source].id}.{output}" for source, output in sources])
                message = f"{len(sources)} links end at {step.id}.{port}, which takes one ({names})."
                self._say("duplicate_link", message, "Remove all but one.", step.id, port)
        for port in [port for port in step.links if port not in kind.inputs]:
            del step.links[port]
        for port, sources in step.links.items():
            sound = [source for source in sources if self._has_output(source, step, port)]
            step.links[port] = sound

    def _has_output(self, source: Source, step: Step, port: str) -> bool:
        giver = self._steps[source[0]]
        if giver.kind is None or source[1] in giver.kind.outputs:
            return True
        known = giver.kind.outputs
        hint = known_names(source[1], known) if known else f"{giver.kind.spec.id} has no outputs."
        message = f"The link into {step.id}.{port} comes from {giver.id}.{source[1]}, an output that does not exist."
        self._say("unknown_output", message, hint, giver.id, source[1], concerns=[step.id])
        return False

    def _unknown_type(self, step: Step) -> None:
        given = step.node.type
        program, colon, name = given.partition(":")
        if colon and program in PROGRAMS:
            message = f"{step.id} is a placeholder for {name!r} of {PROGRAMS[program]}, which does nothing here."
            hint = "Put nodes of Safelight in its place, or bypass it."
            self._say("placeholder", message, hint, step.id, value=given)
            return
        if given not in self._suggested and len(self._suggested) < _SUGGESTIONS:
            self._suggested[given] = self._catalogue.suggest(given) or _same_name(given, self._catalogue)
        hint = self._suggested.get(given, "")
        pack, slash, _ = given.partition("/")
        names = (pack if slash else BUILT_IN,)
        states = [state for state in self._catalogue.packs if state.name in names and state.reason]
        if states:
            hint = f"The pack {names[0]!r} did not load: {states[0].reason} {states[0].remedy}"
        elif slash and not any(name.startswith(pack + "/") for name in self._catalogue):
            hint = f"Install the pack {pack!r} that brings it."
        message = f"There is no node type {given!r}."
        self._say("unknown_type", message, hint or "`safelight nodes` lists all types.", step.id, value=given)


def known_names(name: str, known: Iterable[str]) -> str:
    """A sentence that names what is there, closest first."""
    names = list(known)
    return did_you_mean(name, names) or (f"It has {one_of(names)}." if names else "It has none.")


def _same_name(given: str, catalogue: Catalogue) -> str:
    """`sampler.sample` → "Did you mean sampling.sample?": the same function in another family."""
    tail = given.rsplit(".", 1)[-1]
    names = [name for name in catalogue if name.rsplit(".", 1)[-1] == tail]
    return f"Did you mean {one_of(names[:3])}?" if names else ""
