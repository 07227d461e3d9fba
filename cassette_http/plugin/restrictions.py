"""Support for pytest-socket: what it forbids a test, our network guard forbids a test with a cassette.

pytest-socket removes all sockets, including those that a replay needs; the guard only stops traffic to other machines.
"""

from __future__ import annotations

import pytest

from cassette_http.plugin.options import words
from cassette_http.plugin.pytest_internals import fixture_names
from cassette_http.plugin.uses import Use, load_parts

_allowed_hosts = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    option, marker = item.config.getoption, item.get_closest_marker
    has_cassette = "http_cassette" in (fixture_names(item) or ())
    if not has_cassette or option("--force-enable-socket") or marker("enable_socket") is not None:
        return
    allowed = marker("allow_hosts")
    hosts = option("--allow-hosts") if allowed is None else allowed.args[0]
    if marker("disable_socket") is not None:
        hosts = ""
    elif not hosts and not option("--disable-socket"):
        return
    item.stash[_allowed_hosts] = words(hosts) if isinstance(hosts, str) else list(hosts or ())
    item.add_marker("enable_socket")  # pytest-socket leaves such a test alone


def pytest_cassette_opening(use: Use) -> None:
    hosts = use.item.stash.get(_allowed_hosts, None) if use.item is not None else None
    if hosts is not None and not use.options.get("block_network"):
        use.options.update(block_network=True, allow_hosts=hosts)
        load_parts(use.config, use.options)
