"""Cutting videos, and changing their size and speed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Audio, Color, Image, Number, Toggle, Video, node

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Facts(NamedTuple):
    frames: Annotated[int, "How many there are."]
    fps: Annotated[float, "Frames a second."]
    seconds: Annotated[float, "How long it lasts."]
    width: Annotated[int, "In pixels."]
    height: Annotated[int, "In pixels."]


@node(version=1, title="Facts of a video", cheap=True, tags=("VHS Video Info", "Get Video Components", "fps", "length"))
def facts(video: Video) -> Facts:
    """Give the length, the rate and the size of a video."""
    height, width = video.frames.shape[1:3]
    return Facts(len(video), float(video.fps), video.seconds, width, height)


class Ends(NamedTuple):
    first: Image
    last: Image


@node(version=1, title="First and last frame", cheap=True, tags=("last frame", "first frame", "continue", "extend"))
def ends(video: Video) -> Ends:
    """Take the first and the last frame of a video, such as to go on from there."""
    return Ends(video.images(0, 1), video.images(len(video) - 1))


@node(version=1, title="Trim video", cheap=True, tags=("cut", "Video Slice", "clip", "split"))
def trim(
    video: Video,
    *,
    start: Annotated[float, Number(0, 86_400), "Where it begins, in seconds."] = 0.0,
    end: Annotated[float, Number(0, 86_400, zero="the end"), "Where it ends, in seconds. 0: with the video."] = 0.0,
) -> Video:
    """Keep a part of a video and of its sound."""
    from .._refusal import refusal

    first = round(start * video.fps)
    last = min(len(video), round(end * video.fps)) if end else len(video)
    if first >= last:
        stop = end or video.seconds
        message = f"From {start:g} to {stop:g} seconds there is no frame: it lasts {video.seconds:g}."
        raise refusal(code="empty_range", message=message, hint="Let start be below end.", port="start", value=start)
    return Video(video.frames[first:last].clone(), video.fps, _cut(video.audio, first / video.fps, last / video.fps))


def _cut(audio: Audio | None, start: float, end: float) -> Audio | None:
    """The sound of a time in seconds; None where there is none."""
    if audio is None:
        return None
    samples = audio.samples[..., round(start * audio.rate) : round(end * audio.rate)]
    return Audio(samples.clone(), audio.rate) if samples.shape[-1] else None


@node(version=1, title="Join videos", tags=("concatenate", "Merge", "append", "concat"))
def join(
    videos: Annotated[list[Video], "In the order in which they are shown. The first says size and rate."],
    *,
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        "When the proportions differ: stretch the frames, cut off what is too much, or put black around them.",
    ] = "pad",
) -> Video:
    """Show videos after each other. Frames of other sizes and rates are brought to those of the first.

    Where one has sound, those without are silent.
    """
    import torch

    from .._refusal import refusal

    if not videos:
        hint = "Connect one at least."
        raise refusal(code="wrong_batch", message="There are no videos.", hint=hint, port="videos")
    height, width, channels = videos[0].frames.shape[1:]
    fps = videos[0].fps
    made: list[Tensor] = []
    for video in videos:
        frames = _at_rate(video, fps)
        if frames.shape[1:3] != (height, width):
            frames = _scaled(frames, height, width, fit, "lanczos")
        made.append(_as(frames, videos[0].frames.dtype, channels))
    return Video(torch.cat(made), fps, _sounds([one.audio for one in videos], [len(one) / fps for one in made]))


def _as(frames: Tensor, kind: torch.dtype, channels: int) -> Tensor:
    """Frames in another kind of numbers, with or without opacity."""
    import torch

    if frames.dtype != kind:
        bytes_in, bytes_out = frames.dtype == torch.uint8, kind == torch.uint8
        frames = (frames.float() / (255 if bytes_in else 1)).clamp(0, 1)
        frames = (frames * 255).round().to(kind) if bytes_out else frames.to(kind)
    if frames.shape[-1] == channels:
        return frames
    if frames.shape[-1] > channels:
        share = frames[..., 3:].float() / (255 if kind == torch.uint8 else 1)
        flat = frames[..., :3].float() * share
        return flat.round().to(kind) if kind == torch.uint8 else flat.to(kind)
    full = torch.full((*frames.shape[:3], 1), 255 if kind == torch.uint8 else 1, dtype=kind)
    return torch.cat([frames, full], dim=-1)


def _sounds(sounds: Sequence[Audio | None], seconds: Sequence[float]) -> Audio | None:
    """Sounds after each other, each as long as its video; None where there is none at all."""
    import torch
    from torch.nn.functional import interpolate, pad

    there = [one for one in sounds if one is not None]
    if not there:
        return None
    rate, channels = there[0].rate, max(one.samples.shape[1] for one in there)
    pieces: list[Tensor] = []
    total, placed = 0.0, 0
    for sound, length in zip(sounds, seconds, strict=True):
        total += length
        size = round(total * rate) - placed
        placed += size
        if sound is None:
            pieces.append(torch.zeros(1, channels, size))
            continue
        samples = sound.samples[:1]
        if sound.rate != rate:
            count = max(1, round(samples.shape[-1] * rate / sound.rate))
            samples = interpolate(samples, count, mode="linear", align_corners=False)
        if samples.shape[1] < channels:
            samples = samples[:, torch.arange(channels) % samples.shape[1]]
        pieces.append(pad(samples[..., :size], (0, max(0, size - samples.shape[-1]))))
    return Audio(torch.cat(pieces, dim=-1), rate)


@node(version=1, title="Resize video", tags=("Upscale Video", "scale", "ImageScale"))
def resize(
    video: Video,
    *,
    width: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the height."] = 0,
    height: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the width."] = 0,
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        "When the proportions differ: stretch the frames, cut off what is too much, or put black around them.",
    ] = "stretch",
    method: Annotated[Literal["lanczos", "bicubic", "bilinear", "nearest"], "How new pixels are made."] = "bicubic",
) -> Video:
    """Change the size of a video, frame by frame. With both sides at 0 it stays as it is."""
    old_height, old_width = video.frames.shape[1:3]
    if not width and not height:
        return video
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    return Video(_scaled(video.frames, height, width, fit, method), video.fps, video.audio)


def _scaled(frames: Tensor, height: int, width: int, fit: str, method: str) -> Tensor:
    """(N, H, W, C) of another size, in the same kind of numbers. One frame at a time is float32."""
    import torch

    from .._pixels import resized

    made = torch.empty((len(frames), height, width, frames.shape[-1]), dtype=frames.dtype)
    for number, frame in enumerate(Video(frames[at : at + 1]) for at in range(len(frames))):
        pixels = resized(frame.images().pixels, height, width, fit, method)[0]
        made[number] = (pixels * 255).round() if frames.dtype == torch.uint8 else pixels
    return made


@node(version=1, title="Set frame rate", tags=("fps", "speed", "slow motion", "resample", "interpolate"))
def set_rate(
    video: Video,
    *,
    fps: Annotated[float, Number(0.1, 240), "Frames a second."] = 24.0,
    keep: Annotated[
        Literal["time", "frames"],
        "The time it takes: frames are shown twice or left out. Or all frames: it becomes slower or faster, and loses "
        "its sound.",
    ] = "time",
) -> Video:
    """Change how many frames a second a video has."""
    if keep == "frames":
        return Video(video.frames, fps, video.audio if fps == video.fps else None)
    return Video(_at_rate(video, fps), fps, video.audio)


def _at_rate(video: Video, fps: float) -> Tensor:
    """The frames that are on the screen at the middle of each frame of another rate."""
    import torch

    if fps == video.fps:
        return video.frames
    count = max(1, round(video.seconds * fps))
    places = ((torch.arange(count, dtype=torch.float64) + 0.5) * (video.fps / fps)).long().clamp_max(len(video) - 1)
    return video.frames[places]


@node(version=1, title="Replace frames", tags=("frames to video", "keep audio"))
def replace_frames(
    video: Annotated[Video, "Rate and sound are taken from it."],
    images: Annotated[list[Image], "Images of one size, or batches of them, in the order of the frames."],
    *,
    depth: Annotated[
        Literal["full", "8"],
        "Bits that are kept of a channel. 8, what files of videos have, take a quarter of the memory; full keeps what "
        "filters have made, and 8 where that is no loss.",
    ] = "full",
) -> Video:
    """Put images in the place of the frames of a video, such as its own frames after they were changed."""
    from .._frames import as_frames
    from .._pixels import joined

    return Video(as_frames(joined(images), exact=depth == "full"), video.fps, video.audio)


@node(version=1, title="Contact sheet of a video", tags=("thumbnails", "storyboard", "preview", "grid"))
def sheet(
    video: Video,
    *,
    count: Annotated[int, Number(1, 400), "How many frames, evenly spread; no more than there are."] = 12,
    columns: Annotated[int, Number(1, 40), "How many stand beside each other."] = 4,
    width: Annotated[int, Number(8, 2048), "Of each frame, in pixels."] = 160,
    times: Annotated[bool, Toggle(), "Write below each frame when it is shown."] = True,
    background: Annotated[str, Color(), "Around the frames."] = "#101010",
    color: Annotated[str, Color(), "Of the letters."] = "#ffffff",
) -> Image:
    """Show frames of a video beside each other, from the first to the last."""
    from .._pixels import color_of
    from .._sheets import Sheet, arranged

    count = min(count, len(video))
    places = [round(number * (len(video) - 1) / max(1, count - 1)) for number in range(count)]
    height = max(1, round(video.frames.shape[1] * width / video.frames.shape[2]))
    names = tuple(f"{place / video.fps:.2f} s" for place in places) if times else ()
    plan = Sheet((), (), (), names, max(8, min(16, width // 10)), 4, across=min(columns, count))
    images = list(_small(video, places, height, width))
    return Image(arranged(images, plan, color_of(background), color_of(color))[0][None])


def _small(video: Video, places: Sequence[int], height: int, width: int) -> Iterator[Tensor]:
    from .._pixels import flattened, resized

    for place in places:
        yield resized(flattened(video.images(place, place + 1).pixels, 0.0), height, width, "stretch", "lanczos")[0]
