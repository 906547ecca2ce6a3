"""What packs have for numbers, texts, sizes and images: the classes of them that are used most."""

from __future__ import annotations

import re
from typing import Any

from safelight.sdk.widgets import LARGEST_SEED

from .base import Made, Out, Part, Ref, Row, Rule, Site, Through, Unfit, one, pick, saved_as, told
from .conditioning import RULES as CONDITIONING
from .files import save_mask_preview
from .images import METHOD, batch
from .latents import vae_of
from .packs import value
from .strings import show

_SIZE = re.compile(r"(\d{2,5})\s*[xX×]\s*(\d{2,5})")


def resized(width: str, height: str, way: str, method: str, multiple: str) -> Rule:
    """A size, and what to do with other proportions: ImageResize+ of the essentials, ImageResizeKJ."""

    def rule(site: Site) -> Made:
        chosen = str(site.typed(way, "stretch"))
        fit = _FITS.get(chosen)
        if fit is None or site.wire(way):
            raise Unfit(f"There is no way {chosen!r} to resize here.")
        parts = {"": Part("image.resize", {"fit": fit})}
        for port, name in (("image", "image"), ("width", width), ("height", height)):
            site.put(parts[""], port, name)
        site.put(parts[""], "method", method, METHOD)
        condition = str(site.typed("condition", "always"))
        if condition != "always":
            site.approximate(f"It is resized always here, not when it says: {condition}.")
        last = ""
        step = site.typed(multiple, 0)
        if isinstance(step, int) and step > 1:
            parts["even"] = Part("image.scale", {"factor": 1.0, "multiple_of": step}, {"image": Ref("", "image")})
            last = "even"
        if site.takes(1) or site.takes(2):
            parts["size"] = Part("image.size", {}, {"image": Ref(last, "image")})
        told(
            site, width, height, way, method, multiple, "condition", "device", "crop_position", "pad_color", "per_batch"
        )
        size: list[Out] = [Ref("size", "width"), Ref("size", "height")] if "size" in parts else [None, None]
        return Made(parts, [Ref(last, "image"), *size, None][: len(site.node.outputs)])

    return rule


_FITS = {
    **{"stretch": "stretch", "keep proportion": "inside", "fill / crop": "crop", "pad": "pad"},
    **{"resize": "inside", "crop": "crop", "False": "stretch", "True": "inside"},
}


def was_resize(site: Site) -> Made:
    """Image Resize of the WAS suite: by a factor, or to a size."""
    if str(site.typed("mode", "rescale")) == "rescale":
        part = Part("image.scale", {"by": "factor"})
        site.put(part, "factor", "rescale_factor")
    else:
        part = Part("image.resize")
        site.put(part, "width", "resize_width")
        site.put(part, "height", "resize_height")
    site.put(part, "image", "image")
    site.put(part, "method", "resampling", METHOD)
    return one(part, "image")


def scaled(factor: str, other: str | None, method: str, multiple: tuple[str, int] | None) -> Rule:
    """By a factor; a second one for the height has to be the same."""

    def rule(site: Site) -> Made:
        if other is not None and (site.wire(other) or site.typed(other) != site.typed(factor)):
            raise Unfit("Images are scaled in proportion here: use image.resize for two factors.")
        part = Part("image.scale", {"by": "factor"})
        site.put(part, "image", "image")
        site.put(part, "factor", factor)
        site.put(part, "method", method, METHOD)
        if multiple is not None and str(site.typed(multiple[0])) == "enabled":
            part.values["multiple_of"] = multiple[1]
        return one(part, "image")

    return rule


def cut(site: Site) -> Made:
    """ImageCrop+: from a corner or the middle."""
    where = str(site.typed("position", "center"))
    if where != "top-left":
        raise Unfit(f"It cuts from {where}, by the size of the image: use image.crop_to_ratio, or image.crop.")
    part = Part("image.crop")
    for port, name in (("left", "x_offset"), ("top", "y_offset")):
        site.put(part, port, name)
    for name in ("image", "width", "height"):
        site.put(part, name, name)
    return Made({"": part}, [Ref("", "image"), None, None])


