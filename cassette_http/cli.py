"""The command `cassette-http`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from cassette_http.errors import CassetteError
from cassette_http.version import __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 well, 1 the result is bad, 2 the call was, 130 interrupted."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode gets question marks, not a traceback
    try:
        # Imported here, as `--help` and `--version` need no server and no cassette.
        from cassette_http.demo import run_demo

        code = run_demo(options.cassette)
        sys.stdout.flush()
    except CassetteError as error:
        print(f"cassette-http: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cassette-http", description="Record HTTP conversations once, replay them for ever."
    )
    parser.add_argument("--version", action="version", version=f"cassette-http {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "record a session with a server of its own, stop the server, replay the session, and compare"
    demo = commands.add_parser("demo", help=text, description=text[0].upper() + text[1:] + ".")
    demo.add_argument("--cassette", metavar="FILE", help="where to write the cassette (default: a new folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
