"""What lies in a model's folder or file: its kind, its family, and the files of each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError, one_of

from .families import (
    EDM,
    SUPPORTED,
    embedding_vectors,
    is_checkpoint,
    is_ip_adapter,
    is_lora,
    is_original_vae,
    of_checkpoint,
    of_denoiser,
    of_embedding,
    of_ip_adapter,
    of_lora,
    of_original_vae,
    of_pipeline,
    of_vae,
    other_part,
    unsupported,
)
from .headers import Header, is_pickle, is_safetensors, read_header, refuse_others
from .recognise import lora_for, what_is

ModelKind = Literal["pipeline", "unet", "vae", "controlnet", "lora", "ip_adapter", "image_encoder", "embedding"]

SAID: dict[str, str] = {
    "pipeline": "a whole model",
    "unet": "a UNet",
    "vae": "a VAE",
    "controlnet": "a ControlNet",
    "lora": "a LoRA",
    "ip_adapter": "an IP-Adapter",
    "image_encoder": "an image encoder",
    "embedding": "an embedding",
}
LATENT_RGB = "latent_rgb.json"
"""Optional file beside `model_index.json`: rows of red, green and blue for each latent channel, and a last row that is
added to all, for previews."""

_STEMS = ("diffusion_pytorch_model", "model", "pytorch_lora_weights")
_CLASSES: dict[str, ModelKind] = {
    "UNet2DConditionModel": "unet",
    "AutoencoderKL": "vae",
    "ControlNetModel": "controlnet",
    "CLIPVisionModelWithProjection": "image_encoder",
}


class Part(msgspec.Struct, frozen=True):
    """The files of one component. `others` are a tokenizer's files, or settings that lie beside a configuration."""

    config: Path | None = None
    weights: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()

    def files(self) -> Iterator[Path]:
        if self.config is not None:
            yield self.config
        yield from self.weights
        yield from self.others


class Layout(msgspec.Struct, frozen=True):
    """A model on disk. `parts` by the name of their subfolder; the empty name is the top.

    `single` is True for a whole model in one file, as the original releases are.
    """

    kind: ModelKind
    family: str
    root: Path
    parts: dict[str, Part]
    single: bool = False

    def files(self) -> list[Path]:
        """Every file that has a say in what the model computes, each once, sorted."""
        return sorted({file for part in self.parts.values() for file in part.files()})

    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files())

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        """A digest over the names and contents of all files; where they lie has no part in it."""
        lines = [f"{self._relative(file)}:{digest(file)}" for file in self.files()]
        return hash_text("\n".join(lines))

    def _relative(self, file: Path) -> str:
        base = self.root if self.root.is_dir() else self.root.parent
        if file == self.root:
            return ""
        return file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name


