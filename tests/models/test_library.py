"""Names of models: what they lead to, what they must not lead to, and what is said when they lead nowhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tiny_models
from models.recipes import FAMILIES
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.models.library import Library
from safelight.sdk import Problem, ProblemError


def problem(store: ModelStore, name: str, kind: str = "") -> Problem:
    with pytest.raises(ProblemError) as caught:
        store.find(name, kind)
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_everything_is_found_with_its_family(store: ModelStore, family: str) -> None:
    for name in (family, f"control/{family}", f"adapter/{family}", f"lora/{family}.safetensors"):
        assert store.family(store.find(name)) == family
    assert store.find(family).place == "folder"
    assert store.find(f"lora/{family}.safetensors").place == "file"
    assert store.find(f"adapter/{family}/ip_adapter.safetensors", "ip_adapter").place == "file"


def test_the_list_tells_what_is_what(store: ModelStore) -> None:
    listed = {entry.name: entry for entry in store.list_models() if entry.place != "starter"}
    assert {entry.kind for entry in listed.values()} == {
        *("pipeline", "controlnet", "ip_adapter", "image_encoder", "lora"),
    }
    xl = listed["sdxl"]
    assert (xl.family, xl.precision) == ("sdxl", "F32")
    assert set(xl.components) == {"unet", "vae", "text_encoder", "text_encoder_2"}
    assert sum(xl.components.values()) < xl.bytes < 2.3e6
    assert store.describe("sdxl") == xl
    assert not [entry.problem for entry in listed.values() if entry.problem]


def test_embeddings_are_listed_with_their_family(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "models" / "embeddings"
    (folder / "sorted").mkdir(parents=True)
    written = {
        "one": ({"emb_params": torch.zeros(2, 768)}, "sd1"),
        "two": ({"<word>": torch.zeros(1024)}, "sd2"),
        "sorted/xl": ({"clip_l": torch.zeros(3, 768), "clip_g": torch.zeros(3, 1280)}, "sdxl"),
    }
    for name, (tensors, _) in written.items():
        save_file(tensors, folder / f"{name}.safetensors")
    store = make_store(tmp_path)
    listed = {entry.name: entry for entry in store.list_models() if entry.place != "starter"}
    assert {name: (entry.kind, entry.family) for name, entry in listed.items()} == {
        f"embeddings/{name}.safetensors": ("embedding", family) for name, (_, family) in written.items()
    }
    assert store.find("sorted/xl", "embedding") == store.find("embeddings/sorted/xl.safetensors")
    assert store.find("one", "embedding").fingerprint != store.find("two", "embedding").fingerprint
    assert problem(store, "onne", "embedding").hint.startswith("Did you mean one?")


def test_a_broken_model_is_listed_with_its_reason(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    tiny_models.tiny_sd1(tmp_path / "models" / "whole")
    broken = tmp_path / "models" / "broken"
    shutil.copytree(tmp_path / "models" / "whole", broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    listed = {entry.name: entry for entry in make_store(tmp_path).list_models()}
    assert listed["whole"].problem is None
    reason = listed["broken"].problem
    assert reason is not None and reason.code == "model_incomplete"
    assert "unet/diffusion_pytorch_model.safetensors" in reason.message


@pytest.mark.parametrize(
    "name", ["../sd1", "lora/../sd1", "lora/../../x", "~/sd1", "", " ", "a\0b", "..", "org/..", "..\\sd1"]
)
def test_strange_names_are_refused(store: ModelStore, name: str) -> None:
    assert problem(store, name).code == "bad_path"


@pytest.mark.parametrize("name", ["é" * 150, "org/" + "n" * 300, f"org/name@{'r' * 300}", f"org/name/{'i' * 300}"])
def test_names_that_no_file_can_have_are_missing(store: ModelStore, name: str) -> None:
    assert problem(store, name).code == "model_missing"
    assert not store.holds(name)


def test_the_folder_of_a_kind_may_stand_before_what_lies_in_none(store: ModelStore) -> None:
    """As workflows of other programs name the starter."""
    for name in ("starter", "starter/few_step"):
        kind = "lora" if "/" in name else "pipeline"
        assert store.find(f"{'loras' if kind == 'lora' else 'checkpoints'}/{name}", kind).name == name
    for name in ("checkpoints/other", "somewhere/starter", "checkpoints/starter/none"):
        with pytest.raises(ProblemError) as raised:
            store.find(name, "pipeline")
        assert raised.value.problems[0].code == "model_missing"


def test_endless_names_are_refused_without_repeating_them(store: ModelStore) -> None:
    found = problem(store, "n/" * 5000 + "n")
    assert found.code == "bad_path" and len(found.message) < 200


@pytest.mark.parametrize("name", ["/etc/passwd", "/", "/etc/../etc"])
def test_paths_outside_the_model_folders_are_refused(store: ModelStore, name: str) -> None:
    assert problem(store, name).code == "bad_path"


def test_an_absolute_path_inside_is_the_same_model(store: ModelStore, home: Path) -> None:
    assert store.find(str(home / "models" / "sd1")) == store.find("sd1")


def test_links_out_of_the_folders_are_refused(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    outside = tiny_models.tiny_sd1(tmp_path / "elsewhere" / "sd1")
    models = tmp_path / "models"
    models.mkdir()
    (models / "linked").symlink_to(outside)
    shutil.copytree(outside, models / "mixed")
    weights = models / "mixed" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    weights.symlink_to(outside / "unet" / "diffusion_pytorch_model.safetensors")
    store = make_store(tmp_path)
    for name in ("linked", "mixed"):
        found = problem(store, name)
        assert found.code == "bad_path" and "SAFELIGHT_MODELS" in found.hint
    both = make_store(environ={"SAFELIGHT_MODELS": os.pathsep.join([str(models), str(outside.parent)])})
    assert both.find("linked").fingerprint == both.find("mixed").fingerprint == both.find("sd1").fingerprint


@pytest.mark.parametrize("name", ["checkpoints/x.safetensors", "loras/mine/x.safetensors", "x.gguf", "a/B.SAFETENSORS"])
def test_a_missing_file_is_no_model_of_the_hub(store: ModelStore, home: Path, name: str) -> None:
    found = problem(store, name)
    assert found.code == "model_missing"
    assert f"The file {name!r} is in none of the model folders: {home / 'models'}" in found.message
    assert f"download {name}" not in found.hint
    assert "safelight models add" in found.hint and "download https://" in found.hint


def test_a_missing_model_names_what_was_searched_and_how_to_get_it(store: ModelStore, home: Path) -> None:
    found = problem(store, "some/model")
    assert found.code == "model_missing"
    assert "'some/model'" in found.message and str(home / "models") in found.message
    assert "`safelight models download some/model`" in found.hint
    assert "`safelight models download some/model@v2`" in problem(store, "some/model@v2").hint
    inside = problem(store, "some/model/deep/one.safetensors").hint
    assert "`safelight models download some/model/deep/one.safetensors`" in inside
    assert "Did you mean sdxl" in problem(store, "sdxxl").hint
    # Parts of the starter go by their whole name, so they are not proposed by less.
    assert "Did you mean starter/upscaler" in problem(store, "starter/upscalr", "upscaler").hint
    assert "Did you mean" not in problem(store, "nothing", "motion").hint
    assert "models download" not in problem(store, "sdxxl").hint


def test_a_model_of_another_kind_is_refused_by_name(store: ModelStore) -> None:
    found = problem(store, "lora/sd1.safetensors", "pipeline")
    assert found.code == "wrong_model" and "a LoRA" in found.message and "sd1" in found.hint
    assert problem(store, "sd1", "controlnet").code == "wrong_model"
    assert store.find("sd1", "vae") == store.find("sd1")


def test_the_fingerprint_follows_content_alone(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    first = tiny_models.tiny_sd1(tmp_path / "models" / "first")
    second = tmp_path / "models" / "sorted" / "second"
    shutil.copytree(first, second)
    (second / "README.md").write_text("has no say in what is computed")
    store = make_store(tmp_path)
    before = store.find("first").fingerprint
    assert before == store.find("sorted/second").fingerprint
    weights = second / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert before != store.find("sorted/second").fingerprint
    scheduler = first / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("0.012", "0.013"))
    assert before != store.find("first").fingerprint


def _cached(cache: Path, model: Path, repository: str, commit: str = "c" * 40) -> Path:
    """A model as huggingface_hub's cache keeps it: blobs by digest, a snapshot of links to them."""
    import hashlib

    folder = cache / ("models--" + repository.replace("/", "--"))
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    for file in (path for path in model.rglob("*") if path.is_file()):
        blob = folder / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.write_bytes(file.read_bytes())
        link = folder / "snapshots" / commit / file.relative_to(model)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return folder


