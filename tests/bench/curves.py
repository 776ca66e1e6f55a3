"""Curves of scores over minutes: what is read from them, and a figure (SVG, without a plotting library)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 96, 40, 48
COLORS: Final[Mapping[str, str]] = {"instant": "#0b7a75", "deep": "#b5541c", "both": "#3d4db7"}
GREY, GRID, TEXT = "#6b7280", "#e5e7eb", "#1f2937"
NAME_GAP: Final = 15
"""Pixels between the baselines of two curves' names, at least."""


def write_curves(
    path: Path, title: str, curves: Mapping[str, Sequence[tuple[float, float]]], *, mark: float | None
) -> None:
    """Draw mIoU over minutes.

    Args:
        path: of the file.
        title: the data set's name.
        curves: points (minutes, mIoU) by name.
        mark: mIoU with every label, drawn as a line across.
    """
    minutes = max(x for points in curves.values() for x, _ in points)

    def place(x: float, y: float) -> tuple[float, float]:
        across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + across * x / minutes, HEIGHT - BOTTOM - down * y

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}" font-family="sans-serif" font-size="13" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{title}:'
        " mIoU on test images over simulated minutes of labelling</text>",
    ]
    right = WIDTH - RIGHT
    for tenth in range(0, 11, 2):
        _, y = place(0, tenth / 10)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>')
    for minute in range(int(minutes) + 1):
        x, y = place(minute, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{minute}</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end" fill="{GREY}">minutes</text>')
    names: list[tuple[float, str, str]] = []
    if mark is not None:
        _, y = place(0, mark)
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GREY}"'
            ' stroke-dasharray="5 4"/>'
        )
        names.append((y, "all labelled", GREY))
    for name, points in curves.items():
        color = COLORS.get(name, TEXT)
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<polyline points="{way}" fill="none" stroke="{color}" stroke-width="2.2"/>')
        names.append((place(*points[-1])[1], name, color))
    lowest = float("-inf")
    for y, name, color in sorted(names):
        lowest = max(y, lowest + NAME_GAP)  # names of curves that end together stand below each other
        parts.append(f'<text x="{right + 8}" y="{lowest + 4:.1f}" fill="{color}">{name}</text>')
    parts.append("</svg>\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")


def row_at(curve: Sequence[Mapping[str, Any]], seconds: float) -> Mapping[str, Any] | None:
    """The row of this moment."""
    return next((row for row in curve if abs(row["seconds"] - seconds) < 0.5), None)


def seconds_to(curve: Sequence[Mapping[str, Any]], miou: float) -> float | None:
    """When the curve reaches a score, between two of its moments by a straight line."""
    before_s, before = 0.0, 0.0
    for row in curve:
        now_s, now = row["seconds"], row["miou"] or 0.0
        if now >= miou:
            return float(before_s + (now_s - before_s) * (miou - before) / max(now - before, 1e-9))
        before_s, before = now_s, now
    return None
