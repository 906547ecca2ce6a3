"""Workflows of ComfyUI around a sampler: prompts in regions, batches, masks, images, texts, numbers, and packs."""

from __future__ import annotations

from collections.abc import Callable

from comfyui_workflows import SIDE, Api, canvas, node, plain, sampled, saved


def regions() -> Api:
    """Prompts in areas, masks and times, added, joined and mixed."""
    clip = ("model", 1)
    said = {name: node("CLIPTextEncode", text=name, clip=clip) for name in ("sky", "sea", "boat", "calm")}
    area = {"x": 0, "y": 0, "width": SIDE, "height": 32, "strength": 1.0}
    half = {"x": 0.0, "y": 0.5, "width": 1.0, "height": 0.5, "strength": 0.9}
    return plain(positive=("all", 0)) | said | {
        "above": node("ConditioningSetArea", conditioning=("sky", 0), **area),
        "below": node("ConditioningSetAreaPercentage", conditioning=("sea", 0), **half),
        "mask": node("SolidMask", value=1.0, width=32, height=32),
        "spot": node(
            "ConditioningSetMask", conditioning=("boat", 0), mask=("mask", 0), strength=0.8, set_cond_area="default"
        ),
        "late": node("ConditioningSetTimestepRange", conditioning=("calm", 0), start=0.3, end=1.0),
        "long": node("ConditioningConcat", conditioning_to=("yes", 0), conditioning_from=("calm", 0)),
        "mean": node(
            "ConditioningAverage", conditioning_to=("long", 0), conditioning_from=("long", 0),
            conditioning_to_strength=0.7,
        ),
        "both": node("ConditioningCombine", conditioning_1=("above", 0), conditioning_2=("below", 0)),
        "four": node("ConditioningCombine", conditioning_1=("three", 0), conditioning_2=("late", 0)),
        "three": node("ConditioningCombine", conditioning_1=("both", 0), conditioning_2=("spot", 0)),
        "all": node("ConditioningCombine", conditioning_1=("four", 0), conditioning_2=("mean", 0)),
        "sampler": sampled(positive=("all", 0)),
    }  # fmt: skip


def batches() -> Api:
    return (
        plain(latent_image=("more", 0))
        | canvas(2)
        | {
            "more": node("RepeatLatentBatch", samples=("empty", 0), amount=2),
            "one": node("LatentFromBatch", samples=("sampler", 0), batch_index=1, length=1),
            "alone": node("VAEDecode", samples=("one", 0), vae=("model", 2)),
            "some": node("ImageFromBatch", image=("decode", 0), batch_index=2, length=2),
            "all": node("ImageBatch", image1=("alone", 0), image2=("some", 0)),
            "save": node("SaveImage", images=("all", 0), filename_prefix="made"),
        }
    )


def masks() -> Api:
    return {
        "one": node("SolidMask", value=0.0, width=48, height=40),
        "spot": node("SolidMask", value=1.0, width=20, height=10),
        "laid": node("MaskComposite", destination=("one", 0), source=("spot", 0), x=8, y=6, operation="add"),
        "grown": node("GrowMask", mask=("laid", 0), expand=3, tapered_corners=True),
        "faded": node("FeatherMask", mask=("grown", 0), left=8, top=0, right=16, bottom=4),
        "hard": node("ThresholdMask", mask=("faded", 0), value=0.3),
        "turned": node("InvertMask", mask=("hard", 0)),
        "cut": node("CropMask", mask=("turned", 0), x=4, y=2, width=32, height=24),
        "drawn": node("MaskToImage", mask=("cut", 0)),
        "back": node("ImageToMask", image=("drawn", 0), channel="red"),
        "look": node("MaskPreview", mask=("back", 0)),
        "save": node("SaveImage", images=("drawn", 0), filename_prefix="made"),
    }


def image_tools() -> Api:
    return {
        "photo": node("LoadImage", image="photo.png"),
        "clear": node("LoadImage", image="clear.png"),
        "apart": node("SplitImageWithAlpha", image=("clear", 0)),
        "soft": node("ImageBlur", image=("photo", 0), blur_radius=2, sigma=1.0),
        "sharp": node("ImageSharpen", image=("soft", 0), sharpen_radius=1, sigma=1.0, alpha=0.5),
        "few": node("ImageQuantize", image=("sharp", 0), colors=16, dither="floyd-steinberg"),
        "turned": node("ImageRotate", image=("few", 0), rotation="90 degrees"),
        "size": node("GetImageSize", image=("photo", 0)),
        "same": node(
            "ImageScale", image=("turned", 0), upscale_method="bicubic", width=("size", 0), height=("size", 1),
            crop="disabled",
        ),
        "mixed": node(
            "ImageBlend", image1=("same", 0), image2=("photo", 0), blend_factor=0.5, blend_mode="multiply"
        ),
        "put": node(
            "ImageCompositeMasked", destination=("mixed", 0), source=("apart", 0), x=5, y=-4, resize_source=False
        ),
        "cut": node("ImageCrop", image=("put", 0), width=32, height=24, x=2, y=3),
        "far": node(
            "ResizeImageMaskNode", input=("cut", 0), resize_type="scale by multiplier",
            scale_method="lanczos", **{"resize_type.multiplier": 1.5},
        ),
        "padded": node(
            "ResizeAndPadImage", image=("far", 0), target_width=64, target_height=64, padding_color="black",
            interpolation="lanczos",
        ),
        "side": node(
            "ImageStitch", image1=("padded", 0), image2=("photo", 0), direction="right", match_image_size=True,
            spacing_width=4, spacing_color="white",
        ),
        "save": node("SaveImage", images=("side", 0), filename_prefix="made"),
    }  # fmt: skip


