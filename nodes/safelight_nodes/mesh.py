"""Meshes: reading and writing."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Choice, Context, File, FilePick, Mesh, Text, Toggle, node

from ._files import WHERE


@node(version=1, title="Load mesh", tags=("Load 3D", "glb", "gltf", "model"))
def load(*, file: Annotated[str, FilePick("mesh"), "A GLB file in the input folder."], ctx: Context) -> Mesh:
    """Read a mesh from the input folder: all triangles of a GLB as one, with their colours and texture coordinates."""
    return ctx.media.decode(ctx.files.path(file), "mesh", file)


@node(version=1, title="Save mesh", output=True, tags=("SaveGLB", "export", "gltf", "3D"))
def save(
    mesh: Mesh,
    *,
    name: Annotated[
        str,
        Text(placeholder="shapes/apple_{counter}", max_length=200, file_name=True),
        WHERE,
    ] = "safelight_{counter}",
    format: Annotated[Literal["glb"], Choice()] = "glb",
    embed_workflow: Annotated[
        bool, Toggle(), "Put the workflow into the file, so that it can be opened from the mesh."
    ] = True,
    ctx: Context,
) -> list[File]:
    """Save a mesh in the output folder, as GLB."""
    from ._files import save_all

    return save_all(mesh, name, format, embed_workflow, ctx)
