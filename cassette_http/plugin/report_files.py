"""Reports of a run in files: JSON for programs, and a self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pytest

from cassette_http.plugin.digest import Digest, digest_of
from cassette_http.plugin.ledger import Facts, ledger_of
from cassette_http.plugin.paths import shown_path
from cassette_http.version import __version__


def write_report(config: pytest.Config, kind: str, path: Path) -> None:
    """Write the report of a `kind`, "json" or "html". Raises OSError."""
    report = _report(config, digest_of(config))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(report) if kind == "html" else _json(report), encoding="utf-8")


def _report(config: pytest.Config, digest: Digest) -> dict[str, Any]:
    ledger = ledger_of(config)
    return {
        "cassette_http": __version__,
        "written": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "numbers": {
            "cassettes": digest.cassettes,
            "played": digest.total("plays"),
            "unplayed": digest.unplayed_count,
            "recorded": digest.total("recorded"),
            "misses": digest.total("miss_count"),
            "connects": digest.total("connects"),
            **ledger.counts,
        },
        "command": digest.command,
        "uses": [_use(config, facts, ledger.transcripts) for facts in digest.facts],
        "unplayed": [
            {"path": shown_path(config, each.path), "count": each.count, "lines": each.lines, "tests": each.tests}
            for each in digest.unplayed
        ],
        "leftovers": [
            {"kind": each.kind, "path": shown_path(config, each.path), "test": each.test} for each in digest.leftovers
        ],
    }


def _use(config: pytest.Config, facts: Facts, transcripts: dict[str, str]) -> dict[str, Any]:
    kept = ("owner", "mode", "is_well", "loaded", "plays", "recorded", "connects", "connections")
    return {
        "path": shown_path(config, facts["path"]),
        **{key: facts[key] for key in (*kept, "miss_count", "misses")},
        "transcript": transcripts.get(facts["test"]),
    }


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------- the page

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td.number, th.number { text-align: right; }
pre { overflow-x: auto; padding: .75rem; background: #8882; }
.bad { color: #c33; font-weight: 600; }
"""


def _page(report: dict[str, Any]) -> str:
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>HTTP cassettes</title><style>{STYLE}</style></head><body>",
            "<h1>HTTP cassettes</h1>",
            f"<p>{escape(report['written'])}, cassette-http {escape(report['cassette_http'])}</p>",
            *_table(["", ""], ([name, number] for name, number in report["numbers"].items())),
            *_misses(report),
            *_section(
                "Unplayed interactions",
                ["cassette", "interactions", "the first ones"],
                ([each["path"], each["count"], "\n".join(each["lines"])] for each in report["unplayed"]),
            ),
            *_section(
                "Cassettes that nothing used",
                ["cassette", "", "recorded by"],
                ([each["path"], each["kind"], each["test"]] for each in report["leftovers"]),
            ),
            *_section(
                "Cassettes",
                ["test or fixture", "cassette", "mode", "in the file", "played", "recorded", "connects", "misses"],
                (
                    [each[key] for key in ("owner", "path", "mode", "loaded", "plays", "recorded", "connects")]
                    + [each["miss_count"]]
                    for each in report["uses"]
                ),
            ),
            *_transcripts(report),
            "</body></html>",
            "",
        ]
    )


def _section(title: str, names: list[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    table = list(_table(names, rows))
    if len(table) > 3:
        yield f"<h2>{escape(title)}</h2>"
        yield from table


def _table(names: list[str], rows: Iterable[list[Any]]) -> Iterator[str]:
    """Write a table; three lines if it has no rows."""
    yield "<table>"
    yield "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in names) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(map(_cell, row)) + "</tr>"
    yield "</table>"


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{'<br>'.join(map(escape, str(value).splitlines()))}</td>"


def _misses(report: dict[str, Any]) -> Iterator[str]:
    uses = [each for each in report["uses"] if each["miss_count"]]
    if not uses:
        return
    yield "<h2>Requests that nothing matched</h2>"
    yield f"<p>To record them:</p><pre>{escape(report['command'])}</pre>"
    for use in uses:
        for miss in use["misses"]:
            yield f'<details open><summary><span class="bad">{escape(miss["reason"])}</span> in {escape(use["owner"])}'
            yield f"</summary><pre>{escape(miss['text'])}</pre></details>"


def _transcripts(report: dict[str, Any]) -> Iterator[str]:
    uses = [each for each in report["uses"] if each["transcript"]]
    if uses:
        yield "<h2>What went over the wire in failed tests</h2>"
    for use in uses:
        yield f"<details><summary>{escape(use['owner'])}</summary><pre>{escape(use['transcript'])}</pre></details>"
