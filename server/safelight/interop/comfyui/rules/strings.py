"""Texts: put together, searched, replaced, and written by language models."""

from __future__ import annotations

import json
import re

from .base import Made, Out, Part, Ref, Row, Rule, Site, Unfit, named, one, pick, told


def concatenate(site: Site) -> Made:
    """Two texts, typed or over wires, by a template."""
    if site.wire("delimiter") is not None:
        raise Unfit("What stands between the texts comes over a wire.")
    between = str(site.typed("delimiter", "")).replace("{", "{{").replace("}", "}}")
    part = Part("strings.fill", {"template": f"{{a}}{between}{{b}}"})
    site.put(part, "a", "string_a")
    site.put(part, "b", "string_b")
    return one(part, "text")


def fill(site: Site) -> Made:
    """A template with texts and numbers. Numbers are written out before."""
    template = str(site.typed("f_string", "{a}"))
    names = sorted(name.split(".")[-1] for name in (*site.node.wires, *site.node.typed) if name.startswith("values."))
    if site.wire("f_string") or any(name not in ("a", "b", "c", "d") for name in names):
        raise Unfit("A template has the texts a, b, c and d here.")
    if re.search(r"\{[^{}]*[:!.\[][^{}]*\}", template.replace("{{", "").replace("}}", "")):
        raise Unfit("How a value is written is said in its template: use strings.from_number before strings.fill.")
    parts = {"": Part("strings.fill", {"template": template})}
    for name in names:
        if site.kind(site.wire(f"values.{name}")) in ("INT", "FLOAT"):
            parts[name] = Part("strings.from_number")
            site.put(parts[name], "value", f"values.{name}")
            parts[""].inputs[name] = Ref(name, "text")
        else:
            site.put(parts[""], name, f"values.{name}")
    return Made(parts, [Ref("", "text")])


def _searched(site: Site, type: str) -> Part:
    """A node of ours with a pattern; what is set beside the pattern there is written before it here."""
    part = Part(type)
    site.put(part, "text", "string")
    flags = "".join(letter for letter, name in (("m", "multiline"), ("s", "dotall")) if site.typed(name, False) is True)
    site.put(part, "pattern", "regex_pattern", lambda value: (f"(?{flags})" if flags else "") + str(value))
    site.put(part, "ignore_case", "case_insensitive")
    return part


def extract(site: Site) -> Made:
    """The first match or all, whole or a group of it; several are lines of one text."""
    mode = str(site.typed("mode", "First Match"))
    group = site.typed("group_index", 1)
    if mode == "First Match":
        return one(_searched(site, "strings.match"), "text")
    if mode == "First Group":
        if group == 0:
            return one(_searched(site, "strings.match"), "text")
        part = Part("values.pick", {"index": int(group) - 1}, {"items": Ref("", "groups")})
        return Made({"": _searched(site, "strings.match"), "group": part}, [Ref("group", "value")])
    found = _searched(site, "strings.find_all")
    found.values["group"] = int(group) if mode == "All Groups" else 0
    return Made(
        {"": found, "lines": Part("values.join", {"separator": "\n"}, {"texts": Ref("", "texts")})},
        [Ref("lines", "text")],
    )


def substitute(site: Site) -> Made:
    part = _searched(site, "strings.substitute")
    site.put(part, "put", "replace")
    site.put(part, "limit", "count")
    return one(part, "text")


def compare(site: Site) -> Made:
    how = {"Starts With": "starts", "Ends With": "ends", "Equal": "equals"}.get(str(site.typed("mode", "Equal")))
    if how is None:
        raise Unfit(f"There is no way {site.typed('mode')!r} to compare texts here.")
    return _tested(site, how, "string_a", "string_b")


def contains(site: Site) -> Made:
    return _tested(site, "contains", "string", "substring")


def _tested(site: Site, how: str, text: str, find: str) -> Made:
    part = Part("strings.test", {"how": how})
    site.put(part, "text", text)
    site.put(part, "find", find)
    site.put(part, "ignore_case", "case_sensitive", lambda value: not value)
    return one(part, "value")


def substring(site: Site) -> Made:
    start, end = site.typed("start", 0), site.typed("end", 0)
    if site.wire("start") or site.wire("end") or not 0 <= int(start) < int(end):
        raise Unfit("A part of a text has a first character and a number of them here: use strings.part.")
    part = Part("strings.part", {"start": int(start), "count": int(end) - int(start)})
    site.put(part, "text", "string")
    return one(part, "text")


def from_json(site: Site) -> Made:
    """The value at a key. A key is a path here: one that is no plain name is written in brackets."""
    key = str(site.typed("key", ""))
    if site.wire("key"):
        raise Unfit("Its key comes over a wire: use data.read_json.")
    part = Part("data.read_json", {"path": key if re.fullmatch(r"\w+", key) else f"[{json.dumps(key)}]"})
    site.put(part, "text", "json_string")
    return one(part, "text")


