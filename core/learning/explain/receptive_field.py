"""The receptive field, by the arithmetic of layers.

From one pixel of the scores back to the image: which rows and columns of each operation's input its output
needs (Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019, do the
same with formulas). Statistics that normalisation takes of a map do not count.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final, TypeAlias

from torch import Tensor

from core.learning.explain.explained import ReceptiveField
from core.learning.explain.trace import CONVOLUTION, PADS, Operation, Recorder

Span: TypeAlias = tuple[int, int]
"""First and last place along one axis; not clipped to the map."""
_MIXING: Final = frozenset({"bmm", "mm", "addmm", "baddbmm", "_scaled_dot_product_flash_attention_for_cpu"})
MOST_PHASES: Final = 64
"""Pixels that are followed back; they repeat with the coarsest stride, which is no longer."""


def receptive_field(
    recorder: Recorder, picture: Tensor, *, margin: int = 0
) -> Generator[None, None, ReceptiveField]:
    """What of a picture a pixel of the scores sees, at most; a piece of the work at a time.

    Args:
        recorder: of the network's pass over the picture.
        picture: (N, C, H, W).
        margin: rows, and columns, that the network puts before a picture it mirrors at its borders.
    """
    target = recorder.operations[-1].outputs[0] if recorder.result is None else recorder.result
    sizes = [int(map_.shape[-1]) for map_ in recorder.maps.values()]
    coarsest = ceil(int(picture.shape[-1]) / max(1, min(sizes, default=1)))
    whole = False
    sides: list[tuple[int, int]] = []
    for axis in (0, 1):
        found: tuple[int, int] = (0, 0)
        middle = int(target.shape[axis - 2]) // 2
        for place in range(middle, middle + min(MOST_PHASES, max(1, middle), coarsest)):
            span, everything = seen_from(recorder.operations, picture, target, place, axis, margin)
            whole |= everything
            if span is not None and span[1] - span[0] + 1 > found[0]:
                # The scores may be smaller than the picture: where the pixel itself lies in it.
                own = place * int(picture.shape[axis - 2]) // int(target.shape[axis - 2])
                found = span[1] - span[0] + 1, own - span[0]
            yield
        sides.append(found)
    (height, above), (width, left) = sides
    return ReceptiveField(height, width, above, left, whole)


def seen_from(
    operations: Sequence[Operation], picture: Tensor, target: Tensor, place: int, axis: int, margin: int
) -> tuple[Span | None, bool]:
    """The rows (axis 0) or columns (1) of the picture that one row or column of `target` needs.

    Returns:
        Them, None for none; and whether averages of whole maps or the like have a say besides.
    """
    needed: dict[int, Span] = {id(target): (place, place)}
    whole = False
    for operation in reversed(operations):
        spans = [needed[id(output)] for output in operation.outputs if id(output) in needed]
        if not spans:
            continue
        span = min(first for first, _ in spans), max(last for _, last in spans)
        for tensor in operation.inputs:
            before = _before(operation, tensor, span, axis, margin)
            if before is None:
                whole = True
                continue
            known = needed.get(id(tensor), before)
            needed[id(tensor)] = min(known[0], before[0]), max(known[1], before[1])
    return needed.get(id(picture)), whole


def _before(operation: Operation, tensor: Tensor, span: Span, axis: int, margin: int) -> Span | None:
    """What of an input is needed for a span of the output; None: all of it, or places are mixed up."""
    kind, args = operation.kind, operation.arguments
    output = operation.outputs[0]
    if kind in _MIXING or tensor.ndim < 2 or output.ndim < 2:
        return None
    here, there = int(tensor.shape[axis - 2]), int(output.shape[axis - 2])
    if kind == CONVOLUTION:
        return _convolution(args, span, axis)
    if "pool2d" in kind and "adaptive" not in kind and "unpool" not in kind:
        return _pool(kind, args, span, axis)
    if kind.startswith("upsample"):
        return _upsampling(kind, args, span, here, there)
    if kind in PADS:
        before = (args[1][2] if len(args[1]) > 2 else 0) if axis == 0 else args[1][0]
        return span[0] - before, span[1] - before
    if kind in ("slice", "flip"):
        return _cut(kind, args, span, axis, tensor)
    if kind in ("index", "index_select"):  # a picture mirrored at its borders; along one axis each
        before = margin if here != there else 0
        return span[0] - before, span[1] - before
    if kind in ("pixel_shuffle", "max_unpool2d"):
        return _floor_div(span, here, there)
    if kind == "pixel_unshuffle":
        factor = here // there
        return span[0] * factor, span[1] * factor + factor - 1
    if here == there and tensor.shape[1 - axis - 2] in (1, output.shape[1 - axis - 2]):
        return span
    return (0, 0) if here == 1 else None


def _convolution(args: tuple[Any, ...], span: Span, axis: int) -> Span:
    _, weight, _, strides, paddings, dilations, transposed, *_ = args
    stride, padding, dilation = (int(_along(values, axis)) for values in (strides, paddings, dilations))
    reach = dilation * (int(weight.shape[axis - 2]) - 1)
    if not transposed:
        return span[0] * stride - padding, span[1] * stride - padding + reach
    first, last = ceil(Fraction(span[0] + padding - reach, stride)), (span[1] + padding) // stride
    return min(first, last), last


def _pool(kind: str, args: tuple[Any, ...], span: Span, axis: int) -> Span:
    size = int(_along(args[1], axis))
    stride = int(_along(args[2], axis)) if len(args) > 2 and args[2] else size
    padding = int(_along(args[3], axis)) if len(args) > 3 else 0
    dilation = int(_along(args[4], axis)) if kind.startswith("max") and len(args) > 4 else 1
    return span[0] * stride - padding, span[1] * stride - padding + dilation * (size - 1)


def _upsampling(kind: str, args: tuple[Any, ...], span: Span, here: int, there: int) -> Span:
    if "nearest" in kind:
        return _floor_div(span, here, there)
    corners = any(value is True for value in args)

    def source(place: int) -> Fraction:
        if corners:
            return Fraction(place * (here - 1), max(1, there - 1))
        return (place + Fraction(1, 2)) * Fraction(here, there) - Fraction(1, 2)

    first, last = source(span[0]), source(span[1])
    wider = 1 if "bicubic" in kind else 0
    return floor(first) - wider, ceil(last) + wider


def _cut(kind: str, args: tuple[Any, ...], span: Span, axis: int, tensor: Tensor) -> Span:
    size = int(tensor.shape[axis - 2])
    if kind == "flip":
        if axis - 2 in {dim - tensor.ndim if dim >= 0 else dim for dim in args[1]}:
            return size - 1 - span[1], size - 1 - span[0]
        return span
    dim = int(args[1]) if len(args) > 1 else 0
    if (dim - tensor.ndim if dim >= 0 else dim) != axis - 2:
        return span
    start = int(args[2] or 0) if len(args) > 2 else 0
    step = int(args[4]) if len(args) > 4 else 1
    start += size if start < 0 else 0
    return start + span[0] * step, start + span[1] * step


def _floor_div(span: Span, here: int, there: int) -> Span:
    return span[0] * here // there, span[1] * here // there


def _along(values: int | Sequence[int], axis: int) -> int:
    """Of a pair for rows and columns, or one number for both."""
    if isinstance(values, int):
        return values
    return values[axis] if len(values) > 1 else values[0]
