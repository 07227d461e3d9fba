"""Values: the heads of HTTP messages (RFC 9112 sections 2 to 5).

Fields are pairs of `str`, decoded as Latin-1 (RFC 9110 section 5.5), so that each octet is one character and is written
unchanged; order, case and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

Fields: TypeAlias = tuple[tuple[str, str], ...]


class RequestHead(NamedTuple):
    """Request line and field section. `version` is as sent, such as "HTTP/1.1"."""

    method: str
    target: str
    version: str
    fields: Fields


class ResponseHead(NamedTuple):
    """Status line and field section. `reason` may be empty; `defects` describe malformed field lines."""

    version: str
    status: int
    reason: str
    fields: Fields
    defects: tuple[str, ...] = ()


def field_values(fields: Iterable[tuple[str, str]], name: str) -> list[str]:
    """The values of all field lines called `name` (any case), in order."""
    wanted = name.lower()
    return [value for given, value in fields if given.lower() == wanted]