def choice(site: Site) -> Made:
    """A text that is chosen of a list. Which one it is comes second."""
    part = Part("values.text")
    site.put(part, "value", "choice")
    listed = site.node.raw.get("widgets_values")
    index = listed[1] if isinstance(listed, list) and len(listed) > 1 and isinstance(listed[1], int) else 0
    parts = {"": part}
    if site.takes(1):
        parts["index"] = Part("values.integer", {"value": index})
    site.approximate("The list to choose from is left out: the text that was chosen is typed in.")
    return Made(parts, [Ref("", "text"), Ref("index", "value") if site.takes(1) else None])


def write(site: Site) -> Made:
    """A language model writes. There it is loaded as a text encoder is, here as a model that reads."""
    if site.wire("video") or site.wire("audio"):
        raise Unfit("It looks at a video or listens to sound: reading.describe looks at images.")
    loaded = Part("reading.load")
    loader = site.giver(site.wire("clip"))
    if loader is not None and loader.node.type.startswith("CLIPLoader"):
        loader.put(loaded, "model", "clip_name", named("text_encoders"))
    site.approximate("A language model is a folder of transformers here: choose the one of its text encoder.")
    look = site.wire("image") is not None
    part = Part("reading.describe" if look else "reading.write", {}, {"model": Ref("loaded", "model")})
    for port, name in (("prompt", "prompt"), ("length", "max_length")):
        site.put(part, port, name)
    chance = str(site.typed("sampling_mode", "on")) == "on"
    part.values["temperature"] = 0.0
    if chance:
        site.put(part, "temperature", "sampling_mode.temperature")
        site.put(part, "seed", "sampling_mode.seed")
    parts = {"": part, "loaded": loaded}
    out: Out = Ref("", "text")
    if look:
        site.put(part, "image", "image")
        parts["first"] = Part("values.pick", {"index": 0}, {"items": Ref("", "texts")})
        out = Ref("first", "value")
    else:
        site.put(part, "system", "system_prompt")
    return Made(parts, [out, None])


def show(site: Site) -> Made:
    """Shows a text and hands it on. Here any node's text is seen where it is made."""
    name = next(iter(site.node.wires), "")
    return Made({}, [site.wire(name)])


def changed(case: str) -> Rule:
    return Row("strings.change_case", {"texts": "text"}, ("text",), {"case": case})


def beside(template: str, name: str) -> Rule:
    def rule(site: Site) -> Made:
        part = Part("strings.fill", {"template": template})
        site.put(part, "a", "texts")
        site.put(part, "b", name)
        return one(part, "text")

    return rule


def load_text(site: Site) -> Made:
    part = Part("data.load_text")
    site.put(part, "file", "file_path", lambda value: str(value).replace("\\", "/"))
    told(site, "file_path", "dictionary_name")
    return one(part, "text", None)


_CASES = pick({"UPPERCASE": "upper", "lowercase": "lower", "Capitalize": "sentence", "Title Case": "title"})
RULES: dict[str, Rule] = {
    "StringConcatenate": concatenate,
    "StringFormat": fill,
    "RegexExtract": extract,
    "RegexReplace": substitute,
    "RegexMatch": lambda site: one(_searched(site, "strings.match"), "found"),
    "StringCompare": compare,
    "StringContains": contains,
    "StringSubstring": substring,
    "JsonExtractString": from_json,
    "CustomCombo": choice,
    "TextGenerate": write,
    "StringReplace": Row("values.replace", {"string": "text", "find": "find", "replace": "put"}, ("text",)),
    "ReplaceText": Row("values.replace", {"texts": "text", "find": "find", "replace": "put"}, ("text",)),
    "StringTrim": Row(
        "strings.trim",
        {"string": "text", "mode": ("side", pick({"Both": "both", "Left": "start", "Right": "end"}))},
        ("text",),
    ),
    "StripWhitespace": Row("strings.trim", {"texts": "text"}, ("text",)),
    "CaseConverter": Row("strings.change_case", {"string": "text", "mode": ("case", _CASES)}, ("text",)),
    "TextToLowercase": changed("lower"),
    "TextToUppercase": changed("upper"),
    "AddTextPrefix": beside("{b}{a}", "prefix"),
    "AddTextSuffix": beside("{a}{b}", "suffix"),
    "StringLength": Row("strings.measure", {"string": "text"}, ("characters",)),
    "PreviewAny": show,
    "ShowText|pysssss": show,
    "Text to Console": show,
    "Load Text File": load_text,
}
