"""Numbers and choices."""

from __future__ import annotations

import re

from .base import Made, Part, Ref, Row, Rule, Site, Unfit, one


def switch(site: Site) -> Made:
    part = Part("choice.switch")
    site.put(part, "if_true", "on_true")
    site.put(part, "if_false", "on_false")
    site.put(part, "condition", "switch")
    return one(part, "value")


def expression(site: Site) -> Made:
    """A formula of a, b, c, d. Theirs knows more letters and functions."""
    names = sorted(name.split(".")[-1] for name in (*site.node.wires, *site.node.typed) if name.startswith("values."))
    text = _MULTIPLE.sub(_as_multiple, str(site.typed("expression", "a")))
    text = re.sub(r"\bint\b(?=\s*\()", "trunc", text)
    if any(name not in ("a", "b", "c", "d") for name in names) or site.wire("expression"):
        raise Unfit("A formula has the numbers a, b, c and d here.")
    if not _FORMULA.fullmatch(text):
        raise Unfit(f"{text[:60]!r} has words that numbers.expression does not know.")
    part = Part("numbers.expression")
    for name in names:
        site.put(part, name, f"values.{name}")
    part.values["expression"] = text
    return one(part, "number", "integer", "yes")


_FORMULA = re.compile(
    r"(?:[0-9+\-*/%().,<>=!\s]|\b(?:[abcd]|min|max|round|floor|ceil|abs|trunc|sqrt|log2|log10|if|else|and|or|not)\b)*"
)
_MULTIPLE = re.compile(r"\b([abcd])\s*&\s*(?:-\s*(\d+)|~\s*(\d+))")
"""The bits above some are what is a multiple of a power of two."""


def _as_multiple(found: re.Match[str]) -> str:
    step = int(found[2]) if found[2] else int(found[3]) + 1
    return f"({found[1]} // {step} * {step})" if step > 0 and step & (step - 1) == 0 else found[0]


def convert(site: Site) -> Made:
    """A number, text or truth as both kinds of numbers; what is behind the point is cut off of the whole one."""
    kind = site.kind(site.wire("value"))
    if kind == "STRING":
        part = Part("strings.to_number")
        site.put(part, "text", "value")
        return one(part, "number", "integer")
    if kind == "BOOLEAN":
        part = Part("logic.to_integer")
        site.put(part, "condition", "value")
        return one(part, "value", "value")
    parts = {"": Part("numbers.expression", {"expression": "a"})}
    site.put(parts[""], "a", "value")
    if site.takes(1):
        parts["whole"] = Part("numbers.expression", {"expression": "trunc(a)"}, {"a": Ref("", "number")})
    return Made(parts, [Ref("", "number"), Ref("whole", "integer") if site.takes(1) else None])


def rule_of(rule: str) -> Rule:
    """Several truths in one."""

    def made(site: Site) -> Made:
        part = Part("logic.combine", {"rule": rule})
        for name in sorted(site.node.wires):
            site.put(part, "conditions", name)
        return one(part, "value")

    return made


def resolution(site: Site) -> Made:
    """An aspect ratio and a number of pixels."""
    found = re.match(r"(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)", str(site.typed("aspect_ratio", "1:1")))
    if found is None or site.wire("aspect_ratio"):
        raise Unfit("Its proportions are not told.")
    part = Part("numbers.size", {"across": float(found[1]), "down": float(found[2])})
    site.put(part, "megapixels", "megapixels")
    site.put(part, "multiple_of", "multiple")
    return one(part, "width", "height")


def _first_wired(site: Site) -> Made:
    """The first input that something comes into: what is muted gives nothing."""
    for name in sorted(site.node.wires):
        if site.live(site.wire(name)):
            return Made({}, [site.wire(name)])
    return Made({}, [None])


def value(kind: str, output: str = "value") -> Rule:
    return Row(f"values.{kind}", {"value": "value"}, (output,))


RULES: dict[str, Rule] = {
    "ComfySwitchNode": switch,
    "ComfyMathExpression": expression,
    "ComfyNumberConvert": convert,
    "ComfyAndNode": rule_of("all"),
    "ComfyOrNode": rule_of("any"),
    "ComfyNotNode": Row("logic.invert", {"value": "condition"}, ("value",)),
    "ResolutionSelector": resolution,
    "PrimitiveInt": value("integer"),
    "PrimitiveFloat": value("number"),
    "PrimitiveBoolean": value("toggle"),
    "PrimitiveString": value("text", "text"),
    "PrimitiveStringMultiline": value("text", "text"),
    "Any Switch (rgthree)": _first_wired,
}