def test_the_hubs_cache_is_read_without_a_network_and_without_reading_weights(
    make_store: Callable[..., ModelStore], home: Path, tmp_path: Path
) -> None:
    _cached(tmp_path / "hub", home / "models" / "sdxl", "org/tiny-xl")
    read: list[Path] = []

    def digest(path: Path) -> str:
        read.append(path)
        return path.name

    store = ModelStore(
        tmp_path / "empty",
        fingerprint=digest,
        environment=Environment(hub=tmp_path / "hub", device="cpu", precision="float32"),
    )
    source = store.find("org/tiny-xl")
    assert (source.place, source.name) == ("hub", "org/tiny-xl")
    assert store.family(source) == "sdxl" and not read
    assert store.find("org/tiny-xl@" + "c" * 40).fingerprint == source.fingerprint
    assert "org/tiny-xl" in {entry.name for entry in store.list_models()}
    assert store.family(store.find("org/tiny-xl/vae")) == "sdxl"
    with store.lease(make_ref(source)) as lease:
        assert lease.component.modules["unet"].config.cross_attention_dim == 64


def make_ref(source: object) -> object:
    from safelight.sdk import ModelRef

    return ModelRef("Denoiser", "sdxl", source)  # type: ignore[arg-type]


def test_a_half_downloaded_model_is_told_from_a_whole_one(
    make_store: Callable[..., ModelStore], home: Path, tmp_path: Path
) -> None:
    folder = _cached(tmp_path / "hub", home / "models" / "sd1", "org/tiny")
    (folder / "snapshots" / ("c" * 40) / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    found = problem(make_store(), "org/tiny")
    assert found.code == "model_incomplete" and "`safelight models download org/tiny`" in found.hint


def test_the_fp16_variant_serves_where_it_is_alone(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    full = make_store(tmp_path).find("m").fingerprint
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        file = folder / part / f"{stem}.safetensors"
        shutil.copy(file, file.with_name(f"{stem}.fp16.safetensors"))
    assert make_store(tmp_path).find("m").fingerprint == full
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        (folder / part / f"{stem}.safetensors").unlink()
    assert make_store(tmp_path).find("m").fingerprint != full


def test_pickles_are_refused_unless_allowed(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    torch.save(weights, file.with_suffix(".bin"))
    file.unlink()
    found = problem(make_store(tmp_path), "m")
    assert found.code == "unsafe_weights" and "SAFELIGHT_ALLOW_PICKLE" in found.hint
    (tmp_path / "models" / "old.ckpt").write_bytes(b"\x80\x04.")
    assert problem(make_store(tmp_path), "old.ckpt").code == "unsafe_weights"

    store = make_store(tmp_path, environ={"SAFELIGHT_ALLOW_PICKLE": "1"})
    from safelight.sdk import ModelRef

    with store.lease(ModelRef("VAE", "sd1", store.find("m"))) as lease:
        given = lease.component.modules["vae"].state_dict()
        assert all(torch.equal(given[name], tensor) for name, tensor in weights.items())


class Opens:
    """What a hostile pickle does: it names a function to call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


def test_a_pickle_that_runs_code_does_not_even_when_allowed(
    make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    import torch

    folder = tiny_models.tiny_sd1(tmp_path / "models" / "m")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    file.unlink()
    torch.save({"decoder.conv_in.weight": Opens(tmp_path / "ran")}, file.with_suffix(".bin"))
    store = make_store(tmp_path, environ={"SAFELIGHT_ALLOW_PICKLE": "1"})
    from safelight.sdk import ModelRef

    with pytest.raises(ProblemError) as caught, store.lease(ModelRef("VAE", "sd1", store.find("m"))):
        pass
    assert caught.value.problems[0].code == "unsafe_weights"
    assert not (tmp_path / "ran").exists()


def test_unknown_families_are_named(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    folder = tmp_path / "models" / "aura"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "AuraFlowPipeline"}))
    found = problem(make_store(tmp_path), "aura")
    assert found.code == "unsupported_family"
    assert "AuraFlowPipeline" in found.message and "Stable Diffusion XL" in found.hint


def test_damage_is_said_instead_of_crashing(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    models = tmp_path / "models"
    whole = tiny_models.tiny_lora(models / "whole.safetensors").read_bytes()
    damaged = {
        "empty": b"",
        "short": b"\x10",
        "cut": whole[:-100],
        "noise": b"\xff" * 4096,
        "pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "list": b"\x02\0\0\0\0\0\0\0[]",
        "binary": b"\x08\0\0\0\0\0\0\0" + b"\xfe" * 8,
    }
    for name, data in damaged.items():
        (models / f"{name}.safetensors").write_bytes(data)
        found = problem(make_store(tmp_path), f"{name}.safetensors")
        assert found.code in ("weights_damaged", "not_a_model"), name
    assert "git lfs pull" in problem(make_store(tmp_path), "pointer.safetensors").hint
    folder = tiny_models.tiny_sd1(models / "m")
    (folder / "unet" / "config.json").write_text("{nonsense")
    assert problem(make_store(tmp_path), "m").code == "config_damaged"


def test_nothing_of_this_needs_torch(home: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from safelight.models import ModelStore\n"
        f"s = ModelStore(Path({str(home)!r}), fingerprint=lambda p: p.name)\n"
        "for n in ('sdxl', 'lora/sd1.safetensors', 'adapter/sd1', 'control/sd2'): s.family(s.find(n))\n"
        "s.list_models(); s.clear(); s.loaded()\n"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_endings_in_capitals_and_names_that_are_not_utf8(make_store: Callable[..., ModelStore], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "models" / "embeddings"
    folder.mkdir(parents=True)
    save_file({"emb_params": torch.zeros(2, 768)}, folder / "INK.SAFETENSORS")
    odd = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.safetensors")
    try:
        shutil.copy(folder / "INK.SAFETENSORS", odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    store = make_store(tmp_path)
    listed = [entry.name for entry in store.list_models() if entry.place != "starter"]
    assert listed == ["embeddings/INK.SAFETENSORS"]
    assert store.find("INK", "embedding") == store.find("embeddings/INK.SAFETENSORS")
    assert problem(store, "INKK", "embedding").hint.startswith("Did you mean INK?")


def test_a_path_of_the_users_own_is_added_and_no_other(home: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    tiny_models.tiny_lora(away / "mine.safetensors", "sd1")
    tiny_models.tiny_lora(away / "more" / "mine.safetensors", "sd1", seed=61)
    tiny_models.tiny_lora(away / "other.safetensors", "sd1")
    shutil.copytree(home / "models" / "sd1", away / "whole")
    library = Library((home / "models",), digest=str, cache=tmp_path / "hub")
    assert (
        library.names.add(away / "mine.safetensors")
        == "mine.safetensors"
        == library.names.add(away / "." / "mine.safetensors")
    )
    assert library.names.add(away / "more" / "mine.safetensors") == "more/mine.safetensors"
    assert library.names.add(away / "whole") == "whole"
    assert library.names.add(home / "models" / "sd1") == "sd1"
    source = library.find("mine.safetensors", "lora")
    assert (source.place, library.layout(source).root) == ("file", away / "mine.safetensors")
    assert library.layout(library.find("more/mine.safetensors")).root == away / "more" / "mine.safetensors"
    assert library.find("whole", "pipeline").place == "folder" and library.find("whole/vae", "vae").place == "folder"
    for name in ("other.safetensors", str(away / "other.safetensors"), "whole/../other.safetensors", "more"):
        with pytest.raises(ProblemError):
            library.find(name)
    assert library.holds("sd1") and library.holds("starter") and not library.holds("mine.safetensors")
