"""Which interaction answers a request (pure): whether two requests are the same, and how they differ if not.

A *matcher* is a plain function `Request -> Hashable`: two requests match when its values are equal. Finding
an answer is then a look-up in a dictionary, however long the cassette is. A function of two parameters
`(sent, recorded) -> bool` is taken as well; it filters what the keys have found.

What the named matchers look at:

    method, scheme, host, port     as they are (the host in lower case)
    path       spelling of percent-encoding aside: "/%7Ea%2f" is "/~a%2F"
    query      pairs, those without "=" too; any order across names, in order within a name; "+" is "%20"
    body       what the content means: a JSON value, form pairs, the parts of a multipart, else octets;
               content codings gzip and deflate aside
    raw_body   the octets of the content as they are
    uri        the whole target URI as it was sent
    headers    all fields, any order across names; case of names and boundaries of multiparts aside

White space, order of names, spelling of strings and numbers are no part of what JSON means: 1, 1.0
and 1e0 are one number (true is another value). Of a name that occurs twice in an object the last one counts,
as it does for most receivers.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from itertools import islice, zip_longest
from operator import itemgetter
from string import ascii_letters, digits
from typing import Any, NamedTuple, TypeAlias, cast

from cassette_http.cassette.decoding import codings_of, decoded
from cassette_http.cassette.model import Request
from cassette_http.errors import InvalidOption

__all__ = [
    "DEFAULT_MATCH",
    "NAMED",
    "Explanation",
    "Filter",
    "Matcher",
    "Matching",
    "explain_miss",
    "fields",
    "resolve",
]

Matcher: TypeAlias = Callable[[Request], Hashable]
Filter: TypeAlias = Callable[[Request, Request], "bool | None"]
Pairs: TypeAlias = tuple[tuple[str, "str | None"], ...]
Part: TypeAlias = tuple[Pairs, bytes]

DEFAULT_MATCH = ("method", "scheme", "host", "port", "path", "query", "body")

# JSON nested deeper than this is compared as octets: the parser of the standard library is recursive.
MAX_JSON_DEPTH = 100
# Longer values are kept as digests: keys stay in memory for all interactions of a cassette.
_MAX_KEPT_OCTETS = 64


# -- the named matchers --------------------------------------------------------------------------------------


def method(request: Request) -> str:
    return request.head.method


def scheme(request: Request) -> str:
    return request.origin.scheme


def host(request: Request) -> str:
    return request.origin.host


def port(request: Request) -> int:
    return request.origin.port


def path(request: Request) -> str:
    return _same_spelling(_target(request)[0])


def query(request: Request) -> Pairs:
    return _pairs(_target(request)[1])


def uri(request: Request) -> str:
    return request.url


def headers(request: Request) -> Pairs:
    named = ((name.lower(), value) for name, value in request.head.fields)
    return _ordered((name, _BOUNDARY.sub("", value) if name == "content-type" else value) for name, value in named)


def raw_body(request: Request) -> Hashable:
    return _kept(request.coded_content)


def body(request: Request) -> Hashable:
    """Reduce the content to its meaning; a short value or a digest."""
    if not request.body_octets:
        return b""
    kind, value = _meaning(request)
    if kind == "octets":
        return _kept(value)
    octets = _canonical(value).encode() if kind == "JSON" else repr(value).encode("utf-8", "surrogatepass")
    return kind, _kept(octets)


def fields(*names: str) -> Matcher:
    """Make a matcher that looks at the values of the fields called `names` (any case)."""

    def named_fields(request: Request) -> Hashable:
        return tuple(tuple(request.values(name)) for name in names)

    named_fields.__name__ = f"fields({', '.join(map(repr, names))})"
    named_fields.needs_body = False  # type: ignore[attr-defined]  # read by `resolve`, as of users' functions
    return named_fields


NAMED: dict[str, Matcher] = {
    function.__name__: function for function in (method, scheme, host, port, path, query, body, uri, headers, raw_body)
}
_LOOK_AT_BODY = frozenset({"body", "raw_body"})


# -- putting matchers together -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matching:
    """Matchers that were put together by `resolve`."""

    keys: tuple[tuple[str, Matcher], ...]
    filters: tuple[tuple[str, Filter], ...]
    needs_body: bool
    """Whether a matcher looks at the content; if not, a request can be answered when its head is there."""

    def key(self, request: Request) -> tuple[Hashable, ...]:
        """Compute the value that is equal for requests that match each other (filters aside)."""
        return tuple([matcher(request) for _, matcher in self.keys])

    def head_key(self, request: Request) -> tuple[Hashable, ...]:
        """The part of the key that does not need the content."""
        return tuple([matcher(request) for name, matcher in self.keys if not _looks_at_body(name, matcher)])

    def accepts(self, sent: Request, recorded: Request) -> bool:
        """Ask the filters about two requests that have the same key."""
        return all(_objection(accept, sent, recorded) is None for _, accept in self.filters)

    def differences(self, sent: Request, recorded: Request) -> list[str]:
        """Say, a line each, how the two requests differ for these matchers; nothing if they match."""
        lines = []
        for name, matcher in self.keys:
            left, right = matcher(recorded), matcher(sent)
            if left != right:
                explain = _EXPLAINED.get(name)
                texts = explain(recorded, sent) if explain else iter([_unequal(repr(left), repr(right))])
                lines += [f"{name}: {text}" for text in islice(texts, _MOST_LINES)]
        for name, accept in self.filters:
            objection = _objection(accept, sent, recorded)
            if objection:
                lines.append(f"{name}: {objection}")
        return lines


def resolve(match: Iterable[str | Matcher | Filter] | str) -> Matching:
    """Put matchers together, given by name or as functions; the order does not matter.

    A function of the user is taken to look at the content, unless it has an attribute `needs_body = False`.
    Raises InvalidOption for a name that does not exist, with the nearest one.
    """
    given = [match] if isinstance(match, str) else list(match)
    keys: dict[str, Matcher] = {}
    filters: list[tuple[str, Filter]] = []
    needs_body = False
    for matcher in given:
        if isinstance(matcher, str):
            name = _known_name(matcher)
            keys[name] = NAMED[name]
            needs_body = needs_body or _looks_at_body(name, NAMED[name])
            continue
        if not callable(matcher):
            raise InvalidOption(f"a matcher is a name or a function, not {matcher!r} (names: {_names()})")
        name = getattr(matcher, "__name__", type(matcher).__name__)
        needs_body = needs_body or getattr(matcher, "needs_body", True)
        if name in NAMED or name in keys:
            name = f"{name} (matcher {len(keys) + len(filters) + 1})"
        if _parameters(matcher) == 2:
            filters.append((name, cast(Filter, matcher)))
        else:
            keys[name] = _checked(name, cast(Matcher, matcher))
    return Matching(tuple(keys.items()), tuple(filters), needs_body)


def _looks_at_body(name: str, matcher: Matcher) -> bool:
    return name in _LOOK_AT_BODY if NAMED.get(name) is matcher else getattr(matcher, "needs_body", True)


def _known_name(given: str) -> str:
    name = given.strip().lower().replace("-", "_")
    if name in NAMED:
        return name
    near = get_close_matches(name, NAMED, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise InvalidOption(f"there is no matcher {given!r}{hint} (the matchers are: {_names()})")


def _names() -> str:
    return ", ".join(NAMED)


def _parameters(function: Callable[..., Any]) -> int:
    """Count the parameters that a call has to give."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # Some functions written in C do not tell.
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


