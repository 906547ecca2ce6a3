"""Sound: reading and writing."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Audio, Choice, Context, File, FilePick, Text, Toggle, node

from ._files import WHERE


@node(version=1, title="Load sound", tags=("LoadAudio", "VHS Load Audio", "sound", "music"))
def load(*, file: Annotated[str, FilePick("audio"), "A sound in the input folder."], ctx: Context) -> Audio:
    """Read sound from the input folder: WAV; FLAC, OGG and MP3 with the package soundfile.

    Those need it installed: pip install 'safelight[audio]'.
    """
    return ctx.media.decode(ctx.files.path(file), "audio", file)


@node(version=1, title="Save sound", output=True, tags=("SaveAudio", "SaveAudioMP3", "wav", "flac", "sound"))
def save(
    audio: Audio,
    *,
    name: Annotated[
        str,
        Text(placeholder="sounds/rain_{counter}", max_length=200, file_name=True),
        WHERE,
    ] = "safelight_{counter}",
    format: Annotated[
        Literal["wav", "flac", "ogg"], Choice(), "FLAC and OGG need the package soundfile. OGG loses a little."
    ] = "wav",
    embed_workflow: Annotated[
        bool,
        Toggle(),
        "Put the workflow into the file, so that it can be opened from the sound. OGG has no room for it.",
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save sound in the output folder: WAV of 16 bits, FLAC of 24 bits, or OGG Vorbis."""
    from ._files import save_all

    return save_all(audio, name, format, embed_workflow, ctx)
