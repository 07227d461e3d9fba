"""The options on the command line and in the ini file, for the run as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from cassette_http.cassette.modes import RecordMode, is_build_server
from cassette_http.errors import InvalidOption
from cassette_http.plugin.options import OPTIONS, Option, Place


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("cassette", "HTTP cassettes")
    for option in OPTIONS:
        if Place.LINE in option.places:
            _add_flag(group, option)
        if Place.INI in option.places:
            kind = "bool" if option.is_switch else "args" if option.is_list else "string"
            text = option.help + (f" ({option.values})" if option.values else "")
            parser.addini(option.ini, text, type=kind, default=None)  # type: ignore[arg-type]  # one of its literals


def _add_flag(group: pytest.OptionGroup, option: Option) -> None:
    given: dict[str, Any] = {"dest": option.destination, "default": None, "help": option.help}
    if option.is_switch:
        given["action"] = "store_true"
    else:
        given |= {"metavar": option.values, "type": _typed(option)}
        if option.implied is not None:
            # Parsed later: before `complete_flags` is called, pytest parses once, with what follows a bare flag.
            given |= {"nargs": "?", "const": option.implied, "type": str}
    group.addoption(option.flag, **given)


def complete_flags(arguments: list[str]) -> bool:
    """Append the implied value to each bare flag: argparse would take the path that follows for its value.

    Returns whether there was one.
    """
    implied = {option.flag: option.implied for option in OPTIONS if option.implied is not None}
    stop = arguments.index("--") if "--" in arguments else len(arguments)
    bare = [position for position in range(stop) if arguments[position] in implied]
    for position in bare:
        arguments[position] += f"={implied[arguments[position]]}"
    return bool(bare)


def _typed(option: Option) -> Callable[[str], Any]:
    from argparse import ArgumentTypeError

    def read(text: str) -> Any:
        try:
            return option.read(text)
        except InvalidOption as error:
            raise ArgumentTypeError(str(error)) from None

    return read


@dataclass(eq=False, repr=False)
class Settings:
    """The options of the whole run: on the command `line`, and in the `ini` file; only those that were given."""

    line: Mapping[str, Any]
    ini: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """The value for the run; None if not given."""
        return self.line.get(name, self.ini.get(name))

    def for_test(self, marker: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
        """The options of one test. On a build server, only the command line can make it record."""
        chosen = {"mode": RecordMode.NONE.value, **self.ini, **config, **marker, **self.line}
        if "mode" not in self.line and is_build_server(os.environ):
            chosen["mode"] = RecordMode.NONE.value
        return chosen


_settings = pytest.StashKey[Settings]()


def settings(config: pytest.Config) -> Settings:
    """The settings of this run. Raises UsageError for a wrong one in the ini file."""
    if _settings not in config.stash:
        line = {one.name: _of_line(config, one) for one in OPTIONS if Place.LINE in one.places}
        ini = {one.name: _of_ini(config, one) for one in OPTIONS if Place.INI in one.places}
        given = [{name: value for name, value in each.items() if value is not None} for each in (line, ini)]
        config.stash[_settings] = Settings(*given)
    return config.stash[_settings]


def _of_line(config: pytest.Config, option: Option) -> Any:
    value = config.getoption(option.destination)
    return value if option.implied is None or value is None else _read(option, value, option.flag)


def _of_ini(config: pytest.Config, option: Option) -> Any:
    value = config.getini(option.ini)
    if value is None or value == "" or value == []:
        return None
    if option.is_switch:
        return value or None
    if option.is_list:
        return [word for each in value for word in _read(option, each, option.ini)]
    return _read(option, value, option.ini)


def _read(option: Option, text: str, where: str) -> Any:
    try:
        return option.read(text)
    except InvalidOption as error:
        raise pytest.UsageError(f"{where}: {error}") from None
