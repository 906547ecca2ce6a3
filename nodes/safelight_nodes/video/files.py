"""Videos: reading, writing, and their frames."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import (
    Audio,
    Choice,
    Context,
    File,
    FilePick,
    Image,
    Number,
    Problem,
    ProblemError,
    Slider,
    Text,
    Toggle,
    Video,
    node,
)

from .._files import WHERE


@node(version=1, title="Load video", tags=("LoadVideo", "VHS Load Video", "Load Video", "mp4", "webm", "gif"))
def load(*, file: Annotated[str, FilePick("video"), "A video in the input folder."], ctx: Context) -> Video:
    """Read a video from the input folder: MP4, QuickTime and WebM with its sound, animated WebP, PNG and GIF.

    MP4, QuickTime and WebM need the package av: pip install 'safelight[video]'.
    """
    return ctx.media.decode(ctx.files.path(file), "video", file)


@node(
    version=1,
    title="Save video",
    output=True,
    tags=("SaveVideo", "SaveWEBM", "SaveAnimatedWEBP", "SaveAnimatedPNG", "VHS Video Combine", "mp4", "av1", "gif"),
)
def save(
    video: Video,
    *,
    name: Annotated[
        str,
        Text(placeholder="clips/apple_{counter}", max_length=200, file_name=True),
        WHERE,
    ] = "safelight_{counter}",
    format: Annotated[
        Literal["mp4", "av1", "webm", "webp", "apng", "gif"],
        Choice(),
        "mp4 (H.264), av1 (smaller, in an MP4) and webm (VP9) have sound, and need the package av. webp, apng and gif "
        "are images that move.",
    ] = "mp4",
    quality: Annotated[
        int,
        Slider(1, 100),
        "Higher is better and larger. webp with 100 keeps every pixel; apng and gif have no quality.",
    ] = 90,
    embed_workflow: Annotated[
        bool,
        Toggle(),
        "Put the workflow into the file, so that it can be opened from the video.",
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save a video in the output folder: H.264 or AV1 in an MP4, VP9 in a WebM, an animated WebP, PNG or GIF."""
    from .._files import save_all

    return save_all(video, name, format, embed_workflow, ctx, quality=quality)


@node(
    version=1,
    title="Video from images",
    tags=("CreateVideo", "Images to Video", "VHS Video Combine", "frames to video"),
)
def from_images(
    images: Annotated[list[Image], "Images of one size, or batches of them, in the order of the frames."],
    audio: Annotated[Audio | None, "Sound to go with them."] = None,
    *,
    fps: Annotated[float, Number(0.1, 240), "Frames a second."] = 24.0,
) -> Video:
    """Make a video of images.

    Images that came from files of 8 bits, or would be saved as such without a difference, take a quarter of the memory.
    """
    from .._frames import as_frames
    from .._pixels import joined

    return Video(as_frames(joined(images)), fps, audio)


@node(
    version=1,
    title="Frames of a video",
    cheap=True,
    tags=("GetVideoComponents", "Split Video", "video to images", "ImageFromBatch", "VHS Split"),
)
def frames(
    video: Video,
    *,
    first: Annotated[int, Number(0, 10_000_000), "The first frame that is taken; 0 is the beginning."] = 0,
    count: Annotated[int, Number(0, 10_000_000, zero="all"), "How many frames are taken. 0: all that follow."] = 0,
    every: Annotated[int, Number(1, 10_000), "Take every so many-th frame."] = 1,
) -> Image:
    """Take frames of a video as a batch of images. Only these are read."""
    import torch

    if first >= len(video):
        raise ProblemError(
            Problem(
                code="area_outside",
                message=f"Frame {first} is behind the end: the video has {len(video)} frames.",
                hint=f"Choose 0 to {len(video) - 1}.",
                port="first",
                value=first,
            )
        )
    chosen = list(range(first, len(video), every))[: count or None]
    return Image(torch.cat([video.images(number, number + 1).pixels for number in chosen]))
