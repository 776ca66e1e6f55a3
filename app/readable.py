"""Numbers and sentences as people read them. No Qt."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """Seconds as "0:07", "12:34" or "1:02:03"."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def format_age(seconds: float) -> str:
    """Seconds as "now", "12 s", "3 min" or "2 h"."""
    if seconds < 1:
        return "now"
    if seconds < 90:
        return f"{int(seconds)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h"


def format_bytes(count: int) -> str:
    """Bytes as "830 MB" or "5.2 GB" (powers of 1024, as device tools count)."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def format_share(share: float) -> str:
    """A share 0..1 as a percentage that never rounds something away to nothing."""
    percent = share * 100
    if percent == 0:
        return "0 %"
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def capital(text: str) -> str:
    """The text with a capital first, unless it starts with a name."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


def sentence(text: str) -> str:
    """A message as a person writes it: a capital first unless it starts with a name, and a full stop."""
    return capital(text) + ("." if text and text[-1].isalnum() else "")
