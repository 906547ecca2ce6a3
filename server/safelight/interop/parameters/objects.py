"""Programs that write their settings as JSON: InvokeAI, SwarmUI, NovelAI, Fooocus, Draw Things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..comfyui.rules.formulas import FORMULAS, SAMPLERS, SCHEDULERS
from ..invokeai.prompts import prompt
from ..invokeai.values import SCHEDULERS as INVOKEAI
from .a1111 import method
from .settings import Settings, model_file, number

_NOVELAI = {
    **{"k_euler": "euler", "k_euler_ancestral": "euler_ancestral", "k_dpmpp_2m": "dpmpp_2m", "ddim_v3": "ddim"},
    **{"k_dpmpp_sde": "dpmpp_sde", "k_dpmpp_2m_sde": "dpmpp_2m_sde", "ddim": "ddim"},
}


def read_invokeai(data: Mapping[str, Any]) -> Settings:
    """`invokeai_metadata`: the settings of InvokeAI since version 3."""
    said = Settings("InvokeAI", prompt(_text(data, "positive_prompt")), prompt(_text(data, "negative_prompt")))
    _common(
        said, data, {"steps": "steps", "cfg_scale": "guidance", "seed": "seed", "width": "width", "height": "height"}
    )
    name = _text(data, "scheduler")
    _sampler(said, name.removesuffix("_k"), INVOKEAI)
    if name.endswith("_k"):
        said.spread("karras")
    said.model = _invoked(data.get("model"), "checkpoints")
    said.vae = _invoked(data.get("vae"), "vae")
    skip = data.get("clip_skip")
    said.clip_skip = skip if isinstance(skip, int) and 0 <= skip <= 24 else 0
    for one in _list(data, "loras"):
        weight = one.get("weight")
        model = _invoked(one.get("model") or one.get("lora"), "loras")
        if model:
            strength = float(weight) if isinstance(weight, int | float) else 1.0
            said.loras.append((model, strength, strength))
    for key in ("controlnets", "ipAdapters", "t2iAdapters", "refiner_model"):
        if data.get(key):
            said.remarks.append(f"{key} have no counterpart that could be filled in, and are left out.")
    if isinstance(data.get("strength"), int | float) and data.get("init_image"):
        said.denoise = min(1.0, max(0.0, float(data["strength"])))
    return said


def read_swarmui(data: Mapping[str, Any]) -> Settings:
    """`sui_image_params` of SwarmUI."""
    said = Settings("SwarmUI", _text(data, "prompt"), _text(data, "negativeprompt"))
    _common(
        said, data, {"steps": "steps", "cfgscale": "guidance", "seed": "seed", "width": "width", "height": "height"}
    )
    _sampler(said, _text(data, "sampler"), SAMPLERS)
    said.formulas = FORMULAS if said.sampler else ""
    said.spread(SCHEDULERS.get(_text(data, "scheduler"), ""))
    said.model = model_file("checkpoints", _text(data, "model"))
    said.vae = model_file("vae", _text(data, "vae"))
    weights = [piece for piece in str(data.get("loraweights") or "").strip("[]").split(",") if piece.strip()]
    names = data.get("loras")
    listed = names if isinstance(names, list) else [piece for piece in str(names or "").split(",") if piece.strip()]
    for place, name in enumerate(listed):
        weight = number(weights[place]) if place < len(weights) else None
        weight = 1.0 if weight is None else weight
        said.loras.append((model_file("loras", str(name).strip()), weight, weight))
    return said


def read_novelai(data: Mapping[str, Any]) -> Settings:
    """The comment of NovelAI. Its models are its own: choose one."""
    said = Settings("NovelAI", _text(data, "prompt"), _text(data, "uc"))
    _common(said, data, {"steps": "steps", "scale": "guidance", "seed": "seed", "width": "width", "height": "height"})
    _sampler(said, _text(data, "sampler"), _NOVELAI)
    if _text(data, "noise_schedule") == "karras":
        said.spread("karras")
    said.remarks.append("NovelAI's models are its own: choose another one.")
    return said


def read_fooocus(data: Mapping[str, Any]) -> Settings:
    """`parameters` of Fooocus in its own scheme. Its styles are in `full_prompt`, whose parts are encoded apart."""
    said = Settings("Fooocus", _parts(data, "prompt"), _parts(data, "negative_prompt"))
    numbers = {key: number(data.get(key)) for key in ("steps", "guidance_scale", "seed")}
    seed = str(data.get("seed", ""))
    whole = int(seed) if re.fullmatch(r"\d{1,20}", seed) else None
    _common(
        said,
        numbers | {"seed": whole},
        {"steps": "steps", "guidance_scale": "guidance", "seed": "seed"},
    )
    size = re.fullmatch(r"\(?\s*(\d{1,5})\s*[,x×]\s*(\d{1,5})\s*\)?", str(data.get("resolution", "")))
    if size is not None:
        said.width, said.height = int(size[1]), int(size[2])
    _sampler(said, _text(data, "sampler"), SAMPLERS)
    said.formulas = FORMULAS if said.sampler else ""
    said.spread(SCHEDULERS.get(_text(data, "scheduler"), ""))
    said.model = _fooocus_model(said, data, "base_model", "checkpoints")
    if _text(data, "vae") not in ("", "Default (model)"):
        said.vae = model_file("vae", _text(data, "vae"))
    refiner = _fooocus_model(said, data, "refiner_model", "checkpoints")
    share = number(data.get("refiner_switch"))
    if refiner:
        said.refiner = (refiner, 0.8 if share is None else min(1.0, max(0.0, share)))
    skip = data.get("clip_skip")
    said.clip_skip = skip - 1 if isinstance(skip, int) and 1 <= skip <= 24 else 0
    for one in data.get("loras") or () if isinstance(data.get("loras"), list) else ():
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[0], str):
            weight = number(one[1])
            file = model_file("loras", one[0])
            said.loras.append((file, 1.0 if weight is None else weight, 1.0 if weight is None else weight))
            if len(one) > 2 and isinstance(one[2], str):
                said.hashes[file] = one[2]
    for key in ("sharpness", "adm_guidance", "freeu", "inpaint_engine_version"):
        if data.get(key):
            said.remarks.append(f"{key} = {str(data[key])[:80]} has no counterpart, and is left out.")
    return said


def _parts(data: Mapping[str, Any], name: str) -> str:
    """A prompt with the styles that were applied to it, as far as they are told."""
    full = data.get(f"full_{name}")
    parts = [one for one in full if isinstance(one, str) and one.strip()] if isinstance(full, list) else []
    return "\nBREAK\n".join(parts) or _text(data, name)


def _fooocus_model(said: Settings, data: Mapping[str, Any], name: str, folder: str) -> str:
    file = model_file(folder, "" if _text(data, name) == "None" else _text(data, name))
    if file and _text(data, f"{name}_hash"):
        said.hashes[file] = _text(data, f"{name}_hash")
    return file


def read_draw_things(data: Mapping[str, Any]) -> Settings:
    """The JSON of Draw Things: `c` and `uc` are the prompts. Its models are in a format of its own: choose others."""
    said = Settings("Draw Things", _text(data, "c"), _text(data, "uc"))
    _common(said, data, {"steps": "steps", "scale": "guidance", "seed": "seed"})
    size = re.fullmatch(r"\s*(\d{1,5})\s*x\s*(\d{1,5})\s*", _text(data, "size"))
    if size is not None:
        said.width, said.height = int(size[1]), int(size[2])
    name = _text(data, "sampler")
    trailing = name.endswith(" Trailing")
    method(said, name.removesuffix(" Trailing").replace("Ancestral", "a"), "")
    if trailing:
        said.spread("trailing")
    strength = data.get("strength")
    if isinstance(strength, int | float) and not isinstance(strength, bool) and 0 < strength < 1:
        said.denoise = float(strength)
    for one in _list(data, "lora"):
        weight = number(one.get("weight"))
        if _text(one, "model"):
            weight = 1.0 if weight is None else weight
            said.loras.append((model_file("loras", _text(one, "model")), weight, weight))
    for key in ("control", "refiner", "upscaler"):
        if data.get(key):
            said.remarks.append(f"{key} has no counterpart that could be filled in, and is left out.")
    model = _text(data, "model")
    said.remarks.append(f"Draw Things keeps models in a format of its own: choose another file of {model[:80]!r}.")
    return said


def _common(said: Settings, data: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Numbers by their names there; what is none, or absurd, counts as not said."""
    for theirs, ours in names.items():
        value = data.get(theirs)
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e18 < value < 2**64:
            continue
        if ours == "guidance":
            said.guidance = float(value)
        elif ours == "seed":
            said.seed = said.seed_of(int(value))
        elif 0 <= value <= 100_000:
            setattr(said, ours, int(value))


def _sampler(said: Settings, name: str, table: Mapping[str, str]) -> None:
    said.sampler = table.get(name, "")
    if name and not said.sampler:
        said.remarks.append(f"There is no sampler {name!r} here: the model's own is taken.")


def _invoked(given: Any, folder: str) -> str:
    """A model of InvokeAI's by its name."""
    name = given.get("name") or given.get("model_name") if isinstance(given, Mapping) else None
    return model_file(folder, str(name)) if name else ""


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _list(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = data.get(name)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
