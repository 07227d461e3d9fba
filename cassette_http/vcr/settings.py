"""The configuration of VCR.py in suites: options as attributes, with matchers, serializers and a persister."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cassette_http.cassette.rule_notation import no_such
from cassette_http.vcr.config import NotRegistered, translate
from cassette_http.vcr.files import FilesystemPersister, decoder

# Suffixes of our cassettes; a file with another suffix is read, and recorded again with the first of these.
OUR_SUFFIXES = (".yaml", ".yml", ".json")


class VcrSettings(SimpleNamespace):
    """Replaces an object `VCR` that suites configure: its attributes are options."""

    def __init__(self, **options: Any) -> None:
        self._matchers: dict[str, Any] = {}
        self._serializers: dict[str, Any] = {}
        self._persister: Any = None
        super().__init__(**options)

    @property
    def matchers(self) -> dict[str, Any]:
        """Only those of the suite, by name; they may replace VCR.py's."""
        return self._matchers

    @property
    def serializers(self) -> dict[str, Any]:
        """Only those of the suite, by name."""
        return self._serializers

    def register_matcher(self, name: str, matcher: Any) -> None:
        self._matchers[name] = matcher

    def register_serializer(self, name: str, serializer: Any) -> None:
        self._serializers[name] = serializer

    def register_persister(self, persister: Any) -> None:
        self._persister = persister

    @property
    def persister(self) -> Any:
        return self._persister or FilesystemPersister

    @persister.setter
    def persister(self, persister: Any) -> None:
        self._persister = persister

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Arranged:
    """A cassette at `path`, the `options` of `use_cassette` for it, with `mode` if one was given, and `remarks`."""

    path: Path
    options: dict[str, Any]
    remarks: list[str]


def arrange(settings: VcrSettings, merged: dict[str, Any], path: Path, others: Iterable[Path] = ()) -> Arranged:
    """Convert the configuration in `merged` for the cassette at `path`, and `others` that answer too.

    Raises InvalidOption for what is not supported.
    """
    translated = translate(merged, settings._matchers)
    options, also = translated.options, list(others)
    name = merged.get("serializer", "yaml")
    serializer = settings._serializers.get(name)
    if serializer is None and name not in ("yaml", "json"):
        raise NotRegistered(no_such("serializer", name, ["yaml", "json", *settings._serializers]))
    persister = merged.get("persister") or settings._persister
    if serializer is not None or persister is not None:
        options["decode"] = decoder(serializer, persister, path)
        if not path.name.endswith(OUR_SUFFIXES):
            # New recordings are in our format, whatever the old file is; that is still read.
            also.insert(0, path)
            path = path.with_name(path.name.removesuffix(suffix_of(merged)) + OUR_SUFFIXES[0])
    options["also"] = [other for other in dict.fromkeys(also) if other.is_file()]
    return Arranged(path, options, translated.remarks)


def suffix_of(merged: dict[str, Any]) -> str:
    """The suffix that plugins for VCR.py use: the name of the serializer."""
    return f".{merged.get('serializer', 'yaml')}"
