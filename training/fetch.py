"""Fetch the emoji packages, render every subject in three styles, and write them as an image set.

    python -m training.fetch [--target DIR] [--size 128] [--subjects 0]

Writes `images.npy` (N, 128, 128, 4 uint8, straight alpha), `images.json` (subjects, and an image's subject and
style) and `sources.json` (where they come from, and under which licences). The packages come from the npm registry
through `npm pack` at fixed versions. By default they go into the folder `emoji` of Safelight's input folder, where the
workflows of `workflows/train/` look for them. Needs npm, and `pip install resvg-py`.

`--size 512 --subjects 300` renders those that an upscaler learns from, of the subjects that weigh most, into the folder
`emoji_512`. No image is made larger than its source: the 3d ones stay at 256 pixels, in the upper left corner, and the
index says so (`size`).
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from training.everyday import EVERYDAY, plain_name, rare_keywords

SIZE = 128
PACKAGES = {
    "@lobehub/fluent-emoji-3d": ("1.1.0", "MIT"),
    "@iconify-json/fluent-emoji-flat": ("1.2.6", "MIT"),
    "@iconify-json/noto": ("1.2.9", "Apache-2.0"),
    "unicode-emoji-json": ("0.9.0", "MIT"),
    "emojilib": ("4.0.3", "MIT"),
}

GROUP_WEIGHT = {
    "Smileys & Emotion": 0.8,
    "People & Body": 0.2,
    "Animals & Nature": 1.2,
    "Food & Drink": 1.2,
    "Travel & Places": 0.9,
    "Activities": 0.8,
    "Objects": 0.8,
    "Symbols": 0.12,
    "Flags": 0.03,
}
# Groups whose images mean the same mirrored. The others hold letters, hands, clocks and signs.
MIRRORED = ("Animals & Nature", "Food & Drink")
_DULL = re.compile(
    r"o’clock|-thirty|arrow|button|moon$|mailbox|banknote|white (large|medium|small)|black (large|medium|small)"
)


def default_target(size: int = SIZE) -> Path:
    """Where the training workflows look for the set of this size."""
    from safelight.places import data_folder

    return data_folder() / "input" / ("emoji" if size == SIZE else f"emoji_{size}")


def fetch(folder: Path) -> dict[str, Path]:
    """Download and unpack the packages once; returns the folder of each."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for name, (version, _) in PACKAGES.items():
        stem = f"{name.removeprefix('@').replace('/', '-')}-{version}"
        archive, target = folder / f"{stem}.tgz", folder / stem
        if not archive.exists():
            subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)
        if not target.exists():
            with tarfile.open(archive) as tar:
                tar.extractall(target, filter="data")
        found[name] = target / "package"
    return found


def code_points(text: str) -> str:
    """The key all packages share: hexadecimal code points without the variation selector."""
    return "-".join(f"{ord(c):x}" for c in text if ord(c) != 0xFE0F)


def _short(key: str) -> str:
    return "-".join(part for part in key.split("-") if part != "fe0f")