def tiled() -> Api:
    made = plain() | {
        "photo": node("LoadImage", image="photo.png"),
        "net": node("UpscaleModelLoader", model_name="twice.safetensors"),
        "large": node(
            "UltimateSDUpscale", image=("photo", 0), model=("model", 0), positive=("yes", 0), negative=("no", 0),
            vae=("model", 2), upscale_model=("net", 0), upscale_by=2.0, seed=5, steps=2, cfg=4.0,
            sampler_name="euler", scheduler="normal", denoise=0.3, mode_type="Linear", tile_width=SIDE,
            tile_height=SIDE, mask_blur=8, tile_padding=16, seam_fix_mode="None", seam_fix_denoise=1.0,
            seam_fix_width=64, seam_fix_mask_blur=8, seam_fix_padding=16, force_uniform_tiles=True, tiled_decode=False,
        ),
        "save": node("SaveImage", images=("large", 0), filename_prefix="made"),
    }  # fmt: skip
    return {name: one for name, one in made.items() if name not in ("empty", "sampler", "decode")}


def piped() -> Api:
    """Everything through a pipe of the Impact pack; what it is told of comes out again."""
    every = ("model", "clip", "vae", "positive", "negative")
    given = dict(zip(every, (("model", 0), ("model", 1), ("model", 2), ("yes", 0), ("no", 0)), strict=True))
    return plain() | {
        "pipe": node("ToBasicPipe", **given),
        "other": node("CLIPTextEncode", text="blurred", clip=("model", 1)),
        "edited": node("EditBasicPipe", basic_pipe=("pipe", 0), negative=("other", 0)),
        "out": node("FromBasicPipe_v2", basic_pipe=("edited", 0)),
        "sampler": sampled(model=("out", 1), positive=("out", 4), negative=("out", 5)),
        **saved(vae=("out", 3)),
    }


def written() -> Api:
    """The prompt is put together of texts."""
    return plain() | {
        "fruit": node("PrimitiveString", value="an apple (red)"),
        "place": node("CustomCombo", choice="on a table"),
        "both": node("StringConcatenate", string_a=("fruit", 0), string_b=("place", 0), delimiter=", "),
        "clean": node(
            "RegexReplace", string=("both", 0), regex_pattern=r"\s*\(.*?\)", replace="", case_insensitive=True,
            multiline=False, dotall=False, count=0,
        ),
        "size": node("StringLength", string=("clean", 0)),
        "format": node("StringFormat", f_string="{a}, {b}", **{"values.a": ("clean", 0), "values.b": ("size", 0)}),
        "shown": node("PreviewAny", source=("format", 0)),
        "yes": node("CLIPTextEncode", text=("format", 0), clip=("model", 1)),
    }  # fmt: skip


def switched() -> Api:
    """Numbers that are computed, and a choice between two prompts."""
    return plain() | {
        "side": node("PrimitiveInt", value=30),
        "double": node(
            "ComfyMathExpression", expression="a * 2 + int(b)", **{"values.a": ("side", 0), "values.b": ("few", 0)}
        ),
        "few": node("PrimitiveFloat", value=4.9),
        "empty": node("EmptyLatentImage", width=("double", 1), height=SIDE, batch_size=1),
        "whether": node("PrimitiveBoolean", value=True),
        "other": node("CLIPTextEncode", text="a pear", clip=("model", 1)),
        "chosen": node("ComfySwitchNode", on_true=("yes", 0), on_false=("other", 0), switch=("whether", 0)),
        "steps": node("ComfyNumberConvert", value=("levels", 0)),
        "levels": node("PrimitiveString", value="2"),
        "sampler": sampled(positive=("chosen", 0), steps=("steps", 1)),
    }


TOOLS: dict[str, Callable[[], Api]] = {
    one.__name__: one for one in (regions, batches, masks, image_tools, tiled, piped, written, switched)
}
