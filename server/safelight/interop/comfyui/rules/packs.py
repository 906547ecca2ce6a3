"""Preprocessors and tools of the packs that are used most."""

from __future__ import annotations

from .base import Convert, Made, Out, Part, Ref, Row, Rule, Site, TwoWay, Unfit, one
from .conditioning import encode
from .files import plain
from .images import canny
from .models import CHECKPOINT, LORA, VAE, checkpoint, stacked
from .sampling import sample


def detector(type: str, **inputs: str | tuple[str, Convert]) -> Rule:
    """A preprocessor of comfyui_controlnet_aux. Its weights are found by name in the folder of preprocessors."""
    return Row(type, {"image": "image", **inputs}, ("image",), unused=("resolution",))


safe = TwoWay(lambda value: str(value) == "enable" or value is True, lambda value: "enable" if value else "disable")


def value(kind: str, name: str, output: str = "value") -> Rule:
    """A node of a pack that holds one value."""

    def rule(site: Site) -> Made:
        part = Part(f"values.{kind}")
        known = name in site.node.typed or name in site.node.wires
        site.put(part, "value", name if known else _only(site, name))
        return one(part, output)

    return rule


def _only(site: Site, name: str) -> str:
    """The name of the one value that a node of a pack has: files without names of values call it by the class."""
    return next(iter(site.node.typed), name)


def concatenate(site: Site) -> Made:
    """Up to four texts by a template."""
    names = [name for name in ("text_a", "text_b", "text_c", "text_d") if site.wire(name) or site.typed(name)]
    between = str(site.typed("delimiter", ", ")).replace("{", "{{").replace("}", "}}").replace("\\n", "\n")
    letters = "abcd"[: len(names)]
    part = Part("strings.fill", {"template": between.join(f"{{{letter}}}" for letter in letters)})
    for letter, name in zip(letters, names, strict=True):
        site.put(part, letter, name)
    return one(part, "text")


def longer_side(name: str) -> Rule:
    def rule(site: Site) -> Made:
        part = Part("image.scale", {"by": "longer_side"})
        site.put(part, "image", "image")
        site.put(part, "side", name)
        return one(part, "image")

    return rule


def efficient_loader(site: Site) -> Made:
    """Checkpoint, LoRA, both prompts and an empty latent in one."""
    parts = {"": Part("models.load")}
    site.put(parts[""], "model", "ckpt_name", CHECKPOINT)
    model, text = Ref("", "model"), Ref("", "text")
    vae = Ref("", "vae")
    if str(site.typed("vae_name", "Baked VAE")) not in ("Baked VAE", "None"):
        parts["vae"] = Part("models.load_vae")
        site.put(parts["vae"], "vae", "vae_name", VAE)
        vae = Ref("vae", "model")
    if str(site.typed("lora_name", "None")) != "None":
        parts["lora"] = Part("models.apply_lora", {}, {"model": model, "text": text})
        site.put(parts["lora"], "lora", "lora_name", LORA)
        site.put(parts["lora"], "weight", "lora_model_strength")
        site.put(parts["lora"], "text_weight", "lora_clip_strength")
        model, text = Ref("lora", "model"), Ref("lora", "text")
    for number, each in enumerate(stacked(site), 1):
        values = {"lora": LORA(each.file), "weight": each.weight, "text_weight": each.text_weight}
        parts[f"stacked_{number}"] = Part("models.apply_lora", values, {"model": model, "text": text})
        model, text = Ref(f"stacked_{number}", "model"), Ref(f"stacked_{number}", "text")
    skip = site.typed("clip_skip", -1)
    for side in ("positive", "negative"):
        parts[side] = Part("text.encode", {}, {"encoder": text})
        site.put(parts[side], "text", side)
        if isinstance(skip, int) and skip < -1:
            parts[side].values["clip_skip"] = -skip - 1
    parts["latent"] = Part("latent.empty", {}, {"vae": vae})
    for port, name in (("width", "empty_latent_width"), ("height", "empty_latent_height"), ("batch", "batch_size")):
        site.put(parts["latent"], port, name)
    made: list[Out] = [model, Ref("positive", "conditioning"), Ref("negative", "conditioning")]
    return Made(parts, [*made, Ref("latent", "latent"), vae, text, None])


def efficient_sampler(site: Site) -> Made:
    """A KSampler that decodes as well."""
    if site.wire("steps") is None and not 0 <= int(site.typed("steps", 20)) <= 10_000:
        raise Unfit("Its values are those of a version that is not known.")
    made = sample(site)
    if "optional_vae" in site.node.wires:
        made.parts["decode"] = Part("vae.decode", {}, {"latent": Ref("", "latent")})
        site.put(made.parts["decode"], "vae", "optional_vae")
    given = [site.wire(name) for name in ("model", "positive", "negative")]
    image = Ref("decode", "image") if "decode" in made.parts else None
    return Made(made.parts, [*given, Ref("", "latent"), site.wire("optional_vae"), image])


