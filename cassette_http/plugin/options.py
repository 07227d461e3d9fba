"""The options of tests with cassettes: each is declared once, here, and everything else is derived from that.

Command line, ini file, marker and `cassette_config` accept what the table says, and docs/pytest.md says the same.
Precedence: command line, marker, `cassette_config`, ini file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

from cassette_http.cassette.modes import PACES, REPEAT_POLICIES, RecordMode, known_pace, known_policy
from cassette_http.cassette.rule_notation import did_you_mean, no_option
from cassette_http.errors import InvalidOption


class Place(Flag):
    """Where an option may be given. `cassette_config` accepts what the marker accepts, except the name."""

    LINE = auto()
    INI = auto()
    MARKER = auto()
    CONFIG = auto()


ANYWHERE = Place.LINE | Place.INI | Place.MARKER | Place.CONFIG
RUN = Place.LINE | Place.INI
TEST = Place.INI | Place.MARKER | Place.CONFIG
CODE = Place.MARKER | Place.CONFIG

UNPLAYED_POLICIES = ("ignore", "warn", "fail")
BLOCKED_POLICIES = ("ignore", "fail")
UPDATES = ("failed", "missing", "all")
PRUNES = ("show", "apply")


@dataclass(eq=False, repr=False)
class Option:
    """One option. `name` is its word in the marker and in `cassette_config`; command line and ini have `flag`, `ini`.

    `read` converts its value from text (command line, ini), and raises InvalidOption; `check` checks one given in code.
    `is_switch` needs no value on the command line. `implied` is the value of the flag alone. `part` is the module that
    implements it, imported by the first test for which the option has a value.
    """

    name: str
    places: Place
    help: str
    values: str = ""
    read: Callable[[str], Any] = str
    check: Callable[[Any], Any] = lambda value: value
    is_list: bool = False
    is_switch: bool = False
    implied: str | None = None
    part: str = ""
    flag: str = ""

    def __post_init__(self) -> None:
        if not self.flag:
            self.flag = f"--cassette-{self.name.replace('_', '-')}"

    @property
    def ini(self) -> str:
        """The key in the ini file: the flag without its dashes."""
        return self.flag.lstrip("-").replace("-", "_")

    @property
    def destination(self) -> str:
        """The name under which pytest stores the value from the command line."""
        return f"cassette_option_{self.name}"


def one_of(what: str, values: tuple[str, ...]) -> Callable[[Any], Any]:
    """Make a check that accepts one of these texts."""

    def check(value: Any) -> Any:
        if value in values:
            return value
        hint = did_you_mean(value, values)
        raise InvalidOption(f"there is no {what} {value!r}{hint} (there are: {', '.join(values)})")

    return check


def name(value: Any) -> str:
    if isinstance(value, str) and value.strip("./ ") and not value.endswith("/"):
        return value
    raise InvalidOption(f"the name of a cassette is a text, such as 'login' or 'data/login.yaml', not {value!r}")


def mode(value: Any) -> str:
    return RecordMode.of(value).value


def switch(name: str) -> Callable[[Any], bool]:
    """Make a check that takes True and False."""

    def check(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        raise InvalidOption(f"{name} takes True or False, not {value!r}")

    return check


def paths(value: Any) -> list[str]:
    given = [value] if isinstance(value, str | os.PathLike) else value
    if isinstance(given, list | tuple) and all(isinstance(one, str | os.PathLike) for one in given):
        return [os.fspath(one) for one in given]
    raise InvalidOption(f"other cassettes are given by their paths, not as {value!r}")


def octets(value: str) -> int:
    if value.isascii() and value.isdigit():
        return int(value)
    raise InvalidOption(f"takes a number of octets, not {value!r}")


def words(value: str) -> list[str]:
    """Split a text at commas and white space."""
    return value.replace(",", " ").split()


def hosts(value: Any) -> list[str]:
    """Check that these are texts; what they say is looked at by the network guard."""
    given = words(value) if isinstance(value, str) else value
    if isinstance(given, list | tuple | set | frozenset) and all(isinstance(one, str) for one in given):
        return list(given)
    raise InvalidOption(f'allow_hosts takes hosts, such as ["*.internal"], not {value!r}')


def matchers(value: str) -> list[str]:
    from cassette_http.cassette.matching import resolve  # late, as are those below: pytest starts without them

    resolve(words(value))
    return words(value)


def ignored(value: str) -> list[str]:
    from cassette_http.cassette.ignoring import Ignored

    Ignored.of(words(value))
    return words(value)


def kept(value: str) -> list[str]:
    from cassette_http.cassette.secrets.rules import resolve_rules

    resolve_rules(keep=words(value))
    return words(value)


def age(value: Any) -> Any:
    from cassette_http.expiry import known_age

    known_age(value)
    return value


def reports(value: str) -> list[str]:
    """Check the destinations of reports: one or several of "term", "json:FILE", "html:FILE"."""
    for word in words(value):
        kind, _, file = word.partition(":")
        if word != "term" and not (kind in ("json", "html") and file):
            raise InvalidOption(f"there is no report {word!r} (there are: term, json:FILE, html:FILE)")
    return words(value)


on_blocked = one_of("policy for blocked attempts", BLOCKED_POLICIES)
on_unplayed = one_of("policy for unplayed interactions", UNPLAYED_POLICIES)
update = one_of("way to update cassettes", UPDATES)
prune = one_of("way to prune cassettes", PRUNES)

OPTIONS = (
    Option(
        "name",
        Place.MARKER,
        "the cassette's file name without suffix; with a slash or a suffix, a path beside the test",
        "text",
        check=name,
    ),
    Option(
        "mode",
        ANYWHERE,
        "none: replay, never connect (the default); once: record if there is no cassette yet; new_episodes: also "
        "record what the cassette does not answer; all: record everything and append it; rewrite: replace the cassette",
        "|".join(one.value for one in RecordMode),
        read=mode,
        check=mode,
    ),
    Option(
        "match", TEST, "what must be equal for an interaction to answer a request", "matchers", matchers, is_list=True
    ),
    Option("ignore", TEST, "what to leave out of that comparison", "rules", ignored, is_list=True),
    Option(
        "repeat",
        TEST,
        "what a request gets once all its interactions have been played: a failure, the last one, or all of them "
        "again; or always the first one",
        "|".join(REPEAT_POLICIES),
        read=known_policy,
    ),
    Option(
        "pace",
        TEST,
        "how fast responses are played: at once, or at the recorded pace",
        "|".join(PACES),
        read=known_pace,
    ),
    Option(
        "also", CODE, "further cassettes, beside the test, that may answer; they are only read", "paths", check=paths
    ),
    Option(
        "decode", CODE, "a function that decodes cassettes which a suite has stored in a format of its own", "function"
    ),
    Option("redact", CODE, "more rules for secrets", "rules"),
    Option("keep", TEST, "rules for secrets to turn off, by name", "rules", kept, is_list=True),
    Option("secrets", CODE, "values that are restored in replay, by name", "names and values"),
    Option("on_record", CODE, "functions that change or drop interactions before they are written", "functions"),
    Option("on_match", CODE, "functions that change requests before they are matched", "functions"),
    Option("on_replay", CODE, "functions that change interactions before they are played", "functions"),
    Option(
        "blob_threshold",
        TEST,
        "bodies with more octets are stored in files of their own, in `blobs` beside the cassette",
        "octets",
        read=octets,
    ),
    Option(
        "max_age",
        TEST,
        "warn of a cassette that is played and was recorded longer ago",
        "AGE, such as 12h, 30d or 4w",
        read=age,
        check=age,
    ),
    Option(
        "freeze_time",
        TEST,
        "set the clock to the time of recording while a cassette is only played; needs `time-machine`",
        check=switch("freeze_time"),
        is_switch=True,
    ),
    Option(
        "on_unplayed",
        ANYWHERE,
        "what to do about a test that passes but leaves interactions unplayed",
        "|".join(UNPLAYED_POLICIES),
        read=on_unplayed,
        check=on_unplayed,
    ),
    Option(
        "report",
        RUN,
        "which reports to write at the end of a run; by default, the terminal shows what needs attention",
        "term|json:FILE|html:FILE",
        read=reports,
    ),
    Option(
        "keep_volatile",
        TEST,
        "let a rewrite keep the old form of what differs only in dates, request ids and the like",
        check=switch("keep_volatile"),
        is_switch=True,
    ),
    Option(
        "update",
        RUN,
        "re-record what a test misses, cassettes that are missing, or everything; a cassette is replaced only if its "
        "test passes",
        "|".join(UPDATES),
        read=update,
        implied="failed",
        part="cassette_http.plugin.updating",
    ),
    Option(
        "prune",
        Place.LINE,
        "show the interactions and cassettes that no test of this run needs any more; with `apply`, remove them",
        "|".join(PRUNES),
        read=prune,
        implied="show",
        part="cassette_http.plugin.pruning",
    ),
    Option(
        "on_failure",
        RUN,
        "where to write the traffic of each failing test as a cassette, whether or not it has one of its own",
        "DIR",
        part="cassette_http.plugin.flights",
    ),
    Option(
        "block_network",
        ANYWHERE,
        "block look-ups and connects to hosts that are not allowed",
        check=switch("block_network"),
        is_switch=True,
        part="cassette_http.plugin.guarding",
    ),
    Option(
        "allow_hosts",
        ANYWHERE,
        "hosts that are allowed nevertheless: example.org, *.internal, 10.0.0.0/8, ...",
        "HOSTS",
        words,
        check=hosts,
        is_list=True,
        part="cassette_http.plugin.guarding",
    ),
    Option(
        "on_blocked",
        RUN,
        "what to do about a test that passes although the network guard has blocked something in it",
        "|".join(BLOCKED_POLICIES),
        read=on_blocked,
        part="cassette_http.plugin.guarding",
    ),
    Option(
        "no_cassette",
        RUN,
        "run live: no cassette is recorded or played",
        is_switch=True,
        flag="--no-cassette",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}

# Handled by the plugin itself; the others are arguments of `use_cassette`.
OWN = frozenset({"name", "on_unplayed", "report", "no_cassette"})


def known_keys(place: Place) -> list[str]:
    """The option names that are accepted in a place."""
    return [option.name for option in OPTIONS if place in option.places]


def checked(given: Mapping[str, Any], place: Place, who: str) -> dict[str, Any]:
    """Check options given in code, by `who`; None means not given. Raises InvalidOption."""
    for key in given:
        if key not in BY_NAME or place not in BY_NAME[key].places:
            known = known_keys(place)
            raise InvalidOption(no_option(who, key, known))
    return {key: BY_NAME[key].check(value) for key, value in given.items() if value is not None}


# The attribute of a unittest class or method with its options; both test runners use it.
DECLARED = "_cassette_http_options"


def declared_options(method: Any, cls: type | None) -> dict[str, Any] | None:
    """The options of a test: those of its class, overridden by those of its method; None if it has no cassette."""
    of_class, of_method = getattr(cls, DECLARED, None), getattr(method, DECLARED, None)
    return None if of_class is None and of_method is None else {**(of_class or {}), **(of_method or {})}
