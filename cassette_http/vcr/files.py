"""Cassettes that a suite for VCR.py writes in a way of its own: by a serializer or a persister that it registers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from cassette_http.errors import CassetteFormatError
from cassette_http.vcr.objects import VcrRequest

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

yamlserializer = SimpleNamespace(serialize=yaml.safe_dump, deserialize=yaml.safe_load)
jsonserializer = SimpleNamespace(serialize=json.dumps, deserialize=json.loads)


def decoder(serializer: Any, persister: Any) -> Callable[[bytes, str], bytes]:
    """Make what reads such a file, and gives one that VCR.py could have written by itself.

    One of both may be None. Files are read, and not written: what is recorded has our format.
    """
    serializer = serializer or yamlserializer

    def decode(octets: bytes, path: str) -> bytes:
        try:
            if persister is None:
                tree = serializer.deserialize(octets.decode())
            else:
                tree = _tree(*persister.load_cassette(path, serializer))
            return yaml.dump(_plain({**tree, "version": 1}), Dumper=DUMPER, allow_unicode=True).encode()
        except Exception as error:
            what = "serializer" if persister is None else "persister"
            raise CassetteFormatError(path, None, f"the {what} of the suite cannot read it: {error!r}") from error

    return decode


class CassetteNotFoundError(FileNotFoundError):
    """What `load_cassette` of a persister raises if there is none."""


class CassetteDecodeError(ValueError):
    """What `load_cassette` of a persister raises if it cannot be read."""


class FilesystemPersister:
    """What persisters of suites derive from. Only `load_cassette` is called."""

    @classmethod
    def load_cassette(cls, cassette_path: Any, serializer: Any) -> tuple[list[VcrRequest], list[Any]]:
        try:
            text = Path(cassette_path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise CassetteNotFoundError(*error.args) from None
        except UnicodeDecodeError as error:
            raise CassetteDecodeError(f"{cassette_path} is not in UTF-8") from error
        return deserialize(text, serializer)

    @staticmethod
    def save_cassette(cassette_path: Any, cassette_dict: dict[str, Any], serializer: Any) -> None:
        Path(cassette_path).write_text(serialize(cassette_dict, serializer), encoding="utf-8")


def deserialize(cassette_string: str, serializer: Any) -> tuple[list[VcrRequest], list[Any]]:
    """Read the text of a cassette of VCR.py: its requests, and its responses."""
    entries = serializer.deserialize(cassette_string)["interactions"]
    requests = [VcrRequest(*[entry["request"][key] for key in KEPT]) for entry in entries]
    return requests, [entry["response"] for entry in entries]


def serialize(cassette_dict: dict[str, Any], serializer: Any) -> Any:
    """Make the text of a cassette of VCR.py of `requests` and `responses`."""
    return serializer.serialize(_plain({**_tree(cassette_dict["requests"], cassette_dict["responses"]), "version": 1}))


# What VCR.py keeps of a request.
KEPT = ("method", "uri", "body", "headers")


def _tree(requests: Any, responses: Any) -> dict[str, Any]:
    pairs = zip(requests, responses, strict=True)
    return {
        "interactions": [
            {"request": {key: getattr(request, key) for key in KEPT}, "response": response}
            for request, response in pairs
        ]
    }


def _plain(value: Any) -> Any:
    """The same in Python's own types: our subclasses of them carry how a text is to be written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value
