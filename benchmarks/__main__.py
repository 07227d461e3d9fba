"""The command: `python -m benchmarks [--quick] [--rounds N] [--json FILE] [TABLE ...]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.catalogue import TABLES, chosen
from benchmarks.peer import HOST, running_peer
from benchmarks.printing import as_json, as_text
from benchmarks.running import run_table
from benchmarks.tables import Job


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare speed, side by side with others."
    )
    parser.add_argument("tables", metavar="TABLE", nargs="*", help='a name of --list, or its beginning, as "client"')
    parser.add_argument("--list", action="store_true", help="show the names of the tables")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs; figures mean nothing")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    options = parser.parse_args(arguments)
    if options.list:
        for table in TABLES:
            print(f"{table.name:26}{table.title}")
        return 0
    try:
        tables = chosen(options.tables) if options.tables else list(TABLES)
    except KeyError as error:
        parser.error(f"there is no table {error}; see --list")

    print(f"CPU time of the client, {platform.python_implementation()} {platform.python_version()}, {sys.platform}\n")
    shown = []
    has_failed = False
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name, running_peer(Path(name)) as (port, tls_port):
        job = Job(HOST, port, tls_port, Path(name, "authority.pem"), Path(name), options.quick)
        for table in tables:
            results = run_table(table, job, 1 if options.quick else max(1, options.rounds), _tell)
            _tell("")
            print(as_text(table, results) + "\n", flush=True)
            shown.append(as_json(table, results))
            has_failed = has_failed or any(result.has_failed for result in results)
    if options.json is not None:
        options.json.write_text(json.dumps(shown, indent=2) + "\n")
    return 1 if has_failed else 0


def _tell(what: str) -> None:
    """Show what is being done, in one line that is overwritten; only to people."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r\033[K{what[: width - 1]}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
