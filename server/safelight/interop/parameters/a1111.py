"""The text that AUTOMATIC1111's web UI writes into images, and Forge, SD.Next, Fooocus and model sites as well.

A prompt, then `Negative prompt: ...`, then a line of `Key: value` with commas between; what has commas is in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from .settings import Hires, Settings, model_file, number
from .units import hashed, read_unit

_PAIR = re.compile(r'\s*([A-Za-z][\w \-/]*?):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_SAMPLERS = {
    "Euler a": "euler_ancestral",
    "Euler": "euler",
    "LMS": "lms",
    "Heun": "heun",
    "DPM2": "dpm2",
    "DPM2 a": "dpm2_ancestral",
    "DPM++ 2M": "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde",
    "DPM++ 2M SDE": "dpmpp_2m_sde",
    "DPM++ 3M SDE": "dpmpp_3m_sde",
    "DDIM": "ddim",
    "PLMS": "pndm",
    "UniPC": "unipc",
    "LCM": "lcm",
    "TCD": "tcd",
    "DEIS": "deis",
    "DDPM": "ddpm",
}
_SCHEDULERS = {
    "Karras": "karras",
    "Exponential": "exponential",
    "SGM Uniform": "trailing",
    "Uniform": "linspace",
    "Normal": "linspace",
    "Simple": "trailing",
    "DDIM": "leading",
    "Beta": "beta",
    "Automatic": "",
}
_UNIT = re.compile(r"ControlNet \d+")
_OURS = {theirs.lower(): ours for theirs, ours in _SAMPLERS.items()}
_SPREADS = {theirs.lower(): ours for theirs, ours in _SCHEDULERS.items()}
_WRITTEN = {
    **{ours: theirs for theirs, ours in reversed(_SCHEDULERS.items()) if ours},
    # Those of k-diffusion.
    **{"normal": "Normal", "sgm_uniform": "SGM Uniform", "simple": "Simple", "ddim_uniform": "DDIM"},
    "kl_optimal": "KL Optimal",
}
_READ = frozenset(
    {
        *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "VAE", "Denoising strength"),
        *("Clip skip", "Variation seed", "Variation seed strength", "Hires upscale", "Hires steps", "Hires upscaler"),
        # Said of files that are found by their names, or of the program alone.
        *("Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes", "Version", "Hires resize", "Emphasis"),
        *("Hires CFG Scale", "Schedule max sigma", "Civitai resources", "Civitai metadata", "Created Date"),
        *("Refiner", "Refiner switch at"),
    }
)


def is_a1111(text: str) -> bool:
    """Whether a text has the last line of such a record."""
    last = text.strip().rsplit("\n", 1)[-1]
    return ("Seed: " in last and ("Steps: " in last or "Size: " in last)) or ("Steps: " in last and "Sampler: " in last)


def sampler_name(ours: str) -> str:
    """A1111's name of a sampler of ours; empty where it has none."""
    return next((theirs for theirs, name in _SAMPLERS.items() if name == ours), "")


def schedule_name(ours: str) -> str:
    """A1111's name of a scheduler of ours; empty where it has none."""
    return _WRITTEN.get(ours, "")


def read_a1111(text: str) -> Settings:
    """The settings of a record for which `is_a1111` holds. What cannot be read as a number counts as not said."""
    *lines, last = text.strip().split("\n")
    last, hashes = _hashes(last)
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
    method(said, told.get("Sampler", ""), told.get("Schedule type", ""))
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
    refiner, digest = hashed(told.get("Refiner", ""))
    if refiner and refiner != "None":
        share = number(told.get("Refiner switch at"))
        said.refiner = (model_file("checkpoints", refiner), 0.8 if share is None else min(1.0, max(0.0, share)))
        said.hashes[said.refiner[0]] = digest
    for key in sorted(told):
        if _UNIT.fullmatch(key):
            read_unit(said, told[key])
    _remember(said, told, hashes)
    faces = sorted(key for key in told if key.startswith("ADetailer"))
    if faces:
        said.remarks.append(
            f"ADetailer ({told.get('ADetailer model', 'its model is not named')[:80]}) is left out: faces.find finds "
            "faces, the workflow crop_and_stitch paints them again, and faces.repair mends them."
        )
    for key, value in told.items():
        if key not in _READ and key not in faces and not _UNIT.fullmatch(key) and value not in ("", "None", "False"):
            said.remarks.append(f"{key} = {value[:80]} has no counterpart, and is left out.")
    return said


def _hashes(last: str) -> tuple[str, dict[str, str]]:
    """The last line without the JSON that `Hashes` has, and what stands in that."""
    found = re.search(r"Hashes:\s*(\{[^{}]*\})(?:,|$)", last)
    if found is None:
        return last, {}
    try:
        data = json.loads(found[1])
    except ValueError:
        data = {}
    return last[: found.start()] + last[found.end() :], {
        key: value for key, value in data.items() if isinstance(value, str)
    }


def _remember(said: Settings, told: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """The hashes of models by their files. Where a model has no name, its hash stands for it, which our nodes take."""
    digest = told.get("Model hash") or hashes.get("model", "")
    if not said.model and re.fullmatch(r"[0-9a-fA-F]{8,64}", digest):
        said.model = digest
    given = {said.model: digest, said.vae: told.get("VAE hash") or hashes.get("vae", "")}
    for pair in told.get("Lora hashes", "").split(","):
        name, _, value = pair.rpartition(":")
        given[model_file("loras", name.strip())] = value.strip()
    for key, value in hashes.items():
        kind, _, name = key.partition(":")
        if kind == "lora":
            given[model_file("loras", name)] = value
    said.hashes |= given
    said.hashes = {file: value for file, value in said.hashes.items() if file and value}


def _prompts(lines: list[str]) -> tuple[str, str]:
    text = "\n".join(lines)
    prompt, found, negative = text.partition("Negative prompt:")
    return (prompt.strip(), negative.strip()) if found else (text.strip(), "")


def method(said: Settings, sampler: str, schedule: str) -> None:
    """The sampler and scheduler of A1111's names; older versions wrote both in one: `DPM++ 2M Karras`."""
    name, spread = sampler.lower(), schedule.lower()
    for ending in ("karras", "exponential"):
        if name.endswith(f" {ending}"):
            name, spread = name.removesuffix(f" {ending}"), spread or ending
    said.sampler = _OURS.get(name, "")
    if name and not said.sampler:
        said.remarks.append(f"There is no sampler {sampler!r} here: the model's own is taken.")
    if spread and spread not in _SPREADS:
        said.remarks.append(f"There is no scheduler {schedule!r} here: what suits the model is taken.")
    said.spread(_SPREADS.get(spread, ""))


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
