"""ControlNet units as A1111's extension writes them, and the preprocessors here that its modules are."""

from __future__ import annotations

import re
from typing import Any

from .settings import Settings, Unit, model_file, number

_PAIR = re.compile(r"\s*([A-Za-z][A-Za-z /]*?):\s*(\([^)]*\)|[^,]*)(?:,|$)")
_HASHED = re.compile(r"(.*?)\s*\[([0-9a-fA-F]{8,64})\]\s*")
_HANDS = "lllyasviel/Annotators/hand_pose_model.pth"
_FACE = "lllyasviel/Annotators/facenet.pth"
MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "canny": ("image.canny", {}),
    "depth": ("preprocess.midas", {}),
    "depth_midas": ("preprocess.midas", {}),
    "depth_zoe": ("preprocess.zoe", {}),
    "depth_leres": ("preprocess.leres", {}),
    "depth_anything": ("preprocess.depth", {}),
    "depth_anything_v2": ("preprocess.depth", {}),
    "normal_bae": ("preprocess.normal_bae", {}),
    "hed": ("preprocess.hed", {}),
    "softedge_hed": ("preprocess.hed", {}),
    "softedge_hedsafe": ("preprocess.hed", {"safe": True}),
    "scribble_hed": ("preprocess.hed", {"scribble": True}),
    "pidinet": ("preprocess.pidinet", {}),
    "softedge_pidinet": ("preprocess.pidinet", {}),
    "softedge_pidisafe": ("preprocess.pidinet", {"safe": True}),
    "scribble_pidinet": ("preprocess.pidinet", {"scribble": True}),
    "softedge_teed": ("preprocess.teed", {}),
    "softedge_anyline": ("preprocess.anyline", {}),
    "lineart": ("preprocess.lineart", {}),
    "lineart_realistic": ("preprocess.lineart", {}),
    "lineart_anime": ("preprocess.lineart_anime", {}),
    "lineart_standard": ("preprocess.lineart_standard", {}),
    "mlsd": ("preprocess.mlsd", {}),
    "openpose": ("preprocess.openpose", {}),
    "openpose_hand": ("preprocess.openpose", {"hands": _HANDS}),
    "openpose_face": ("preprocess.openpose", {"face": _FACE}),
    "openpose_faceonly": ("preprocess.openpose", {"face": _FACE, "body": False}),
    "openpose_full": ("preprocess.openpose", {"hands": _HANDS, "face": _FACE}),
    "dw_openpose_full": ("preprocess.openpose", {"hands": _HANDS, "face": _FACE}),
    "mediapipe_face": ("preprocess.mediapipe_face", {}),
    "shuffle": ("preprocess.shuffle", {}),
}
_UNSIZED = ("image.canny", "preprocess.depth")


def read_unit(said: Settings, text: str) -> None:
    """Adds the unit that a value of `ControlNet 0` tells; what cannot be read is told."""
    told = {key.strip().lower(): value.strip() for key, value in _PAIR.findall(text)}
    model, digest = hashed(told.get("model", ""))
    if model in ("", "None"):
        said.remarks.append(f"A ControlNet without a model, {text[:80]!r}, is left out.")
        return
    unit = Unit(model_file("controlnet", model))
    if digest:
        said.hashes[unit.model] = digest
    module = told.get("module") or told.get("preprocessor") or ""
    unit.module = "" if module.lower() == "none" else re.sub(r"\s*\(.*", "", module.lower())
    weight = number(told.get("weight"))
    unit.weight = 1.0 if weight is None else min(2.0, max(0.0, weight))
    pair = re.fullmatch(r"\(\s*([\d.]+)\s*,\s*([\d.]+)\s*\)", told.get("starting/ending", ""))
    start = number(pair[1] if pair else told.get("guidance start"))
    end = number(pair[2] if pair else told.get("guidance end"))
    if 0 <= (start or 0.0) < (1.0 if end is None else end) <= 1:
        unit.start, unit.end = start or 0.0, 1.0 if end is None else end
    resolution = number(told.get("processor res"))
    unit.resolution = int(resolution) if resolution is not None and 64 <= resolution <= 2048 else 0
    unit.low, unit.high = number(told.get("threshold a")), number(told.get("threshold b"))
    mode = told.get("control mode", "Balanced")
    unit.guess = mode == "ControlNet is more important"
    if mode != "Balanced" and not unit.guess:
        said.remarks.append(f"The control mode {mode[:80]!r} of a ControlNet has no counterpart: it is balanced.")
    if unit.module and unit.module not in MODULES:
        said.remarks.append(
            f"There is no preprocessor {unit.module[:80]!r} here: give the ControlNet an image that it made already."
        )
    said.units.append(unit)


def preprocessor(unit: Unit) -> tuple[str, dict[str, Any]] | None:
    """The node that reads the hint off an image, and its values; None for what needs none, or has none here."""
    if unit.module not in MODULES:
        return None
    kind, values = MODULES[unit.module]
    values = dict(values)
    if unit.resolution and kind not in _UNSIZED:
        values["resolution"] = unit.resolution
    low, high = unit.low, unit.high
    if kind == "image.canny" and low is not None and high is not None and 0 <= low <= high <= 255:
        values |= {"low": int(low), "high": int(high)}
    return kind, values


def hashed(text: str) -> tuple[str, str]:
    """A model's name and the hash in brackets behind it; empty where there is none."""
    found = _HASHED.fullmatch(text)
    return (found[1], found[2].lower()) if found else (text.strip(), "")