def _checked(name: str, matcher: Matcher) -> Matcher:
    """Let a matcher that returns a list fail with its name, not deep inside a dictionary."""

    def checked(request: Request) -> Hashable:
        value = matcher(request)
        try:
            hash(value)
        except TypeError:
            raise InvalidOption(
                f"the matcher {name} returned {_short(repr(value))}, which cannot be looked up; "
                f"return a string, a number or a tuple of these"
            ) from None
        return value

    return checked


def _objection(accept: Filter, sent: Request, recorded: Request) -> str | None:
    """Ask one filter; None if it accepts. As with VCR.py it may also say no by a failing assertion."""
    try:
        answer = accept(sent, recorded)
    except AssertionError as exc:
        return _short(str(exc).replace("\n", " ")) or "assertion failed"
    return None if answer or answer is None else "not accepted"


# -- targets, pairs and contents by meaning ------------------------------------------------------------------

_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(ascii_letters + digits + "-._~")  # RFC 3986 section 2.3
_BOUNDARY = re.compile(r';[ \t]*boundary=("[^"]*"|[^;]*)', re.IGNORECASE)


def _target(request: Request) -> tuple[str, str]:
    """Split the request target, in any of its four forms, into path and query (RFC 9112 section 3.2)."""
    target = request.head.target
    if request.head.method == "CONNECT":
        return target, ""
    before, _, after = target.partition("?")
    if not before.startswith("/") and "://" in before:
        before = "/" + before.partition("://")[2].partition("/")[2]
    return before, after


