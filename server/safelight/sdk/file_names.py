"""Names of files to save: patterns below the output folder that are good names on every system.

A pattern may hold `{counter}` (the next free number), `{date}`, `{time}`, `{seed}`, and `{NODE.PORT}` for a value that
was typed into a port. A `/` makes a folder; a `\\` does, too.
"""

from __future__ import annotations

import re

ABOUT = "training.json"
"""The file in the folder of a model that a training wrote."""
STARTER = "starter"
"""The name of the model that comes along; none may be written in its place."""
_LONGEST = 200
"""Bytes of a part of a model's name: temporary names beside it are a little longer, and 255 is the most."""
TOKEN = re.compile(r"\{([^{}/\\]*)\}")
PLAIN_TOKENS = ("counter", "date", "time", "seed")
MOST_BYTES = 150
"""Of a part of a name: with counters, numbers and the temporary names of other programs it stays below 255."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_VALUE_CHARACTERS = 60


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a pattern, to be read after its name, and the remedy; None when it is good."""
    stem = pattern.strip().replace("\\", "/")
    if not stem:
        return "is empty.", "Give a name such as image_{counter}."
    if stem.startswith(("/", "~")) or re.match(r"^[A-Za-z]:", stem):
        return "is not below the output folder.", "Give a name relative to it."
    if ".." in stem.split("/"):
        return "leads out of the output folder.", "Leave out the `..`."
    for token in TOKEN.findall(stem):
        if token not in PLAIN_TOKENS and not all(token.rpartition(".")):
            known = ", ".join(f"{{{name}}}" for name in PLAIN_TOKENS)
            return f"holds {{{token}}}, which is not known.", f"{known} and {{NODE.PORT}} are filled in."
    bare = TOKEN.sub("1", stem)
    if "{" in bare or "}" in bare:
        return "holds a brace without its partner.", "Leave it out."
    found = _FORBIDDEN.search(bare)
    if found:
        said = "a NUL character" if found.group() == "\0" else repr(found.group())
        return f"holds {said}, which is no part of a file name everywhere.", "Leave it out; folders take a /."
    for part in bare.split("/"):
        if part in ("", "."):
            return "has an empty part.", "Leave out the superfluous `/`."
        if part != part.strip() or part.endswith("."):
            return f"has a part ({part!r}) that begins or ends with a blank or a dot.", "Leave those out."
        if part.split(".")[0].strip().lower() in _RESERVED:
            return f"uses {part.split('.')[0]!r}, which Windows keeps for a device.", "Choose another name."
        if len(part.encode(errors="replace")) > MOST_BYTES:
            return "has a part that is too long.", f"Use at most {MOST_BYTES} bytes between two `/`."
    return None


def model_fault(name: str) -> tuple[str, str] | None:
    """What is wrong with the name of a model to write below the model folder, and the remedy; None when it is good."""
    stem = name.strip().replace("\\", "/")
    parts = [part for part in stem.split("/") if part not in ("", ".")]
    leads_away = stem.startswith("/") or re.match(r"^[A-Za-z]:", stem) or "\0" in stem
    if not parts or leads_away or parts[0] == STARTER or any(part[0] in ".~" for part in parts):
        hint = "Give a name such as my-model or trained/my-model; it becomes a folder below the model folder."
        return "cannot be the name of a new model.", hint
    if any(len(part.encode(errors="replace")) > _LONGEST for part in parts):
        return "has a part that is too long.", f"Use at most {_LONGEST} bytes between two `/`."
    return None


def value_in_name(value: object) -> str:
    """A value as a part of a name: without what no system takes, and not too long."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = text.encode(errors="replace").decode()
    text = _FORBIDDEN.sub("_", text.replace("/", "_").replace("{", "(").replace("}", ")"))
    text = text.encode()[:_VALUE_CHARACTERS].decode(errors="ignore")
    return text.strip(" .") or "none"
