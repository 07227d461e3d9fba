"""The use of a cassette in a suite of pytest-recording or pytest-vcr: its path and options."""

from __future__ import annotations

import hashlib
import os
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cassette_http.cassette.modes import RecordMode
from cassette_http.plugin.collection import test_of
from cassette_http.plugin.ledger import ledger_of
from cassette_http.plugin.paths import shown_path
from cassette_http.plugin.settings import settings
from cassette_http.plugin.uses import Use

if TYPE_CHECKING:
    from cassette_http.vcr.settings import VcrSettings

# The prefix in the ledger for parts of a configuration that are not supported.
REMARK = "remark of vcr: "

MAX_NAME_CHARACTERS = 255


def line_of_pytest_vcr(config: pytest.Config) -> str | None:
    """The record mode given by an option of pytest-vcr on the command line."""
    mode: str | None = config.getoption("--vcr-record", None) or config.getoption("--vcr-record-mode", None)
    return mode


def merged_options(request: pytest.FixtureRequest, markers: list[pytest.Mark]) -> dict[str, Any]:
    """The options of the fixture and the markers; the closest marker has precedence."""
    merged: dict[str, Any] = deepcopy(dict(request.getfixturevalue("vcr_config")))
    for marker in reversed(markers):
        merged.update(marker.kwargs)
    return merged


def mode_of(request: pytest.FixtureRequest, merged: dict[str, Any]) -> str:
    """The record mode: from the command line, or from the suite. On a build server, the suite alone cannot record."""
    given = merged.get("record_mode")
    of_suite = {"mode": RecordMode.of(given).value if given is not None else RecordMode.NONE.value}
    return str(settings(request.config).for_test(of_suite, {})["mode"])


# What the tests of a module have configured.
CONFIGURED = pytest.StashKey["VcrSettings"]()


def use_of_test(request: pytest.FixtureRequest, markers: list[pytest.Mark], folder: str) -> Use:
    """The use of a test with these `vcr` markers; `folder` is where the cassettes of its module are.

    Raises InvalidOption for what is not supported.
    """
    from cassette_http.vcr.settings import VcrSettings  # late: pytest starts without it

    item, config = request.node, request.config
    module = item.getparent(pytest.Module)
    configured = VcrSettings() if module is None else module.stash.get(CONFIGURED, VcrSettings())
    config.hook.pytest_recording_configure(config=config, vcr=configured)
    merged = {**configured._settings(), **merged_options(request, markers)}
    folder = os.fspath(merged.get("cassette_library_dir") or folder)
    others = [Path(folder, name) for marker in markers for name in marker.args]
    return make_use(request, configured, merged, _path(request, merged, folder), others, test_of(item), item)


def make_use(
    request: pytest.FixtureRequest,
    configured: VcrSettings,
    merged: dict[str, Any],
    path: Path,
    others: list[Path],
    owner: str,
    item: pytest.Item | None = None,
) -> Use:
    """Make the use of a cassette from options with the names of VCR.py. Raises InvalidOption."""
    from cassette_http.vcr.settings import arrange  # late: pytest starts without it

    config = request.config
    arranged = arrange(configured, merged, path, others)
    absent = [shown_path(config, other) for other in others if not other.is_file()]
    for remark in (*arranged.remarks, *(f"vcr: a marker names {path}, which does not exist" for path in absent)):
        ledger_of(config).counts[REMARK + remark] += 1
    options = settings(config).for_test(arranged.options, {})
    options["mode"] = mode_of(request, merged)
    return Use(config, owner, arranged.path, options, item)


def file_name(name: str, merged: dict[str, Any]) -> str:
    from cassette_http.vcr.settings import suffix_of  # late: pytest starts without it

    if transform := merged.get("path_transformer"):
        return str(transform(name))
    suffix = suffix_of(merged)
    return name if name.endswith(suffix) else name + suffix


def _path(request: pytest.FixtureRequest, merged: dict[str, Any], folder: str) -> Path:
    """Where the cassette is: the first of the places of both plugins that has one; a new one gets the first."""
    from cassette_http.vcr.settings import suffix_of  # late: pytest starts without it

    suffix = suffix_of(merged)
    given = (request.getfixturevalue("default_cassette_name"), request.getfixturevalue("vcr_cassette_name"))
    names = [shortened(name, suffix) for name in given]
    if line_of_pytest_vcr(request.config):
        names.reverse()
    places = [Path(folder, file_name(name, merged)) for name in names]
    beside = request.path.parent / "cassettes"
    if Path(folder) == beside / request.path.stem:
        places += [beside / file_name(name, merged) for name in names]
    return next((place for place in places if place.is_file()), places[0])


def shortened(name: str, suffix: str) -> str:
    """Make a name fit into a file system as pytest-recording does."""
    if len(name) + len(suffix) <= MAX_NAME_CHARACTERS:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: MAX_NAME_CHARACTERS - len(suffix) - len(digest) - 3]}...{digest}"
