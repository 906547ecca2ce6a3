"""A table of broken documents: each with the code, the message and the hint that its author gets."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

import trivial_nodes
from safelight.graph import Document, Port, check
from safelight.sdk import Problem, ProblemError

T = "trivial_nodes."


def doc(nodes: Any = None, links: Any = (), **more: Any) -> dict[str, Any]:
    return {"format": "safelight/1", "nodes": nodes or {}, "links": list(links), **more}


def n(kind: str, /, **values: Any) -> dict[str, Any]:
    return {"type": T + kind, "values": values}


def link(source: str, target: str) -> dict[str, str]:
    return {"from": source, "to": target}


# name: (document or text, code, a part of the message, a part of the hint)
BROKEN: dict[str, tuple[Any, str, str, str]] = {
    "empty file": ("", "not_json", "empty", "workflow file"),
    "not json": ('{"format": "safelight/1",, }', "not_json", "line 1, column 26", "comma"),
    "nan": ('{"format": "safelight/1", "nodes": {"a": {"values": {"v": NaN}}}}', "not_json", "NaN", "number"),
    "infinite number": ('{"format": "safelight/1", "x": 1e999}', "not_json", "too large", "1e308"),
    "not utf-8": (b'{"format": "\xff"}', "not_json", "UTF-8", "UTF-8"),
    "repeated key": ('{"format": "safelight/1", "nodes": {"a": {}, "a": {}}}', "duplicate_key", "'a'", "Rename"),
    "too deep": ("[" * 100_000, "too_deep", "deeper", "six"),
    "deep inside ui": (doc(ui=json.loads('{"x":' * 300 + "1" + "}" * 300)), "too_deep", "deeper", "six"),
    "a list": ([], "not_workflow", "not a JSON object", "{"),
    "no format": ({"nodes": {}}, "not_workflow", "names no format", "safelight/1"),
    "newer format": ({"format": "safelight/9"}, "newer_format", "safelight/9", "Update"),
    "another program's": ({"last_node_id": 3, "nodes": []}, "foreign_workflow", "ComfyUI", "again"),
    "another program's api": ({"3": {"class_type": "KSampler", "inputs": {}}}, "foreign_workflow", "ComfyUI", "again"),
    "nodes a list": (doc() | {"nodes": []}, "bad_shape", "'nodes'", "object"),
    "node a text": (doc({"a": "x"}), "bad_shape", "node", "object"),
    "node without type": (doc({"a": {}}), "bad_shape", "names no type", "text.encode"),
    "bad version": (doc({"a": {**n("number"), "version": "two"}}), "bad_shape", "'two'", ""),
    "bad mode": (doc({"a": {**n("number"), "mode": "off"}}), "bad_shape", "'off'", "mute"),
    "id with a dot": (doc({"a.b": n("number")}), "bad_id", "'a.b'", "dots"),
    "bad port reference": (doc({"a": n("number")}, [link("a", "a.b")]), "bad_port", "'a'", "node.port"),
    "input without name": (doc({"a": n("number")}, inputs=[{"to": "a.value"}]), "bad_shape", "None", "flag"),
    "unknown type": (doc({"a": n("nubmer")}), "unknown_type", "trivial_nodes.nubmer", "trivial_nodes.number"),
    "right name, wrong family": (
        doc({"a": {"type": "maths.add"}}), "unknown_type", "maths.add", "trivial_nodes.add",
    ),
    "type of a missing pack": (
        doc({"a": {"type": "sparkle/glow.add"}}), "unknown_type", "sparkle/glow.add", "Install the pack 'sparkle'",
    ),
    "newer node": (doc({"a": {**n("number"), "version": 7}}), "newer_version", "version 7", "Update"),
    "unknown port": (doc({"a": n("number", valeu=3)}), "unknown_port", "'valeu'", "value"),
    "unknown input in link": (
        doc({"a": n("number"), "b": n("add", a=1)}, [link("a.value", "b.c")]), "unknown_port", "b.c", "It has a, b",
    ),
    "unknown output in link": (
        doc({"a": n("number"), "b": n("add")}, [link("a.valu", "b.a")]), "unknown_output", "a.valu", "value",
    ),
    "link from nowhere": (
        doc({"b": n("add", a=1)}, [link("x.value", "b.b")]), "dangling_link", "no node 'x'", "Remove the link",
    ),
    "link to nowhere": (
        doc({"first": n("number")}, [link("first.value", "frist.a")]), "dangling_link", "'frist'", "Did you mean first",
    ),
    "two links into one": (
        doc({"a": n("number"), "c": n("number"), "b": n("add")}, [link("a.value", "b.a"), link("c.value", "b.a")]),
        "duplicate_link", "a.value or c.value", "Remove all but one",
    ),
    "missing input": (doc({"b": n("add")}), "missing_input", "needs an int at 'a'", "Connect"),
    "missing value": (
        doc({"m": n("mix")}), "missing_input", "needs a list[trivial_nodes:Paint]", "trivial_nodes.paint.paint",
    ),
    "wrong type": (
        doc({"a": n("words"), "b": n("add")}, [link("a.text", "b.a")]), "type_mismatch", "needs a whole number", "int",
    ),
    "wrong model": (
        doc({"a": n("vae"), "b": n("paint_with")}, [link("a.model", "b.model")]),
        "type_mismatch", "a VAE model, and the input needs a Denoiser", "takes",
    ),
    "list too shallow": (
        doc({"p": n("paint"), "f": n("frame")}, [link("p.paint", "f.canvas")]), "type_mismatch", "Canvas", "",
    ),
    "choices of a switch differ": (
        doc({"a": n("number"), "b": n("words"), "s": n("switch")},
            [link("a.value", "s.on_true"), link("b.text", "s.on_false")]),
        "type_mismatch", "b.text cannot feed s.on_false", "",
    ),
    "text for a number": (doc({"a": n("number", value="7")}), "wrong_type", "'7' is not", "without quotes"),
    "fraction for a whole number": (doc({"a": n("number", value=1.5)}), "wrong_type", "1.5", "whole number"),
    "true for a number": (doc({"a": n("number", value=True)}), "wrong_type", "True", "whole number"),
    "number for a text": (doc({"a": n("words", text=5)}), "wrong_type", "5 is not text", "text"),
    "not a list": (doc({"a": n("count", numbers=5)}), "wrong_type", "5 is not a list", "[1, 2, 3]"),
    "wrong element": (doc({"a": n("count", numbers=[1, "b"])}), "wrong_type", "'b'", "whole number"),
    "typed into a socket": (
        doc({"f": n("frame", canvas="blue")}), "wrong_type", "comes only over a link", "Connect",
    ),
    "out of range": (doc({"a": n("scale", by=11)}), "out_of_range", "11 is outside 0 to 10", "from 0 to 10"),
    "below a minimum": (doc({"a": n("size", width=0)}), "out_of_range", "0", "8"),
    "not a multiple": (doc({"a": n("size", width=100)}), "out_of_range", "not a multiple of 8", "96"),
    "negative seed": (doc({"a": n("shout", seed=-1)}), "out_of_range", "-1 is no seed", "0 or more"),
    "seed too large": (doc({"a": n("shout", seed=2**64)}), "out_of_range", "no seed", "18446744073709551615"),
    "number too large": (doc({"a": n("number", value=2**63)}), "out_of_range", "too large", "9223372036854775807"),
    "text too long": (doc({"a": n("words", text="x" * 51)}), "bad_value", "51 characters", "50"),
    "NUL": (doc({"a": n("words", text="a\0b")}), "bad_value", "NUL", "Remove"),
    "not a colour": (doc({"a": n("paint", color="red")}), "bad_value", "'red'", "#rrggbb"),
    "path out of the folder": (doc({"a": n("read", file="../secret")}), "bad_value", "../secret", "relative"),
    "not a choice": (
        doc({"p": n("paint"), "m": n("mix"), "f": n("frame", style="ornat")},
            [link("p.paint", "m.paints"), link("m.canvas", "f.canvas")]),
        "not_a_choice", "'ornat'", "Did you mean ornate",
    ),
    "cycle": (
        doc({"a": n("add"), "b": n("add"), "c": n("add")},
            [link("a.value", "b.a"), link("b.value", "c.a"), link("c.value", "a.a")]),
        "cycle", "→", "Remove one",
    ),
    "node wired to itself": (doc({"a": n("add")}, [link("a.value", "a.a")]), "cycle", "a → a", "Remove"),
    "workflow input to nowhere": (
        doc({"prompt": n("words")}, inputs=[{"name": "prompt", "to": "promt.text"}]),
        "bad_workflow_input", "promt.text", "Did you mean prompt",
    ),
    "workflow input to no port": (
        doc({"prompt": n("words")}, inputs=[{"name": "prompt", "to": "prompt.txt"}]),
        "bad_workflow_input", "prompt.txt", "Did you mean text",
    ),
    "workflow output from nowhere": (
        doc({"a": n("number")}, outputs=[{"name": "x", "from": "b.value"}]), "bad_workflow_output", "b.value", "",
    ),
    "workflow output from no port": (
        doc({"a": n("number")}, outputs=[{"name": "x", "from": "a.valu"}]),
        "bad_workflow_output", "a.valu", "Did you mean value",
    ),
    "two outputs of one name": (
        doc({"a": n("number")}, outputs=[{"name": "x", "from": "a.value"}, {"name": "x", "from": "a.value"}]),
        "duplicate_name", "'x'", "Rename",
    ),
    "unknown subgraph": (
        doc({"a": {"type": "subgraph:hires"}}, subgraphs={"highres": doc()}),
        "unknown_subgraph", "'hires'", "Did you mean highres",
    ),
    "subgraph in itself": (
        doc({"a": {"type": "subgraph:s"}}, subgraphs={"s": {"nodes": {"b": {"type": "subgraph:s"}}, "links": []}}),
        "recursive_subgraph", "contains itself", "inner",
    ),
    "no such input of a subgraph": (
        doc({"a": {"type": "subgraph:s", "values": {"nme": 1}}},
            subgraphs={"s": {"nodes": {"b": n("words")}, "links": [], "inputs": [{"name": "name", "to": "b.text"}]}}),
        "unknown_port", "'nme'", "Did you mean name",
    ),
    "explosion of subgraphs": (
        doc({"a": {"type": "subgraph:s0"}}, subgraphs={
            f"s{level}": {"nodes": {side: {"type": f"subgraph:s{level + 1}"} for side in "lr"}, "links": []}
            for level in range(30)
        } | {"s30": {"nodes": {"x": n("number")}, "links": []}}),
        "too_large", "100,000", "fewer",
    ),
    "half an emoji in a value": (
        '{"format": "safelight/1", "nodes": {"a": {"type": "trivial_nodes.words", "values": {"text": "\\ud83d!"}}}}',
        "bad_value", "half of a character", "emoji",
    ),
    "nothing to run": (doc(), "no_output", "no nodes", "template"),
}  # fmt: skip


def problems_of(given: Any) -> list[Problem]:
    try:
        document = Document.loads(given) if isinstance(given, str | bytes) else Document.parse(given)
    except ProblemError as error:
        return list(error.problems)
    return check(document, trivial_nodes.catalogue()).problems


@pytest.mark.parametrize("name", BROKEN)
def test_broken_document(name: str) -> None:
    given, code, message, hint = BROKEN[name]
    problems = problems_of(given)
    found = [problem for problem in problems if problem.code == code]
    assert found, f"expected {code}, got {[(problem.code, problem.message) for problem in problems]}"
    assert message in found[0].message
    assert hint in found[0].hint
    assert len({(problem.code, problem.node, problem.port, problem.message) for problem in problems}) == len(problems)


def test_the_table_is_long_enough() -> None:
    assert len(BROKEN) >= 40


def test_all_problems_come_at_once() -> None:
    broken = doc(
        {"a": n("nubmer"), "b": n("add", plus="x"), "c": n("scale", by=99), "d": n("mix")},
        [link("zzz.value", "b.b")],
    )
    codes = {problem.code for problem in problems_of(broken)}
    assert codes == {"unknown_type", "wrong_type", "missing_input", "out_of_range", "dangling_link"}


def test_every_code_is_documented() -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "docs" / "problems.md").read_text()
    assert {code for _, code, _, _ in BROKEN.values()} <= {word.strip("`") for word in text.split()}


def test_problems_of_nodes_that_a_target_does_not_need_are_warnings() -> None:
    document = Document.parse(doc({"a": n("number"), "stray": n("add")}))
    assert not check(document, trivial_nodes.catalogue()).ok, "without an output, what nobody uses is wanted"
    checked = check(document, trivial_nodes.catalogue(), ["a"])
    assert checked.ok and [(problem.code, problem.level) for problem in checked.problems] == [
        ("missing_input", "warning")
    ]


HALF = "cut \ud83d!"


@pytest.mark.parametrize(
    ("given", "node", "port"),
    [
        (doc({"a": n("words", text=HALF)}), "a", "text"),
        (doc({"a": n("words", text=["x", HALF])}), "a", "text"),
        (doc({"a": {**n("words"), "title": HALF}}), "a", None),
        (doc({"a": {"type": HALF}}), "a", None),
        (doc({HALF: n("words")}), "cut \\ud83d!", None),
        (doc(name=HALF), None, None),
        (doc(ui={"frames": [{HALF: 1}]}), None, None),
        (doc(subgraphs={"s": {"nodes": {"b": n("words", text=HALF)}}}), "s/b", "text"),
    ],
)
def test_half_a_character_anywhere_is_told_with_its_place_when_the_document_is_read(
    given: Any, node: str | None, port: str | None
) -> None:
    with pytest.raises(ProblemError) as caught:
        Document.parse(given)
    (problem,) = caught.value.problems
    assert (problem.code, problem.node, problem.port) == ("bad_value", node, port)
    msgspec.json.encode(problem)


def test_half_a_character_that_is_typed_in_later_is_told_by_check() -> None:
    document = Document.parse(doc({"a": n("words", text="")})).with_values({Port("a", "text"): HALF})
    (problem,) = check(document, trivial_nodes.catalogue()).problems
    assert (problem.code, problem.node, problem.port) == ("bad_value", "a", "text")


def test_whole_emoji_are_text_like_any_other() -> None:
    assert not problems_of(doc({"a": n("words", text="\U0001f34e caf\u00e9")}, name="\U0001f34e"))
