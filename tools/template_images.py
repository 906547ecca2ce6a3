"""Makes the small images of the shipped workflows again, with the starter model: `python tools/template_images.py`.

Each image shows what the workflow makes with its own values: one result as it is, several side by side. Workflows
that change an image show it before and after. One that needs more than the starter model keeps the image that it has,
unless SAFELIGHT_MODELS names a folder with those models.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Document
from safelight.places import shipped_names, shipped_workflows

SIZE = (320, 240)
GAP = 4
BACKGROUND = "#17181b"


def main(names: list[str]) -> None:
    shipped = shipped_names()
    unknown = sorted(set(names) - set(shipped))
    if unknown:
        raise SystemExit(f"There is no shipped workflow {unknown[0]!r}.")
    folder = shipped_workflows() / "images"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        if old.stem not in shipped:
            old.unlink()
    with tempfile.TemporaryDirectory() as home:
        studio = Studio.open(Path(home))
        for name in names or shipped:
            if any(problem.code == "model_missing" for problem in studio.check(studio.read(name)).problems):
                sys.stdout.write(f"{name}: left as it is, a model is missing\n")
                continue
            made = sheet(results(studio, name, Path(home) / "images"))
            made.save(folder / f"{name}.webp", quality=82, method=6)
            sys.stdout.write(f"{name}: {(folder / f'{name}.webp').stat().st_size / 1000:.0f} kB\n")


def results(studio: Studio, name: str, output: Path) -> list[Image.Image]:
    """What the workflow makes, behind the image that it starts from, if it starts from one."""
    # What is only shown is saved for once.
    document = Document.loads(shipped_names()[name].read_bytes().replace(b"image.preview", b"image.save"))
    outcome = studio.run(document, output=output, options=RunOptions())
    if outcome.result.problems:
        raise SystemExit(f"{name}: {outcome.result.problems[0].message}")
    paths = [Path(entry["path"]) for entries in outcome.outputs.values() for entry in entries]
    return [one for path in [*before(document), *paths] for one in shown(studio, path)]


def shown(studio: Studio, path: Path) -> list[Image.Image]:
    """An image, or four frames of a film or of an image that moves."""
    form = studio.media.format_of(path.name)
    if form is not None and form.media_type.startswith("video/"):
        film = studio.media.film(path)
        return [Image.fromarray(film.read(place, 1).frames[0].numpy()) for place in spread(film.frames)]
    image = Image.open(path)
    frames = getattr(image, "n_frames", 1)
    return [frame_of(image, place) for place in spread(frames)] if frames > 1 else [seen(image)]


def spread(frames: int) -> list[int]:
    """Four frames, the first and the last among them."""
    return [round(number * (frames - 1) / 3) for number in range(4)]


def frame_of(image: Image.Image, place: int) -> Image.Image:
    image.seek(place)
    return seen(image)


def seen(image: Image.Image) -> Image.Image:
    """What is transparent lies on a board of grey squares."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    board = Image.new("RGB", image.size, "#ffffff")
    side = max(4, image.width // 16)
    for x in range(0, image.width, side):
        for y in range(x // side % 2 * side, image.height, 2 * side):
            board.paste("#d0d0d4", (x, y, x + side, y + side))
    board.paste(image, mask=image.getchannel("A"))
    return board


def before(document: Document) -> list[Path]:
    """The shipped image that an input named `image` loads."""
    ports = [entry.to for entry in document.inputs if entry.name == "image"]
    return [shipped_workflows() / "input" / str(document.nodes[port.node].values[port.port]) for port in ports]


def sheet(images: list[Image.Image]) -> Image.Image:
    """One image fills the sheet's height and is continued at its sides; several share it, four in two rows."""
    images = images[:6]
    columns = len(images) if len(images) <= 3 else (len(images) + 1) // 2
    rows = -(-len(images) // columns)
    made = Image.new("RGB", SIZE, BACKGROUND)
    if len(images) == 1 and images[0].width > images[0].height:
        return ImageOps.pad(images[0], SIZE, Image.Resampling.LANCZOS, color=images[0].getpixel((0, 0)))
    side = min((SIZE[0] - GAP * (columns - 1)) // columns, (SIZE[1] - GAP * (rows - 1)) // rows)
    left = (SIZE[0] - columns * side - GAP * (columns - 1)) // 2
    top = (SIZE[1] - rows * side - GAP * (rows - 1)) // 2
    if len(images) == 1:
        made.paste(images[0].getpixel((1, 1)), (0, 0, *SIZE))
    for number, image in enumerate(images):
        place = (left + number % columns * (side + GAP), top + number // columns * (side + GAP))
        fits = ImageOps.pad(image, (side, side), Image.Resampling.LANCZOS, color=ground(image))
        made.paste(fits, place)
    return made


def ground(image: Image.Image) -> tuple[int, ...]:
    """The colour of its upper edge: one pixel alone may be off."""
    middle = image.crop((0, 0, image.width, max(1, image.height // 32))).resize((1, 1), Image.Resampling.BOX)
    return tuple(middle.tobytes())


if __name__ == "__main__":
    main(sys.argv[1:])
