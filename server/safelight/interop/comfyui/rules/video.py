"""Videos."""

from __future__ import annotations

from .base import Made, Part, Ref, Row, Rule, Site, Unfit, one, pick, saved_as, told
from .files import plain


def save_frames(format: str) -> Rule:
    """Frames that are saved as a video: a video is made of them first."""

    def rule(site: Site) -> Made:
        made = Part("video.from_images")
        site.put(made, "images", "images")
        site.put(made, "fps", "frame_rate" if "frame_rate" in site.node.typed else "fps")
        part = Part("video.save", {"format": format}, {"video": Ref("made", "video")})
        site.put(part, "name", "filename_prefix", saved_as)
        told(site, "filename_prefix", "fps", "frame_rate", "format", "method", "crf", "codec", "lossless", "quality")
        return Made({"": part, "made": made}, [None])

    return rule


def combine(site: Site) -> Made:
    """VHS_VideoCombine: its format says the container, as image/gif or video/h264-mp4."""
    kind = str(site.typed("format", "video/h264-mp4"))
    ours = next((form for form in ("gif", "webp", "webm", "av1") if form in kind), "mp4")
    made = save_frames(ours)(site)
    site.put(made.parts["made"], "audio", "audio")
    return made


def components(site: Site) -> Made:
    frames, facts = Part("video.frames"), Part("video.facts")
    site.put(frames, "video", "video")
    site.put(facts, "video", "video")
    return Made({"": frames, "facts": facts}, [Ref("", "image"), None, Ref("facts", "fps")])


_FRAMES = (("first", "start_image"), ("last", "end_image"), ("first", "image"))


def video_latent(site: Site) -> Made:
    """Wan 2.2's latent of a video: with a first frame, it changes the prompts here, which do not pass it."""
    if site.wire("start_image") is not None:
        raise Unfit("A first frame stands between the prompts and the sampler here: use guide.frames.")
    empty = Part("latent.empty_video")
    site.put(empty, "vae", "vae")
    for port, name in (("width", "width"), ("height", "height"), ("frames", "length")):
        site.put(empty, port, name)
    return one(empty, "latent")


def image_to_video(site: Site) -> Made:
    """An empty latent that begins with an image, which the prompt tells the model of."""
    empty = Part("latent.empty_video")
    site.put(empty, "vae", "vae")
    for port, name in (("width", "width"), ("height", "height"), ("frames", "length")):
        site.put(empty, port, name)
    parts = {"": empty}
    first = Ref("", "latent")
    given = [(port, name) for port, name in _FRAMES if site.wire(name)]
    if not given:
        return Made(parts, [site.wire("positive"), site.wire("negative"), first])
    outputs: list[Ref] = []
    for side in ("positive", "negative"):
        frames = Part("guide.frames", {}, {"latent": first})
        site.put(frames, "positive", side)
        site.put(frames, "vae", "vae")
        for port, name in given:
            site.put(frames, port, name)
        looked = site.giver(site.wire("clip_vision_output") or site.wire("clip_vision_start_image"))
        if looked is not None:
            looked.put(frames, "encoder", "clip_vision")
        parts[side] = frames
        outputs.append(Ref(side, "conditioning"))
    return Made(parts, [*outputs, first])


_FORMATS = pick({"auto": "mp4", "mp4": "mp4"}, "Saved as MP4 here.")
RULES: dict[str, Rule] = {
    "CreateVideo": Row("video.from_images", {"images": "images", "fps": "fps", "audio": "audio"}, ("video",)),
    "SaveVideo": Row(
        "video.save",
        {"video": "video", "filename_prefix": ("name", saved_as), "format": ("format", _FORMATS)},
        (),
        unused=("codec",),
    ),
    "LoadVideo": Row("video.load", {"file": ("file", plain)}, ("video",)),
    "GetVideoComponents": components,
    "SaveAnimatedWEBP": save_frames("webp"),
    "SaveAnimatedPNG": save_frames("apng"),
    "SaveWEBM": save_frames("webm"),
    "VHS_VideoCombine": combine,
    "WanImageToVideo": image_to_video,
    "WanFirstLastFrameToVideo": image_to_video,
    "LTXVImgToVideo": image_to_video,
    "Wan22ImageToVideoLatent": video_latent,
}
