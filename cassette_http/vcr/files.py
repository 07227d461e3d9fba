"""Cassettes that a suite for VCR.py stores in its own way, with a serializer or persister that it registers."""

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


def decoder(serializer: Any, persister: Any, given: Path) -> Callable[[bytes, str], bytes]:
    """Make a function that converts such a file to one that VCR.py could have written itself.

    One of the two may be None. Such files are only read: recordings are written in our format. If there is no file, a
    persister is asked for the cassette at the path that was `given`.
    """
    serializer = serializer or yamlserializer
    is_file = given.is_file()

    def decode(octets: bytes, path: str) -> bytes:
        try:
            if persister is None:
                tree = serializer.deserialize(octets.decode())
            else:
                requests, responses, *_ = persister.load_cassette(path if octets else str(given), serializer)
                tree = _tree(requests, responses)
            return yaml.dump(_plain({**tree, "version": 1}), Dumper=DUMPER, allow_unicode=True).encode()
        except Exception as error:
            if not octets and isinstance(error, CassetteNotFoundError | CassetteDecodeError):
                return b""
            what = "serializer" if persister is None else "persister"
            raise CassetteFormatError(path, None, f"the {what} of the suite cannot read it: {error!r}") from error

    decode.finds_missing = persister is not None and not is_file  # type: ignore[attr-defined]  # read by `loading`
    return decode


class CassetteNotFoundError(FileNotFoundError):
    """Raised by `load_cassette` of a persister if there is no cassette."""


class CassetteDecodeError(ValueError):
    """Raised by `load_cassette` of a persister if the cassette cannot be read."""


class FilesystemPersister:
    """The base class for persisters of suites. Only `load_cassette` is called."""

    @classmethod
    def load_cassette(cls, cassette_path: Any, serializer: Any) -> tuple[list[VcrRequest], list[Any]]:
        try:
            text = Path(cassette_path).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise CassetteNotFoundError(*error.args) from None
        except UnicodeDecodeError as error:
            raise CassetteDecodeError(f"{cassette_path} is not in UTF-8") from error
        if not text.strip():
            raise CassetteNotFoundError(f"{cassette_path} is empty")
        return deserialize(text, serializer)

    @staticmethod
    def save_cassette(cassette_path: Any, cassette_dict: dict[str, Any], serializer: Any) -> None:
        Path(cassette_path).write_text(serialize(cassette_dict, serializer), encoding="utf-8")


def deserialize(cassette_string: str, serializer: Any) -> tuple[list[VcrRequest], list[Any]]:
    """Read the text of a VCR.py cassette: its requests and its responses."""
    entries = serializer.deserialize(cassette_string)["interactions"]
    requests = [VcrRequest(*[entry["request"][key] for key in KEPT]) for entry in entries]
    return requests, [entry["response"] for entry in entries]


def serialize(cassette_dict: dict[str, Any], serializer: Any) -> Any:
    """Make the text of a VCR.py cassette from `requests` and `responses`."""
    return serializer.serialize(_plain({**_tree(cassette_dict["requests"], cassette_dict["responses"]), "version": 1}))


# The parts of a request that VCR.py stores.
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
    """Convert to Python's own types: our subclasses of them define how a text is written."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return str(value) if isinstance(value, str) else value
