"""Programs that write their settings as JSON: InvokeAI, SwarmUI, NovelAI, Fooocus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..comfyui.rules.formulas import FORMULAS, SAMPLERS, SCHEDULERS
from .settings import Settings, model_file, number

_INVOKEAI = {
    **{"euler": "euler", "euler_a": "euler_ancestral", "heun": "heun", "lms": "lms", "ddim": "ddim", "ddpm": "ddpm"},
    **{"dpmpp_2m": "dpmpp_2m", "dpmpp_sde": "dpmpp_sde", "dpmpp_2m_sde": "dpmpp_2m_sde", "unipc": "unipc"},
    **{"deis": "deis", "lcm": "lcm", "tcd": "tcd", "pndm": "pndm", "kdpm_2": "dpm2", "kdpm_2_a": "dpm2_ancestral"},
}
"""InvokeAI's names; those with `_k` behind are with Karras' schedule."""
_NOVELAI = {
    **{"k_euler": "euler", "k_euler_ancestral": "euler_ancestral", "k_dpmpp_2m": "dpmpp_2m", "ddim_v3": "ddim"},
    **{"k_dpmpp_sde": "dpmpp_sde", "k_dpmpp_2m_sde": "dpmpp_2m_sde", "ddim": "ddim"},
}


def read_invokeai(data: Mapping[str, Any]) -> Settings:
    """`invokeai_metadata`: the settings of InvokeAI since version 3."""
    said = Settings("InvokeAI", _text(data, "positive_prompt"), _text(data, "negative_prompt"))
    _common(
        said, data, {"steps": "steps", "cfg_scale": "guidance", "seed": "seed", "width": "width", "height": "height"}
    )
    name = _text(data, "scheduler")
    _sampler(said, name.removesuffix("_k"), _INVOKEAI)
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
