"""One session of the suite, inside an environment that has one library: `python -m downstream.driving NAME RELEASE`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from downstream.catalogue import Library, OwnSuite, Release, releases
from downstream.report import Report

ROOT = Path(__file__).parent.parent
# Of a whole run of pytest. The longest own suite takes a tenth of it.
LIMIT_S = 1800

Outcomes = dict[str, dict[str, str]]
NOT_RUN = {"outcome": "not run", "why": "it was not run"}


def main(name: str, version: str) -> int:
    library, release = next(
        (library, release) for library, release in releases() if (library.name, release.version) == (name, version)
    )
    report = Report(library.name, importlib.metadata.version(library.name), platform.python_version())
    with tempfile.TemporaryDirectory(prefix="downstream-") as folder:
        try:
            _drive(library, release, report, Path(folder))
            if release.own is not None:
                _run_own_suite(library, release.own, report, Path(folder))
        except _Trouble as trouble:
            report.trouble = str(trouble)
    report.write(Report.path(library, release))
    print(report)
    return not report.is_good


class _Trouble(Exception):
    """A part of the session could not be run at all."""


# ---------------------------------------------------------------------- our tests of it


def _drive(library: Library, release: Release, report: Report, folder: Path) -> None:
    """Run the library's scenarios, and the table of behaviours if it has a driver there."""
    runs = [[f"downstream/scenarios/test_{library.module}.py"]]
    if library.table is not None:
        table, chosen = library.table
        runs.append([table, "-k", f"{chosen} and not ({release.not_in_table})" if release.not_in_table else chosen])
    for arguments in runs:
        # An old release warns of much that is no concern of ours.
        outcomes = _pytest([*arguments, "-W", "ignore"], ROOT, folder / "driven.json")
        report.driven += len(outcomes)
        report.failed += [f"{test}: {one['why']}" for test, one in outcomes.items() if one["outcome"] != "passed"]


# ---------------------------------------------------------------------- its own tests


def _run_own_suite(library: Library, own: OwnSuite, report: Report, folder: Path) -> None:
    """Run the library's own tests with and without a cassette, and twice to play what was recorded."""
    source = _fetch_source(library.name, report.version, folder)
    deselected = [argument for test, _ in own.unfit for argument in ("--deselect", test)]
    without, report.own_differ = _compare(source, own.tests, (*own.options, *deselected), folder / "once")
    report.own = len(without)
    report.own_failed_anyway = sum(one["outcome"] == "failed" for one in without.values())
    report.own_recorded = sum(
        path.read_bytes().count(b"\nrequest: ") for path in (folder / "once").rglob("cassettes/*.yaml")
    )
    if own.played:
        deselected += [argument for test, _ in own.unplayable for argument in ("--deselect", test)]
        options = (*own.options, *deselected, "--twice")
        without, report.played_differ = _compare(source, own.played, options, folder / "twice")
        report.played = len(without)


def _compare(source: Path, tests: Sequence[str], options: Sequence[str], folder: Path) -> tuple[Outcomes, list[str]]:
    """Run tests without and with a cassette. Returns how they ended without, and what ended differently with one.

    What does so is given a second chance, as not all tests of others end the same each time.
    """
    without, recorded = _run_both(source, [*options, *tests], folder / "first")
    differing = _differing(without, recorded)
    if differing:
        without_again, recorded = _run_both(source, [*options, *differing], folder / "again")
        differing = _differing(without_again, recorded)
    return without, [f"{test}: {recorded.get(test, NOT_RUN)['why']}" for test in differing]


def _fetch_source(name: str, version: str, folder: Path) -> Path:
    """Download and unpack the source distribution; returns its root."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", name]
    made = subprocess.run([*command, "--dest", folder, f"{name}=={version}"], check=False)
    archives = [*folder.glob("*.tar.gz")]
    if made.returncode or not archives:
        raise _Trouble(f"the source distribution of {name} {version} could not be fetched")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder / "source", filter="data")
    return next((folder / "source").iterdir())


def _run_both(source: Path, arguments: list[str], folder: Path) -> tuple[Outcomes, Outcomes]:
    cassettes = folder / "cassettes"
    cassettes.mkdir(parents=True)
    return (
        _pytest(arguments, source, folder / "without.json"),
        _pytest([f"--record-into={cassettes}", *arguments], source, folder / "with.json"),
    )


def _differing(without: Outcomes, with_cassette: Outcomes) -> list[str]:
    return [
        test
        for test in sorted(without.keys() | with_cassette.keys())
        if without.get(test, NOT_RUN)["outcome"] != with_cassette.get(test, NOT_RUN)["outcome"]
    ]


def _pytest(arguments: list[str], folder: Path, outcomes: Path) -> Outcomes:
    """Run pytest in `folder`; returns how each test ended."""
    outcomes.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "downstream.wrapping"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("CI", None)  # own suites skip or retry more there
    try:
        subprocess.run(
            [*command, f"--outcomes={outcomes}", *arguments],
            cwd=folder, env=environment, timeout=LIMIT_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _Trouble(f"pytest {' '.join(arguments)} did not end within {LIMIT_S} s") from None
    ended: Outcomes = json.loads(outcomes.read_text()) if outcomes.exists() else {}
    if not ended:
        raise _Trouble(f"pytest {' '.join(arguments)} ran no test")
    return ended


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
