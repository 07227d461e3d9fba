"""Applies the user's options to the rules for secrets (pure): which are off, and which are added."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cassette_http.cassette.model import Interaction
from cassette_http.cassette.rule_notation import did_you_mean, json_path, place_of
from cassette_http.cassette.secrets.names import NameKind, is_secret_name, kind_of, spelled
from cassette_http.cassette.secrets.shapes import IN_PLACE, PATHS, SHAPES
from cassette_http.errors import InvalidOption

ExtraRule: TypeAlias = "str | re.Pattern[str] | re.Pattern[bytes] | Callable[[Interaction], Iterable[str | bytes]]"

# Where values with names are searched.
PLACES = ("fields", "query", "form", "json", "multipart", "xml")
RULES = (
    *PLACES,
    *("authorization", "cookie", "set-cookie", "weak-names", "userinfo", "bearer", "base64", "environment", "netrc"),
    "private-key",
    *SHAPES,
    *PATHS,
    *IN_PLACE,
)

# Parts of messages: a rule that is one of these words alone is probably a mistake, as it would redact nothing.
_KINDS = frozenset({*PLACES, "header", "headers", "field", "body"})


@dataclass(frozen=True)
class Rules:
    """The rules of one session. Made by `resolve_rules`.

    `names` are secret in every place, `placed` in one place only; `off` are the rules and `kept_names` the names that
    were turned off.
    """

    off: frozenset[str] = frozenset()
    kept_names: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    placed: frozenset[tuple[str, str]] = frozenset()
    json_paths: tuple[tuple[str, ...], ...] = ()
    patterns: tuple[re.Pattern[bytes], ...] = ()
    functions: tuple[Callable[[Interaction], Iterable[str | bytes]], ...] = ()
    _kinds: dict[tuple[str, bytes], NameKind] = field(default_factory=dict, compare=False)
    _most: dict[bytes, NameKind] = field(default_factory=dict, compare=False)

    def kind(self, place: str, name: bytes) -> NameKind:
        """Return the kind of a name, as spelled in a message, in a place."""
        known = self._kinds.get((place, name))
        if known is None:
            known = self._kind(place, spelled(name))
            if len(self._kinds) < _MOST_NAMES:
                self._kinds[place, name] = known
        return known

    def most(self, name: bytes) -> NameKind:
        """Return the strongest kind of a name in any place."""
        known = self._most.get(name)
        if known is None:
            kinds = {self.kind(place, name) for place in (*PLACES, "settings")}
            known = max(kinds, key=list(NameKind).index)
            if len(self._most) < _MOST_NAMES:
                self._most[name] = known
        return known

    @property
    def added(self) -> frozenset[str]:
        """All names that the user added, in lower case and without separators."""
        return self.names | {name for _, name in self.placed}

    def _kind(self, place: str, name: str) -> NameKind:
        plain = _plain(name)
        if plain in self.kept_names:
            return NameKind.ORDINARY
        kind = kind_of(name)
        if plain in self.names or (place, plain) in self.placed:
            return kind if is_secret_name(name) else NameKind.PASSWORD
        if place in self.off or kind.value in self.off or (kind is NameKind.WEAK and "weak-names" in self.off):
            return NameKind.ORDINARY
        return kind


_MOST_NAMES = 10_000
_USUAL = Rules()  # shared by the sessions without own rules, with its cache of names


def _plain(name: str) -> str:
    """Convert different spellings of a name to one form: X-Api-Key, x_api_key, xApiKey."""
    return re.sub("[-_. ]", "", name).lower()


def resolve_rules(redact: Iterable[ExtraRule] = (), keep: Iterable[str] = ()) -> Rules:
    """Combine the rules. Raises InvalidOption for an invalid one, and suggests the nearest name.

    `redact` adds: a name ("tenant"), a name in one place ("header:X-Tenant", "query:user", "form:...", "json:...",
    "xml:...", "multipart:..."), a path into JSON ("$.users[*].email"), a compiled regular expression (its first
    group, or all of it), or a function that gets the interaction and returns what is secret in it.
    `keep` turns off: a rule by its name, or the name of a value.
    """
    if redact == () == keep:
        return _USUAL
    names: set[str] = set()
    placed: set[tuple[str, str]] = set()
    paths: list[tuple[str, ...]] = []
    patterns: list[re.Pattern[bytes]] = []
    functions: list[Callable[[Interaction], Iterable[str | bytes]]] = []
    for rule in redact:
        if isinstance(rule, re.Pattern):
            patterns.append(_as_bytes(rule))
        elif callable(rule):
            functions.append(rule)
        elif not isinstance(rule, str) or not rule.strip():
            raise InvalidOption(f"a rule of redact= is a name, a path into JSON, a pattern or a function, not {rule!r}")
        elif rule in _KINDS:
            raise InvalidOption(
                f'redact={rule!r} does not say what is secret there: give its name, as in "header:X-Tenant"; '
                f'what is called so itself is "json:{rule}"'
            )
        elif rule.startswith("$"):
            paths.append(json_path(rule, f"redact={rule!r}"))
        elif ":" in rule:
            place, _, name = rule.partition(":")
            placed.add((place_of(place, PLACES, f"redact={rule!r}"), _plain(name.strip())))
        else:
            names.add(_plain(rule.strip()))
    off, kept = _kept(keep, names)
    rules = Rules(off, kept, frozenset(names), frozenset(placed), tuple(paths), tuple(patterns), tuple(functions))
    return _USUAL if rules == _USUAL else rules


def _as_bytes(pattern: re.Pattern[Any]) -> re.Pattern[bytes]:
    if isinstance(pattern.pattern, bytes):
        return pattern
    return re.compile(pattern.pattern.encode(), pattern.flags & ~re.UNICODE)


def _kept(keep: Iterable[str], added: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    off: set[str] = set()
    names: set[str] = set()
    for given in keep:
        if not isinstance(given, str):
            raise InvalidOption(f"keep= takes names of rules, not {given!r}")
        rule = given.strip().lower().replace("_", "-")
        if rule in RULES:
            off.add(rule)
        elif kind_of(given) is not NameKind.ORDINARY and _plain(given) not in added:
            names.add(_plain(given))
        else:
            raise InvalidOption(
                f"there is no rule {given!r} to turn off{did_you_mean(rule, RULES)} "
                f'(the rules are: {", ".join(RULES)}; names such as "session_id" are taken too)'
            )
    return frozenset(off), frozenset(names)
