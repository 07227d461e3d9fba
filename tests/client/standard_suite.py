"""Runs a module of the interpreter's own test suite, with our client in the place of http.client or without it.

Called as a program of its own, since nothing may have imported http.client before:
`python standard_suite.py ours|stock test_httplib`. Prints the tests that did not pass, as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import unittest

# Those modules of the standard library that would go on using the http.client they have imported.
USERS = ["urllib.request", "urllib.robotparser", "xmlrpc.client", "xmlrpc.server", "http.server", "logging.handlers"]


def replace_http_client() -> None:
    """Make `http.client` mean our client, for everything that is imported from now on."""
    import http

    from cassette_http import client

    for name in client.__all__:
        kind = getattr(client, name)
        if getattr(kind, "__module__", "").startswith("cassette_http"):
            # The suite asks each class of http.client where it comes from.
            kind.__module__ = "http.client"
    for name in USERS:
        sys.modules.pop(name, None)
    sys.modules["http.client"] = client
    http.client = client


def main(which: str, name: str) -> None:
    if which == "ours":
        replace_http_client()
    from test import support  # type: ignore[import-not-found]

    support.use_resources = {"walltime": None, "cpu": None}  # no network but loopback
    try:
        suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"test.{name}"))
    except unittest.SkipTest as reason:
        print(json.dumps({"run": 0, "bad": [], "skipped": str(reason)}))
        return
    result = unittest.TestResult()
    report = os.dup(1)
    os.dup2(2, 1)  # some of the tests print
    suite.run(result)
    bad = sorted({test.id() for test, _ in result.failures + result.errors})
    os.write(report, json.dumps({"run": result.testsRun, "bad": bad}).encode())
    os._exit(0)  # threads that a test has left behind must not hold us


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
