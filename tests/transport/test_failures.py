"""Failures are made again with all that a program can ask of them."""

from __future__ import annotations

import ssl

import pytest

from cassette_http.cassette.model import FailureKind
from cassette_http.transport.failures import describe, rebuild, want_read

ATTRIBUTES = ("errno", "strerror", "args", "library", "reason")


def real_want_read() -> ssl.SSLError:
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError) as caught:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="api.test").read(1)
    return caught.value


def test_errors_of_tls_have_the_attributes_of_openssls_also_where_those_say_nothing() -> None:
    real = real_want_read()
    assert real.reason is None
    for made in (want_read(), rebuild(describe(FailureKind.RESET, real))):
        assert {name: getattr(made, name) for name in ATTRIBUTES} == {name: getattr(real, name) for name in ATTRIBUTES}
