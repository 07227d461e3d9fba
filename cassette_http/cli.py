"""The command `cassette-http`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence

from cassette_http.errors import CassetteError
from cassette_http.version import __version__
from cassette_http.wording import counted

EXIT_SECRETS = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    0 success, 1 a bad result, 2 a wrong call, 4 a cassette contains a secret, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode gets question marks, not a traceback
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except CassetteError as error:
        print(f"cassette-http: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe; Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cassette-http", description="Record HTTP conversations once, replay them forever."
    )
    parser.add_argument("--version", action="version", version=f"cassette-http {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(run: Callable[[argparse.Namespace], int], text: str, more: str = "") -> argparse.ArgumentParser:
        name, description = run.__name__.lstrip("_"), f"{text[0].upper()}{text[1:]}. {more}"
        one = commands.add_parser(name, help=text, description=description)
        one.set_defaults(run=run)
        return one

    demo = command(_demo, "record a session with a built-in server, stop the server, replay the session, and compare")
    demo.add_argument("--cassette", metavar="FILE", help="a new file for the cassette (default: in a new folder)")
    check = command(_check, "look for secrets in cassettes, or folders of cassettes; exit with 4 if any are found")
    check.add_argument("paths", metavar="PATH", nargs="+", help="a cassette, or a folder")
    redact = command(
        _redact, "replace the secrets in cassettes by placeholders, in place; a file without secrets is not touched"
    )
    redact.add_argument("paths", metavar="PATH", nargs="+", help="a cassette, or a folder")
    convert = command(
        _convert,
        "convert cassettes of VCR.py, cassetter, Betamax and responses, and HAR archives",
        "A file that ends in .yaml or has no suffix is replaced atomically; for others, a .yaml file is written beside "
        "them. Secrets are replaced.",
    )
    convert.add_argument("paths", metavar="SOURCE", nargs="+", help="a cassette, or a folder of them")
    convert.add_argument("--to", metavar="DIR", help="write there, and leave the sources as they are")
    formats = ("vcr", "cassetter", "betamax", "har", "responses")
    convert.add_argument("--from", dest="format", choices=formats, help="the recorder (default: guess)")
    export = command(_export, "write a cassette in the format of another tool; secrets are replaced by placeholders")
    export.add_argument("path", metavar="CASSETTE", help="a cassette")
    export.add_argument("--to", dest="format", choices=("har", "vcr"), required=True, help="HAR 1.2, or VCR.py's YAML")
    export.add_argument("-o", "--output", metavar="FILE", help="a new file to write to (default: standard output)")
    return parser


# Commands import what they need, so that `--help` and `--version` are fast.


def _demo(options: argparse.Namespace) -> int:
    from cassette_http.demo import run_demo

    return run_demo(options.cassette)


def _check(options: argparse.Namespace) -> int:
    from cassette_http.checking import check_paths, find_left_behind, find_orphans, find_with_foreign

    cassettes = find_with_foreign(options.paths)
    if not cassettes:
        print(f"there are no cassettes in {', '.join(options.paths)}", file=sys.stderr)
    findings, failed = [], 0
    for path in cassettes:
        try:
            found = check_paths([path])
        except CassetteError as error:
            print(f"cassette-http: {error}", file=sys.stderr)
            failed += 1
            continue
        for finding in found:
            print(finding)
        findings += found
    for orphan in find_orphans(options.paths):
        print(f"{orphan}: no cassette beside it uses this file; it can be deleted", file=sys.stderr)
    for left in find_left_behind(options.paths):
        print(
            f"{left}: left behind by a process that did not finish; delete it unless a recording is running",
            file=sys.stderr,
        )
    if not findings:
        if len(cassettes) > failed:
            print(f"no secrets in {counted(len(cassettes) - failed, 'cassette')}", file=sys.stderr)
        return 1 if failed else 0
    print(
        f"secrets in {counted(len(findings), 'line')}; to remove them: cassette-http redact PATH... "
        "(cassettes of other recorders: cassette-http convert PATH...)",
        file=sys.stderr,
    )
    return EXIT_SECRETS


def _redact(options: argparse.Namespace) -> int:
    from cassette_http.checking import redact_files

    for path, count in redact_files(options.paths).items():
        print(f"{path}: {counted(count, 'interaction')} redacted" if count else f"{path}: no secrets")
    return 0


def _convert(options: argparse.Namespace) -> int:
    from cassette_http.converting import convert_file, find_foreign, total

    converted, failed = [], 0
    for path in options.paths:
        for source, target in find_foreign(path, options.to):
            try:
                one = convert_file(source, target, options.format)
            except CassetteError as error:
                print(f"cassette-http: {error}", file=sys.stderr)
                failed += 1
                continue
            print(one)
            converted.append(one)
    if not converted and not failed:
        print(f"there are no cassettes of other recorders in {', '.join(options.paths)}", file=sys.stderr)
    else:
        print(total(converted, failed))
    return 1 if failed else 0


def _export(options: argparse.Namespace) -> int:
    from cassette_http.converting import export_file

    exported = export_file(options.path, options.format, options.output)
    if options.output is None:
        print(exported.text, end="")
    for loss, count in exported.losses.items():
        print(f"cassette-http: interactions {loss}: {count}", file=sys.stderr)
    return 0
