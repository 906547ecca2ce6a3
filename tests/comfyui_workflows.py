"""Workflows of many kinds as people make them in ComfyUI, over the tiny models that `comfyui_home` writes.

Each is written as its API has it; `comfyui_files.as_canvas` writes the same as its editor does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Api = dict[str, Any]
SIDE = 64


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {
        "class_type": kind,
        "inputs": {name: list(one) if isinstance(one, tuple) else one for name, one in inputs.items()},
    }


def loaded(name: str = "sd1") -> Api:
    return {"model": node("CheckpointLoaderSimple", ckpt_name=name)}


def prompts(clip: tuple[str, int] = ("model", 1)) -> Api:
    return {
        "yes": node("CLIPTextEncode", text="a red apple", clip=clip),
        "no": node("CLIPTextEncode", text="dark", clip=clip),
    }


def canvas(batch: int = 1, kind: str = "EmptyLatentImage") -> Api:
    return {"empty": node(kind, width=SIDE, height=SIDE, batch_size=batch)}


def sampled(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        **{"seed": 5, "steps": 2, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
        **{"model": ("model", 0), "positive": ("yes", 0), "negative": ("no", 0), "latent_image": ("empty", 0)},
    }
    return node("KSampler", **given | more)


def saved(latent: tuple[str, int] = ("sampler", 0), vae: tuple[str, int] = ("model", 2)) -> Api:
    return {
        "decode": node("VAEDecode", samples=latent, vae=vae),
        "save": node("SaveImage", images=("decode", 0), filename_prefix="made"),
    }


def plain(name: str = "sd1", **more: Any) -> Api:
    return loaded(name) | prompts() | canvas() | {"sampler": sampled(**more)} | saved()


def sdxl() -> Api:
    size = {"width": SIDE, "height": SIDE, "crop_w": 0, "crop_h": 0, "target_width": SIDE, "target_height": SIDE}
    return plain("sdxl") | {
        "yes": node("CLIPTextEncodeSDXL", text_g="a red apple", text_l="a red apple", clip=("model", 1), **size),
    }


def sd3() -> Api:
    return plain("sd3", model=("shift", 0), cfg=5.0) | canvas(kind="EmptySD3LatentImage") | {
        "shift": node("ModelSamplingSD3", model=("model", 0), shift=3.0),
        "yes": node(
            "CLIPTextEncodeSD3", clip_l="an apple", clip_g="an apple", t5xxl="an apple", clip=("model", 1),
            empty_padding="none",
        ),
    }  # fmt: skip


def split_flux(loader: str = "UNETLoader", file: str = "flux.safetensors") -> Api:
    """Flux.1 of files of their own, by a sampler that is put together."""
    unet = {"unet_name": file} | ({"weight_dtype": "default"} if loader == "UNETLoader" else {})
    return {
        "model": node(loader, **unet),
        "clip": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="clip_l.safetensors", type="flux"),
        "vae": node("VAELoader", vae_name="flux.safetensors"),
        "yes": node("CLIPTextEncode", text="a red apple", clip=("clip", 0)),
        "told": node("FluxGuidance", conditioning=("yes", 0), guidance=3.5),
        **canvas(kind="EmptySD3LatentImage"),
        "shift": node("ModelSamplingFlux", model=("model", 0), max_shift=1.15, base_shift=0.5, width=SIDE, height=SIDE),
        "guider": node("BasicGuider", model=("shift", 0), conditioning=("told", 0)),
        "noise": node("RandomNoise", noise_seed=7),
        "which": node("KSamplerSelect", sampler_name="euler"),
        "levels": node("BasicScheduler", model=("shift", 0), scheduler="simple", steps=2, denoise=1.0),
        "sampler": node(
            "SamplerCustomAdvanced", noise=("noise", 0), guider=("guider", 0), sampler=("which", 0),
            sigmas=("levels", 0), latent_image=("empty", 0),
        ),
        **saved(vae=("vae", 0)),
    }  # fmt: skip


def lora() -> Api:
    both = node(
        "LoraLoader", model=("model", 0), clip=("model", 1), lora_name="it.safetensors", strength_model=0.8,
        strength_clip=0.5,
    )  # fmt: skip
    alone = node("LoraLoaderModelOnly", model=("lora", 0), lora_name="it.safetensors", strength_model=0.3)
    return plain(model=("second", 0)) | prompts(("lora", 1)) | {"lora": both, "second": alone}


def image_to_image() -> Api:
    made = plain(denoise=0.6, latent_image=("encode", 0)) | {
        "photo": node("LoadImage", image="photo.png"),
        "small": node(
            "ImageScale", image=("photo", 0), upscale_method="lanczos", width=SIDE, height=SIDE, crop="center"
        ),
        "encode": node("VAEEncode", pixels=("small", 0), vae=("model", 2)),
    }
    del made["empty"]
    return made


def inpaint() -> Api:
    """A part is painted again, and pasted over the photo."""
    made = image_to_image() | {
        "encode": node(
            "VAEEncodeForInpaint", pixels=("photo", 0), vae=("model", 2), mask=("photo", 1), grow_mask_by=6
        ),
        "photo": node("LoadImage", image="clear.png"),
        "over": node(
            "ImageCompositeMasked", destination=("photo", 0), source=("decode", 0), x=0, y=0, resize_source=False,
            mask=("photo", 1),
        ),
        "save": node("SaveImage", images=("over", 0), filename_prefix="made"),
    }  # fmt: skip
    del made["small"]
    return made


def differential() -> Api:
    return image_to_image() | {
        "mask": node("LoadImageMask", image="mask.png", channel="red"),
        "masked": node("SetLatentNoiseMask", samples=("encode", 0), mask=("mask", 0)),
        "soft": node("DifferentialDiffusion", model=("model", 0)),
        "sampler": sampled(latent_image=("masked", 0), model=("soft", 0), denoise=0.7),
    }


def outpaint() -> Api:
    made = inpaint() | {
        "pad": node("ImagePadForOutpaint", image=("photo", 0), left=16, top=0, right=0, bottom=16, feathering=8),
        "encode": node("VAEEncodeForInpaint", pixels=("pad", 0), vae=("model", 2), mask=("pad", 1), grow_mask_by=0),
        **saved(),
    }
    del made["over"]
    return made


def controlnet() -> Api:
    return plain(positive=("net", 0), negative=("net", 1)) | {
        "photo": node("LoadImage", image="photo.png"),
        "lines": node("Canny", image=("photo", 0), low_threshold=0.2, high_threshold=0.6),
        "loader": node("ControlNetLoader", control_net_name="canny"),
        "net": node(
            "ControlNetApplyAdvanced", positive=("yes", 0), negative=("no", 0), control_net=("loader", 0),
            image=("lines", 0), strength=0.9, start_percent=0.0, end_percent=0.8,
        ),
    }  # fmt: skip


def ip_adapter() -> Api:
    return plain(model=("adapted", 0)) | {
        "photo": node("LoadImage", image="photo.png"),
        "file": node("IPAdapterModelLoader", ipadapter_file="ip_adapter.safetensors"),
        "seeing": node("CLIPVisionLoader", clip_name="image_encoder"),
        "adapted": node(
            "IPAdapterAdvanced", model=("model", 0), ipadapter=("file", 0), image=("photo", 0), weight=0.8,
            weight_type="linear", combine_embeds="concat", start_at=0.0, end_at=1.0, embeds_scaling="V only",
            clip_vision=("seeing", 0),
        ),
    }  # fmt: skip


def hires_latent() -> Api:
    return plain() | {
        "larger": node(
            "LatentUpscale", samples=("sampler", 0), upscale_method="bislerp", width=96, height=96, crop="disabled"
        ),
        "again": sampled(latent_image=("larger", 0), denoise=0.5, seed=6),
        **saved(("again", 0)),
    }


def hires_network() -> Api:
    return plain() | {
        "net": node("UpscaleModelLoader", model_name="twice.safetensors"),
        "twice": node("ImageUpscaleWithModel", upscale_model=("net", 0), image=("decode", 0)),
        "less": node("ImageScaleBy", image=("twice", 0), upscale_method="area", scale_by=0.75),
        "encode": node("VAEEncode", pixels=("less", 0), vae=("model", 2)),
        "again": sampled(latent_image=("encode", 0), denoise=0.5),
        "seen": node("VAEDecodeTiled", samples=("again", 0), vae=("model", 2), tile_size=512),
        "save": node("SaveImage", images=("seen", 0), filename_prefix="made"),
    }


def refined() -> Api:
    part: dict[str, Any] = {"steps": 4, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal"}
    first = node(
        "KSamplerAdvanced", add_noise="enable", noise_seed=3, start_at_step=0, end_at_step=2, model=("model", 0),
        positive=("yes", 0), negative=("no", 0), latent_image=("empty", 0), return_with_leftover_noise="enable", **part,
    )  # fmt: skip
    second = node(
        "KSamplerAdvanced", add_noise="disable", noise_seed=3, start_at_step=2, end_at_step=10000, model=("fine", 0),
        positive=("clean", 0), negative=("unclean", 0), latent_image=("first", 0),
        return_with_leftover_noise="disable", **part,
    )  # fmt: skip
    size = {"width": SIDE, "height": SIDE, "clip": ("fine", 1)}
    return (
        loaded("sdxl")
        | prompts()
        | canvas()
        | {
            "fine": node("CheckpointLoaderSimple", ckpt_name="refiner"),
            "clean": node("CLIPTextEncodeSDXLRefiner", ascore=6.0, text="a red apple", **size),
            "unclean": node("CLIPTextEncodeSDXLRefiner", ascore=2.5, text="", **size),
            "first": first,
            "second": second,
            **saved(("second", 0)),
        }
    )


def few_steps() -> Api:
    return lora() | {
        "few": node("ModelSamplingDiscrete", model=("second", 0), sampling="lcm", zsnr=False),
        "sampler": sampled(model=("few", 0), sampler_name="lcm", scheduler="sgm_uniform", cfg=1.0),
    }


def turbo() -> Api:
    return plain() | {
        "levels": node("SDTurboScheduler", model=("model", 0), steps=1, denoise=1.0),
        "which": node("KSamplerSelect", sampler_name="euler_ancestral"),
        "sampler": node(
            "SamplerCustom", model=("model", 0), add_noise=True, noise_seed=1, cfg=1.0, positive=("yes", 0),
            negative=("no", 0), sampler=("which", 0), sigmas=("levels", 0), latent_image=("empty", 0),
        ),
    }  # fmt: skip


def own_levels() -> Api:
    return turbo() | {
        "curve": node("KarrasScheduler", steps=4, sigma_max=14.6, sigma_min=0.03, rho=7.0),
        "levels": node("SplitSigmas", sigmas=("curve", 0), step=2),
        "which": node("KSamplerSelect", sampler_name="dpmpp_2m"),
    }


def edited_by_words() -> Api:
    """Qwen-Image Edit: the prompt is read with the photo, which the model sees as well."""
    return image_to_image() | loaded("qwen_edit") | {
        "yes": node(
            "TextEncodeQwenImageEditPlus", clip=("model", 1), prompt="make it green", vae=("model", 2),
            image1=("small", 0),
        ),
        "no": node("TextEncodeQwenImageEditPlus", clip=("model", 1), prompt="", vae=("model", 2), image1=("small", 0)),
        "shift": node("ModelSamplingAuraFlow", model=("model", 0), shift=3.1),
        "norm": node("CFGNorm", model=("shift", 0), strength=1.0),
        "sampler": sampled(model=("norm", 0), latent_image=("encode", 0), scheduler="simple", cfg=2.5),
    }  # fmt: skip


def edited_beside() -> Api:
    """Flux.1 Kontext: the photo lies beside what is drawn."""
    return (
        image_to_image()
        | loaded("kontext")
        | {
            "small": node("FluxKontextImageScale", image=("photo", 0)),
            "less": node(
                "ImageScale", image=("small", 0), upscale_method="area", width=SIDE, height=SIDE, crop="disabled"
            ),
            "encode": node("VAEEncode", pixels=("less", 0), vae=("model", 2)),
            "seen": node("ReferenceLatent", conditioning=("yes", 0), latent=("encode", 0)),
            "told": node("FluxGuidance", conditioning=("seen", 0), guidance=2.5),
            "no": node("ConditioningZeroOut", conditioning=("yes", 0)),
            "sampler": sampled(positive=("told", 0), latent_image=("encode", 0), cfg=1.0, scheduler="simple"),
        }
    )


def filmed() -> Api:
    """Wan: a clip that begins with a photo."""
    return loaded("wan_image") | prompts(("clip", 0)) | {
        "clip": node("CLIPLoader", clip_name="umt5.safetensors", type="wan"),
        "photo": node("LoadImage", image="photo.png"),
        "start": node(
            "WanImageToVideo", positive=("yes", 0), negative=("no", 0), vae=("model", 2), width=SIDE, height=SIDE,
            length=5, batch_size=1, start_image=("photo", 0),
        ),
        "shift": node("ModelSamplingSD3", model=("model", 0), shift=8.0),
        "sampler": sampled(
            model=("shift", 0), positive=("start", 0), negative=("start", 1), latent_image=("start", 2),
            sampler_name="uni_pc", scheduler="simple",
        ),
        "decode": node("VAEDecode", samples=("sampler", 0), vae=("model", 2)),
        "film": node("CreateVideo", images=("decode", 0), fps=16.0),
        "save": node("SaveVideo", video=("film", 0), filename_prefix="video/made", format="auto", codec="auto"),
    }  # fmt: skip


def ltx() -> Api:
    return loaded("ltx") | prompts() | {
        "told": node("LTXVConditioning", positive=("yes", 0), negative=("no", 0), frame_rate=24.0),
        "empty": node("EmptyLTXVLatentVideo", width=SIDE, height=SIDE, length=9, batch_size=1),
        "sampler": sampled(positive=("told", 0), negative=("told", 1), cfg=3.0),
        "decode": node("VAEDecode", samples=("sampler", 0), vae=("model", 2)),
        "save": node("SaveAnimatedWEBP", images=("decode", 0), filename_prefix="made", fps=12.0, lossless=False,
                     quality=80, method="default"),
    }  # fmt: skip


def ltx_from_photo() -> Api:
    made = ltx() | {
        "photo": node("LoadImage", image="photo.png"),
        "start": node(
            "LTXVImgToVideo", positive=("yes", 0), negative=("no", 0), vae=("model", 2), image=("photo", 0),
            width=SIDE, height=SIDE, length=9, batch_size=1, strength=1.0,
        ),
        "told": node("LTXVConditioning", positive=("start", 0), negative=("start", 1), frame_rate=24.0),
        "sampler": sampled(positive=("told", 0), negative=("told", 1), latent_image=("start", 2), cfg=3.0),
    }  # fmt: skip
    del made["empty"]
    return made


def quantised() -> Api:
    return split_flux("UnetLoaderGGUF", "flux.gguf")


def eight_bits() -> Api:
    return split_flux(file="eight.safetensors")


API: dict[str, Callable[[], Api]] = {
    one.__name__: one
    for one in (
        *(plain, sdxl, sd3, split_flux, lora, image_to_image, inpaint, differential, outpaint, controlnet, ip_adapter),
        *(hires_latent, hires_network, refined, few_steps, turbo, own_levels, edited_by_words, edited_beside, filmed),
        *(ltx, ltx_from_photo, quantised, eight_bits),
    )
}