def load_video(site: Site) -> Made:
    """VHS_LoadVideo: frames, their number and the sound."""
    film = Part("video.load")
    site.put(film, "file", "video", plain)
    frames = Part("video.frames", {}, {"video": Ref("", "video")})
    site.put(frames, "count", "frame_load_cap")
    site.put(frames, "first", "skip_first_frames")
    site.put(frames, "every", "select_every_nth")
    facts = Part("video.facts", {}, {"video": Ref("", "video")})
    for name in ("force_rate", "custom_width", "custom_height"):
        if site.typed(name, 0):
            site.approximate(f"{name} is left out: video.set_rate and image.resize do that.")
    parts = {"": film, "frames": frames, "facts": facts}
    return Made(parts, [Ref("frames", "image"), Ref("facts", "frames"), None, None])


def weights(name: str) -> Convert:
    """The weights for a part of poses where it is looked for."""
    return lambda value: f"lllyasviel/Annotators/{name}" if safe(value) else ""


def load_folder(site: Site) -> Made:
    """VHS_LoadImages: the images of a folder as one batch."""
    listed = Part("data.list_folder", {"pattern": "*.*"})
    site.put(listed, "file", "directory", plain)
    site.put(listed, "limit", "image_load_cap")
    for name, usual in (("skip_first_images", 0), ("select_every_nth", 1)):
        if site.wire(name) or site.typed(name, usual) != usual:
            site.approximate(f"{name} is left out: lists.slice takes some of them.")
    if site.takes(1):
        raise Unfit("Masks of a folder are made from images one by one here.")
    parts = {"": Part("image.batch", {}, {"images": Ref("one", "image")}), "listed": listed}
    parts["one"] = Part("image.load", {}, {"file": Ref("listed", "files")})
    if site.takes(2):
        parts["count"] = Part("lists.length", {}, {"items": Ref("listed", "files")})
    return Made(parts, [Ref("", "image"), None, Ref("count", "value") if "count" in parts else None])


def florence(site: Site) -> Made:
    """Florence-2, where it is asked for a text of the whole image."""
    task = {
        **{"caption": "<CAPTION>", "detailed_caption": "<DETAILED_CAPTION>", "ocr": "<OCR>"},
        "more_detailed_caption": "<MORE_DETAILED_CAPTION>",
    }.get(str(site.typed("task", "caption")))
    loader = site.giver(site.wire("florence2_model"))
    if task is None or site.takes(0) or site.takes(1) or site.takes(3) or loader is None:
        raise Unfit("It is asked for boxes or masks: preprocess.find finds what a text says.")
    model = Part("reading.load")
    loader.put(model, "model", "model")
    part = Part("reading.describe", {"prompt": task}, {"model": Ref("model", "model")})
    site.put(part, "image", "image")
    site.put(part, "length", "max_new_tokens", lambda value: min(2048, max(1, int(value))))
    first = Part("values.pick", {"index": 0}, {"items": Ref("", "texts")})
    return Made({"": part, "model": model, "first": first}, [None, None, Ref("first", "value"), None])


def in_florence(site: Site) -> Made:
    if set(site.takers()) <= {"Florence2Run"}:
        return Made({}, [None])
    raise Unfit("What takes it is not known here.")


def pixel_perfect(site: Site) -> Made:
    """The resolution that a hint needs so that it is not scaled again: its shorter side as it will be."""
    size = Part("image.size")
    site.put(size, "image", "original_image")
    inner = str(site.typed("resize_mode", "Just Resize")) == "Resize and Fill"
    text = f"round({'min' if inner else 'max'}(d / b, c / a) * min(a, b))"
    part = Part("numbers.expression", {"expression": text}, {"a": Ref("size", "width"), "b": Ref("size", "height")})
    site.put(part, "c", "image_gen_width")
    site.put(part, "d", "image_gen_height")
    return Made({"": part, "size": size}, [Ref("", "integer")])


_RESOLUTION: dict[str, str | tuple[str, Convert]] = {"resolution": "resolution"}
_POSE: dict[str, str | tuple[str, Convert]] = {
    **_RESOLUTION,
    "detect_body": ("body", safe),
    "detect_hand": ("hands", weights("hand_pose_model.pth")),
    "detect_face": ("face", weights("facenet.pth")),
}


