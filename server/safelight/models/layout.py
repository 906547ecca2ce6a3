"""What lies in a model's folder or file: its kind, its family, and the files of each of its parts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from safelight.diffusion.variational import CLASS as VARIATIONAL
from safelight.families import Families, FileKind
from safelight.families._original.text import sort_of
from safelight.families.files import embedding_vectors
from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError, one_of

from .adapter_files import adapter_header
from .gans import KIND as GAN
from .gans import beside as beside_gan
from .gans import is_biggan, refuse_code
from .gans import told as gan_told
from .gguf_files import is_gguf
from .headers import Header, is_pickle, is_safetensors, onnx_of, read_header, refuse_others
from .image_encoders import CLASSES, PLACES, Sight, near, sight_in, sight_told, wanted_by
from .onnx_files import is_onnx
from .onnx_networks import network_of, said_of
from .preprocessors import is_preprocessor, network_in
from .readers import is_reader
from .recognise import is_lora, lora_for, refuse_packed, what_is
from .upscalers import architecture
from .walk import INDEXES, index_file

SAID: dict[str, str] = {
    "pipeline": "a whole model",
    "unet": "a denoiser alone",
    "vae": "a VAE",
    "controlnet": "a ControlNet",
    "lora": "a LoRA",
    "ip_adapter": "an IP-Adapter",
    "image_encoder": "an image encoder",
    "embedding": "an embedding",
    "foreign": "a pipeline of diffusers that is only run by itself",
    "text_encoder": "a text encoder alone",
    "upscaler": "an upscaler, or a model that mends images",
    "reader": "a model that reads images or texts",
    "gan": "a generator of a GAN",
    "preprocessor": "a preprocessor (edges, depth, poses, faces, segments) or a network that measures",
    "variational": "a variational autoencoder",
    "motion": "a motion module of AnimateDiff",
}
MOTION = "MotionAdapter"
"""The class of diffusers that a motion module is of."""
_MOVING = tuple(f"down_blocks.0.motion_modules.0.{inner}norm.weight" for inner in ("temporal_transformer.", ""))
"""A name that every motion module has in a file of its own, in either layout."""
LATENT_RGB = "latent_rgb.json"
"""Optional file beside `model_index.json`: rows of red, green and blue for each latent channel, and a last row that is
added to all, for previews."""

_SINGLE: tuple[FileKind, ...] = ("controlnet", "pipeline", "unet", "vae")
"""What a family reads from one file, in the order asked: some files of a ControlNet hold its model as well."""
_READ = (".json", ".txt", ".model", ".safetensors")
"""How the files end that a pipeline of diffusers reads: configurations, vocabularies, weights."""
_TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_lora_weights")


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

    `single` is True for a whole model in one file, as the original releases are. `candidates` are the families that a
    file may be of when nothing tells which; `family` is empty then. `denoiser` is the part that is the denoiser,
    `beside` what is loaded with a kind of component (see `families.base.Parts`), `sort` which one a preprocessor is.
    """

    kind: FileKind
    family: str
    root: Path
    parts: dict[str, Part]
    single: bool = False
    candidates: tuple[str, ...] = ()
    denoiser: str = "unet"
    beside: Mapping[str, tuple[str, ...]] = {}
    sort: str = ""

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


class ModelFolder:
    """Implements `families.Folder`."""

    def __init__(self, name: str, root: Path, index: Mapping[str, Any]) -> None:
        self.name = name
        self.index = index
        self._root = root

    def path(self, part: str) -> Path:
        """Where the configuration of a part lies, if it has one."""
        return self._root / part / ("scheduler_config.json" if part.endswith("scheduler") else "config.json")

    def config(self, part: str) -> Mapping[str, Any]:
        path = self.path(part)
        return read_json(path) if path.is_file() else {}


