"""How what is typed into a search field narrows a list."""

from __future__ import annotations


def words_are_in(typed: str, text: str) -> bool:
    """Does a text have every word typed, in any order?"""
    known = text.casefold()
    return all(word in known for word in typed.casefold().split())
