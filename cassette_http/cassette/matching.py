"""Which interaction answers a request (pure): whether two requests are the same. `explaining` says how they differ.

A *matcher* is a plain function `Request -> Hashable`: two requests match if its values are equal. So finding an answer
is a look-up in a dictionary, however long the cassette is. A function of two parameters `(sent, recorded) -> bool` is
accepted as well; it filters what the keys have found.

What the named matchers compare:

    method, scheme, host, port     as they are (the host in lower case)
    path       "/%7Ea%2f" equals "/~a%2F": the spelling of percent-encoding does not matter
    query      decoded pairs, including those without "="; order matters only within a name
    body       what the content means: a JSON value, form pairs, the parts of a multipart, else octets;
               the content codings gzip and deflate do not matter
    raw_body   the octets of the content as they are
    uri        the whole target URI as it was sent
    headers    all fields; order matters only within a name, the case of names and multipart boundaries not at all
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property, update_wrapper
from hashlib import blake2b
from typing import Any, TypeAlias, cast

from cassette_http.cassette.ignoring import NOTHING_IGNORED, Ignored
from cassette_http.cassette.meaning import (
    BOUNDARY,
    Pairs,
    canonical,
    meaning,
    ordered,
    pairs_of,
    same_spelling,
    split_target,
)
from cassette_http.cassette.model import Request
from cassette_http.cassette.rule_notation import no_such
from cassette_http.errors import InvalidOption
from cassette_http.wording import shortened

Matcher: TypeAlias = Callable[[Request], Hashable]
Filter: TypeAlias = Callable[[Request, Request], "bool | None"]

DEFAULT_MATCH = ("method", "scheme", "host", "port", "path", "query", "body")

# Longer values are kept as digests: the keys of all interactions of a cassette stay in memory.
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
    return same_spelling(split_target(request)[0])


# When a URL was signed, or how long it is valid, as NAME=VALUE: as much a part of the signature as the value that is
# secret. S3 and Google Cloud Storage in versions 2 and 4, CloudFront; Azure, which states its version instead.
_SIGNING_TIME = re.compile("x-(?:amz|goog)-date=.*|expires=[0-9]{9,10}", re.IGNORECASE)
_SIGNED = frozenset({"x-amz-date", "x-goog-date", "expires", "sv"})  # one of these is in each signed URL
_AZURE_SIGNING_TIMES = frozenset({"st", "se", "skt", "ske"})
_AZURE_VERSION = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def query(request: Request) -> Pairs:
    pairs = pairs_of(split_target(request)[1])
    if _SIGNED.isdisjoint([name.lower() for name, _ in pairs]):
        return pairs
    is_of_azure = any(name == "sv" and value and _AZURE_VERSION.fullmatch(value) for name, value in pairs)
    times = _AZURE_SIGNING_TIMES if is_of_azure else ()
    return tuple(
        [pair for pair in pairs if pair[0] not in times and not _SIGNING_TIME.fullmatch(f"{pair[0]}={pair[1]}")]
    )


def uri(request: Request) -> str:
    return request.url


def headers(request: Request) -> Pairs:
    named = ((name.lower(), value) for name, value in request.head.fields)
    return ordered((name, BOUNDARY.sub("", value) if name == "content-type" else value) for name, value in named)


def raw_body(request: Request) -> Hashable:
    return _kept(request.coded_content)


def body(request: Request) -> Hashable:
    """Reduce the content to its meaning: a short value or a digest."""
    if not request.body_octets:
        return b""
    kind, value = meaning(request)
    if kind == "octets":
        return _kept(value)
    octets = canonical(value).encode() if kind == "JSON" else repr(value).encode("utf-8", "surrogatepass")
    return kind, _kept(octets)


def _kept(octets: bytes) -> bytes:
    return octets if len(octets) <= _MAX_KEPT_OCTETS else blake2b(octets, digest_size=16).digest()


def fields(*names: str) -> Matcher:
    """Make a matcher that compares the values of the fields called `names` (any case)."""

    def named_fields(request: Request) -> Hashable:
        return tuple(tuple(request.values(name)) for name in names)

    named_fields.__name__ = f"fields({', '.join(map(repr, names))})"
    named_fields.field_names = names  # type: ignore[attr-defined]  # read by `explaining`
    named_fields.needs_body = False  # type: ignore[attr-defined]  # read by `resolve`, as for functions of users
    return named_fields


NAMED: dict[str, Matcher] = {
    function.__name__: function for function in (method, scheme, host, port, path, query, body, uri, headers, raw_body)
}
_LOOK_AT_BODY = frozenset({"body", "raw_body"})
_LOOK_AT_LINE = frozenset({"method", "scheme", "host", "port", "path"})
_LOOK_AT_URL = _LOOK_AT_LINE | {"query", "uri"}

# What else a rule of `ignore=` that is a single word could mean.
_KINDS = frozenset({*NAMED, "header", "field", "fields", "form", "json", "multipart"})


# -- putting matchers together -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matching:
    """Matchers that were combined by `resolve`."""

    keys: tuple[tuple[str, Matcher], ...]
    filters: tuple[tuple[str, Filter], ...]
    needs_body: bool
    """Whether a matcher looks at the content; if not, a request can be answered once its head is complete."""
    ignored: Ignored = NOTHING_IGNORED

    @property
    def ignores(self) -> bool:
        """Something is ignored, so `strip` may change a request."""
        return self.ignored != NOTHING_IGNORED

    def strip(self, request: Request) -> Request:
        """Return the form of `request` that all other methods compare: without what is ignored."""
        return self.ignored.strip(request)

    def key(self, request: Request) -> tuple[Hashable, ...]:
        """Compute a value that is equal for requests that match each other (filters aside)."""
        return tuple([matcher(request) for _, matcher in self.keys])

    @cached_property
    def passes_over_fields(self) -> bool:
        """No matcher looks at the fields of a request without content."""
        return all(NAMED.get(name) is matcher and name != "headers" for name, matcher in self.keys)

    @cached_property
    def distinguishes_hosts(self) -> bool:
        """A request to one host is never answered by what was recorded from another one."""
        return any(name in ("host", "uri") and NAMED[name] is matcher for name, matcher in self.keys)

    def head_key(self, request: Request) -> tuple[Hashable, ...]:
        """The part of the key that does not need the content."""
        return tuple([matcher(request) for name, matcher in self.keys if not _looks_at_body(name, matcher)])

    def line_key(self, request: Request) -> tuple[Hashable, ...]:
        """The part of the key that needs only the method and the URL up to the query."""
        return self._named_key(request, _LOOK_AT_LINE)

    def url_key(self, request: Request) -> tuple[Hashable, ...]:
        """The part of the key that needs only the method and the URL."""
        return self._named_key(request, _LOOK_AT_URL)

    def _named_key(self, request: Request, names: frozenset[str]) -> tuple[Hashable, ...]:
        return tuple([matcher(request) for name, matcher in self.keys if name in names and NAMED[name] is matcher])

    def accepts(self, sent: Request, recorded: Request) -> bool:
        """Ask the filters about two requests that have the same key."""
        return all(objection(accept, sent, recorded) is None for _, accept in self.filters)


def resolve(match: Iterable[str | Matcher | Filter] | str, ignore: Iterable[str] | str = ()) -> Matching:
    """Combine matchers, given by name or as functions; the order does not matter.

    A function of the user is assumed to look at the content, unless it has an attribute `needs_body = False`.
    For `ignore` see `Ignored.of`. Raises InvalidOption for a name that does not exist, and suggests the nearest one.
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
            raise InvalidOption(f"a matcher is a name or a function, not {matcher!r} (names: {', '.join(NAMED)})")
        name = getattr(matcher, "__name__", type(matcher).__name__)
        needs_body = needs_body or getattr(matcher, "needs_body", True)
        if name in NAMED or name in keys:
            name = f"{name} (matcher {len(keys) + len(filters) + 1})"
        if _parameters(matcher) == 2:
            filters.append((name, cast(Filter, matcher)))
        else:
            keys[name] = _checked(name, cast(Matcher, matcher))
    rules = [ignore] if isinstance(ignore, str) else list(ignore)
    for rule in rules:
        if rule in _KINDS:
            raise InvalidOption(
                f"ignore={rule!r} may mean all of that, which counts unless its matcher is left out of match=, "
                f'or what is called so: then say where it stands, as in "json:{rule}"'
            )
    return Matching(tuple(keys.items()), tuple(filters), needs_body, Ignored.of(rules))


