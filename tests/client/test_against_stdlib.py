"""The tests that Python has for http.client, and for all that is built on it, pass with our client in its place."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SUITE = Path(__file__).with_name("standard_suite.py")
PROJECT = SUITE.parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test.test_httplib") is None,
    reason="this Python was installed without its own tests (package `test`)",
)


def run(which: str, name: str, folder: Path) -> dict[str, Any]:
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, str(SUITE), which, name],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


@pytest.mark.parametrize(
    "name",
    [
        "test_httplib",
        "test_urllib",
        "test_urllib2",
        "test_urllib2_localnet",
        "test_urllib_response",
        "test_docxmlrpc",
        "test_httpservers",
        "test_http_cookiejar",
        "test_robotparser",
    ],
)
def test_what_passes_with_http_client_passes_with_ours(name: str, tmp_path: Path) -> None:
    ours = run("ours", name, tmp_path)
    if "skipped" in ours:
        pytest.skip(ours["skipped"])
    assert ours["run"] > 0
    if ours["bad"]:
        # Some tests need more than this machine has.
        stock = run("stock", name, tmp_path)
        assert set(ours["bad"]) <= set(stock["bad"])
