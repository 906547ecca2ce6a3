"""Films of any length, worked on part by part: what is in memory is one part, whatever the film lasts."""

from __future__ import annotations

from functools import partial
from typing import Annotated, NamedTuple

from safelight.sdk import Audio, Context, File, FilePick, Number, Slider, Text, Toggle, Video, node

from .._files import WHERE
from ..video_values import Encoded, FilmPart


class Parts(NamedTuple):
    parts: Annotated[list[FilmPart], "In the order in which they are shown."]
    fps: Annotated[float, "Frames a second."]
    frames: Annotated[int, "How many frames the film has."]


@node(version=1, title="Parts of a film", tags=("VHS Load Video Path", "batch", "long video", "meta batch", "chunks"))
def parts(
    *,
    file: Annotated[str, FilePick("video"), "A video in the input folder."],
    length: Annotated[int, Number(1, 10_000), "Frames of each part. More take more memory and make smaller files."] = 4,
    first: Annotated[int, Number(0, 10_000_000), "The first frame that is taken; 0 is the beginning."] = 0,
    count: Annotated[int, Number(0, 10_000_000, zero="all"), "How many frames are taken. 0: all that follow."] = 0,
    ctx: Context,
) -> Parts:
    """Divide a film into parts for a loop, without reading its frames.

    Connect the parts to a subgraph that repeats for each of them: it reads one with "Read part of a film", changes its
    frames by any nodes, and ends in "Encode part of a film". "Save film" makes one file of what all turns made.
    """
    from .._refusal import refusal

    film = ctx.media.film(ctx.files.path(file), file)
    if first >= film.frames:
        message = f"Frame {first} is behind the end: the video has {film.frames} frames."
        hint = f"Choose 0 to {film.frames - 1}."
        raise refusal(code="area_outside", message=message, hint=hint, port="first", value=first)
    end = min(film.frames, first + count) if count else film.frames
    starts = range(first, end, length)
    found = [FilmPart(file, film.content, start, min(length, end - start)) for start in starts]
    return Parts(found, film.fps, end - first)


@node(version=1, title="Read part of a film", cheap=True, tags=("VHS Load Video Path", "chunk"))
def read_part(part: FilmPart, *, ctx: Context) -> Video:
    """Read the frames of one part of a film. Its sound is read by "Sound of a video file"."""
    from .._refusal import refusal

    film = ctx.media.film(ctx.files.path(part.file), part.file)
    if film.content != part.content:
        message = f"{part.file} is another file than when it was divided into parts."
        hint = "Run it again: the parts are then made of the file as it is now."
        raise refusal(code="film_changed", message=message, hint=hint, port="part", value=part.file)
    return film.read(part.first, part.count)


@node(version=1, title="Sound of a video file", tags=("VHS Load Audio", "extract audio"))
def load_sound(*, file: Annotated[str, FilePick("video"), "A video in the input folder."], ctx: Context) -> Audio:
    """Read the sound of a video in the input folder, without its frames."""
    from .._refusal import refusal

    sound = ctx.media.film(ctx.files.path(file), file).sound()
    if sound is None:
        hint = "Choose another file, or leave the sound out."
        raise refusal(code="no_sound", message=f"{file} has no sound.", hint=hint, port="file", value=file)
    return sound


@node(version=1, title="Encode part of a film", tags=("VHS Video Combine", "chunk", "h264"))
def encode_part(
    video: Annotated[Video, "Frames that follow each other; its sound is left out."],
    *,
    quality: Annotated[int, Slider(1, 100), "Higher is better and larger."] = 90,
    ctx: Context,
) -> Encoded:
    """Make H.264 of some frames of a film, so that they take little memory until the film is saved."""
    from .._files import save_made

    made = ctx.media.encode(Video(video.frames, video.fps), "mp4", quality=quality)[0]
    return Encoded(save_made(made, "part", embed=False, ctx=ctx, keep=False))


@node(version=1, title="Save film", output=True, tags=("VHS Video Combine", "join", "concatenate"))
def save_parts(
    parts: Annotated[list[Encoded], "Parts in the order in which they are shown, all made in the same way."],
    audio: Annotated[Audio | None, "Sound of the whole film."] = None,
    *,
    name: Annotated[
        str,
        Text(placeholder="films/apple_{counter}", max_length=200, file_name=True),
        WHERE,
    ] = "safelight_{counter}",
    embed_workflow: Annotated[
        bool, Toggle(), "Put the workflow into the file, so that it can be opened from the video."
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save finished parts of a film as one MP4. They are not encoded again."""
    from .._files import checked_name
    from .._refusal import refusal

    if not parts:
        hint = "Connect the parts that a loop made."
        raise refusal(code="wrong_batch", message="There are no parts.", hint=hint, port="parts")
    pattern = checked_name(name, "mp4", ())
    with ctx.draft() as path:
        made = ctx.media.join([partial(ctx.read, part.file) for part in parts], path, audio)
        return [
            ctx.save(
                path,
                name=pattern + ".mp4",
                media_type="video/mp4",
                embed="workflow" if embed_workflow else "nothing",
                width=made.width,
                height=made.height,
                frames=made.frames,
                seconds=made.seconds,
            )
        ]
