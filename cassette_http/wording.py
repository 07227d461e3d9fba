"""Words for people: how many there are of something."""

from __future__ import annotations

__all__ = ["counted", "number_of"]

# What is not made by an "s".
_PLURALS = {"entry": "entries", "miss": "misses", "was": "were"}


def number_of(word: str, count: int) -> str:
    """Give a word the form that belongs to a number: `number_of("entry", 2)` is "entries"."""
    return word if count == 1 else _PLURALS.get(word, word + "s")


def counted(count: int, word: str) -> str:
    """Say how many there are: "1 cassette", "1,200 cassettes"."""
    return f"{count:,} {number_of(word, count)}"
