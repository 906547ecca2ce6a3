"""Texts with places to be filled in."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Context, Seed, Text, node

from .._refusal import refusal


@node(version=1, title="Fill in a template", tags=("Text Concatenate", "format string", "StringFormat", "f-string"))
def fill(
    a: Annotated[str | None, "A text for the template."] = None,
    b: Annotated[str | None, "A text for the template."] = None,
    c: Annotated[str | None, "A text for the template."] = None,
    d: Annotated[str | None, "A text for the template."] = None,
    x: Annotated[float | None, "A number for the template."] = None,
    y: Annotated[float | None, "A number for the template."] = None,
    *,
    template: Annotated[
        str,
        Text(multiline=True, placeholder="a photo of {a}, {b}, take {x:03d}"),
        "{a} to {d} are texts, {x} and {y} numbers: {x:.2f} has two decimals, {x:03d} is whole with zeros before it. "
        "{{ and }} are brackets themselves.",
    ] = "{a}",
) -> str:
    """Put texts and numbers into the places of a template. With lists connected, one text for each element."""
    import re

    given = {"a": a, "b": b, "c": c, "d": d, "x": x, "y": y}

    def put(place: re.Match[str]) -> str:
        if place[0] in ("{{", "}}"):
            return place[0][0]
        name, form = place[1], place[2]
        value = given.get(name or "")
        if name not in given or value is None:
            message = f"{place[0]!r} is no place to fill in."
            hint = "Places are {a} to {d}, {x} and {y}; a bracket itself is {{ or }}."
            if name in given:
                message, hint = f"{{{name}}} has nothing connected to it.", f"Connect {name}."
            raise refusal(code="bad_template", message=message, hint=hint, port="template", value=template)
        if not form:
            return value if isinstance(value, str) else written(value)
        if isinstance(value, str) or not re.fullmatch(r"[<>^+]?,?0?\d{0,2}(?:\.\d{1,2})?[dfeg%]?", form):
            message = f"{place[0]!r} has a form that {'texts do not take' if isinstance(value, str) else 'is unknown'}."
            hint = "Forms are for numbers: {x:.2f}, {x:03d}, {x:.0%}."
            raise refusal(code="bad_template", message=message, hint=hint, port="template", value=template)
        try:
            return format(round(value) if form.endswith("d") else value, form)
        except ValueError:
            message, hint = f"{place[0]!r} has no such form.", "Forms are like {x:.2f}, {x:03d}, {x:.0%}."
            raise refusal(code="bad_template", message=message, hint=hint, port="template", value=template) from None

    return re.sub(r"\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]", put, template)


def written(value: float) -> str:
    """A number as people write it: 3, not 3.0."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


@node(
    version=1,
    cache=False,
    tags=("Dynamic Prompts", "wildcard", "ImpactWildcardProcessor", "random prompt", "prompt variations", "choices"),
)
def wildcards(
    *,
    text: Annotated[
        str,
        Text(multiline=True, placeholder="a {red|green|2::blue} __animal__"),
        "{red|green} is one of them by chance, {3::red|green} takes red three times as often, {2$$a|b|c} is two of "
        "them with a comma between. __animal__ is a line by chance of the file wildcards/animal.txt of the input "
        "folder. \\{ and \\} are brackets themselves.",
    ] = "",
    seed: Annotated[int, Seed(), "Another seed, another text. A list of seeds gives a list of texts."] = 0,
    ctx: Context,
) -> str:
    """Write a prompt by chance, of choices in brackets and of files of words. The same seed gives the same text."""
    from random import Random

    from .._wildcards import Writer

    return Writer(Random(seed), ctx.files.path).write(text)
