"""What an import costs a program that starts."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

from benchmarks.tables import Contestant, Job, Skipped, Table

__all__ = ["TABLES"]

STARTS = 10


def start(statement: str, job: Job) -> float:
    """Milliseconds of CPU time of an interpreter that runs `statement` and ends."""
    try:
        import resource
    except ImportError:
        raise Skipped("not known on this system") from None

    def spent_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    # What was compiled before is used, as in any program that is started twice.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", statement]
    starts = job.scaled(STARTS)
    subprocess.run(command, env=environment, check=True)
    before_s = spent_s()
    for _ in range(starts):
        subprocess.run(command, env=environment, check=True)
    return (spent_s() - before_s) / starts * 1e3


def _import(statement: str, *needs: str) -> Contestant:
    return Contestant(statement, partial(start, statement), needs=needs)


TABLES = (
    Table(
        "import",
        "start of an interpreter that imports something",
        "ms",
        (
            _import("pass"),
            _import("import cassette_http"),
            _import("from cassette_http import client"),
            _import("from cassette_http import use_cassette"),
            _import("import http.client"),
            _import("import vcr", "vcr"),
            _import("import cassetter", "cassetter"),
        ),
        reference="from cassette_http import use_cassette",
        baseline="pass",
        goal="20 ms over bare Python",
    ),
)
