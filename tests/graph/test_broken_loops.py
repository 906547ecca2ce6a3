"""Every mistake that a repeated instance can hold, with the remedy that its author gets."""

from __future__ import annotations

from typing import Any

import pytest

import trivial_nodes
from safelight.graph import Checked, Document, check
from safelight.graph.repeat import MOST_EVER

BODY: dict[str, Any] = {
    "nodes": {
        "sum": {"type": "trivial_nodes.add", "values": {"plus": 1}},
        "more": {"type": "trivial_nodes.below_limit"},
        "words": {"type": "trivial_nodes.shout"},
    },
    "links": [{"from": "sum.value", "to": "more.a"}],
    "inputs": [{"name": "a", "to": "sum.a"}, {"name": "text", "to": "words.text"}],
    "outputs": [
        {"name": "out", "from": "sum.value"},
        {"name": "more", "from": "more.value"},
        {"name": "loud", "from": "words.text"},
    ],
}


def checked(repeat: Any, links: Any = (), values: Any = None, body: Any = BODY, **more: Any) -> Checked:
    nodes = {
        "one": {"type": "trivial_nodes.number"},
        "list": {"type": "trivial_nodes.count"},
        "loop": {"type": "subgraph:body", "values": {"a": 1} if values is None else values, "repeat": repeat},
    }
    document = {
        "format": "safelight/1",
        "nodes": nodes | more,
        "links": [{"from": source, "to": target} for source, target in links],
        "outputs": [{"name": "out", "from": "loop.out"}, {"name": "loud", "from": "loop.loud"}],
        "subgraphs": {"body": body},
    }
    return check(Document.parse(document), trivial_nodes.catalogue())