class Reader:
    """Reads layouts. `inside` says whether a path may be read; what lies elsewhere is as good as not there.

    `encoders` are the folders and files in which image encoders are looked for beside those that lie with an adapter.
    """

    def __init__(
        self,
        families: Families,
        inside: Callable[[Path], bool],
        allow_pickle: bool = False,
        encoders: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self._families = families
        self._inside = inside
        self._encoders = encoders
        self._allow_pickle = allow_pickle

    def read(self, name: str, root: Path) -> Layout:
        """The layout of the model that the user calls `name`.

        Raises:
            ProblemError: `unsupported_family`, `unsafe_weights`, `model_incomplete`, `weights_damaged`,
                `config_damaged` or `not_a_model`.
        """
        if root.is_file():
            return self._file(name, root)
        index = index_file(root)
        if index is not None:
            return self._pipeline(name, root, index)
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

    def _pipeline(self, name: str, root: Path, index: Path) -> Layout:
        folder = ModelFolder(name, root, _plain(read_json(index)))
        try:
            family = self._families.of_pipeline(folder)
        except ProblemError as error:
            foreign = self._foreign(root, folder.index) if error.problems[0].code == "unsupported_family" else None
            if foreign is None:
                raise
            return foreign
        wanted = family.parts(folder)
        parts = {part: self._weighted(name, root / part, f"{part}/") for part in wanted.weights}
        for part in wanted.tokenizers:
            parts[part] = self._tokenizer(name, root / part)
        for part in wanted.settings:
            config = folder.path(part)
            if not config.is_file():
                raise _incomplete(name, config.relative_to(root).as_posix())
            parts[part] = Part(config)
        beside = tuple(path for path in [root / LATENT_RGB] if path.is_file())
        parts[""] = Part(index, (), beside)
        return Layout("pipeline", family.id, root, parts, denoiser=wanted.denoiser, beside=wanted.beside)

    def _foreign(self, root: Path, index: Mapping[str, Any]) -> Layout | None:
        """A pipeline that no family knows, if there are parts of it: all of their files that are no pickles or code."""
        # What modular blocks alone run has no class to run it as it is.
        if not (root / INDEXES[0]).is_file():
            return None
        parts = {"": Part(root / INDEXES[0])}
        for name in component_folders(index):
            files = sorted(path for path in (root / name).glob("*") if path.suffix in _READ and path.is_file())
            weights = tuple(path for path in files if is_safetensors(path))
            parts[name] = Part(None, weights, tuple(path for path in files if path not in weights))
        return Layout("foreign", "", root, parts) if any(part.weights for part in parts.values()) else None

    def _component(self, name: str, root: Path) -> Layout:
        folder = ModelFolder(name, root, {})
        config = read_json(root / "config.json")
        made = str(config.get("_class_name") or (config.get("architectures") or ["model of unknown class"])[0])
        if made == VARIATIONAL:
            return Layout("variational", "", root, {"": self._weighted(name, root, "")})
        if made == MOTION:
            return Layout("motion", "", root, {"": self._weighted(name, root, "")})
        if made in CLASSES:
            return Layout("image_encoder", "", root, {"image_encoder": self._weighted(name, root, "")})
        if made == GAN:
            return Layout("gan", "", root, {"": self._weighted(name, root, "")})
        if is_biggan(config):
            return self._biggan(name, root)
        found = self._families.of_component(folder)
        if found is None and (is_reader(made) or is_preprocessor(made)):
            kind: FileKind = "reader" if is_reader(made) else "preprocessor"
            files = [path for path in root.glob("*") if path.suffix in _READ and not is_safetensors(path)]
            part = self._weighted(name, root, "")
            parts = {"": msgspec.structs.replace(part, others=tuple(sorted(files)))}
            return Layout(kind, "", root, parts, sort=made if kind == "preprocessor" else "")
        if found is None:
            raise self._families.unsupported(name, f"holds a {made}")
        family, kind = found
        part = self._weighted(name, root, "")
        adapter = adapter_header(read_header(part.weights[0])) if kind == "ip_adapter" else None
        beside = self._encoder(part.weights[0], adapter) if adapter is not None else {}
        return Layout(kind, family.id, root, {"": part, **beside})

    def _biggan(self, name: str, root: Path) -> Layout:
        """A folder of BigGAN: its configuration, and one file of weights of whatever name."""
        found = sorted(path for path in root.glob("*") if is_safetensors(path) and path.is_file())
        found = found or sorted(path for path in root.glob("*.bin") if path.is_file())
        if not found:
            raise _incomplete(name, "pytorch_model.safetensors")
        layout = self._file(name, found[0])
        if layout.kind != "gan":
            raise _not_weights(name)
        return Layout("gan", "", root, {"": msgspec.structs.replace(layout.parts[""], config=root / "config.json")})

    def _file(self, name: str, path: Path) -> Layout:
        if is_pickle(path):
            refuse_code(name, path)
            if not self._allow_pickle:
                refuse_others(path)
                raise unsafe(name, path)
        elif is_onnx(path):
            return self._onnx(name, path)
        elif not is_safetensors(path) and not is_gguf(path):
            # Files of other programs tell what they are by how they begin.
            refuse_others(path)
            raise _not_weights(name)
        header = read_header(path)
        refuse_packed(name, header)
        part = Part(None, (path,))
        adapter = adapter_header(header)
        if adapter is not None:
            kind: FileKind = "ip_adapter"
            return self._claimed(kind, name, adapter, path, {"": part, **self._encoder(path, adapter)})
        if is_lora(header):
            found = self._claimed("lora", name, header, path, {"": part})
            made_for = "" if found.candidates else lora_for(header)
            if made_for:
                message = f"No part of the LoRA {name!r} fits a supported model: it seems to be made for {made_for}."
                raise ProblemError(
                    Problem(code="lora_unfit", message=message, hint=self._families.supported(), value=name)
                )
            return found
        tokenizer = self._tokenizer_beside(path)
        for kind in _SINGLE:
            found = self._claimed(kind, name, header, path, {"": part, **(tokenizer if kind == "pipeline" else {})})
            if found.candidates:
                return found
        sort = sort_of(header)
        if sort:
            tokenizer = {} if sort.startswith("clip") else tokenizer
            return Layout("text_encoder", "", path, {sort: part, **tokenizer}, True)
        if sight_in(header) is not None:
            return Layout("image_encoder", "", path, {"image_encoder": part}, True)
        network = network_in(header)
        if network:
            return Layout("preprocessor", "", path, {"": part}, True, sort=network)
        if architecture(header):
            return Layout("upscaler", "", path, {"": part}, True)
        if any(mark in header.tensors for mark in _MOVING) and "conv_in.weight" not in header.tensors:
            return Layout("motion", "", path, {"": part}, True)
        generator = gan_told(header)
        if generator:
            config = beside_gan(path) if generator.get("published") == "biggan_deep" else None
            if config is not None and self._inside(config) and is_biggan(read_json(config)):
                part = msgspec.structs.replace(part, config=config)
            return Layout("gan", "", path, {"": part}, True)
        said = what_is(header)
        if said:
            raise self._families.unsupported(name, f"is {said}")
        # Last: one tensor of any name may be an embedding.
        if embedding_vectors(header):
            return self._claimed("embedding", name, header, path, {"": part})
        raise _not_weights(name)

    def _onnx(self, name: str, path: Path) -> Layout:
        refuse_others(path)
        file = onnx_of(path)
        network = network_of(file)
        if not network:
            message = f"{name!r} is an ONNX file, but of no network that is known: {said_of(file)}."
            hint = "Those are read that cut out what an image shows: one image in, as 1 x 3 x H x W, and one map out."
            raise ProblemError(Problem(code="not_a_model", message=message, hint=hint, value=name))
        return Layout("preprocessor", "", path, {"": Part(None, (path,))}, True, sort=network)

    def _claimed(self, kind: FileKind, name: str, header: Header, path: Path, parts: dict[str, Part]) -> Layout:
        """The layout of a file of this kind: of the one family that claims it, if it is one."""
        claimed = tuple(family.id for family in self._families.of_file(kind, name, header))
        single = kind in _SINGLE
        return Layout(kind, claimed[0] if len(claimed) == 1 else "", path, parts, single, claimed)

    def _tokenizer_beside(self, path: Path) -> dict[str, Part]:
        """The tokenizer of a T5 or a language model that lies in a folder beside a single file."""
        for folder in (path.parent / called for called in (f"{path.stem}_tokenizer", *_TOKENIZERS)):
            if self._inside(folder) and any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
                return {"tokenizer": self._tokenizer(path.name, folder)}
        return {}

    def _encoder(self, path: Path, header: Header) -> dict[str, Part]:
        """The image encoder that an IP-Adapter was trained with: the nearest one that fits.

        The published repository keeps two, and adapters of either folder use either.
        """
        wanted = wanted_by(header)
        if not any(wanted):
            return {}
        above = path.parent.parent
        beside = (place / PLACES[1] for place in (path.parent, above / "models", above / "sdxl_models", above))
        problem: ProblemError | None = None
        for place in near([*beside, *self._encoders()]):
            try:
                if self._inside(place) and (found := self._encoder_at(place, wanted)) is not None:
                    return {PLACES[1]: found}
            except ProblemError as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return {}

    def _encoder_at(self, place: Path, wanted: Sight) -> Part | None:
        """The image encoder in a folder or file, if it is the one that is wanted."""
        folder = place.is_dir()
        try:
            sight = sight_told(read_json(place / "config.json")) if folder else sight_in(read_header(place))
        except ProblemError:  # which it would have been is not known
            return None
        if sight is None or not sight.serves(wanted):
            return None
        return self._weighted(str(place), place, "image_encoder/") if folder else Part(None, (place,))

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
        files = tuple(path for path in sorted(folder.glob("*")) if path.suffix in (".json", ".txt", ".jinja"))
        names = {path.name for path in files}
        if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
            raise _incomplete(name, f"{folder.name}/vocab.json")
        return Part(None, (), files)


def _plain(index: dict[str, Any]) -> dict[str, Any]:
    """An index with the library and the class of each part alone: those of modular pipelines say where a part comes
    from as well, and what lies here goes before."""
    return {
        name: entry[:2] if isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], dict) else entry
        for name, entry in index.items()
    }