class Reader:
    """Reads layouts. `inside` says whether a path may be read; what lies elsewhere is as good as not there."""

    def __init__(self, inside: Callable[[Path], bool], allow_pickle: bool = False) -> None:
        self._inside = inside
        self._allow_pickle = allow_pickle

    def read(self, name: str, root: Path) -> Layout:
        """The layout of the model that the user calls `name`.

        Raises:
            ProblemError: `unsupported_family`, `unsafe_weights`, `model_incomplete`, `weights_damaged`,
                `config_damaged` or `not_a_model`.
        """
        if root.is_file():
            return self._file(name, root)
        if (root / "model_index.json").is_file():
            return self._pipeline(name, root)
        if (root / "config.json").is_file():
            return self._component(name, root)
        found = sorted(path for path in root.glob("*") if is_safetensors(path) and path.is_file())
        usual = [path for path in found if path.stem == "pytorch_lora_weights"]
        if len(found) == 1 or usual:
            return self._file(name, (usual or found)[0])
        if found:
            names = [f"{name}/{path.name}" for path in found]
            message = f"The folder {name!r} holds {len(found)} files of weights, and nothing says which is meant."
            raise ProblemError(
                Problem(code="not_a_model", message=message, hint=f"Name one: {one_of(names)}.", value=name)
            )
        pickles = sorted(path for path in root.glob("*") if is_pickle(path) and path.is_file())
        if pickles:
            return self._file(name, pickles[0])
        message = f"The folder {name!r} holds no model: there is no model_index.json, no config.json, no weights."
        raise ProblemError(
            Problem(code="not_a_model", message=message, hint="Name the folder of a diffusers model.", value=name)
        )

    def _pipeline(self, name: str, root: Path) -> Layout:
        index = read_json(root / "model_index.json")
        unet_config = root / "unet" / "config.json"
        if not unet_config.is_file() and isinstance(index.get("unet"), list):
            raise _incomplete(name, "unet/config.json")
        unet = read_json(unet_config) if unet_config.is_file() else {}
        family = of_pipeline(name, index, unet)
        numbers = ("", "_2") if family == "sdxl" else ("",)
        encoders = [f"text_encoder{number}" for number in numbers]
        parts = {part: self._weighted(name, root / part, f"{part}/") for part in ("unet", "vae", *encoders)}
        for number in numbers:
            parts[f"tokenizer{number}"] = self._tokenizer(name, root / f"tokenizer{number}")
        scheduler = root / "scheduler" / "scheduler_config.json"
        if not scheduler.is_file():
            raise _incomplete(name, "scheduler/scheduler_config.json")
        if str(read_json(scheduler).get("_class_name", "")).startswith("EDM"):
            raise unsupported(name, EDM)
        parts["scheduler"] = Part(scheduler)
        beside = tuple(path for path in [root / LATENT_RGB] if path.is_file())
        parts[""] = Part(root / "model_index.json", (), beside)
        return Layout("pipeline", family, root, parts)

    def _component(self, name: str, root: Path) -> Layout:
        config = read_json(root / "config.json")
        made = str(config.get("_class_name") or (config.get("architectures") or ["model of unknown class"])[0])
        kind = _CLASSES.get(made)
        if kind is None:
            raise unsupported(name, f"holds a {made}")
        if kind == "image_encoder":
            return Layout(kind, "", root, {kind: self._weighted(name, root, "")})
        family = of_vae(name, config) if kind == "vae" else of_denoiser(name, config)
        return Layout(kind, family, root, {"": self._weighted(name, root, "")})

    def _file(self, name: str, path: Path) -> Layout:
        if is_pickle(path):
            if not self._allow_pickle:
                raise unsafe(name, path)
        elif not is_safetensors(path):
            # Files of other programs tell what they are by how they begin.
            refuse_others(path)
            raise _not_weights(name)
        header = read_header(path)
        part = Part(None, (path,))
        if is_ip_adapter(header):
            return Layout("ip_adapter", of_ip_adapter(header), path, {"": part, **self._encoder(path, header)})
        if is_lora(header):
            made_for = lora_for(header)
            if made_for:
                message = f"No part of the LoRA {name!r} fits a supported model: it seems to be made for {made_for}."
                hint = f"Choose a LoRA that was trained on {SUPPORTED}."
                raise ProblemError(Problem(code="lora_unfit", message=message, hint=hint, value=name))
            return Layout("lora", of_lora(header), path, {"": part})
        if is_checkpoint(header):
            return Layout("pipeline", of_checkpoint(name, header), path, {"": part}, single=True)
        if is_original_vae(header):
            return Layout("vae", of_original_vae(name, header), path, {"": part}, single=True)
        said = what_is(header) or other_part(header)
        if said:
            raise unsupported(name, f"is {said}")
        # Last: one tensor of any name may be an embedding.
        if embedding_vectors(header):
            return Layout("embedding", of_embedding(header), path, {"": part})
        raise _not_weights(name)

    def _encoder(self, path: Path, header: Header) -> dict[str, Part]:
        """The image encoder that an IP-Adapter was trained with: the nearest one whose width fits.

        The published repository keeps two, and adapters of either folder use either.
        """
        above = path.parent.parent
        places = [path.parent, above / "models", above / "sdxl_models", above]
        for folder in (place / "image_encoder" for place in places):
            if not self._inside(folder) or not (folder / "config.json").is_file():
                continue
            config = read_json(folder / "config.json")
            projected, hidden = config.get("projection_dim"), config.get("hidden_size")
            plain = header.shape("image_proj.proj.weight")[1:]
            deep = header.shape("image_proj.proj_in.weight")[1:] or header.shape("image_proj.proj.0.weight")[1:]
            if plain == (projected,) or deep == (hidden,):
                return {"image_encoder": self._weighted(str(folder), folder, "image_encoder/")}
        return {}

    def _weighted(self, name: str, folder: Path, shown: str) -> Part:
        config = folder / "config.json"
        if not config.is_file():
            raise _incomplete(name, f"{shown}config.json")
        return Part(config, self._weights(name, folder, shown))

    def _weights(self, name: str, folder: Path, shown: str) -> tuple[Path, ...]:
        """The weights of a component. Full precision is preferred to the `fp16` variant where both are there."""
        for variant in ("", ".fp16"):
            for stem in _STEMS:
                single = folder / f"{stem}{variant}.safetensors"
                if single.is_file():
                    return (single,)
                for index in (f"{stem}.safetensors.index{variant}.json", f"{stem}{variant}.safetensors.index.json"):
                    if (folder / index).is_file():
                        return (folder / index, *_shards(name, folder, folder / index))
        for stem in ("diffusion_pytorch_model", "pytorch_model"):
            for variant in ("", ".fp16"):
                pickle = folder / f"{stem}{variant}.bin"
                if pickle.is_file():
                    if self._allow_pickle:
                        return (pickle,)
                    raise unsafe(name, pickle)
        usual = "model" if "encoder" in shown else "diffusion_pytorch_model"
        raise _incomplete(name, f"{shown}{usual}.safetensors")

    def _tokenizer(self, name: str, folder: Path) -> Part:
        files = tuple(path for path in sorted(folder.glob("*")) if path.suffix in (".json", ".txt"))
        names = {path.name for path in files}
        if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
            raise _incomplete(name, f"{folder.name}/vocab.json")
        return Part(None, (), files)


