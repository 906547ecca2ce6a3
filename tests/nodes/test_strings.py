"""Texts: parts, patterns, templates."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from safelight.sdk import ProblemError
from safelight.testing import BenchContext, call
from safelight_nodes import _patterns
from safelight_nodes.strings import convert, parts, patterns, templates


def code_of(error: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    return error.value.problems[0].code, error.value.problems[0].port


def test_texts_are_taken_apart() -> None:
    assert call(parts.split, " a cat \n\na dog\r\n") == ["a cat", "a dog"]
    assert parts.split("a, b,,c", by="commas") == ["a", "b", "c"]
    assert parts.split("a,,c", by="commas", keep_empty=True) == ["a", "", "c"]
    assert parts.split(" a  b\nc", by="blanks") == ["a", "b", "c"]
    assert parts.split("a | b", by="other", separator="|", trim=False) == ["a ", " b"]
    assert parts.split("a\n\nb", by="other", separator="\\n\\n") == ["a", "b"]
    with pytest.raises(ProblemError) as caught:
        parts.split("a", by="other", separator="")
    assert code_of(caught) == ("bad_value", "separator")


def test_parts_and_lengths() -> None:
    assert call(parts.part, "safelight", start=4, count=2) == "li"
    assert parts.part("safelight", start=-5) == "light"
    assert parts.part("safelight", start=-99, count=4) == "safe"
    assert parts.part("safelight", start=99) == ""
    assert call(parts.trim, "  a  b \n") == "a  b"
    assert parts.trim("  a \n b ", inner=True) == "a b"
    assert parts.trim("--a--", side="left", characters="-") == "a--"
    assert call(parts.measure, "a cat\nand a dog") == (15, 5, 2)


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ("lower", "it's the cat of anna"),
        ("upper", "IT'S THE CAT OF ANNA"),
        ("title", "It's The Cat Of Anna"),
        ("sentence", "It's the cat of anna"),
        ("swap", "IT'S THE cAT OF aNNA"),
        ("snake_case", "it_s_the_cat_of_anna"),
    ],
)
def test_cases(case: str, result: str) -> None:
    assert call(parts.change_case, "it's the Cat of Anna", case=case) == result  # type: ignore[arg-type]


def test_texts_are_tested() -> None:
    assert call(patterns.test, "a Red apple", find="red", ignore_case=True)
    assert not patterns.test("a Red apple", find="red")
    assert patterns.test("a.png", how="ends", find=".png")
    assert patterns.test("a.png", how="starts", find="a")
    assert patterns.test("STRASSE", how="equals", find="straße", ignore_case=True)


def test_patterns_find_and_replace() -> None:
    assert call(patterns.match, "seed 12, steps 8", pattern=r"(\w+) (\d+)") == (True, "seed 12", ["seed", "12"], 0)
    assert patterns.match("nothing", pattern=r"(\d+)(x)?") == (False, "", ["", ""], -1)
    assert call(patterns.find_all, "seed 12, steps 8", pattern=r"(\w+) (\d+)", group=2) == ["12", "8"]
    assert patterns.find_all("a\nb", pattern="^.$") == ["a", "b"]
    assert call(patterns.substitute, "2 cats", pattern=r"(\d) (\w+)", put=r"\2: \1\n\\") == "cats: 2\n\\"
    assert patterns.substitute("aaa", pattern="a", put="b", limit=2) == "bba"
    assert patterns.substitute("Aa", pattern="(?P<one>a)", put=r"<\g<one>>", ignore_case=True) == "<A><a>"
    assert patterns.substitute("abc", pattern="", put="x") == "abc"
    assert patterns.substitute("a\\b", pattern=r"\\", put="/") == "a/b"
    assert patterns.find_all("2024-05-06 1999-01-02", pattern=r"(?:\d{4})-(\d{2}){1}-\d{2}", group=1) == ["05", "01"]


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "[", "(?P<1>a)", "\\", "a{99999999999}", "(?<!a+b*)(", "(?R)", "((((a{60}){60}){60}){60})"]
)
def test_what_is_no_pattern_is_a_problem(pattern: str) -> None:
    for node in (patterns.match, patterns.find_all, patterns.substitute):
        with pytest.raises(ProblemError) as caught:
            node("text", pattern=pattern)
        assert code_of(caught) == ("bad_pattern", "pattern")


def test_groups_that_are_not_there_are_problems() -> None:
    with pytest.raises(ProblemError) as caught:
        patterns.find_all("a", pattern="a", group=1)
    assert code_of(caught) == ("bad_pattern", "group")
    for put in (r"\1", r"\g<name>"):
        with pytest.raises(ProblemError) as caught:
            patterns.substitute("a", pattern="a", put=put)
        assert code_of(caught) == ("bad_pattern", "put")


@pytest.mark.parametrize("pattern", [r"(a|a)*b", r"(a+)+$", r"(.*?,){30}x", r"(\w|\d|a)*-"])
def test_a_pattern_that_would_run_for_ever_is_stopped(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (_patterns, patterns):
        monkeypatch.setattr(room, "SECONDS", 0.2)
    text = "a," * 40 if "," in pattern else "a" * 5000 + "!"
    for node in (patterns.match, patterns.find_all, patterns.substitute):
        started = time.perf_counter()
        try:
            node(text, pattern=pattern)
        except ProblemError as error:
            assert error.problems[0].code == "pattern_too_slow"
        assert time.perf_counter() - started < 2


def test_templates_are_filled() -> None:
    made = call(templates.fill, "cat", "red", x=3.0, y=0.5, template="{a} {{{b}}} {x:03d} {x} {y:.0%} {y:>6.2f}")
    assert made == "cat {red} 003 3 50%   0.50"
    assert templates.fill(x=0.1, template="{x} {x}") == "0.1 0.1"
    assert templates.fill("{b}", "no", template="{a}") == "{b}", "what is filled in is not a template"
    for template in ("{c}", "{z}", "{", "a}", "{a.__class__}", "{a:>9}", "{x:>999999999}", "{x:<,d<}", "{}"):
        with pytest.raises(ProblemError) as caught:
            templates.fill("a", x=1.0, template=template)
        assert code_of(caught) == ("bad_template", "template"), template


def test_numbers_and_texts() -> None:
    assert call(convert.from_number, 3.0) == "3"
    assert convert.from_number(0.25) == "0.25"
    assert convert.from_number(7.0, width=4) == "0007"
    assert convert.from_number(-2.5, decimals=2, width=7) == "-002.50"
    assert call(convert.to_number, " -1.5e2\n") == (-150.0, -150)
    assert convert.to_number(".5") == (0.5, 0)
    for text in ("", "a", "1,5", "nan", "inf", "0x10", "1_000", "1e400", "9" * 30):
        with pytest.raises(ProblemError) as caught:
            convert.to_number(text)
        assert code_of(caught) == ("bad_value", "text"), text


def write(folder: Path, text: str, seed: int = 0) -> str:
    return call(templates.wildcards, text=text, seed=seed, ctx=BenchContext(folder=folder))


def test_prompts_by_chance(tmp_path: Path) -> None:
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "animal.txt").write_text("# animals\ncat\n\n{small|big} dog\n", encoding="utf-8")
    assert write(tmp_path, "no choice (word:1.2)") == "no choice (word:1.2)"
    assert {write(tmp_path, "a {red|green} pear", seed) for seed in range(20)} == {"a red pear", "a green pear"}
    nested = {write(tmp_path, "{a|{b|c}}{}", seed) for seed in range(40)}
    assert nested == {"a", "b", "c"}
    assert {write(tmp_path, "__animal__", seed) for seed in range(60)} == {"cat", "small dog", "big dog"}
    often = [write(tmp_path, "{3::a|b}", seed) for seed in range(400)]
    assert often.count("a") / 400 == pytest.approx(0.75, abs=0.07)
    two = {write(tmp_path, "{2$$a|b|c}", seed) for seed in range(100)}
    assert two == {"a, b", "a, c", "b, a", "b, c", "c, a", "c, b"}
    assert sorted(write(tmp_path, "{9$$ and $$a|b}").split(" and ")) == ["a", "b"]
    assert write(tmp_path, "\\{a\\|b\\}") == "{a|b}"
    assert write(tmp_path, "{a|b} {c|d}", 5) == write(tmp_path, "{a|b} {c|d}", 5)


def test_prompts_by_chance_that_cannot_be_written_are_problems(tmp_path: Path) -> None:
    (tmp_path / "wildcards").mkdir()
    for name, text in {"loop": "__loop__", "empty": "# nothing", "wide": "__wide2__" * 99, "wide2": "x" * 9999}.items():
        (tmp_path / "wildcards" / f"{name}.txt").write_text(text, encoding="utf-8")
    for text in ("{a", "a}", "{0::a|0::b}", "__loop__", "__empty__", "__wide__", "{" * 30 + "}" * 30):
        with pytest.raises(ProblemError) as caught:
            write(tmp_path, text)
        assert code_of(caught) == ("bad_template", "text"), text
    (tmp_path / "wildcards" / "image.txt").write_bytes(b"\x89PNG\xff\xfe\0")
    with pytest.raises(ProblemError) as caught:
        write(tmp_path, "__image__")
    assert caught.value.problems[0].code == "text_unreadable"
