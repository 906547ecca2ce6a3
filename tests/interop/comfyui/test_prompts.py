"""Weights of ComfyUI, written as they are read here."""

from __future__ import annotations

import pytest

from safelight.interop.comfyui.rules.prompts import prompt
from safelight.sdk.prompt_syntax import parse


@pytest.mark.parametrize(
    "text",
    [
        "a red apple",
        "a (red:1.3) apple",
        "(very) red",
        "\\(old\\) and (new:0.8)",
        "embedding:foo.pt, (bar)",
        "",
        ":-) ",
    ],
)
def test_what_both_read_the_same_stays(text: str) -> None:
    assert prompt(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("((a):1.5)", [("a", 1.65)]),
        ("(a (b:2):0.5)", [("a ", 0.5), ("b", 2.0)]),
        ("(a (b:1) c:1.4)", [("a ", 1.4), ("b", 1.0), (" c", 1.4)]),
        ("[a] ((b))", [("[a] ", 1.0), ("b", 1.21)]),
        ("[a:b:0.5]", [("[a:b:0.5]", 1.0)]),
        ("(a: b:1.2)", [("a: b", 1.2)]),
        ("(a \\(b\\) [c]:1.2)", [("a (b) [c]", 1.2)]),
    ],
)
def test_weights_mean_the_same(text: str, wanted: list[tuple[str, float]]) -> None:
    read = [(piece.text, pytest.approx(piece.weight)) for piece in parse(prompt(text))]
    assert read == wanted


def test_brackets_without_end_are_read_in_time() -> None:
    assert len(parse(prompt("(" * 5000 + "a"))) >= 1
    assert len(parse(prompt("(a:1.1) [b] " * 3000))) > 1000