FRACTIONS = {
    **BODY,
    "nodes": {**BODY["nodes"], "half": {"type": "trivial_nodes.scale"}},
    "inputs": [*BODY["inputs"], {"name": "by", "to": "half.by"}],
    "outputs": [*BODY["outputs"], {"name": "half", "from": "half.value"}],
}
LIST = [("list.values", "loop.a")]
BROKEN: dict[str, tuple[Checked, str, str, str]] = {
    "nothing": (checked({}), "bad_repeat", "neither `each`, `times` nor `while`", "Say one"),
    "both": (checked({"each": ["a"], "times": 3}, LIST), "bad_repeat", "both `each` and `times`", "The lists say"),
    "unknown each": (checked({"each": ["aa"]}), "bad_repeat", "no input 'aa'", "Did you mean a?"),
    "unknown carry": (checked({"times": 2, "carry": {"b": "out"}}), "bad_repeat", "no input 'b'", "It has a or text"),
    "unknown carried": (checked({"times": 2, "carry": {"a": "outt"}}), "bad_repeat", "no output 'outt'", "mean out?"),
    "unknown while": (checked({"while": "mor"}), "bad_repeat", "no output 'mor'", "Did you mean more?"),
    "unknown index": (checked({"times": 2, "index": "i"}), "bad_repeat", "no input 'i'", "It has"),
    "each and carried": (
        checked({"each": ["a"], "carry": {"a": "out"}}, LIST), "bad_repeat", "'a' cannot be taken", "Name it once",
    ),
    "index that has a value": (checked({"times": 2, "index": "a"}), "bad_repeat", "'a' gets the number", "Take away"),
    "no list": (checked({"each": ["a"]}, values={}), "bad_repeat", "no list comes in", "Connect a list to 'a'"),
    "one number": (
        checked({"each": ["a"]}, [("one.value", "loop.a")], {}), "bad_repeat", "gets int", "take 'a' out of `each`",
    ),
    "one value typed in": (checked({"each": ["a"]}), "wrong_type", "1 is not a list", "[1, 2, 3]"),
    "a wrong list": (checked({"each": ["a"]}, values={"a": ["x"]}), "wrong_type", "not a whole number", "Give"),
    "lists of two lengths": (
        checked({"each": ["a", "text"]}, values={"a": [1, 2, 3], "text": ["x", "y"]}), "length_mismatch",
        "a has 3, text has 2", "Make them equally long",
    ),
    "a list of more than the most": (
        checked({"each": ["a"], "most": 2}, values={"a": [1, 2, 3]}), "too_many_turns", "would make 3 turns", "Raise",
    ),
    "what does not come back": (
        checked({"times": 2, "carry": {"a": "loud"}}), "bad_repeat", "'loud' gives str, and 'a' begins with int",
        "Make 'loud' an int",
    ),
    "nothing to begin with": (
        checked({"times": 2, "carry": {"a": "out"}}, values={}), "missing_input", "needs an int at 'a'", "Connect",
    ),
    "while a number": (
        checked({"while": "out", "carry": {"a": "out"}}), "bad_repeat", "`while` needs yes or no", "Compare",
    ),
    "too often": (checked({"times": 1001}), "too_many_turns", "1,001 turns, and may make 1,000", "most"),
    "too often, typed in": (
        checked({"times": "n", "most": 5}, values={"a": 1, "n": 9}), "too_many_turns", "9 turns, and may make 5",
        "most",
    ),
    "less than nothing": (checked({"times": -1}), "out_of_range", "-1 is not a number of turns", "0 or more"),
    "a number that is not there": (checked({"times": "n"}), "missing_input", "needs an int at 'n'", "Connect"),
    "a list of numbers": (
        checked({"times": "n"}, [("list.values", "loop.n")]), "type_mismatch", "one number at 'n'", "Pick one",
    ),
    "a fraction of turns typed in": (
        checked({"times": "by"}, values={"a": 1, "by": 2.5}, body=FRACTIONS), "wrong_type", "2.5 is not a", "Give",
    ),
    "a fraction of turns by default": (
        checked({"times": "by"}, body=FRACTIONS), "wrong_type", "1.0 times, the default of 'by'", "Give 'by'",
    ),
    "a fraction of turns linked": (
        checked({"times": "by"}, [("half.value", "loop.by")], body=FRACTIONS, half={"type": "trivial_nodes.fraction"}),
        "type_mismatch", "cannot feed loop.by", "by takes int",
    ),
    "a text of turns": (
        checked({"times": "text"}, values={"a": 1, "text": "3"}), "wrong_type", "'3' is not a whole number", "Give",
    ),
    "yes for a number of turns": (
        checked({"times": "n"}, values={"a": 1, "n": True}), "wrong_type", "True is not a whole number", "Give",
    ),
    "a list of turns": (
        checked({"times": "n"}, values={"a": 1, "n": [3]}), "wrong_type", "is not a whole number", "Give",
    ),
    "most of nothing": (checked({"times": 1, "most": 0}), "bad_repeat", "0 cannot be", f"{MOST_EVER:,}"),
    "unknown output": (
        checked({"times": 1}, [("loop.outt", "plus.a")], plus={"type": "trivial_nodes.add"}),
        "unknown_output", "loop.outt", "Did you mean out?",
    ),
    "no instance": (
        checked({"times": 1}, one={"type": "trivial_nodes.number", "repeat": {"times": 2}}),
        "bad_repeat", "only instances of subgraphs", "Put it into a subgraph",
    ),
    "wrong inside": (
        checked({"times": 1}, body={**BODY, "nodes": {**BODY["nodes"], "sum": {"type": "trivial_nodes.ad"}}}),
        "unknown_type", "trivial_nodes.ad", "trivial_nodes.add",
    ),
    "into itself": (
        checked({"times": 2}, [("loop.out", "loop.a")]), "cycle", "loop → loop", "Remove one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_told_with_its_remedy(name: str) -> None:
    found, code, message, hint = BROKEN[name]
    fitting = [problem for problem in found.problems if problem.code == code]
    assert fitting, found.problems
    assert message in fitting[0].message and hint in fitting[0].hint, fitting[0]
    assert (fitting[0].node or "").startswith(("loop", "one")) and fitting[0].level in ("error", "warning")
    if code != "unknown_output" and name != "no instance":
        assert not found.ok


def test_all_mistakes_at_once() -> None:
    repeat = {"each": ["x"], "times": 2000, "while": "y", "carry": {"z": "w"}, "index": "v", "most": 0}
    problems = checked(repeat, body={**BODY, "nodes": {**BODY["nodes"], "bad": {"type": "trivial_nodes.nix"}}}).problems
    said = " ".join(problem.message for problem in problems)
    assert all(f"{name!r}" in said for name in "xyzwv"), said
    assert {problem.code for problem in problems} >= {"bad_repeat", "too_many_turns"}


@pytest.mark.parametrize(
    "repeat", [[], {"each": "a"}, {"each": [1]}, {"times": True}, {"carry": []}, {"most": "9"}, {"while": 1}]
)
def test_wrong_shapes(repeat: Any) -> None:
    from safelight.sdk import ProblemError

    with pytest.raises(ProblemError) as caught:
        checked(repeat)
    assert {problem.code for problem in caught.value.problems} == {"bad_shape"}


def test_an_endless_loop_is_a_warning() -> None:
    found = checked({"while": "more"})
    assert found.ok and [problem.code for problem in found.problems] == ["endless_loop"]


def test_a_document_keeps_all_that_it_says_of_a_repetition() -> None:
    repeat = {"each": ["a"], "while": "more", "carry": {"b": "c"}, "index": "i", "most": 7, "later": [1]}
    data = {"format": "safelight/1", "nodes": {"loop": {"type": "subgraph:x", "repeat": repeat}}, "links": []}
    assert Document.parse(data).data() == data


def test_calls_inside_calls_have_a_bound() -> None:
    names = [f"s{number}" for number in range(40)]
    bodies: dict[str, Any] = {
        name: {
            "nodes": {"in": {"type": f"subgraph:s{number + 1}", "repeat": {"times": 1}}}
            if number < 39
            else {"n": {"type": "trivial_nodes.number"}},
            "links": [],
            "outputs": [{"name": "out", "from": "in.out" if number < 39 else "n.value"}],
        }
        for number, name in enumerate(names)
    }
    document = {
        "format": "safelight/1",
        "nodes": {"top": {"type": "subgraph:s0", "repeat": {"times": 1}}},
        "links": [],
        "outputs": [{"name": "out", "from": "top.out"}],
        "subgraphs": bodies,
    }
    found = check(Document.parse(document), trivial_nodes.catalogue())
    assert not found.ok and "too_deep" in {problem.code for problem in found.problems}


def test_types_of_outputs() -> None:
    graph = checked({"times": 2, "carry": {"a": "out"}}).require()
    types = {port: str(kind) for port, kind in graph.nodes[graph.index["loop"]].types.items()}
    assert (types["out"], types["loud"]) == ("int", "list[str]")


def test_an_input_for_fractions_may_take_the_number_of_turns() -> None:
    made = checked({"times": "by"}, values={"a": 1, "by": 3}, body=FRACTIONS).require()
    (loop,) = [node for node in made.nodes if node.id == "loop"]
    assert loop.wires["by"].value == 3 and type(loop.wires["by"].value) is int


def test_who_wants_a_list_is_told_of_outputs_that_are_lists() -> None:
    problems = checked({"times": 2}, lines={"type": "trivial_nodes.texts"}).problems
    assert [problem.hint for problem in problems if problem.node == "lines"] == [
        "Connect trivial_nodes.texts.texts, or type a value in."
    ]


def test_a_field_that_no_repetition_has_is_told() -> None:
    found = checked({"times": 2, "cary": {"a": "out"}})
    (problem,) = [problem for problem in found.problems if problem.code == "bad_repeat"]
    assert found.ok and problem.level == "warning" and problem.value == "cary"
    assert "'cary'" in problem.message and problem.hint == "Did you mean carry?"


def test_what_can_be_typed_in_is_not_told_to_be_connected() -> None:
    (count,) = [problem for problem in checked({"times": "n"}).problems if problem.port == "n"]
    assert count.hint.startswith("Connect trivial_nodes.") and count.hint.endswith(", or type a value in."), count
    (any_kind,) = checked({"times": 2}, any={"type": "trivial_nodes.anything"}).problems
    assert any_kind.hint == "Connect any output, or type a value in."


def test_types_have_their_article() -> None:
    found = checked({"times": 2, "carry": {"a": "half"}}, body=FRACTIONS)
    assert "Make 'half' an int." in [problem.hint for problem in found.problems]
