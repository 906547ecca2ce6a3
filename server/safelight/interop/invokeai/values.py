"""Values of InvokeAI's fields: models, images, schedulers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..comfyui.rules.base import Part, Ref, Site, Unfit
from ..methods import takes
from ..parameters.settings import model_file
from .prompts import FUNCTIONS
from .prompts import prompt as in_our_signs

SCHEDULERS = {
    **{"euler": "euler", "euler_a": "euler_ancestral", "heun": "heun", "lms": "lms", "ddim": "ddim", "ddpm": "ddpm"},
    **{"dpmpp_2m": "dpmpp_2m", "dpmpp_sde": "dpmpp_sde", "dpmpp_2m_sde": "dpmpp_2m_sde", "unipc": "unipc"},
    **{"deis": "deis", "lcm": "lcm", "tcd": "tcd", "pndm": "pndm", "kdpm_2": "dpm2", "kdpm_2_a": "dpm2_ancestral"},
}
"""InvokeAI's names; those with `_k` behind are with Karras' schedule. All are those of diffusers."""


def file_in(folder: str) -> Callable[[Any], str]:
    """The file of a model: they are kept by keys there, and have a name."""

    def named(value: Any) -> str:
        name = value.get("name") or value.get("model_name") if isinstance(value, Mapping) else None
        if not name:
            raise Unfit("No model is named: choose one.")
        return model_file(folder, str(name))

    return named


def words(site: Site, part: Part, port: str, name: str) -> None:
    """A prompt, with its weights as they are written here."""
    text = site.typed(name)
    if isinstance(text, str) and FUNCTIONS.search(text) and site.wire(name) is None:
        site.approximate("Prompts that .and(), .blend() or .swap() put together stay as they are written.")
        site.put(part, port, name)
    else:
        site.put(part, port, name, lambda value: in_our_signs(str(value)))


def image_into(site: Site, parts: dict[str, Part], key: str, port: str, name: str) -> None:
    """An image into a port of the part `key`, from what is linked, else from the file that the field names."""
    if site.wire(name) is not None:
        site.put(parts[key], port, name)
        return
    given = site.typed(name)
    file = given.get("image_name") if isinstance(given, Mapping) else None
    if file:
        loader = f"{key}_{name}".strip("_")
        parts[loader] = Part("image.load", {"file": str(file)})
        parts[key].inputs[port] = Ref(loader, "image")
        site.approximate(f"{file} lies with InvokeAI: put it among the input files.")


def method(site: Site, part: Part) -> None:
    """The sampler and its schedule, both those of diffusers."""
    name = str(site.typed("scheduler", "euler"))
    if site.wire("scheduler") is not None:
        site.approximate("A scheduler that comes by a link is chosen at the sampler here.")
        return
    sampler = SCHEDULERS.get(name.removesuffix("_k"))
    if sampler is None:
        site.approximate(f"There is no sampler {name!r} here: the model's own is taken.")
        return
    part.values["sampler"] = sampler
    if name.endswith("_k") and takes(sampler, "karras"):
        part.values["scheduler"] = "karras"