def joined(site: Site) -> Made:
    """ImageConcanate of KJNodes."""
    way = str(site.typed("direction", "right"))
    part = Part("image.join", {"gap": 0, "direction": "down" if way in ("down", "up") else "right"})
    for name in ("image1", "image2") if way in ("right", "down") else ("image2", "image1"):
        site.put(part, "images", name)
    told(site, "direction", "match_image_size")
    return one(part, "image")


def picked(names: str, select: str, choice: str = "") -> Rule:
    """One of several inputs by its number, counted from 1. A typed number is decided here."""

    def rule(site: Site) -> Made:
        found = sorted(
            (name for name in (*site.node.wires, *site.node.typed) if re.fullmatch(names, name)), key=_number
        )
        if site.wire(select) is None:
            chosen = names.replace(r"\d+", str(site.typed(select, 1)))
            wire = site.wire(chosen)
            if wire is None and site.typed(chosen) is not None and not choice:
                part = Part("values.text")
                site.put(part, "value", chosen)
                return Made({"": part}, [Ref("", "text"), None, None])
            return Made({}, [wire, None, None])
        if any(_number(name) > len(_PLACES) for name in found):
            raise Unfit("choice.select hands on one of four inputs.")
        counted = Part("numbers.expression", {"expression": "a - 1"})
        site.put(counted, "a", select)
        part = Part("choice.select", {}, {"index": Ref("counted", "integer")})
        for name in found:
            site.put(part, _PLACES[_number(name) - 1], name)
        return Made({"": part, "counted": counted}, [Ref("", "value"), None, None])

    return rule


_PLACES = ("first", "second", "third", "fourth")


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name) or 1)


def empty_of(size: str) -> Rule:
    """An empty latent of a size that is written out: "832x1216 (0.68)"."""

    def rule(site: Site) -> Made:
        width, height = _sides(site, size)
        part = Part("latent.empty", {"width": width, "height": height})
        vae_of(site, part)
        for port, name in (("width", "width_override"), ("height", "height_override")):
            if site.wire(name) or site.typed(name):
                site.put(part, port, name)
        site.put(part, "batch", "batch_size")
        parts = {"": part}
        for slot, (port, side) in enumerate((("width", width), ("height", height)), 1):
            if site.takes(slot):
                parts[port] = Part("values.integer", {"value": side})
        sides: list[Out] = [Ref(port, "value") if port in parts else None for port in ("width", "height")]
        return Made(parts, [Ref("", "latent"), *sides])

    return rule


def _sides(site: Site, name: str) -> tuple[int, int]:
    found = _SIZE.search(str(site.typed(name, "")))
    if found is None or site.wire(name):
        raise Unfit("Its size is not told.")
    return int(found[1]), int(found[2])


def aspect(site: Site) -> Made:
    """A size by its proportions, written out behind them; else the one that is typed in."""
    if _SIZE.search(str(site.typed("aspect_ratio", ""))):
        width, height = _sides(site, "aspect_ratio")
        if str(site.typed("swap_dimensions", "Off")) == "On":
            width, height = height, width
        parts = {"": Part("values.integer", {"value": width}), "height": Part("values.integer", {"value": height})}
    else:
        parts = {"": Part("values.integer"), "height": Part("values.integer")}
        site.put(parts[""], "value", "width")
        site.put(parts["height"], "value", "height")
    outputs: list[Out] = [Ref("", "value"), Ref("height", "value")]
    for slot, (name, kind) in enumerate((("upscale_factor", "number"), ("batch_size", "integer")), 2):
        if site.takes(slot):
            parts[name] = Part(f"values.{kind}")
            site.put(parts[name], "value", name)
        outputs.append(Ref(name, "value") if site.takes(slot) else None)
    if site.takes(4):
        raise Unfit("Its empty latent is made by latent.empty here.")
    return Made(parts, [*outputs, None, None][: len(site.node.outputs)])


