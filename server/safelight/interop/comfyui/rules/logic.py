"""Numbers, texts and choices."""

from __future__ import annotations

import re

from .base import Made, Part, Row, Rule, Site, Unfit, one, pick


def switch(site: Site) -> Made:
    part = Part("choice.switch")
    site.put(part, "if_true", "on_true")
    site.put(part, "if_false", "on_false")
    site.put(part, "condition", "switch")
    return one(part, "value")


def expression(site: Site) -> Made:
    """A formula of a, b, c, d. Theirs knows more letters and functions."""
    names = sorted(name.split(".")[-1] for name in (*site.node.wires, *site.node.typed) if name.startswith("values."))
    text = str(site.typed("expression", "a"))
    if any(name not in ("a", "b", "c", "d") for name in names) or site.wire("expression"):
        raise Unfit("A formula has the numbers a, b, c and d here.")
    if not _FORMULA.fullmatch(text):
        raise Unfit(f"{text[:60]!r} has words that numbers.expression does not know.")
    part = Part("numbers.expression")
    for name in names:
        site.put(part, name, f"values.{name}")
    part.values["expression"] = text
    return one(part, "number", "integer", "yes")


_FORMULA = re.compile(r"(?:[0-9+\-*/%().,<>=!\s]|\b(?:[abcd]|min|max|round|floor|ceil|abs|if|else|and|or|not)\b)*")


def concatenate(site: Site) -> Made:
    """Two texts, typed or over wires, by a template."""
    if site.wire("delimiter") is not None:
        raise Unfit("What stands between the texts comes over a wire.")
    between = str(site.typed("delimiter", "")).replace("{", "{{").replace("}", "}}")
    part = Part("strings.fill", {"template": f"{{a}}{between}{{b}}"})
    site.put(part, "a", "string_a")
    site.put(part, "b", "string_b")
    return one(part, "text")


def resolution(site: Site) -> Made:
    """An aspect ratio and a number of pixels."""
    found = re.match(r"(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)", str(site.typed("aspect_ratio", "1:1")))
    if found is None or site.wire("aspect_ratio"):
        raise Unfit("Its proportions are not told.")
    part = Part("numbers.size", {"across": float(found[1]), "down": float(found[2])})
    site.put(part, "megapixels", "megapixels")
    site.put(part, "multiple_of", "multiple")
    return one(part, "width", "height")


def show_text(site: Site) -> Made:
    """Shows a text and hands it on. Here any node's text is seen where it is made."""
    name = next(iter(site.node.wires), "")
    return Made({}, [site.wire(name)])


def _first_wired(site: Site) -> Made:
    """The first input that has a wire."""
    for name in sorted(site.node.wires):
        return Made({}, [site.wire(name)])
    return Made({}, [None])


def value(kind: str, output: str = "value") -> Rule:
    return Row(f"values.{kind}", {"value": "value"}, (output,))


_CASES = pick({"UPPERCASE": "upper", "lowercase": "lower", "Capitalize": "sentence", "Title Case": "title"})
RULES: dict[str, Rule] = {
    "ComfySwitchNode": switch,
    "ComfyMathExpression": expression,
    "ResolutionSelector": resolution,
    "PrimitiveInt": value("integer"),
    "PrimitiveFloat": value("number"),
    "PrimitiveBoolean": value("toggle"),
    "PrimitiveString": value("text", "text"),
    "PrimitiveStringMultiline": value("text", "text"),
    "StringConcatenate": concatenate,
    "StringReplace": Row("values.replace", {"string": "text", "find": "find", "replace": "put"}, ("text",)),
    "StringTrim": Row(
        "strings.trim",
        {"string": "text", "mode": ("side", pick({"Both": "both", "Left": "start", "Right": "end"}))},
        ("text",),
    ),
    "CaseConverter": Row("strings.change_case", {"string": "text", "mode": ("case", _CASES)}, ("text",)),
    "StringLength": Row("strings.measure", {"string": "text"}, ("characters",)),
    "PreviewAny": show_text,
    "ShowText|pysssss": show_text,
    "Any Switch (rgthree)": _first_wired,
}
