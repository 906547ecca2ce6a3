"""The text that AUTOMATIC1111's web UI writes into images, and Forge, SD.Next, Fooocus and model sites as well.

A prompt, then `Negative prompt: ...`, then a line of `Key: value` with commas between; what has commas is in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from safelight.sdk.prompt_syntax import parse

from ..comfyui.rules.formulas import FORMULAS
from .detailer import is_detailer, read_faces
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
_K_SAMPLERS = {
    **{
        name: _SAMPLERS[name] for name in ("Euler a", "Euler", "LMS", "Heun", "DPM2", "DPM2 a", "DPM++ 2M", "DPM++ SDE")
    },
    **{name: _SAMPLERS[name] for name in ("DPM++ 2M SDE", "DPM++ 3M SDE")},
    **{"DPM++ 2S a": "dpmpp_2s_ancestral", "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun"},
}
"""Those that are k-diffusion's there. DDIM, PLMS and UniPC go along whole timesteps, as those of diffusers do."""
_K_SCHEDULERS = {
    **{"karras": "karras", "exponential": "exponential", "sgm uniform": "sgm_uniform", "uniform": "normal"},
    **{"normal": "normal", "simple": "simple", "ddim": "ddim_uniform", "beta": "beta", "kl optimal": "kl_optimal"},
}
"""Uniform is k-diffusion's own, evenly over the timesteps, which is called normal elsewhere."""
_OTHERWISE = ("beta", "kl optimal")
"""Schedules whose levels A1111 makes by other formulas."""
_AUTOMATIC = {
    **dict.fromkeys(("dpmpp_2m", "dpmpp_sde", "dpmpp_2s_ancestral", "dpm2", "dpm2_ancestral"), "karras"),
    **dict.fromkeys(("dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"), "exponential"),
}
"""What Automatic means for a sampler; for others it is Uniform."""
_STOCHASTIC = ("ancestral", "sde")
_K_NAMES = {theirs.lower(): ours for theirs, ours in _K_SAMPLERS.items()}
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
        *("Refiner", "Refiner switch at", "RNG"),
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
    _method(said, told.get("Sampler", ""), told.get("Schedule type", ""))
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
    read_faces(said, told)
    if said.formulas:
        _by_k_diffusion(said, told)
    refiner, digest = hashed(told.get("Refiner", ""))
    if refiner and refiner != "None":
        share = number(told.get("Refiner switch at"))
        said.refiner = (model_file("checkpoints", refiner), 0.8 if share is None else min(1.0, max(0.0, share)))
        said.hashes[said.refiner[0]] = digest
    for key in sorted(told):
        if _UNIT.fullmatch(key):
            read_unit(said, told[key])
    _remember(said, told, hashes)
    for key, value in told.items():
        if (
            key not in _READ
            and not is_detailer(key)
            and not _UNIT.fullmatch(key)
            and value not in ("", "None", "False")
        ):
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


def _method(said: Settings, sampler: str, schedule: str) -> None:
    """The sampler by the formulas that A1111 has: those of k-diffusion where it takes them from there."""
    name, spread = _parted(sampler, schedule)
    ours = _K_NAMES.get(name)
    if ours is None or (spread not in _K_SCHEDULERS and spread not in ("", "automatic")):
        method(said, sampler, schedule)
        return
    said.sampler, said.formulas = ours, FORMULAS
    # Records without a schedule are of versions in which the name of the sampler said it all.
    said.scheduler = _K_SCHEDULERS.get(spread) or (_AUTOMATIC.get(ours, "normal") if spread else "normal")
    if spread in _OTHERWISE:
        said.remarks.append(f"The levels of {schedule} come from another formula there: the image is alike, not equal.")


def counted(steps: int, denoise: float) -> tuple[int, float]:
    """The steps that A1111 makes of these, and the denoise that gives as many in total here."""
    made = int(min(denoise, 0.999) * steps) + 1
    # In the middle of the numbers that give `steps` in total.
    return (steps, 1.0) if made >= steps else (made, round(made / (steps + 0.5), 4))


def _by_k_diffusion(said: Settings, told: Mapping[str, str]) -> None:
    """What differs still, where the mathematics of the steps is the same; and the steps that change an image.

    Of n steps there, the last int(denoise n) + 1 are made; here, steps are those that are made, of a schedule that is
    1 / denoise times as long. The second pass of hires fix counts as it is counted here.
    """
    device = told.get("RNG", "GPU")
    if device != "CPU":
        said.remarks.append(f"Its noise came from another generator (RNG: {device}): the image is alike, not the same.")
    elif any(word in said.sampler for word in _STOCHASTIC):
        said.remarks.append("The noise between its steps is drawn otherwise here: the image is alike, not the same.")
    weighed = any(abs(one.weight - 1) > 1e-9 for text in (said.prompt, said.negative) for one in parse(text))
    if weighed and told.get("Emphasis") not in ("None", "Ignore"):
        said.remarks.append("A1111 weighs words by another formula, and keeps the mean: the image is alike, not equal.")
    if said.faces is not None and (said.faces.steps or said.steps):
        faces = said.faces
        faces.steps, faces.denoise = counted(faces.steps or said.steps, faces.denoise)
    if said.denoise < 1 and said.hires is None and said.steps:
        said.steps, said.denoise = counted(said.steps, said.denoise)


def _parted(sampler: str, schedule: str) -> tuple[str, str]:
    """Names of a sampler and its schedule, in small letters; older versions wrote both in one: `DPM++ 2M Karras`."""
    name, spread = sampler.lower(), schedule.lower()
    for ending in ("karras", "exponential"):
        if name.endswith(f" {ending}"):
            name, spread = name.removesuffix(f" {ending}"), spread or ending
    return name, spread


def method(said: Settings, sampler: str, schedule: str) -> None:
    """The sampler and scheduler of diffusers that are closest to A1111's names."""
    name, spread = _parted(sampler, schedule)
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
