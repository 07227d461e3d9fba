"""The names of VCR.py, for suites that import `vcr`: `from cassette_http import vcr`.

    from cassette_http.vcr import VCR

    recorder = VCR(cassette_library_dir="tests/cassettes", match_on=["method", "uri"])

    @recorder.use_cassette("login.yaml")
    def test_login(): ...

All names that suites import are here, whatever module of VCR.py they are in; matchers have a module of their own.

recorder   `VCR`, `use_cassette`
settings   what is configured, by attributes and by arguments
config     what it means, as options of ours
filters    functions that change requests and responses
matchers   functions of two requests, for those of suites
objects    requests, responses and cassettes as functions of suites know them
files      cassettes that a suite reads in a way of its own
unittest   test cases

The plugin for pytest uses these modules as well, for what pytest-recording and pytest-vcr have.
"""

from __future__ import annotations

import sys

from cassette_http.errors import UnmatchedRequest
from cassette_http.vcr import filters, matchers
from cassette_http.vcr.files import (
    CassetteDecodeError,
    CassetteNotFoundError,
    FilesystemPersister,
    deserialize,
    jsonserializer,
    serialize,
    yamlserializer,
)
from cassette_http.vcr.filters import (
    decode_response,
    remove_headers,
    remove_post_data_parameters,
    remove_query_parameters,
    replace_body_parameters,
    replace_headers,
    replace_post_data_parameters,
    replace_query_parameters,
)
from cassette_http.vcr.objects import VcrCassette, VcrHeaders, VcrRequest, read_body
from cassette_http.vcr.recorder import VCR, RecordMode
from cassette_http.vcr.unittest import VCRMixin, VCRTestCase

__all__ = [
    "VCR",
    "CannotOverwriteExistingCassetteException",
    "CaseInsensitiveDict",
    "Cassette",
    "CassetteDecodeError",
    "CassetteNotFoundError",
    "FilesystemPersister",
    "HeadersDict",
    "RecordMode",
    "Request",
    "UnhandledHTTPRequestError",
    "VCRMixin",
    "VCRTestCase",
    "cassette",
    "decode_response",
    "default_vcr",
    "deserialize",
    "errors",
    "filesystem",
    "filters",
    "jsonserializer",
    "matchers",
    "mode",
    "persisters",
    "read_body",
    "record_mode",
    "remove_headers",
    "remove_post_data_parameters",
    "remove_query_parameters",
    "replace_body_parameters",
    "replace_headers",
    "replace_post_data_parameters",
    "replace_query_parameters",
    "request",
    "serialize",
    "serializers",
    "use_cassette",
    "util",
    "yamlserializer",
]

__version__ = "8.0.0"  # that of the VCR.py whose names these are, as suites ask for it

default_vcr = VCR()
use_cassette = default_vcr.use_cassette

Cassette = VcrCassette
Request = VcrRequest
CaseInsensitiveDict = HeadersDict = VcrHeaders
mode = RecordMode
CannotOverwriteExistingCassetteException = UnhandledHTTPRequestError = UnmatchedRequest

# Suites also say `vcr.errors.UnhandledHTTPRequestError`, `vcr.persisters.filesystem.CassetteNotFoundError`, ...
cassette = errors = filesystem = persisters = record_mode = request = serializers = util = sys.modules[__name__]