def _same_spelling(text: str) -> str:
    """Decode what needs no percent-encoding, and write the rest with capitals (RFC 3986 section 6.2.2)."""
    return _ENCODED.sub(_spell, text) if "%" in text else text


def _spell(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _pairs(text: str) -> Pairs:
    """Take a query or a form apart; (name, None) for a pair without "="."""
    if not text:
        return ()
    pieces = (piece.partition("=") for piece in _same_spelling(text.replace("+", "%20")).split("&") if piece)
    return _ordered((name, value if equals else None) for name, equals, value in pieces)


def _ordered(pairs: Iterable[tuple[str, str | None]]) -> Pairs:
    # Sorting is stable: values of one name keep their order.
    return tuple(sorted(pairs, key=itemgetter(0)))


def _kept(octets: bytes) -> bytes:
    return octets if len(octets) <= _MAX_KEPT_OCTETS else blake2b(octets, digest_size=16).digest()


def _meaning(request: Request) -> tuple[str, Any]:
    """Say what kind the content is, and what it means: a JSON value, Pairs, parts, or bytes."""
    content = request.coded_content
    codings = codings_of(request.head.fields)
    if codings:
        undone = decoded(content, codings)
        content = undone[0] if undone is not None and undone[1] else content
    declared = ",".join(request.values("content-type"))
    media_type = declared.partition(";")[0].strip(" \t").lower()
    # JSON is often sent with no type, or with that of a form (urllib's default): its first character tells.
    if media_type.endswith(("/json", "+json")) or content.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
        value = _parsed_json(content)
        if value is not _NOT_JSON:
            return "JSON", value
    if media_type == "application/x-www-form-urlencoded":
        return "form", _pairs(content.decode("latin-1"))
    if media_type.startswith("multipart/"):
        parts = _parts(content, declared)
        if parts is not None:
            return "multipart", parts
    return "octets", content


_NOT_JSON = object()
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OPENING = b"[{"
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _parsed_json(content: bytes) -> Any:
    if _is_deep(content):
        return _NOT_JSON
    try:
        return json.loads(content, parse_float=_number)
    except (ValueError, RecursionError):  # Also no Unicode, or a number of thousands of digits.
        return _NOT_JSON


def _number(spelled: str) -> int | float:
    """Read a JSON number that has a fraction or an exponent; 1.0 is 1."""
    value = float(spelled)
    return int(value) if value.is_integer() else value


def _is_deep(content: bytes) -> bool:
    if content.count(b"[") + content.count(b"{") <= MAX_JSON_DEPTH:
        return False
    depth = deepest = 0
    for bracket in _JSON_STRING.sub(b"", content).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if bracket in _OPENING else -1
        deepest = max(deepest, depth)
    return deepest > MAX_JSON_DEPTH


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _parts(content: bytes, content_type: str) -> tuple[Part, ...] | None:
    """Split a multipart into its parts (RFC 2046 section 5.1.1); None if it is not well-formed."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return None
    delimiter = b"\r\n--" + found[1].strip('" \t').encode("latin-1")
    # The first delimiter may lack the line end in front of it; what is before it is a preamble for nobody.
    sections = (b"\r\n" + content).split(delimiter)
    if len(sections) < 2 or not sections[-1].startswith(b"--"):
        return None
    parts = []
    for section in sections[1:-1]:
        _, _, inner = section.partition(b"\r\n")
        head, _, part = (b"\r\n" + inner).partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n") if line)
        parts.append((_ordered((name.lower(), value.strip(" \t")) for name, _, value in lines), part))
    return tuple(parts)


# -- saying how two requests differ --------------------------------------------------------------------------

_MOST_LINES = 4
_MOST_CHARACTERS = 60
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def _unequal(recorded: str, sent: str) -> str:
    """Put two texts side by side; an empty one says that there is nothing."""
    if not sent:
        return f"recorded {_short(recorded)}, not sent"
    if not recorded:
        return f"sent {_short(sent)}, not recorded"
    recorded, sent = _shortened(recorded, sent)
    return f"recorded {recorded} != sent {sent}"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _shortened(left: str, right: str) -> tuple[str, str]:
    """Shorten two texts, so that what differs first can still be seen in both."""
    if max(len(left), len(right)) <= _MOST_CHARACTERS:
        return left, right
    same = next((at for at, (a, b) in enumerate(zip_longest(left, right)) if a != b), 0)
    start = same - 20 if same > _MOST_CHARACTERS // 2 else 0
    dots = "…" if start else ""
    return _short(dots + left[start:]), _short(dots + right[start:])


def _explain_pairs(recorded: Pairs, sent: Pairs) -> Iterator[str]:
    """Compare two lists of pairs name by name; the pairs of a name are shown as in a query."""
    for name in dict.fromkeys(name for name, _ in recorded + sent):
        left = [value for given, value in recorded if given == name]
        right = [value for given, value in sent if given == name]
        if left != right:
            yield _unequal(_as_query(name, left), _as_query(name, right))


def _as_query(name: str, values: list[str | None]) -> str:
    return "&".join(name if value is None else f"{name}={value}" for value in values)


def _explain_query(recorded: Request, sent: Request) -> Iterator[str]:
    return _explain_pairs(query(recorded), query(sent))


def _explain_headers(recorded: Request, sent: Request) -> Iterator[str]:
    left, right = headers(recorded), headers(sent)
    for name in dict.fromkeys(name for name, _ in left + right):
        values = [[value for given, value in pairs if given == name] for pairs in (left, right)]
        if values[0] != values[1]:
            yield f"{name} {_unequal(*(', '.join(map(repr, each)) for each in values))}"


def _explain_path(recorded: Request, sent: Request) -> Iterator[str]:
    yield _unequal(repr(_target(recorded)[0]), repr(_target(sent)[0]))


def _explain_raw_body(recorded: Request, sent: Request) -> Iterator[str]:
    yield _unequal(repr(recorded.coded_content), repr(sent.coded_content))


def _explain_body(recorded: Request, sent: Request) -> Iterator[str]:
    (kind, left), (sent_kind, right) = _meaning(recorded), _meaning(sent)
    if kind != sent_kind or not recorded.content or not sent.content:
        yield _unequal(_with_kind(kind, recorded.content), _with_kind(sent_kind, sent.content))
    elif kind == "JSON":
        yield from _explain_json("$", left, right)
    elif kind == "form":
        yield from _explain_pairs(left, right)
    elif kind == "multipart":
        yield from _explain_parts(left, right)
    else:
        yield _unequal(repr(left), repr(right))


def _with_kind(kind: str, content: bytes) -> str:
    return f"{kind} {content!r}" if content else ""


def _explain_json(where: str, recorded: Any, sent: Any) -> Iterator[str]:
    """Walk two JSON values at once and name the places that differ, such as "$.items[2].id".

    Recursion is safe here: the depth of what `_parsed_json` lets pass is bounded.
    """
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for name in dict.fromkeys([*recorded, *sent]):
            place = f"{where}.{name}" if _IDENTIFIER.match(name) else f"{where}[{_short(json.dumps(name))}]"
            if name in recorded and name in sent:
                yield from _explain_json(place, recorded[name], sent[name])
            else:
                texts = [_canonical(each[name]) if name in each else "" for each in (recorded, sent)]
                yield f"{place} {_unequal(*texts)}"
    elif isinstance(recorded, list) and isinstance(sent, list):
        for index, (left, right) in enumerate(zip(recorded, sent, strict=False)):
            yield from _explain_json(f"{where}[{index}]", left, right)
        if len(recorded) != len(sent):
            yield f"{where} {_unequal(f'{len(recorded)} members', f'{len(sent)} members')}"
    elif _canonical(recorded) != _canonical(sent):
        yield f"{where} {_unequal(_canonical(recorded), _canonical(sent))}"


def _explain_parts(recorded: Sequence[Part], sent: Sequence[Part]) -> Iterator[str]:
    for number, (left, right) in enumerate(zip(recorded, sent, strict=False), 1):
        for line in _explain_pairs(left[0], right[0]):
            yield f"part {number}, fields: {line}"
        if left[1] != right[1]:
            yield f"part {number} {_unequal(repr(left[1]), repr(right[1]))}"
    if len(recorded) != len(sent):
        yield _unequal(f"{len(recorded)} parts", f"{len(sent)} parts")


_EXPLAINED: dict[str, Callable[[Request, Request], Iterator[str]]] = {
    "path": _explain_path,
    "query": _explain_query,
    "headers": _explain_headers,
    "body": _explain_body,
    "raw_body": _explain_raw_body,
}


# -- the report of a miss ------------------------------------------------------------------------------------

# How far apart a difference puts two requests; others count 2. Another host is another world, a body is not.
_WEIGHTS = {"host": 16.0, "path": 8.0, "uri": 8.0, "method": 4.0, "scheme": 1.0, "port": 1.0}


class Explanation(NamedTuple):
    """Why nothing answered a request: the `message` of UnmatchedRequest, and the `reason` in a few words.

    `number`, `request` and `differences` are of the nearest interaction, if the cassette has any; no differences means
    that it matches, but was already played.
    """

    message: str
    reason: str
    number: int | None = None
    request: Request | None = None
    differences: tuple[str, ...] = ()


def explain_miss(
    sent: Request,
    candidates: Sequence[tuple[int, Request, bool]],
    *,
    cassette: str,
    mode: str,
    matching: Matching,
    most: int = 3,
) -> Explanation:
    """Explain an UnmatchedRequest.

    `candidates` are the interactions of the cassette: number to show, request, whether it was already played.
    All requests come in redacted form. The first line says what was asked and why the nearest one does not
    answer: many a library passes on nothing else. The last line says how to repair it.
    """
    asked = f"{sent.method} {_long(sent.url)}"
    advice = f'  record_mode="{mode}" does not record; to add it, run with record_mode="new_episodes"'
    short = f"{sent.method} {_short(_target_text(sent))}"
    if not candidates:
        text = f"{cassette} has no interaction for {asked}: it is empty\n{advice}"
        return Explanation(text, f"{short}: the cassette is empty")
    key = matching.key(sent)
    nearest = sorted(candidates, key=lambda each: (_distance(matching, key, sent, each[1]), each[2], each[0]))
    explained = [
        (number, request, played, matching.differences(sent, request)) for number, request, played in nearest[:most]
    ]
    number, nearest_request, _, differences = explained[0]
    if differences:
        first = f"no interaction for {asked}; nearest is interaction {number}, {differences[0]}"
        reason = _in_short(differences[0])
    else:
        reason = f"interaction {number} matches, but was already played"
        first = f"no further interaction for {asked}; {reason}"
    lines = [f"{cassette} has {first}"]
    for number, request, played, differences in explained:
        state = ", already played" if played else ""
        lines.append(f"  interaction {number}{state}: {request.method} {_long(request.url)}")
        lines += [f"    {line}" for line in differences or ["matches"]]
    if not explained[0][3]:
        lines.append('  each answers once; to let them answer again, set repeat="last" or repeat="cycle"')
    return Explanation("\n".join([*lines, advice]), f"{short}: {reason}", number, nearest_request, tuple(differences))


def _target_text(request: Request) -> str:
    """What a reader calls a request of one server: its path, with the query if there is one."""
    path, query = _target(request)
    return f"{path}?{query}" if query else path


def _in_short(difference: str) -> str:
    """Spell a line of `Matching.differences` with fewer words: what was recorded stands on the left."""
    return difference.replace(": ", " ", 1).replace("recorded ", "", 1).replace(" != sent ", " != ", 1)


def _long(url: str) -> str:
    return url if len(url) <= 200 else url[:199] + "…"


def _distance(matching: Matching, key: tuple[Hashable, ...], sent: Request, recorded: Request) -> float:
    distance = 0.0
    for (name, matcher), value in zip(matching.keys, key, strict=True):
        other = matcher(recorded)
        if other != value:
            weight = _WEIGHTS.get(name, 2.0)
            distance += weight * (1 - _likeness(value, other))
    return distance


def _likeness(left: Hashable, right: Hashable) -> float:
    """Estimate how alike two different values are, from 0 to 0.9: by steps of a path, by pairs of a query."""
    if isinstance(left, str) and isinstance(right, str):
        left, right = tuple(left.split("/")), tuple(right.split("/"))
    if not (isinstance(left, tuple) and isinstance(right, tuple) and left and right):
        return 0.0
    equal = [a == b for a, b in zip(left, right, strict=False)].count(True)
    return 0.9 * equal / max(len(left), len(right))
