"""Explains why no interaction answers a request: the nearest ones, and how they differ (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from typing import Any, NamedTuple

from cassette_http.cassette.matching import NAMED, Matching, headers, objection, query
from cassette_http.cassette.meaning import Pairs, Part, canonical, meaning, name_as_written, part_name, split_target
from cassette_http.cassette.model import Request
from cassette_http.wording import MOST_CHARACTERS, counted, shortened


class Difference(NamedTuple):
    """One difference between a recorded request and the one that was sent.

    `matcher` is the matcher that sees it; `where` is the place, such as "$.amount" or "accept", or empty; `recorded`
    and `sent` are the values there, empty if there is none. `rule` is the rule of `ignore=` that would skip it, if one
    can.
    """

    matcher: str
    where: str = ""
    recorded: str = ""
    sent: str = ""
    rule: str | None = None
    objection: str = ""
    """The message of a filter (a function of two parameters)."""

    def __str__(self) -> str:
        """One line, such as "body: $.amount recorded 1200 != sent 1250"."""
        return f"{self.matcher}: {self._prefix}{self._values('recorded ', 'sent ')}"

    @property
    def in_short(self) -> str:
        """A shorter form, with the recorded value on the left: "body $.amount 1200 != 1250"."""
        return f"{self.matcher} {self._prefix}{self._values('', '')}"

    @property
    def _prefix(self) -> str:
        return f"{self.where} " if self.where else ""

    def _values(self, recorded: str, sent: str) -> str:
        if self.objection:
            return self.objection
        if not self.sent:
            return f"{recorded}{shortened(self.recorded)}, not sent"
        if not self.recorded:
            return f"{sent}{shortened(self.sent)}, not recorded"
        left, right = _both_shortened(self.recorded, self.sent)
        return f"{recorded}{left} != {sent}{right}"


# How many differences one matcher may report, and how many of them a message shows.
_MOST_DIFFERENCES = 20
_MOST_LINES = 4
_LONGEST_URL = 200
_NOT_PLAIN = re.compile("[^ -~]|[%&+]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def differences(matching: Matching, sent: Request, recorded: Request) -> list[Difference]:
    """How two requests (without what is ignored) differ for the matchers; empty if they match."""
    found: list[Difference] = []
    for name, matcher in matching.keys:
        left, right = matcher(recorded), matcher(sent)
        if left != right:
            explain = _EXPLAINED.get(name) if NAMED.get(name) is matcher else None
            if names := getattr(matcher, "field_names", None):
                each = _differing_fields(name, recorded, sent, {field.lower() for field in names})
            elif explain is not None:
                each = explain(recorded, sent)
            else:
                each = iter([Difference(name, recorded=repr(left), sent=repr(right))])
            found += islice(each, _MOST_DIFFERENCES)
    for name, accept in matching.filters:
        said = objection(accept, sent, recorded)
        if said:
            found.append(Difference(name, objection=said))
    return found


def _both_shortened(left: str, right: str) -> tuple[str, str]:
    """Shorten two texts so that the first difference is visible in both."""
    if max(len(left), len(right)) <= MOST_CHARACTERS:
        return left, right
    same = next((at for at, (a, b) in enumerate(zip_longest(left, right)) if a != b), 0)
    start = same - 20 if same > MOST_CHARACTERS // 2 else 0
    dots = "…" if start else ""
    return shortened(dots + left[start:]), shortened(dots + right[start:])


def _differing_pairs(
    matcher: str, recorded: Pairs, sent: Pairs, place: str | None, where: str = ""
) -> Iterator[Difference]:
    """Compare two lists of pairs name by name; the pairs of one name are shown like in a query."""
    for name in dict.fromkeys(name for name, _ in recorded + sent):
        left = [value for given, value in recorded if given == name]
        right = [value for given, value in sent if given == name]
        if left != right:
            rule = f"{place}:{name_as_written(name)}" if place is not None else None
            yield Difference(matcher, where, _as_query(name, left), _as_query(name, right), rule)


def _as_query(name: str, values: list[str | None]) -> str:
    name = _encoded(name)
    return "&".join(name if value is None else f"{name}={_encoded(value)}" for value in values)


def _encoded(text: str) -> str:
    """Encode characters that are unreadable or ambiguous."""
    return _NOT_PLAIN.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _differing_fields(
    matcher: str, recorded: Request, sent: Request, names: set[str] | None = None
) -> Iterator[Difference]:
    left, right = headers(recorded), headers(sent)
    for name in dict.fromkeys(name for name, _ in left + right):
        was, is_now = (", ".join([repr(value) for given, value in pairs if given == name]) for pairs in (left, right))
        if was != is_now and (names is None or name in names):
            yield Difference(matcher, name, was, is_now, f"header:{name}" if names is None else None)


def _differing_path(recorded: Request, sent: Request) -> Iterator[Difference]:
    yield Difference("path", "", repr(split_target(recorded)[0]), repr(split_target(sent)[0]))


def _differing_raw_body(recorded: Request, sent: Request) -> Iterator[Difference]:
    yield Difference("raw_body", "", repr(recorded.coded_content), repr(sent.coded_content))


def _differing_body(recorded: Request, sent: Request) -> Iterator[Difference]:
    (kind, left), (sent_kind, right) = meaning(recorded), meaning(sent)
    if kind != sent_kind or not recorded.content or not sent.content:
        yield Difference("body", "", _with_kind(kind, recorded.content), _with_kind(sent_kind, sent.content))
    elif kind == "JSON":
        yield from _differing_json("$", left, right)
    elif kind == "form":
        yield from _differing_pairs("body", left, right, "form")
    elif kind == "multipart":
        yield from _differing_parts(left, right)
    else:
        yield Difference("body", "", repr(left), repr(right))


def _with_kind(kind: str, content: bytes) -> str:
    return f"{kind} {content!r}" if content else ""


def _differing_json(where: str, recorded: Any, sent: Any) -> Iterator[Difference]:
    """Compare two JSON values, and name the places that differ, such as "$.items[2].id".

    Recursion is safe here, as `meaning` limits the depth.
    """
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for name in dict.fromkeys([*recorded, *sent]):
            place = f"{where}.{name}" if _IDENTIFIER.match(name) else f"{where}[{shortened(json.dumps(name))}]"
            if name in recorded and name in sent:
                yield from _differing_json(place, recorded[name], sent[name])
            else:
                was, is_now = (canonical(each[name]) if name in each else "" for each in (recorded, sent))
                yield Difference("body", place, was, is_now, _rule_of(place))
    elif isinstance(recorded, list) and isinstance(sent, list):
        for index, (left, right) in enumerate(zip(recorded, sent, strict=False)):
            yield from _differing_json(f"{where}[{index}]", left, right)
        if len(recorded) != len(sent):
            yield Difference(
                "body", where, counted(len(recorded), "member"), counted(len(sent), "member"), _rule_of(where)
            )
    elif canonical(recorded) != canonical(sent):
        yield Difference("body", where, canonical(recorded), canonical(sent), _rule_of(where))


def _rule_of(place: str) -> str | None:
    return None if place == "$" or "\\" in place or "…" in place else place


def _differing_parts(recorded: Sequence[Part], sent: Sequence[Part]) -> Iterator[Difference]:
    for number, (left, right) in enumerate(zip(recorded, sent, strict=False), 1):
        names = {part_name(left), part_name(right)}
        where = f"part {number}" if None in names or len(names) > 1 else f"part {json.dumps(*names)}"
        yield from _differing_pairs("body", left[0], right[0], None, f"{where}, fields:")
        if left[1] != right[1]:
            yield Difference("body", where, repr(left[1]), repr(right[1]))
    if len(recorded) != len(sent):
        yield Difference("body", "", counted(len(recorded), "part"), counted(len(sent), "part"))


# By the names of matchers; for others, their values are shown.
_EXPLAINED: dict[str, Callable[[Request, Request], Iterator[Difference]]] = {
    "path": _differing_path,
    "query": lambda recorded, sent: _differing_pairs("query", query(recorded), query(sent), "query"),
    "headers": lambda recorded, sent: _differing_fields("headers", recorded, sent),
    "body": _differing_body,
    "raw_body": _differing_raw_body,
}


# -- the report of a miss ------------------------------------------------------------------------------------

# How much a difference counts; others count 2. Another host is a very different request, another body less so.
_WEIGHTS = {"host": 16.0, "path": 8.0, "uri": 8.0, "method": 4.0, "scheme": 1.0, "port": 1.0}


@dataclass(frozen=True)
class Candidate:
    """An interaction that might have answered: its number in the cassette, from 1, and its request.

    If there are no differences, it matches, and so `was_played`.
    """

    number: int
    request: Request
    was_played: bool
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Why nothing answered a request: the `message` of UnmatchedRequest, and the `reason` in a few words.

    `nearest` are the interactions that differ least, the nearest one first; none if the cassette is empty. `hints` name
    alternatives to recording.
    """

    message: str
    reason: str
    nearest: tuple[Candidate, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The differences of the nearest interaction."""
        return self.nearest[0].differences if self.nearest else ()


# How a program that calls `use_cassette` sets a record mode.
MODE_SETTING = 'record_mode="{}"'

_MOST_SHOWN = 3  # interactions
# Interactions that are farther away than the nearest one by this much are not shown: they would only distract.
_NEAR = 3.0


def explain_miss(
    sent: Request,
    candidates: Sequence[Candidate],
    *,
    cassette: str,
    mode: str,
    matching: Matching,
    mode_setting: str = MODE_SETTING,
    is_missing: bool = False,
    has_interactions: bool = False,
    stricter: Request | None = None,
    silent: int | None = None,
) -> Explanation:
    """Explain an UnmatchedRequest.

    All requests are in redacted form, those of the candidates also without what is ignored. The first line says what
    was asked and why the nearest interaction does not answer, because many libraries pass on nothing else. The last
    lines say how to repair it; `mode_setting` shows how this user sets a record mode. `is_missing`: the cassette has no
    file. `has_interactions`: it is not empty, even if there are no candidates. `stricter` is another form of the
    request that could have been answered, or the same one. `silent` is the number of a recorded connection to the host
    that got no answer, if it was not played.
    """
    asked = f"{sent.method} {shortened(sent.url, _LONGEST_URL)}"
    short = f"{sent.method} {shortened(_target_text(sent))}"
    if is_missing:
        text = (
            f"there is no cassette {cassette} to answer {asked}\n  to record it, run with {mode_setting.format('once')}"
        )
        return Explanation(text, f"{short}: there is no cassette yet")
    if not candidates:
        reason = "it is empty" if not has_interactions else "it has no requests, only connections that failed"
        lines = [f"{cassette} has no interaction for {asked}: {reason}", *_silent_line(silent)]
        text = "\n".join([*lines, _advice(mode, mode_setting)])
        return Explanation(text, f"{short}: {reason.replace('it', 'the cassette', 1)}")
    forms = [matching.strip(sent)]
    if stricter is not None and stricter is not sent:
        forms.append(matching.strip(stricter))
    nearest = _nearest(forms, candidates, matching)
    first = nearest[0]
    if first.differences:
        start = f"no interaction for {asked}; nearest is interaction {first.number}, {first.differences[0]}"
        reason = first.differences[0].in_short
    else:
        reason = f"interaction {first.number} matches, but was already played"
        start = f"no further interaction for {asked}; {reason}"
    lines = [f"{cassette} has {start}"]
    lines += chain.from_iterable(map(_candidate_lines, nearest))
    lines += _silent_line(silent)
    hints = tuple(_hints(first, candidates))
    lines += [f"  {hint}" for hint in hints]
    return Explanation("\n".join([*lines, _advice(mode, mode_setting)]), f"{short}: {reason}", nearest, hints)


def _candidate_lines(one: Candidate) -> Iterator[str]:
    state = ", already played" if one.was_played else ""
    yield f"  interaction {one.number}{state}: {one.request.method} {shortened(one.request.url, _LONGEST_URL)}"
    yield from (f"    {line}" for line in _shown(one.differences))


def _silent_line(number: int | None) -> list[str]:
    if number is None:
        return []
    return [f"  interaction {number}: a connection to this host had no answer in time; it was not played"]


def _nearest(forms: Sequence[Request], candidates: Sequence[Candidate], matching: Matching) -> tuple[Candidate, ...]:
    """Choose those that differ least from one of the forms of the request, with their differences.

    Among equally near ones, those that were not played come first, in order.
    """
    keys = [matching.key(form) for form in forms]
    by_distance = sorted(
        [
            (min([_distance(matching, key, each.request) for key in keys]), each.was_played, each.number, each)
            for each in candidates
        ],
        key=lambda each: each[:3],
    )
    least = by_distance[0][0]
    near = [each for distance, _, _, each in by_distance[:_MOST_SHOWN] if distance < least + _NEAR]
    return tuple([replace(each, differences=_fewest_differences(matching, forms, each.request)) for each in near])


def _fewest_differences(matching: Matching, forms: Sequence[Request], recorded: Request) -> tuple[Difference, ...]:
    return min([tuple(differences(matching, form, recorded)) for form in forms], key=len)


def _shown(found: Sequence[Difference]) -> Iterator[str]:
    if not found:
        yield "matches"
    for matcher in dict.fromkeys(each.matcher for each in found):
        own = [each for each in found if each.matcher == matcher]
        yield from map(str, own[:_MOST_LINES])
        if len(own) > _MOST_LINES:
            more = f"{len(own) - _MOST_LINES} more differences"
            yield f"{matcher}: {'at least ' if len(own) >= _MOST_DIFFERENCES else ''}{more}"


_WHERE = frozenset({"scheme", "host", "port"})


def _hints(nearest: Candidate, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Alternatives to recording, in case the difference is intended."""
    if not nearest.differences:
        yield 'each answers once; to let them answer again, set repeat="last" or repeat="cycle"'
    noticed = {each.matcher for each in nearest.differences}
    rules = [each.rule for each in nearest.differences]
    if "host" in noticed:
        hosts = sorted({each.request.origin.host for each in candidates})
        more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
        yield f"the cassette knows the host{'s' if len(hosts) > 1 else ''} {', '.join(hosts[:3])}{more}"
    if noticed and noticed <= _WHERE:
        yield 'if it does not matter where the server is, set match=["method", "path", "query", "body"]'
    elif rules and len(rules) <= 3 and None not in rules:
        yield f"if that does not matter, set ignore={json.dumps(rules, ensure_ascii=False)}"


def _advice(mode: str, mode_setting: str) -> str:
    why = {"once": "records into a new cassette only", "none": "does not record"}.get(mode, "does not record this")
    return f'  record mode "{mode}" {why}; to add it, run with {mode_setting.format("new_episodes")}'


def _target_text(request: Request) -> str:
    """What a reader calls a request to one server: its path, with the query if there is one."""
    path, query = split_target(request)
    return f"{path}?{query}" if query else path


def _distance(matching: Matching, key: tuple[Hashable, ...], recorded: Request) -> float:
    distance = 0.0
    for (name, matcher), value in zip(matching.keys, key, strict=True):
        other = matcher(recorded)
        if other != value:
            weight = _WEIGHTS.get(name, 2.0)
            distance += weight * (1 - _likeness(value, other))
    return distance


def _likeness(left: Hashable, right: Hashable) -> float:
    """Estimate how similar two different values are, from 0 to 0.9: by the steps of a path, by the pairs of a query."""
    if isinstance(left, str) and isinstance(right, str):
        left, right = tuple(left.split("/")), tuple(right.split("/"))
    if not (isinstance(left, tuple) and isinstance(right, tuple) and left and right):
        return 0.0
    equal = [a == b for a, b in zip(left, right, strict=False)].count(True)
    # "/users/2" is more like "/users/1" than like "/users".
    return (0.9 if len(left) == len(right) else 0.8) * equal / max(len(left), len(right))


def most_alike(lines: Iterable[bytes | None], line: bytes) -> list[bytes | None]:
    """Sort request lines (`index.line_of`) by their similarity to `line`; unknown ones come first.

    So a large cassette need not be parsed completely to explain a miss.
    """
    words = _words(line)

    def unlikeness(other: bytes | None) -> float:
        if other is None:
            return 0.0
        others = _words(other)
        equal = [a == b for a, b in zip(words, others, strict=False)].count(True)
        return 1 - equal / max(len(words), len(others))

    return sorted(lines, key=unlikeness)


def _words(line: bytes) -> list[bytes]:
    method, _, url = line.partition(b" ")
    scheme, _, rest = url.partition(b"://")
    return [method, scheme, *rest.split(b"/")]
