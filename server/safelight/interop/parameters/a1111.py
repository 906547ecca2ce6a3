"""The text that AUTOMATIC1111's web UI writes into images, and Forge, SD.Next, Fooocus and model sites as well.

A prompt, then `Negative prompt: ...`, then a line of `Key: value` with commas between; what has commas is in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from .settings import Hires, Settings, model_file, number

_PAIR = re.compile(r'\s*([A-Za-z][\w \-/]*?):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_SAMPLERS = {
    "euler a": "euler_ancestral",
    "euler": "euler",
    "lms": "lms",
    "heun": "heun",
    "dpm2": "dpm2",
    "dpm2 a": "dpm2_ancestral",
    "dpm++ 2m": "dpmpp_2m",
    "dpm++ sde": "dpmpp_sde",
    "dpm++ 2m sde": "dpmpp_2m_sde",
    "dpm++ 3m sde": "dpmpp_3m_sde",
    "ddim": "ddim",
    "plms": "pndm",
    "unipc": "unipc",
    "lcm": "lcm",
    "tcd": "tcd",
    "deis": "deis",
    "ddpm": "ddpm",
}
_SCHEDULERS = {
    "karras": "karras",
    "exponential": "exponential",
    "sgm uniform": "trailing",
    "uniform": "linspace",
    "normal": "linspace",
    "simple": "trailing",
    "ddim": "leading",
    "beta": "beta",
    "automatic": "",
}
_READ = frozenset(
    {
        *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "VAE", "Denoising strength"),
        *("Clip skip", "Variation seed", "Variation seed strength", "Hires upscale", "Hires steps", "Hires upscaler"),
        # Said of files that are found by their names, or of the program alone.
        *("Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes", "Version", "Hires resize", "Emphasis"),
        *("Hires CFG Scale", "Schedule max sigma", "Civitai resources", "Civitai metadata", "Created Date"),
    }
)


def is_a1111(text: str) -> bool:
    """Whether a text has the last line of such a record."""
    last = text.strip().rsplit("\n", 1)[-1]
    return "Steps: " in last and ("Sampler: " in last or "Seed: " in last)


def read_a1111(text: str) -> Settings:
    """The settings of a record for which `is_a1111` holds. What cannot be read as a number counts as not said."""
    *lines, last = text.strip().split("\n")
    told = {key.strip(): _plain(value) for key, value in _PAIR.findall(last)}
    prompt, negative = _prompts(lines)
    said = Settings("AUTOMATIC1111's web UI, or one that writes as it does", prompt=prompt, negative=negative)
    said.steps = max(0, _whole(told.get("Steps")) or 0)
    said.guidance = number(told.get("CFG scale")) or 0.0
    said.seed = said.seed_of(_whole(told.get("Seed")))
    size = re.fullmatch(r"\s*(\d{1,5})\s*x\s*(\d{1,5})\s*", told.get("Size", ""))
    if size is not None:
        said.width, said.height = int(size[1]), int(size[2])
    skip = _whole(told.get("Clip skip"))
    said.clip_skip = max(0, (skip or 1) - 1)
    _method(said, told)
    said.model = model_file("checkpoints", told.get("Model", ""))
    vae = told.get("VAE", "")
    said.vae = f"vae/{vae}" if vae not in ("", "None", "Automatic") else ""
    strength = number(told.get("Variation seed strength"))
    if strength:
        said.variation = (_whole(told.get("Variation seed")) or 0, min(1.0, max(0.0, strength)))
    denoise = number(told.get("Denoising strength"))
    if denoise is not None and 0 <= denoise <= 1:
        said.denoise = denoise
    _hires(said, told)
    for key, value in told.items():
        if key not in _READ and value not in ("", "None", "False"):
            said.remarks.append(f"{key} = {value[:80]} has no counterpart, and is left out.")
    return said


def _prompts(lines: list[str]) -> tuple[str, str]:
    text = "\n".join(lines)
    prompt, found, negative = text.partition("Negative prompt:")
    return (prompt.strip(), negative.strip()) if found else (text.strip(), "")


def _method(said: Settings, told: Mapping[str, str]) -> None:
    """The sampler; older versions wrote the schedule behind its name: `DPM++ 2M Karras`."""
    name = told.get("Sampler", "").lower()
    schedule = told.get("Schedule type", "").lower()
    for ending in ("karras", "exponential"):
        if name.endswith(f" {ending}"):
            name, schedule = name.removesuffix(f" {ending}"), schedule or ending
    said.sampler = _SAMPLERS.get(name, "")
    if name and not said.sampler:
        said.remarks.append(f"There is no sampler {told['Sampler']!r} here: the model's own is taken.")
    if schedule and schedule not in _SCHEDULERS:
        said.remarks.append(f"There is no scheduler {told['Schedule type']!r} here: what suits the model is taken.")
    said.spread(_SCHEDULERS.get(schedule, ""))


def _hires(said: Settings, told: Mapping[str, str]) -> None:
    scale = number(told.get("Hires upscale"))
    if not scale or scale <= 1:
        return
    upscaler = told.get("Hires upscaler", "Latent")
    file = ""
    if not upscaler.startswith("Latent") and upscaler not in ("None", "Lanczos", "Nearest"):
        file = f"upscale_models/{upscaler}"
    said.hires = Hires(scale, max(0, _whole(told.get("Hires steps")) or 0), file)


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value.strip('"')
    return value


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\s*-?\d{1,20}\s*", text) else None