def pose(site: Site) -> Made:
    if site.takes(1):
        raise Unfit("Its poses are JSON of another kind: use preprocess.openpose.")
    part = Part("preprocess.openpose")
    site.put(part, "image", "image")
    for name, ours in _POSE.items():
        port, convert = ours if isinstance(ours, tuple) else (ours, None)
        site.put(part, port, name, convert)
    site.approximate("Poses are found by OpenPose's network here, not by DWPose's.")
    return one(part, "image", None)


def scribble(site: Site) -> Made:
    part = Part("preprocess.hed", {"scribble": True})
    site.put(part, "image", "image")
    site.put(part, "safe", "safe", safe)
    site.put(part, "resolution", "resolution")
    return one(part, "image")


def any_of_them(site: Site) -> Made:
    """A node that is any preprocessor, by its name."""
    name = str(site.typed("preprocessor", "none"))
    if name == "none":
        return Made({}, [site.wire("image")])
    rule = RULES.get(name)
    if rule is None or name == "AIO_Preprocessor" or site.wire("preprocessor"):
        raise Unfit(f"There is no preprocessor {name!r} here.")
    return rule(site)


RULES: dict[str, Rule] = {
    "CannyEdgePreprocessor": canny,
    "HEDPreprocessor": detector("preprocess.hed", safe=("safe", safe), **_RESOLUTION),
    "PiDiNetPreprocessor": detector("preprocess.pidinet", safe=("safe", safe), **_RESOLUTION),
    "LineArtPreprocessor": detector("preprocess.lineart", **_RESOLUTION),
    "AnimeLineArtPreprocessor": detector("preprocess.lineart_anime", **_RESOLUTION),
    "LineartStandardPreprocessor": detector("preprocess.lineart_standard", **_RESOLUTION),
    "M-LSDPreprocessor": detector("preprocess.mlsd", score_threshold="score", dist_threshold="distance", **_RESOLUTION),
    "MiDaS-DepthMapPreprocessor": detector("preprocess.midas", **_RESOLUTION),
    "Zoe-DepthMapPreprocessor": detector("preprocess.zoe", **_RESOLUTION),
    "LeReS-DepthMapPreprocessor": detector("preprocess.leres", **_RESOLUTION),
    "DepthAnythingPreprocessor": detector("preprocess.depth"),
    "DepthAnythingV2Preprocessor": detector("preprocess.depth"),
    "BAE-NormalMapPreprocessor": detector("preprocess.normal_bae", **_RESOLUTION),
    "OpenposePreprocessor": detector("preprocess.openpose", **_POSE),
    "DWPreprocessor": pose,
    "AIO_Preprocessor": any_of_them,
    "FakeScribblePreprocessor": scribble,
    "MediaPipe-FaceMeshPreprocessor": detector(
        "preprocess.mediapipe_face", max_faces="faces", min_confidence="confidence", **_RESOLUTION
    ),
    "ShufflePreprocessor": detector("preprocess.shuffle", seed="seed", **_RESOLUTION),
    "TEEDPreprocessor": detector("preprocess.teed", **_RESOLUTION),
    "AnyLineArtPreprocessor_aux": detector("preprocess.anyline", **_RESOLUTION),
    "JWImageResizeByLongerSide": longer_side("size"),
    "ImpactImageBatchToImageList": Row("image.split", {"image": "image"}, ("images",)),
    "ImageListToImageBatch": Row("image.batch", {"images": "images"}, ("image",)),
    "Text Multiline": value("text", "text", "text"),
    "Text String": value("text", "text", "text"),
    "String Literal": value("text", "string", "text"),
    "CR Prompt Text": value("text", "prompt", "text"),
    "Text _O": value("text", "text", "text"),
    "INTConstant": value("integer", "value"),
    "FloatConstant": value("number", "value"),
    "Int Literal": value("integer", "int"),
    "Float Literal": value("number", "float"),
    "CR Seed": value("integer", "seed"),
    "Text Concatenate": concatenate,
    "Text to Conditioning": encode(),
    "Latent Upscale by Factor (WAS)": Row("latent.resize", {"samples": "latent", "factor": "scale"}, ("latent",)),
    "Efficient Loader": efficient_loader,
    "KSampler (Efficient)": efficient_sampler,
    "CheckpointLoaderSimpleWithNoiseSelect": checkpoint,
    "smZ CLIPTextEncode": encode(),
    "VHS_LoadImages": load_folder,
    "VHS_LoadImagesPath": load_folder,
    "Florence2Run": florence,
    "DownloadAndLoadFlorence2Model": in_florence,
    "PixelPerfectResolution": pixel_perfect,
    "VHS_LoadVideo": load_video,
    "VHS_LoadVideoPath": load_video,
    "GetImageSize+": Row("image.size", {"image": "image"}, ("width", "height", "batch")),
    "ImageGenResolutionFromImage": Row("image.size", {"image": "image"}, ("width", "height", "batch")),
}