def seed(site: Site) -> Made:
    """A seed; a number below 0 stands for a new one each time."""
    part = Part("values.seed")
    site.put(part, "value", next(iter(site.node.typed), "seed"), _seed)
    return one(part, "value")


def _seed(value: Any) -> int:
    if not 0 <= int(value) <= LARGEST_SEED:
        raise Unfit("A new seed for each run is chosen in the editor here.")
    return int(value)


def texts(between: str, *names: str, glue: str = ", ") -> Rule:
    """Texts put together, with one between them."""

    def rule(site: Site) -> Made:
        used = [name for name in names if site.wire(name) or site.typed(name)]
        if len(used) > 4 or (between and site.wire(between)):
            raise Unfit("strings.fill puts four texts together, with what stands in its template between them.")
        middle = str(site.typed(between, glue) if between else glue).replace("{", "{{").replace("}", "}}")
        letters = "abcd"[: len(used)]
        part = Part("strings.fill", {"template": middle.replace("\\n", "\n").join(f"{{{one}}}" for one in letters)})
        for letter, name in zip(letters, used, strict=True):
            site.put(part, letter, name)
        return Made({"": part}, [Ref("", "text"), None])

    return rule


def text_function(site: Site) -> Made:
    """StringFunction of the custom scripts: texts in a row, or a part of one replaced."""
    if str(site.typed("action", "append")) == "append":
        return texts("", "text_a", "text_b", "text_c", glue=", " if site.typed("tidy_tags") == "yes" else "")(site)
    find = str(site.typed("text_b", ""))
    part = Part(
        "strings.substitute" if find.startswith("/") and find.endswith("/") and len(find) > 2 else "values.replace"
    )
    site.put(part, "text", "text_a")
    if part.type == "values.replace":
        site.put(part, "find", "text_b")
    else:
        part.values["pattern"] = find.strip("/")
    site.put(part, "put", "text_c")
    return one(part, "text")


def random_line(site: Site) -> Made:
    """A line of a text by chance. Which one a seed means is another here."""
    lines, chosen = Part("strings.split", {"by": "lines"}), Part("lists.choose", {}, {"items": Ref("lines", "texts")})
    site.put(lines, "text", "text")
    site.put(chosen, "seed", "seed", _seed)
    site.approximate("A seed means another line here.")
    return Made({"": chosen, "lines": lines}, [Ref("", "value")])


def formula(site: Site) -> Made:
    text = str(site.typed("value", "a"))
    if site.wire("value") or not re.fullmatch(
        r"(?:[0-9+\-*/%().,<>=\s]|\b(?:[abc]|min|max|round|floor|ceil|abs)\b)*", text
    ):
        raise Unfit(f"{text[:60]!r} has words that numbers.expression does not know.")
    part = Part("numbers.expression", {"expression": text})
    for name in ("a", "b", "c"):
        site.put(part, name, name)
    return one(part, "integer", "number")


