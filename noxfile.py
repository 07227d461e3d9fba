"""The tests on every supported Python: `nox`, or `make test-all`. Interpreters of pyenv are found as well."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

SUPPORTED = ("3.11", "3.12", "3.13")

# In front of PATH: pyenv's own shims are there for versions, too, that are not switched on.
installed = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin"))
os.environ["PATH"] = os.pathsep.join([*map(str, installed), os.environ["PATH"]])


@nox.session(python=[version for version in SUPPORTED if shutil.which(f"python{version}")])
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after "--" go to pytest."""
    # Dependency groups need pip 25.1.
    session.install("--upgrade", "pip>=25.1")
    session.install("--group", "dev", "--editable", ".[pytest,tls]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-q", "-n", "auto"]))