def _looks_at_body(name: str, matcher: Matcher) -> bool:
    return name in _LOOK_AT_BODY if NAMED.get(name) is matcher else getattr(matcher, "needs_body", True)


def _known_name(given: str) -> str:
    name = given.strip().lower().replace("-", "_")
    if name in NAMED:
        return name
    raise InvalidOption(no_such("matcher", given, NAMED, meant=name))


def _parameters(function: Callable[..., Any]) -> int:
    """Count the parameters that a call must provide."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some functions written in C have no signature
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


def _checked(name: str, matcher: Matcher) -> Matcher:
    """Make a matcher that returns a list fail with its name, not somewhere inside a dictionary."""

    def checked(request: Request) -> Hashable:
        value = matcher(request)
        try:
            hash(value)
        except TypeError:
            raise InvalidOption(
                f"the matcher {name} returned {shortened(repr(value))}, which cannot be looked up; "
                f"return a string, a number or a tuple of these"
            ) from None
        return value

    return update_wrapper(checked, matcher)


def objection(accept: Filter, sent: Request, recorded: Request) -> str | None:
    """Ask one filter; None if it accepts. As with VCR.py, a failing assertion in it also means no."""
    try:
        answer = accept(sent, recorded)
    except AssertionError as exc:
        return shortened(str(exc).replace("\n", " ")) or "assertion failed"
    return None if answer or answer is None else "not accepted"