def saved(name: str) -> Rule:
    """Images saved by a pack, which writes down in the file what it was made with by itself."""

    def rule(site: Site) -> Made:
        part = Part("image.save")
        site.put(part, "image", "images")
        site.put(part, "name", name, _file_name)
        kind = str(site.typed("extension", "png")).lower()
        part.values["format"] = {"jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "tiff": "tiff"}.get(kind, "png")
        site.approximate("It is saved in the output folder, by its name; its other settings are left out.")
        return Made({"": part}, [None, None])

    return rule


def _file_name(value: Any) -> str:
    return saved_as(re.sub(r"\[[^\]]*\]|%(\w+)", r"\1", str(value or "image")).replace(":", "_"))


def save_text(site: Site) -> Made:
    part = Part("data.save_text")
    site.put(part, "text", "text")
    site.put(part, "name", "filename_prefix", saved_as)
    kind = str(site.typed("format", "txt"))
    part.values["format"] = kind if kind in ("txt", "md", "csv", "json") else "txt"
    return Made({"": part}, [site.wire("text")])


def bridged(site: Site) -> Made:
    """PreviewBridge: shows an image and hands it on, with a mask that is painted on it."""
    if site.takes(1):
        raise Unfit("A mask is painted on the image of image.load here.")
    part = Part("image.preview")
    site.put(part, "image", "images")
    return Made({"": part}, [site.wire("images"), None])


_COLORS = pick(
    {"mkl": "covariance", "reinhard": "reinhard", "hm": "histogram"}, "Colours are matched as by Reinhard here."
)
RULES: dict[str, Rule] = {
    "ImageResize+": resized("width", "height", "method", "interpolation", "multiple_of"),
    "ImageResizeKJ": resized("width", "height", "keep_proportion", "upscale_method", "divisible_by"),
    "ImageResizeKJv2": resized("width", "height", "keep_proportion", "upscale_method", "divisible_by"),
    "Image Resize": was_resize,
    "JWImageResizeByFactor": scaled("factor", None, "interpolation", None),
    "ImageScaleFactorSimple _O": scaled("factor", None, "upscale_method", ("MultipleOf8", 8)),
    "ImageScaleFactor _O": scaled("WidthFactor", "HeightFactor", "upscale_method", ("MultipleOf46", 8)),
    "ImageCrop+": cut,
    "ImageConcanate": joined,
    "ImpactMakeImageBatch": batch,
    "ImageBatchMulti": batch,
    "ColorMatch": Row(
        "image.match_colors",
        {"image_target": "image", "image_ref": "reference", "method": ("method", _COLORS)},
        ("image",),
        unused=("multithread",),
    ),
    "ImpactGaussianBlurMask": Row("mask.blur", {"mask": "mask", "sigma": "sigma"}, ("mask",), unused=("kernel_size",)),
    "MaskPreview+": save_mask_preview,
    "PreviewBridge": bridged,
    "ImpactSwitch": picked(r"input\d+", "select"),
    "CR Image Input Switch": picked(r"image\d+", "Input", "image"),
    "CR Image Input Switch (4 way)": picked(r"image\d+", "Input", "image"),
    "CR Conditioning Input Switch": picked(r"conditioning\d+", "Input", "conditioning"),
    "CR Text Input Switch": picked(r"text\d+", "Input"),
    "CR Text Input Switch (4 way)": picked(r"text\d+", "Input"),
    "SDXLEmptyLatentSizePicker+": empty_of("resolution"),
    "SDXL Empty Latent Image": empty_of("resolution"),
    "SDXLAspectRatio": aspect,
    "CR SDXL Aspect Ratio": aspect,
    "Seed (rgthree)": seed,
    "Integer": value("integer", "value"),
    "ImpactInt": value("integer", "value"),
    "Float": value("number", "value"),
    "ImpactFloat": value("number", "value"),
    "Cfg Literal": value("number", "value"),
    "Width/Height Literal": value("integer", "value"),
    "Text box": value("text", "text", "text"),
    "Simple String": value("text", "text", "text"),
    "String to Text": value("text", "text", "text"),
    "ttN text": value("text", "text", "text"),
    "CR Text Concatenate": texts("separator", "text1", "text2", glue=""),
    "Concat Text _O": texts("separator", "text1", "text2", glue=""),
    "StringFunction|pysssss": text_function,
    "CR Integer To String": Row("strings.from_number", {"int_": "value"}, ("text", None)),
    "CR Float To String": Row("strings.from_number", {"float_": "value"}, ("text", None)),
    "Text Find and Replace": Row(
        "values.replace", {"text": "text", "find": "find", "replace": "put"}, ("text", None, None, None)
    ),
    "Text Random Line": random_line,
    "SimpleMath+": formula,
    "SaveText": save_text,
    "Image Save": saved("filename_prefix"),
    "Save Image w/Metadata": saved("filename"),
    "Display Any (rgthree)": show,
    "easy showAnything": show,
    "PlaySound|pysssss": Through(("any",)),
    "PathchSageAttentionKJ": Through(("model",), "How attention is computed is decided by this machine here."),
    "LayerUtility: PurgeVRAM": Through(()),
    "ConditioningAverage ": CONDITIONING["ConditioningAverage"],
}
