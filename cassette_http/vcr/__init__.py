"""The names of VCR.py, for suites that import `vcr`: `from cassette_http import vcr`.

    from cassette_http.vcr import VCR

    recorder = VCR(cassette_library_dir="tests/cassettes", match_on=["method", "uri"])

    @recorder.use_cassette("login.yaml")
    def test_login(): ...

All names that suites import are here, whatever module of VCR.py they are in; matchers have a module of their own.

recorder   `VCR`, `use_cassette`
settings   what is configured, by attributes and by arguments
config     what it means, as options of ours
matchers   functions of two requests, for those of suites
objects    requests, responses and cassettes as functions of suites know them
files      cassettes that a suite reads in a way of its own
unittest   test cases

The plugin for pytest uses these modules as well, for what pytest-recording and pytest-vcr have.
"""

from __future__ import annotations

import sys

from cassette_http.errors import UnmatchedRequest
from cassette_http.vcr import matchers
from cassette_http.vcr.files import (
    CassetteDecodeError,
    CassetteNotFoundError,
    FilesystemPersister,
    deserialize,
    jsonserializer,
    serialize,
    yamlserializer,
)
from cassette_http.vcr.objects import VcrCassette, VcrRequest
from cassette_http.vcr.recorder import VCR, RecordMode
from cassette_http.vcr.unittest import VCRMixin, VCRTestCase

__all__ = [
    "VCR",
    "CannotOverwriteExistingCassetteException",
    "Cassette",
    "CassetteDecodeError",
    "CassetteNotFoundError",
    "FilesystemPersister",
    "RecordMode",
    "Request",
    "UnhandledHTTPRequestError",
    "VCRMixin",
    "VCRTestCase",
    "cassette",
    "default_vcr",
    "deserialize",
    "errors",
    "filesystem",
    "jsonserializer",
    "matchers",
    "mode",
    "persisters",
    "record_mode",
    "request",
    "serialize",
    "serializers",
    "use_cassette",
    "yamlserializer",
]

__version__ = "8.0.0"  # that of the VCR.py whose names these are, as suites ask for it

default_vcr = VCR()
use_cassette = default_vcr.use_cassette

Cassette = VcrCassette
Request = VcrRequest
mode = RecordMode
CannotOverwriteExistingCassetteException = UnhandledHTTPRequestError = UnmatchedRequest

# Suites also say `vcr.errors.UnhandledHTTPRequestError`, `vcr.persisters.filesystem.CassetteNotFoundError`, ...
cassette = errors = filesystem = persisters = record_mode = request = serializers = sys.modules[__name__]
