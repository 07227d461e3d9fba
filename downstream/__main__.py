"""The table of what the sessions found: `python -m downstream [--write-docs]`. Exits with 1 unless all is well."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from downstream.catalogue import LIBRARIES, releases
from downstream.report import Report

DOCUMENT = Path(__file__).parent.parent / "docs" / "libraries.md"
TABLE = re.compile(r"(?<=<!-- tested -->\n).*?(?=<!-- /tested -->)", re.DOTALL)

COLUMNS = (
    "library",
    "release",
    "version",
    "python",
    "driven",
    "failed",
    "own tests",
    "fail anyway",
    "recorded",
    "differ",
    "played",
    "differ",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m downstream", description="Show what the sessions found.")
    parser.add_argument("--write-docs", action="store_true", help=f"put the tested range into docs/{DOCUMENT.name}")
    options = parser.parse_args(arguments)
    found = [(library, release, Report.read(Report.path(library, release))) for library, release in releases()]
    rows: list[tuple[str, ...]] = [COLUMNS]
    details: list[str] = []
    for library, release, report in found:
        if report is None:
            rows.append((library.name, release.version, *["-"] * (len(COLUMNS) - 2)))
            details.append(f"{library.name}, {release.version}: it could not be installed, or was not run")
            continue
        own = (report.own, report.own_failed_anyway, report.own_recorded, len(report.own_differ))
        played = (report.played, len(report.played_differ))
        figures = (
            *(report.driven, len(report.failed)),
            *(own if report.own else ["-"] * 4),
            *(played if report.played else ["-"] * 2),
        )
        rows.append((library.name, release.version, report.version, report.python, *map(str, figures)))
        for trouble in (*report.failed, *report.own_differ, *report.played_differ, *filter(None, [report.trouble])):
            details.append(f"{library.name} {report.version}: {trouble}")
    print("\n\n".join([*details, _aligned(rows)]))
    if options.write_docs:
        DOCUMENT.write_text(TABLE.sub(lambda _: documented(), DOCUMENT.read_text()))
    return any(report is None or not report.is_good for _, _, report in found)


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def documented() -> str:
    """The table for the documentation: of each library, the oldest and the newest release that passed."""
    lines = ["| library | oldest | newest |", "|---|---|---|"]
    for library in LIBRARIES:
        reports = [Report.read(Report.path(library, release)) for release in library.releases]
        passed = [report for report in reports if report is not None and report.is_good]
        if passed:
            oldest, newest = (
                f"{one.version} on Python {one.python.rpartition('.')[0]}" for one in (passed[0], passed[-1])
            )
            lines.append(f"| {library.name} | {oldest} | {newest} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
