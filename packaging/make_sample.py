"""Makes `resources/sample/`: a dozen ultrasound images, most of them with labelme polygons.

    uv run python packaging/make_sample.py FOLDER

FOLDER holds `images/` and `masks/` of the usgra-seg set (index masks: 0 background, 1 nerve, 2 vessel). The
masks become polygons simplified by a pixel, as a person would draw them; four images stay unlabelled, for the
demo to predict. Images are copied as they are.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from core.annotation.labelme_json import dumps
from core.annotation.model import Annotation, AnnotationState, ClassList, LabelClass
from core.annotation.vectorize import vectorize
from core.project import schema
from core.project.mask_file import read_index_mask
from core.project.palette import palette_color

SAMPLE = Path(__file__).resolve().parents[1] / "resources" / "sample"
LABELLED = ("0000", "0028", "0036", "0058", "0064", "0072", "0101", "0113")
UNLABELLED = ("0007", "0078", "0120", "0199")
NAMES = ("background", "nerve", "vessel")
TOLERANCE_PX = 1.0
SMALLEST_PX = 30
"""Specks of a mask's edge below this area are conversion artefacts that nobody would draw."""


def main(source: Path) -> None:
    """Write the sample from the data set's folder."""
    classes = ClassList(
        tuple(LabelClass(index, name, palette_color(index)) for index, name in enumerate(NAMES)), background=0
    )
    shutil.rmtree(SAMPLE / "images", ignore_errors=True)
    (SAMPLE / "images").mkdir(parents=True)
    for stem in (*LABELLED, *UNLABELLED):
        shutil.copyfile(source / "images" / f"{stem}.png", SAMPLE / "images" / f"{stem}.png")
    for stem in LABELLED:
        mask = read_index_mask(source / "masks" / f"{stem}.png", classes=classes)
        annotation = annotate(mask, classes, f"{stem}.png")
        (SAMPLE / "images" / f"{stem}.json").write_bytes(dumps(annotation))
        print(f"{stem}: {len(annotation.shapes)} shapes")
    records = tuple(schema.ClassRecord(index=c.index, name=c.name, color=c.color) for c in classes)
    project = schema.ProjectFile(
        name="Ultrasound sample", classes=records, background=0, image_roots=("images",)
    )
    (SAMPLE / "project.json").write_bytes(schema.dumps(project))


def annotate(mask: np.ndarray, classes: ClassList, image_path: str) -> Annotation:
    """A done annotation with the mask's regions as simplified polygons, specks left out."""
    shapes = tuple(
        shape
        for shape in vectorize(mask, classes, tolerance=TOLERANCE_PX)
        if classes.mask_value(shape.label) != classes.background
        and np.prod(np.ptp(shape.points, axis=0) + 1) >= SMALLEST_PX
    )
    height, width = mask.shape
    return Annotation(image_path, (height, width), shapes, AnnotationState.DONE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
