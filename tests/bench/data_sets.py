"""Four public data sets as projects and folders, from copies of them that are already on the disk.

Nothing is downloaded: `--data FOLDER` names a folder that holds one folder a set. Images are never used both
for training and for testing, and which are which follows from their sorted names alone.

===========  =======================================  =====================================================
folder       what                                     layout, and which images are kept apart for testing
===========  =======================================  =====================================================
`nerve`      usgra-seg, ultrasound, 204 images        `images`, `masks`; every third from the second on; the
                                                      first sixty of every third from the first on train
`nuclei`     part of BBBC038, microscopes, 60 images  `images`, `instances`; every third from the second on
`membrane`   part of ISBI 2012, 20 sections           `images`, `masks`; every third from the second on
`camvid`     street scenes, 367 and 101 frames        `train`, `val`, each with `images`, `masks`; `val`
===========  =======================================  =====================================================

Masks are PNGs of class indices with 255 where nothing is known; `instances` holds the number of each nucleus
and 0 for none.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.images.reader import read_image
from core.project.project import Project

CAMVID: Final = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
NERVE_TRAIN: Final = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and what is true of it.

    Attributes:
        instances: the mask numbers objects; any but 0 is class 1.
    """

    image_path: Path
    mask_path: Path
    instances: bool = False

    @property
    def name(self) -> str:
        """The image's stem, unique in its set."""
        return self.image_path.stem

    def image(self) -> NDArray[np.uint8]:
        """Its pixels, RGB (H, W, 3), uint8."""
        return read_image(self.image_path)

    def truth(self) -> NDArray[np.uint8]:
        """Class indices (H, W), uint8, 255 where nothing is known."""
        values = np.asarray(Image.open(self.mask_path))
        return (values != 0).astype(np.uint8) if self.instances else values.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images with their truth, some to learn from and some kept apart.

    Attributes:
        classes: their names, by index.
        background: the name of the class that is the background; None: every pixel belongs to something.
    """

    name: str
    classes: tuple[str, ...]
    background: str | None
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]


SETS: Final = ("nerve", "nuclei", "membrane", "camvid")


def load(name: str, data: Path) -> DataSet:
    """One of SETS, from the folder of all of them. Raises SystemExit where it is not there."""
    folder = data / name
    if not folder.is_dir():
        raise SystemExit(f"{folder}: there is no such folder; --data names the one that holds {name}")
    if name == "camvid":
        train, test = _pairs(folder / "train", "masks"), _pairs(folder / "val", "masks")
        return DataSet(name, CAMVID, None, train, test)
    if name == "nerve":
        pairs = _pairs(folder, "masks")
        train = pairs[::3][:NERVE_TRAIN]
        return DataSet(name, ("background", "nerve", "vessel"), "background", train, pairs[1::3])
    pairs = _pairs(folder, "instances" if name == "nuclei" else "masks")
    train = tuple(pair for number, pair in enumerate(pairs) if number % 3 != 1)
    what = "nucleus" if name == "nuclei" else "membrane"
    return DataSet(name, ("background", what), "background", train, pairs[1::3])


def _pairs(folder: Path, masks: str) -> tuple[Pair, ...]:
    images = sorted((folder / "images").iterdir())
    return tuple(Pair(path, folder / masks / f"{path.stem}.png", masks == "instances") for path in images)


def spread(pairs: Sequence[Pair], count: int | None) -> tuple[Pair, ...]:
    """So many of them, evenly over the sorted names; all where there are no more, or `count` is None."""
    if count is None or count >= len(pairs):
        return tuple(pairs)
    return tuple(pairs[int((number + 0.5) * len(pairs) / count)] for number in range(count))


def write_pairs(pairs: Sequence[Pair], folder: Path) -> tuple[Path, Path]:
    """Copy images and index masks to `folder/images` and `folder/masks`; returns these two."""
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True)
    masks.mkdir()
    for pair in pairs:
        shutil.copyfile(pair.image_path, images / pair.image_path.name)
        Image.fromarray(pair.truth()).save(masks / f"{pair.name}.png")
    return images, masks


def make_project(data_set: DataSet, pairs: Sequence[Pair], root: Path) -> dict[str, Pair]:
    """A project of these images, none of them labelled; the pairs by the project's keys."""
    (root / "images").mkdir(parents=True)
    for pair in pairs:
        shutil.copyfile(pair.image_path, root / "images" / pair.image_path.name)
    by_name = {pair.image_path.name: pair for pair in pairs}
    with Project.create(root, classes=data_set.classes, background=data_set.background) as project:
        return {entry.key: by_name[entry.image_path.name] for entry in project.images()}
