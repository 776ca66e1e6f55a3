r"""labelme's JSON file: written strictly, read leniently, nothing lost on the way through.

::

    version flags shapes imagePath imageData imageHeight imageWidth  <unknown keys>  "maskloop"
            shape: <unknown keys, locked>  "maskloop"  label points group_id description shape_type flags mask

A locked shape has `"locked": true`, as labelme 7 writes it; another one has no such key.

What labelme has no field for goes into one key of our own, which labelme keeps on its round trip as it does
every unknown key:

- `maskloop` of the file: `{"schema": 1, "state": "in_progress" | "done"}`. A file that has shapes and no
  such key was made by labelme and counts as done.
- `maskloop` of a polygon with holes: `{"ring_starts": [int, ...]}`. Its `points` are one ring joined by
  seams of no width (`core.geometry.seam_holes`), so that other readers draw it right; the walk around hole k
  starts there, with the hole's vertex `first_vertices[k]` (left out where all are 0). Honoured only while the
  seams coincide: after an edit elsewhere the ring counts as it is.

Lenient means: older versions, keys left out, `null` for an empty field, rectangles of four points, `\` in
`imagePath`, a byte order mark. What cannot be read without loss is refused with the field and what to do;
the caller must then leave the file alone.

Written by `labelme_writer`, read by `labelme_reader` (`labelme_plain` is its quick way, `labelme_counts` says
how many points a type has); the names of the keys are in `labelme_keys`.
"""

from __future__ import annotations

from core.annotation.labelme_reader import loads
from core.annotation.labelme_writer import dumps

__all__ = ["dumps", "loads"]
