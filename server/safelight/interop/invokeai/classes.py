"""What the classes of InvokeAI that have rules give: the names of their outputs, in the order that rules answer in."""

from __future__ import annotations

from collections.abc import Mapping

_IMAGE = ("image", "width", "height")
_LATENTS = ("latents", "width", "height")
_CONDITIONING = ("conditioning",)
_VALUE = ("value",)
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "main_model_loader": ("unet", "clip", "vae"),
    "sdxl_model_loader": ("unet", "clip", "clip2", "vae"),
    "sdxl_refiner_model_loader": ("unet", "clip2", "vae"),
    "flux_model_loader": ("transformer", "clip", "t5_encoder", "vae", "max_seq_len"),
    "vae_loader": ("vae",),
    "lora_loader": ("unet", "clip"),
    "sdxl_lora_loader": ("unet", "clip", "clip2"),
    "flux_lora_loader": ("transformer", "clip", "t5_encoder"),
    "lora_collection_loader": ("unet", "clip"),
    "sdxl_lora_collection_loader": ("unet", "clip", "clip2"),
    "flux_lora_collection_loader": ("transformer", "clip", "t5_encoder"),
    "lora_selector": ("lora",),
    "clip_skip": ("clip",),
    **dict.fromkeys(("compel", "sdxl_compel_prompt", "sdxl_refiner_compel_prompt", "flux_text_encoder"), _CONDITIONING),
    "noise": ("noise", "width", "height"),
    **dict.fromkeys(("denoise_latents", "flux_denoise", "i2l", "flux_vae_encode", "lresize", "lscale"), _LATENTS),
    **dict.fromkeys(("l2i", "flux_vae_decode", "image", "img_resize", "img_scale", "img_crop", "img_blur"), _IMAGE),
    **dict.fromkeys(("canny_edge_detection", "canny_image_processor", "esrgan", "save_image", "show_image"), _IMAGE),
    "controlnet": ("control",),
    "ip_adapter": ("ip_adapter",),
    "create_denoise_mask": ("denoise_mask",),
    "collect": ("collection",),
    **dict.fromkeys(("integer", "float", "string", "boolean", "rand_int", "float_math", "integer_math"), _VALUE),
    **dict.fromkeys(("float_to_int", "string_join"), _VALUE),
}