def read_json(path: Path) -> dict[str, Any]:
    """A configuration file.

    Raises:
        ProblemError: `config_damaged`, when it is not one.
    """
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict):
        return found
    message = f"{path} is not a readable configuration."
    raise ProblemError(
        Problem(code="config_damaged", message=message, hint="Copy or download it again.", value=str(path))
    )


def _shards(name: str, folder: Path, index: Path) -> list[Path]:
    names = sorted(set(_text_map(read_json(index)).values()))
    for shard in names:
        if (
            "/" in shard
            or "\\" in shard
            or not shard.lower().endswith(".safetensors")
            or not (folder / shard).is_file()
        ):
            raise _incomplete(name, shard)
    return [folder / shard for shard in names]


def _text_map(index: Mapping[str, Any]) -> dict[str, str]:
    try:
        return msgspec.convert(index.get("weight_map"), dict[str, str])
    except msgspec.ValidationError:
        return {}


def _incomplete(name: str, file: str) -> ProblemError:
    message = f"The model {name!r} lacks {file}."
    return ProblemError(Problem(code="model_incomplete", message=message, hint="Get its files again.", value=name))


def unsafe(name: str, path: Path) -> ProblemError:
    message = f"The weights of {name!r} are a pickle ({path.name}), which can run code when it is opened."
    hint = "Use its safetensors version, or set SAFELIGHT_ALLOW_PICKLE=1 if you trust where it comes from."
    return ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))


def _not_weights(name: str) -> ProblemError:
    message = f"{name!r} is no file of weights that is known: neither its names nor its shapes are those of a model."
    hint = "Give a folder in diffusers layout, or a .safetensors file of a model that is supported."
    return ProblemError(Problem(code="not_a_model", message=message, hint=hint, value=name))