def component_folders(index: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The parts that a `model_index.json` names, each with the library and the class it is of."""
    return {
        name: (str(entry[0]), str(entry[1]))
        for name, entry in index.items()
        if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None and re.fullmatch(r"\w+", name)
    }


def read_json(path: Path) -> dict[str, Any]:
    """A configuration file.

    Raises:
        ProblemError: `config_damaged`, when it is not one.
    """
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    raise _unreadable(path)


def _unreadable(path: Path) -> ProblemError:
    message = f"{path} is not a readable configuration."
    return ProblemError(
        Problem(code="config_damaged", message=message, hint="Copy or download it again.", value=str(path))
    )


def _shards(name: str, folder: Path, index: Path) -> list[Path]:
    names = sorted(set(_text_map(read_json(index)).values()))
    if not names:
        raise _unreadable(index)
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
    command = shlex.join(["safelight", "models", "convert", str(path)])
    hint = (
        f"Use its safetensors version, or convert it: `{command}`. SAFELIGHT_ALLOW_PICKLE=1 opens pickles as they are, "
        "those that hold tensors and plain settings alone."
    )
    return ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))


def _not_weights(name: str) -> ProblemError:
    message = f"{name!r} is no file of weights that is known: neither its names nor its shapes are those of a model."
    hint = "Give a folder in diffusers layout, or a .safetensors file of a model that is supported."
    return ProblemError(Problem(code="not_a_model", message=message, hint=hint, value=name))
