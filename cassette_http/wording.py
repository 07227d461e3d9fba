"""Words for people: how many there are of something, and texts that fit into a line."""

from __future__ import annotations

# Of a value within a message.
MOST_CHARACTERS = 60

# What is not made by an "s".
_PLURALS = {"entry": "entries", "miss": "misses", "policy": "policies", "was": "were"}


def number_of(word: str, count: int) -> str:
    """Give a word the form that belongs to a number: `number_of("entry", 2)` is "entries"."""
    return word if count == 1 else _PLURALS.get(word, word + "s")


def counted(count: int, word: str) -> str:
    """Say how many there are: "1 cassette", "1,200 cassettes"."""
    return f"{count:,} {number_of(word, count)}"


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Cut off the end of a text that has more characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
