"""The tests on every supported Python: `nox`, or `make test-all`. Interpreters of pyenv are found as well.

`make test-downstream` runs the sessions that each install one release of a library that we serve.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from downstream import catalogue, report  # found by the line above

nox.options.sessions = ["tests"]

SUPPORTED = ("3.11", "3.12", "3.13")

# In front of PATH: pyenv's own shims are there for versions, too, that are not switched on.
installed = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin"))
os.environ["PATH"] = os.pathsep.join([*map(str, installed), os.environ["PATH"]])


PYTHONS = [version for version in SUPPORTED if shutil.which(f"python{version}")]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after "--" go to pytest."""
    # Dependency groups need pip 25.1.
    session.install("--upgrade", "pip>=25.1")
    session.install("--group", "dev", "--editable", ".[pytest,tls]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-q", "-n", "auto"]))


@nox.session
@nox.parametrize(
    ("python", "library", "release"),
    [
        # The newest release on the newest Python, the others on the oldest: an old one may not know later Pythons.
        nox.param(
            PYTHONS[-1 if release.version == catalogue.NEWEST else 0],
            library,
            release,
            id=f"{library.name}-{release.version}",
        )
        for library, release in catalogue.releases()
    ],
)
def downstream(session: nox.Session, library: catalogue.Library, release: catalogue.Release) -> None:
    """Drive a library, and run its own tests while a cassette records."""
    report.Report.path(library, release).unlink(missing_ok=True)
    # What the fixtures of our tests need is installed with the library, so that nothing changes its release.
    session.install("--editable", ".", "pytest>=8.1", "hypothesis", "trustme", *library.requirements(release))
    session.run("python", "-m", "downstream.driving", library.name, release.version)
