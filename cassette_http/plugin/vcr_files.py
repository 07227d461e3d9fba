"""Cassettes that a suite for VCR.py writes in a way of its own: by a serializer or a persister that it registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import yaml

from cassette_http.errors import CassetteFormatError

__all__ = ["decoder"]

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def decoder(serializer: Any, persister: Any) -> Callable[[bytes, str], bytes]:
    """Make what reads such a file, and gives one that VCR.py could have written by itself.

    One of both may be None. Files are read, and not written: what is recorded has our format.
    """
    serializer = serializer or SimpleNamespace(serialize=yaml.safe_dump, deserialize=yaml.safe_load)

    def decode(octets: bytes, path: str) -> bytes:
        try:
            if persister is None:
                tree = serializer.deserialize(octets.decode())
            else:
                pairs = zip(*persister.load_cassette(path, serializer), strict=True)
                tree = {"interactions": [{"request": _table_of(one), "response": other} for one, other in pairs]}
            return yaml.dump(_plain({**tree, "version": 1}), Dumper=DUMPER, allow_unicode=True).encode()
        except Exception as error:
            what = "serializer" if persister is None else "persister"
            raise CassetteFormatError(path, None, f"the {what} of the suite cannot read it: {error!r}") from error

    return decode


def _table_of(request: Any) -> dict[str, Any]:
    """What is kept of a request of VCR.py."""
    return {key: getattr(request, key) for key in ("method", "uri", "body", "headers")}


def _plain(value: Any) -> Any:
    """The same of Python's own types, as subclasses say how a text is to be written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, bytes):
        return bytes(value)
    return str(value) if isinstance(value, str) else value
