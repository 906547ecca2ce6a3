"""`POST /prompt`: what is posted becomes a document, and a run in the queue."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from safelight.app import Studio
from safelight.graph import Document
from safelight.graph.jsontext import depth_of
from safelight.host.queue import prompts
from safelight.host.queue.prompts import KEY
from safelight.interop.comfyui.api import read_api
from safelight.interop.comfyui.translate import translate
from safelight.protocol.records import Prompt, RunOrder
from safelight.sdk.problem import Problem, ProblemError, errors

from ..problems import Refused
from ..routing import decode_json
from ..state import State
from .answers import Body, answer, read, told
from .file_routes import annotated, found_source, keep
from .owners import above, owners
from .validation import faults

_SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")
"""Of `extra_data`, for paid services: never kept."""
_ID_CHARACTERS = 100
_TYPES = {
    "missing_input": "required_input_missing",
    "model_missing": "value_not_in_list",
    "not_a_choice": "value_not_in_list",
    "file_missing": "value_not_in_list",
    "blob_missing": "value_not_in_list",
    "bad_value": "invalid_input_type",
    "wrong_type": "invalid_input_type",
    "type_mismatch": "return_type_mismatch",
    "dangling_link": "bad_linked_input",
    "unknown_output": "bad_linked_input",
    "no_output": "prompt_no_outputs",
    "nothing_to_run": "prompt_no_outputs",
}
"""What ComfyUI calls some of our problems."""


class PromptBody(Body, kw_only=True):
    """See docs/comfyui.md."""

    prompt: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    client_id: str | None = None
    prompt_id: str | None = None
    number: float | None = None
    front: bool = False
    extra_data: dict[str, Any] | None = None
    partial_execution_targets: list[str] | None = None


class Translated(NamedTuple):
    """A prompt as a document of ours. `nodes` are its ids by ours, `outputs` those of its output nodes, `unknown` tells
    of nodes that have no counterpart, `remarks` of what is not as it is there."""

    document: Document
    nodes: dict[str, str]
    outputs: tuple[str, ...]
    unknown: list[Problem]
    remarks: list[Problem]


async def post(state: State, request: web.Request) -> web.Response:
    body = await read(request, PromptBody)
    prompt = _nodes(body)
    graphs = state.host.graphs
    wrong = faults(prompt)
    nodes = prompt
    if not wrong:
        try:
            nodes = await _with_files(state, prompt)
        except ProblemError as error:
            wrong = errors(error.problems)
    made = await graphs.call(lambda studio: _translated(studio, nodes))
    if made.unknown:
        return _invalid(made.unknown, prompt, made, "missing_node_type")
    if wrong:  # told by their own ids
        return _invalid(wrong, prompt, made._replace(nodes={name: name for name in prompt}))
    try:
        prepared = await graphs.prepare(_order(body, made), {})
    except ProblemError as error:
        return _invalid(errors(error.problems), prompt, made)
    ((run, _),) = await state.host.submit(prepared)
    (posted,) = await state.host.database.read(lambda connection: prompts.find(connection, [run.id]))
    remarks = [{"node_id": made.nodes.get(remark.node or "", ""), "message": remark.message} for remark in made.remarks]
    told = {"remarks": remarks} if remarks else {}
    return answer({"prompt_id": posted.id, "number": posted.number, "node_errors": {}, **told})


def _nodes(body: PromptBody) -> dict[str, Any]:
    """The nodes of a prompt. Raises Refused for what is none."""
    if bytes(body.prompt) == b"null":
        raise Refused(400, "invalid_prompt", "There is no prompt.", 'Send {"prompt": {id: {class_type, inputs}}}.')
    prompt = decode_json(bytes(body.prompt), dict[str, Any])
    depth_of(prompt)
    for name, node in prompt.items():
        if not (isinstance(node, dict) and isinstance(node.get("class_type"), str)):
            hint = "Export the workflow in the API format."
            raise Refused(400, "invalid_prompt", f"The node {name[:100]!r} does not say its class_type.", hint)
    for name in body.partial_execution_targets or ():
        if name not in prompt:
            message = f"The node {name[:100]!r} of partial_execution_targets is not in the prompt."
            raise Refused(400, "unknown_node", message, "Name nodes of the prompt, or leave the targets out.")
    if body.prompt_id is not None and not 0 < len(body.prompt_id) <= _ID_CHARACTERS:
        raise Refused(
            400, "bad_request", f"A prompt_id has 1 to {_ID_CHARACTERS} characters.", "Leave it out to get one."
        )
    return prompt


async def _with_files(state: State, prompt: Mapping[str, Any]) -> Mapping[str, Any]:
    """The prompt with copies in the input folder in the place of files that are named out of the others, as in
    `folder/it_00001_.png [output]`: runs read nothing else."""
    changed: dict[str, Any] = {}
    for name, node in prompt.items():
        inputs = node.get("inputs") if node["class_type"].startswith("Load") else None  # and no text that ends so
        for key, value in inputs.items() if isinstance(inputs, dict) else ():
            if isinstance(value, str) and value.endswith((" [output]", " [temp]")):
                path, folder = annotated(value, "input")
                try:
                    source = await found_source(state, path, "", folder)
                    data = await asyncio.to_thread(source.read)
                    kept = await keep(state, f"from_{folder}/{PurePosixPath(path).name}", data)
                except OSError:
                    raise ProblemError(_gone(value, name)) from None
                except ProblemError as error:
                    raise ProblemError(problem.at(name) for problem in error.problems) from None
                before = changed.get(name, node)
                changed[name] = {**before, "inputs": {**before["inputs"], key: kept.name}}
    return {**prompt, **changed} if changed else prompt


def _gone(value: str, node: str) -> Problem:
    message = f"The file {value[:200]!r} is gone."
    return Problem(code="file_missing", message=message, hint="Name another one.", node=node, value=value)


def _translated(studio: Studio, prompt: Mapping[str, Any]) -> Translated:
    document, report = translate(read_api(prompt))
    document = Document.parse(document.data())  # what a prompt may hold and a document may not is told here
    nodes = owners(document)
    outputs = dict.fromkeys(
        nodes[name]
        for name, node in document.nodes.items()
        if (kind := studio.catalogue.get(node.type)) is not None and kind.spec.output
    )
    unknown = [
        msgspec.structs.replace(problem, hint="Use classes that GET /object_info lists.")
        for problem in report.remarks
        if problem.code == "placeholder"
    ]
    remarks = [problem for problem in report.remarks if problem.code != "placeholder"]
    return Translated(document, nodes, tuple(outputs), unknown, remarks)


def _order(body: PromptBody, made: Translated) -> RunOrder:
    targets: list[str] | None = None
    outputs = made.outputs
    if body.partial_execution_targets:
        outputs = tuple(body.partial_execution_targets)
        targets = [name for name, owner in made.nodes.items() if owner in outputs and "comfyui" in _extra(made, name)]
    return RunOrder(
        document=msgspec.json.encode(made.document.data()),
        name="ComfyUI",
        targets=targets,
        key=KEY + (body.prompt_id or str(uuid.uuid4())),
        prompt=Prompt(
            prompt=body.prompt,
            extra_data={key: value for key, value in (body.extra_data or {}).items() if key not in _SECRETS},
            outputs=outputs,
            nodes=made.nodes,
            client=body.client_id or None,
            number=body.number,
            front=body.front,
        ),
    )


def _about(problem: Problem, node: Mapping[str, Any]) -> dict[str, Any]:
    """The value that is wrong, and the input of theirs, if it is called as ours."""
    inputs = node.get("inputs")
    named = isinstance(inputs, Mapping) and problem.port in inputs
    return {"input_name": problem.port, "received_value": problem.value} if named else {"received_value": problem.value}


def _extra(made: Translated, name: str) -> dict[str, Any]:
    return made.document.nodes[name].extra


def _invalid(problems: Sequence[Problem], prompt: Mapping[str, Any], made: Translated, type: str = "") -> web.Response:
    """What is wrong, at the nodes of theirs where it is."""
    wrong: dict[str, Any] = {}
    for problem in problems:
        owner = made.nodes.get(problem.node or "")
        if owner is None:
            continue
        entry = wrong.setdefault(
            owner,
            {
                "errors": [],
                "dependent_outputs": [one for one in made.outputs if owner in above(prompt, one)],
                "class_type": prompt[owner]["class_type"],
            },
        )
        entry["errors"].append(
            told(type or _TYPES.get(problem.code, problem.code), problem, **_about(problem, prompt[owner]))
        )
    first = problems[0]
    kind = type or ("prompt_outputs_failed_validation" if wrong else _TYPES.get(first.code, first.code))
    error = told(kind, first)
    if len(problems) > 1:
        error["message"] = f"{error['message']} ({len(problems) - 1} more below.)" if wrong else error["message"]
    return answer({"error": error, "node_errors": wrong}, 400)