def subjects(packages: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Code points -> name, the ways to say it, group and sampling weight."""
    base = json.loads((packages["unicode-emoji-json"] / "data-by-emoji.json").read_text())
    words = json.loads((packages["emojilib"] / "dist" / "emoji-en-US.json").read_text())
    keywords = rare_keywords({v["slug"]: words.get(c, []) for c, v in base.items() if v["group"] != "Flags"})
    result: dict[str, dict[str, Any]] = {}
    for char, entry in base.items():
        name, slug, group = entry["name"], entry["slug"], entry["group"]
        weight = GROUP_WEIGHT[group] * (0.15 if _DULL.search(name) else 1.0)
        everyday = EVERYDAY.get(slug, ())
        names = [plain_name(name), *everyday]
        if everyday:
            weight = max(weight, 0.8) * 2.5
        elif name.endswith(" face") and group == "Animals & Nature":
            names.append(plain_name(name.removesuffix(" face")))
        result[code_points(char)] = {
            "char": char, "slug": slug, "group": group, "weight": round(weight, 4),
            "names": names, "keywords": [w for w in keywords.get(slug, []) if w not in names],
            "common": bool(everyday), "mirror": group in MIRRORED and not _DULL.search(name),
        }  # fmt: skip
    return result


def _contain(image: Any, size: int) -> np.ndarray:
    """Resized to so many pixels a side with premultiplied alpha, so that hidden colours do not bleed into the rim."""
    from PIL import Image

    rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
    rgba[..., :3] *= rgba[..., 3:]
    planes = [Image.fromarray(rgba[..., i]).resize((size, size), Image.Resampling.LANCZOS) for i in range(4)]
    small = np.clip(np.stack([np.asarray(p) for p in planes], -1), 0, 1)
    alpha = small[..., 3:]
    small[..., :3] = np.where(alpha > 1e-4, np.clip(small[..., :3] / np.maximum(alpha, 1e-4), 0, 1), 1.0)
    return np.round(small * 255).astype(np.uint8)


def _svg_style(package: Path, size: int) -> dict[str, bytes]:
    """Code points -> SVG text of an Iconify set, twice as large as it is wanted."""
    icons = json.loads((package / "icons.json").read_text())
    chars = json.loads((package / "chars.json").read_text())
    result: dict[str, bytes] = {}
    for key, name in chars.items():
        icon = icons["icons"].get(name) or icons["icons"].get(icons["aliases"].get(name, {}).get("parent", ""))
        if not icon:
            continue
        wide, high = icon.get("width", icons["width"]), icon.get("height", icons["height"])
        head = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'width="{size * 2}" height="{size * 2}" viewBox="0 0 {wide} {high}">'
        )
        result[_short(key)] = f"{head}{icon['body']}</svg>".encode()
    return result


def render(
    packages: dict[str, Path], known: dict[str, dict[str, Any]], size: int = SIZE
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """All images, sorted by subject and style: (N, size, size, 4) and their index.

    One whose source is smaller lies in the upper left corner of its pixels, and its entry has its `size`.
    """
    import resvg_py
    from PIL import Image

    solid = {_short(p.stem): p for p in (packages["@lobehub/fluent-emoji-3d"] / "assets").glob("*.webp")}
    flat = _svg_style(packages["@iconify-json/fluent-emoji-flat"], size)
    drawn = _svg_style(packages["@iconify-json/noto"], size)
    images: list[np.ndarray] = []
    index: list[dict[str, Any]] = []
    for key in known:
        for style, source in enumerate((solid, flat, drawn)):
            if key not in source:
                continue
            if style == 0:
                image = Image.open(solid[key])
            else:
                raw = resvg_py.svg_to_bytes(svg_string=source[key].decode())  # pyright: ignore[reportAttributeAccessIssue]
                image = Image.open(io.BytesIO(bytes(raw)))
            side = min(size, max(image.size))
            array = _contain(image, side)
            if (array[..., 3] > 128).mean() < 0.02:
                continue
            entry: dict[str, Any] = {"subject": key, "style": style}
            if side < size:
                array = np.pad(array, ((0, size - side), (0, size - side), (0, 0)))
                entry["size"] = [side, side]
            images.append(array)
            index.append(entry)
    return np.stack(images), index


def heaviest(known: dict[str, dict[str, Any]], count: int) -> dict[str, dict[str, Any]]:
    """So many of the subjects, those that weigh most, in the order they are given in; 0: all."""
    if not count:
        return known
    chosen = set(sorted(known, key=lambda key: -known[key]["weight"])[:count])
    return {key: subject for key, subject in known.items() if key in chosen}


def load(folder: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The images (memory-mapped) and the index that `main` wrote."""
    return np.load(folder / "images.npy", mmap_mode="r"), json.loads((folder / "images.json").read_text())


def sources() -> list[dict[str, str]]:
    """Package, version, licence and address of everything that was fetched."""
    return [
        {"package": name, "version": version, "licence": licence, "from": f"https://www.npmjs.com/package/{name}"}
        for name, (version, licence) in PACKAGES.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--size", type=int, default=SIZE, help="pixels a side")
    parser.add_argument("--subjects", type=int, default=0, help="so many of those that weigh most; 0: all")
    told = parser.parse_args()
    target: Path = told.target or default_target(told.size)
    # The packages are the same for all sizes.
    packages = fetch((told.target or default_target()) / "downloads")
    known = heaviest(subjects(packages), told.subjects)
    images, index = render(packages, known, told.size)
    target.mkdir(parents=True, exist_ok=True)
    np.save(target / "images.npy", images)
    (target / "images.json").write_text(json.dumps({"subjects": known, "images": index}, ensure_ascii=False))
    (target / "sources.json").write_text(json.dumps(sources(), indent=1) + "\n")
    print(f"{len(index)} images of {len({p['subject'] for p in index})} subjects in {target}")


if __name__ == "__main__":
    main()
