"""What ADetailer, an extension of A1111's, writes of the faces that it painted again."""

from __future__ import annotations

from collections.abc import Mapping

from .settings import Faces, Settings, number

_BOUNDS = {"denoise": 1.0, "feather": 64.0, "grow": 64.0, "steps": 150.0, "guidance": 100.0, "width": 4096.0}
_NUMBERS = {
    **{"ADetailer denoising strength": "denoise", "ADetailer mask blur": "feather", "ADetailer steps": "steps"},
    **{"ADetailer dilate erode": "grow", "ADetailer CFG scale": "guidance"},
    **{"ADetailer inpaint width": "width", "ADetailer inpaint height": "height"},
}


def is_detailer(key: str) -> bool:
    """Whether a key is one of ADetailer's."""
    return key.startswith("ADetailer")


def read_faces(said: Settings, told: Mapping[str, str]) -> None:
    """The faces of a record, if there are any; what is not mapped is told."""
    given = {key: value for key, value in told.items() if is_detailer(key)}
    if not given:
        return
    model = given.get("ADetailer model", "its model is not named")[:80]
    if "face" not in model:
        said.remarks.append(
            f"ADetailer ({model}) is left out: faces alone are found here; preprocess.find masks others."
        )
        return
    faces = said.faces = Faces(given.get("ADetailer prompt", ""), given.get("ADetailer negative prompt", ""))
    for key, name in _NUMBERS.items():
        value = number(given.get(key))
        if value is not None and 0 <= value <= _BOUNDS.get(name, 4096.0):
            setattr(faces, name, value if name in ("denoise", "guidance") else int(value))
    faces.prompt, faces.negative = (
        text.partition("[SEP]")[0].strip().replace("[PROMPT]", whole)
        for text, whole in ((faces.prompt, said.prompt), (faces.negative, said.negative))
    )
    said.remarks.append(
        f"ADetailer ({model}): faces are found by another network here, with its own confidence and ovals for masks, "
        "and all lie in one part that is cut out and painted again at once."
    )
    known = {*_NUMBERS, "ADetailer model", "ADetailer prompt", "ADetailer negative prompt", "ADetailer version"}
    known |= {"ADetailer confidence", "ADetailer inpaint only masked", "ADetailer inpaint padding"}
    known |= {f"ADetailer use {name}" for name in ("inpaint width height", "separate steps", "separate CFG scale")}
    left = [key.removeprefix("ADetailer ") for key, value in given.items() if key not in known and value != "False"]
    if left:
        said.remarks.append(f"Of ADetailer, {', '.join(left)[:200]} have no counterpart, and are left out.")
