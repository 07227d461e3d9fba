"""The use of a cassette that a suite of pytest-recording or pytest-vcr asks for: where it lies, and its options."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode
from cassette_http.plugin.layers import Layer
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import Use

if TYPE_CHECKING:
    from cassette_http.plugin.vcr_objects import VcrCassette

__all__ = [
    "REMARK",
    "VcrInstance",
    "line_of_pytest_vcr",
    "make_instance",
    "merged_options",
    "mode_of",
    "use_of_test",
]

# What the ledger calls that of a configuration which could not be kept.
REMARK = "remark of vcr: "

# What cassettes of ours may be called; one with another suffix is read, and recorded anew under the first of these.
OUR_SUFFIXES = (".yaml", ".yml", ".json")

MAX_NAME_CHARACTERS = 255


def line_of_pytest_vcr(config: pytest.Config) -> str | None:
    """The record mode that an option of pytest-vcr has on the command line."""
    mode: str | None = config.getoption("--vcr-record", None) or config.getoption("--vcr-record-mode", None)
    return mode


def merged_options(request: pytest.FixtureRequest, markers: list[pytest.Mark]) -> dict[str, Any]:
    """What the fixture and the markers say, the closest marker last."""
    merged: dict[str, Any] = deepcopy(dict(request.getfixturevalue("vcr_config")))
    for marker in reversed(markers):
        merged.update(marker.kwargs)
    return merged


def mode_of(request: pytest.FixtureRequest, merged: dict[str, Any]) -> str:
    """The record mode: that of the command line, or of the suite. On a build server the suite alone records nothing."""
    config = request.config
    line = settings(config).line.get("mode") or line_of_pytest_vcr(config) or config.getoption("--record-mode", None)
    given = merged.get("record_mode")
    if line is not None or given is None:
        return str(line or "none")
    chosen = settings(config).for_test({"mode": RecordMode.of(given).value}, {})
    return str(chosen["mode"])


class VcrSettings(SimpleNamespace):
    """Stands for the object `VCR`, which suites configure: its attributes are options."""

    def __init__(self) -> None:
        super().__init__()
        self._matchers: dict[str, Any] = {}
        self._serializers: dict[str, Any] = {}
        self._persister: Any = None

    def register_matcher(self, name: str, matcher: Any) -> None:
        self._matchers[name] = matcher

    def register_serializer(self, name: str, serializer: Any) -> None:
        self._serializers[name] = serializer

    def register_persister(self, persister: Any) -> None:
        self._persister = persister

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class VcrInstance(VcrSettings):
    """Stands for the object `VCR` of a module, which can put a cassette into use as well."""

    def __init__(self, request: pytest.FixtureRequest, config: dict[str, Any], folder: str) -> None:
        super().__init__()
        self._request, self._config, self._folder = request, config, folder

    @contextmanager
    def use_cassette(self, path: str | os.PathLike[str], **options: Any) -> Iterator[VcrCassette]:
        from cassette_http.plugin.vcr_objects import VcrCassette  # late: pytest starts without them

        merged = {**self._config, **self._settings(), **options}
        place = Path(merged.get("cassette_library_dir") or self._folder, _file_name(os.fspath(path), merged))
        owner = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        with Layer(_use(self._request, self, merged, place, [], owner)) as cassette:
            yield VcrCassette(cassette)


_configured = pytest.StashKey[VcrSettings]()


def make_instance(request: pytest.FixtureRequest, config: dict[str, Any], folder: str) -> VcrInstance:
    """Make what tests of a module configure; their cassettes heed it from now on."""
    instance = VcrInstance(request, config, folder)
    request.node.stash[_configured] = instance
    return instance


def use_of_test(request: pytest.FixtureRequest, markers: list[pytest.Mark], folder: str) -> Use:
    """The use of a test with these markers `vcr`; `folder` is where the cassettes of its module lie.

    Raises InvalidOption for what cannot be kept.
    """
    item, config = request.node, request.config
    module = item.getparent(pytest.Module)
    configured = VcrSettings() if module is None else module.stash.get(_configured, VcrSettings())
    config.hook.pytest_recording_configure(config=config, vcr=configured)
    merged = {**configured._settings(), **merged_options(request, markers)}
    folder = os.fspath(merged.get("cassette_library_dir") or folder)
    others = [Path(folder, name) for marker in markers for name in marker.args]
    return _use(request, configured, merged, _path(request, merged, folder), others, item.nodeid, item)


def _use(
    request: pytest.FixtureRequest,
    configured: VcrSettings,
    merged: dict[str, Any],
    path: Path,
    others: list[Path],
    owner: str,
    item: pytest.Item | None = None,
) -> Use:
    """Make the use of a cassette of what was said by the names of VCR.py."""
    from cassette_http.plugin.vcr_config import translate  # late: pytest starts without it
    from cassette_http.plugin.vcr_files import decoder

    config, suffix = request.config, _suffix(merged)
    translated = translate(merged, configured._matchers)
    for remark in translated.remarks:
        ledger_of(config).counts[REMARK + remark] += 1
    options = settings(config).for_test(translated.options, {})
    options["mode"] = mode_of(request, merged)
    serializer = configured._serializers.get(merged.get("serializer", "yaml"))
    if serializer is not None or configured._persister is not None:
        options["decode"] = decoder(serializer, configured._persister)
        if suffix not in OUR_SUFFIXES:
            # What is recorded anew is a text of ours, whatever the old file is; that is still read.
            others.insert(0, path)
            path = path.with_name(path.name.removesuffix(suffix) + OUR_SUFFIXES[0])
    options["also"] = [other for other in dict.fromkeys(others) if other.is_file()]
    if config.getoption("--disable-vcr", False):
        options["no_cassette"] = True
    return Use(config, owner, path, options, item)


def _suffix(merged: dict[str, Any]) -> str:
    return f".{merged.get('serializer', 'yaml')}"


def _file_name(name: str, merged: dict[str, Any]) -> str:
    if transform := merged.get("path_transformer"):
        return str(transform(name))
    suffix = _suffix(merged)
    return name if name.endswith(suffix) else name + suffix


def _path(request: pytest.FixtureRequest, merged: dict[str, Any], folder: str) -> Path:
    """Where the cassette is: the first of the places of both plugins that has one; a new one gets the first."""
    suffix = _suffix(merged)
    given = (request.getfixturevalue("default_cassette_name"), request.getfixturevalue("vcr_cassette_name"))
    names = [shortened(name, suffix) for name in given]
    if line_of_pytest_vcr(request.config):
        names.reverse()
    places = [Path(folder, _file_name(name, merged)) for name in names]
    beside = request.path.parent / "cassettes"
    if Path(folder) == beside / request.path.stem:
        places += [beside / _file_name(name, merged) for name in names]
    return next((place for place in places if place.is_file()), places[0])


def shortened(name: str, suffix: str) -> str:
    """Make a name fit into a file system as pytest-recording does."""
    if len(name) + len(suffix) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: MAX_NAME_CHARACTERS - len(suffix) - len(digest) - 3]}...{digest}"
