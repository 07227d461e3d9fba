"""Record real HTTP conversations once, replay them forever: offline, deterministic, byte for byte.

with cassette_http.use_cassette("cassettes/users.yaml"):
    ...  # any HTTP library of Python
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cassette_http.errors import (
    CassetteError,
    CassetteExpired,
    CassetteFormatError,
    CassetteNotFound,
    CassetteNotWritable,
    CassetteWarning,
    InvalidOption,
    NetworkBlocked,
    UnmatchedRequest,
    UnsupportedLibrary,
)
from cassette_http.version import __version__

if TYPE_CHECKING:
    from cassette_http.cassette.model import Interaction, Request, Response
    from cassette_http.cassette.modes import RecordMode
    from cassette_http.in_use import Cassette, LiveConnection, Miss
    from cassette_http.intercept.guard import block_network
    from cassette_http.session import use_cassette

__all__ = [
    "Cassette",
    "CassetteError",
    "CassetteExpired",
    "CassetteFormatError",
    "CassetteNotFound",
    "CassetteNotWritable",
    "CassetteWarning",
    "Interaction",
    "InvalidOption",
    "LiveConnection",
    "Miss",
    "NetworkBlocked",
    "RecordMode",
    "Request",
    "Response",
    "UnmatchedRequest",
    "UnsupportedLibrary",
    "__version__",
    "block_network",
    "use_cassette",
]

# Imported on first use: a program that only uses `cassette_http.client` needs neither YAML nor the hooks.
_LATER = {
    "Cassette": "cassette_http.in_use",
    "Interaction": "cassette_http.cassette.model",
    "LiveConnection": "cassette_http.in_use",
    "Miss": "cassette_http.in_use",
    "RecordMode": "cassette_http.cassette.modes",
    "block_network": "cassette_http.intercept.guard",
    "Request": "cassette_http.cassette.model",
    "Response": "cassette_http.cassette.model",
    "use_cassette": "cassette_http.session",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value
