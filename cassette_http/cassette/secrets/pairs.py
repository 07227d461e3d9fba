"""Secrets in pairs of name and value: in queries, forms and multiparts, and in the authority of URLs (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import quote_plus, unquote_to_bytes

from cassette_http.cassette.secrets.charsets import is_binary
from cassette_http.cassette.secrets.escaped_parts import FORM, PERCENT, Escapes, find_in_part
from cassette_http.cassette.secrets.hiding import MIXED, STRONG, Hiding, Inner
from cassette_http.cassette.secrets.names import SHORTEST_RANDOM, NameKind, is_uuid, looks_random
from cassette_http.cassette.secrets.placeholders import is_placeholder
from cassette_http.cassette.splicing import Edit, shift
from cassette_http.wire.patterns import to_pattern


def leave_out_pairs(text: bytes, place: str, hiding: Hiding) -> list[Edit]:
    """Leave out the pairs whose names mean that they are secret, so that a request without them is the same.

    The time and nonce of a signature are left out with it, as they differ for each signature.
    """
    spans: list[tuple[int, int, bool]] = []
    at = 0
    is_signed = _SIGNATURE.search(text) is not None
    for pair in text.split(b"&"):
        is_secret = _is_secret(pair, place, hiding) or (is_signed and _OF_SIGNATURE.fullmatch(pair) is not None)
        spans.append((at, at + len(pair), is_secret))
        at += len(pair) + 1
    kept = [start for start, _, is_secret in spans if not is_secret]
    # One "&" is removed with each: the one after it, or the one before if only such pairs follow.
    return [
        Edit(start, stop + 1, b"") if kept and start < kept[-1] else Edit(max(start - 1, 0), stop, b"")
        for start, stop, is_secret in spans
        if is_secret
    ]


def is_left_out_alone(pair: bytes, hiding: Hiding) -> bool:
    """Tell whether a pair of a query is left out by its name, and has no effect on other pairs."""
    return _is_secret(pair, "query", hiding) and _SAYS_MORE.match(pair) is None


def _is_secret(pair: bytes, place: str, hiding: Hiding) -> bool:
    name, sign, _ = pair.partition(b"=")
    return sign != b"" and hiding.kind(place, name) in STRONG


def hide_doubtful_pairs(query: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Hide each value with a weak name, whatever the value looks like."""
    for pair in FORM_PAIR.finditer(query):
        if hiding.kind("query", pair["name"]) is NameKind.WEAK:
            yield Edit(pair.start("value") - 1, pair.end(), b"={{secret}}")  # the value may be empty


def sent_in_place_of(recorded: bytes, sent: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The values sent now in those pairs of a query or form whose values were recorded as placeholders."""
    values = {pair["name"]: pair["value"] for pair in reversed([*FORM_PAIR.finditer(sent)])}
    for pair in FORM_PAIR.finditer(recorded):
        placeholder = unquote_to_bytes(pair["value"])
        value = unquote_to_bytes(values.get(pair["name"], b"").replace(b"+", b" "))
        if value and is_placeholder(placeholder) and not is_placeholder(value):
            yield placeholder, value


def find_pairs(
    text: bytes, hiding: Hiding, place: str, pattern: re.Pattern[bytes], is_matching: bool, inner: Inner
) -> Iterator[Edit]:
    """Find secrets in pairs of a query or a form; `place` is where the kinds of names are looked up.

    `inner` searches values that are a URL or JSON.
    """
    if b"=" not in text:
        return
    is_whole = pattern is FORM_PAIR
    names = _FORM_NAME.findall(text) if is_whole else _query_names(text)
    if not (b"%" in text or (is_whole and b"?" in text) or hiding.secrets(place, names)):
        return
    is_oauth = is_whole and _is_oauth(text)
    for pair in pattern.finditer(text):
        kind = hiding.kind(place, pair["name"])
        raw = pair["value"] if is_whole else _without_end(pair["value"])
        start = pair.start("value")
        is_one_time = kind is NameKind.WEAK and _ONE_TIME.fullmatch(pair["name"]) is not None
        is_code = is_whole and pair["name"] == b"code" and _GRANT.search(text) is not None
        if is_code or (is_one_time and (is_oauth if is_whole else _is_oauth(_query_around(text, pair.start())))):
            yield from _hidden_one_time(raw, start, hiding)
            continue
        if pair[0][:1] == b";" and not is_whole and kind in STRONG and not _is_of_url(text, pair.start()):
            # After a semicolon it may also be a statement of a program.
            kind = NameKind.WEAK
        value = unquote_to_bytes(raw.replace(b"+", b" ") if is_whole else raw)
        is_entered = is_whole or kind is NameKind.AMBIGUOUS  # in a URL such a name is clear
        hidden = None
        if kind is not NameKind.ORDINARY:
            hidden = hiding.hidden(kind, value, is_matching and is_whole, is_entered=is_entered)
        if hidden is None:
            if b"%" in raw:
                yield from _percent_encoded(text, start, start + len(raw), FORM if is_whole else PERCENT, inner)
            elif b"?" in raw:
                # A URL that should have been percent-encoded, but was not.
                query = raw.find(b"?")
                yield from shift(inner(raw[query:]), start + query)
        else:
            if b"+" in raw and not is_whole:
                hiding.vault.know(unquote_to_bytes(raw.replace(b"+", b" ")))  # a "+" in a query may mean a space
            is_encoded = value != raw
            yield Edit(start, start + len(raw), quote_plus(hidden).encode() if is_encoded else hidden)


def _hidden_one_time(raw: bytes, start: int, hiding: Hiding) -> Iterator[Edit]:
    """Hide a value that differs in each run, whatever it looks like."""
    value = unquote_to_bytes(raw.replace(b"+", b" "))
    hidden = hiding.vault.hide(value) if value.strip() else value
    if hidden != value:
        yield Edit(start, start + len(raw), hidden if value == raw else quote_plus(hidden).encode())


def _is_oauth(query: bytes) -> bool:
    """Tell whether a query is an authorization request of OAuth 2.0, or its answer (RFC 6749 section 4.1)."""
    values = {pair["name"]: pair["value"] for pair in FORM_PAIR.finditer(query)}
    if not values.keys().isdisjoint((b"response_type", b"oauth_token", b"id_token", b"error_description")):
        return True
    code = unquote_to_bytes(values.get(b"code", b""))
    is_short_one = b"state" in values and MIXED.fullmatch(code) is not None
    return is_short_one or looks_random(code.decode("latin-1")) or is_placeholder(code)


def _query_around(text: bytes, at: int) -> bytes:
    """The query (or fragment) of the URL that contains the pair, whose separator is at `at`."""
    start = max(text.rfind(b"?", 0, at + 1), text.rfind(b"#", 0, at + 1), at - _LONGEST_QUERY)
    end = _QUERY_END.search(text, at + 1, at + _LONGEST_QUERY)
    query = text[start + 1 : end.start() if end is not None else at + _LONGEST_QUERY]
    return query.replace(b"&amp;", b"&").replace(b"\\u0026", b"&")


def _is_of_url(text: bytes, at: int) -> bool:
    """Tell whether a semicolon belongs to "&amp;", or to a parameter in a path (RFC 3986 section 3.3)."""
    return (
        text.endswith((b"&amp", b"\\u0026amp"), 0, at) or _PATH_IN_FRONT.search(text, max(0, at - 200), at) is not None
    )


def names_in_path(head: bytes) -> list[bytes]:
    """All names in the path of a request that are followed by a segment long enough for `find_in_path`."""
    names = _NAME_IN_PATH.findall(head, 0, head.find(b"\n"))
    return [b"token" if _SENT_BY_MAIL.search(name) else name for name in names]


def has_encoded_sign(head: bytes, stop: int) -> bool:
    """Tell whether a path has a percent-encoded colon or slash, as in a URL, or in a token of some services."""
    return _ENCODED_SIGN.search(head, 0, stop) is not None


def find_in_path(head: bytes, stop: int, hiding: Hiding, inner: Inner) -> Iterator[Edit]:
    """Find secrets in the path of a request target: after their name, or in a URL that is percent-encoded there."""
    for pair in _PATH_PAIR.finditer(head, 0, stop):
        kind, value = hiding.kind("query", pair["name"]), unquote_to_bytes(pair["value"])
        if pair["sign"] == b"/":
            kind = _kind_in_path(hiding, pair["name"], value.decode("latin-1"))
        if kind in STRONG:
            hidden = hiding.hidden(kind, value)
            if hidden is not None:
                is_encoded = b"%" in pair["value"]
                yield Edit(*pair.span("value"), quote_plus(hidden).encode() if is_encoded else hidden)
    if has_encoded_sign(head, stop):
        yield from _percent_encoded(head, 0, stop, PERCENT, inner)


def find_behind_steps(text: bytes, spans: list[tuple[int, int]], hiding: Hiding) -> Iterator[Edit]:
    """Find secrets in the paths of URLs anywhere; `spans` are the runs of the text."""
    for start, _ in spans:
        is_step = text[start - 1 : start] == b"/"
        step = _STEP_BEHIND.search(text, max(0, start - _LONGEST_STEP), start) if is_step else None
        if step is None:
            continue
        whole = _STEP.match(text, start)
        assert whole is not None  # it may be empty
        value = whole[0]
        kind = _kind_in_path(hiding, step[1], value.decode("latin-1"), is_request=False)
        if kind in STRONG and (hidden := hiding.hidden(kind, value)) is not None:
            yield Edit(start, start + len(value), hidden)


def _kind_in_path(hiding: Hiding, name: bytes, value: str, is_request: bool = True) -> NameKind:
    """Return the kind of a path segment, which decides about the next one; that may also be an ordinary id."""
    if not looks_random(value) and not (is_request and is_uuid(value) and not name.endswith(b"s")):
        return NameKind.ORDINARY
    if looks_random(name.decode("latin-1")):
        return NameKind.ORDINARY  # a random name, in base64
    return NameKind.SECRET if _SENT_BY_MAIL.search(name) else hiding.kind("query", name)


def _percent_encoded(text: bytes, start: int, stop: int, escapes: Escapes, inner: Inner) -> Iterator[Edit]:
    """Search a part that is a URL or JSON, perhaps percent-encoded twice."""

    def twice(plain: bytes) -> list[Edit]:
        found = inner(plain)
        if not found and b"%" in plain:
            found = list(find_in_part(plain, 0, len(plain), PERCENT, inner))
        return found

    yield from find_in_part(text, start, stop, escapes, twice)


def find_in_percent_encoded(text: bytes, inner: Inner) -> Iterator[Edit]:
    """Find secrets in JSON that is percent-encoded, anywhere: decodeURIComponent("%7B%22...")."""
    for found in _ENCODED_JSON.finditer(text) if b"%" in text else ():
        yield from _percent_encoded(text, *found.span(), PERCENT, inner)


def find_in_multipart(text: bytes, hiding: Hiding, is_matching: bool) -> Iterator[Edit]:
    """Find secrets in parts of multipart/form-data (RFC 7578)."""
    if b"form-data" not in text:
        return
    behind = 0
    while (part := _PART.search(text, behind)) is not None:
        kind, behind = hiding.kind("multipart", part["name"]), part.end()
        if kind is not NameKind.ORDINARY:
            end = _PART_END.search(text, part.end())
            behind = end.start() if end is not None else len(text)
            value = text[part.end() : behind]
            if (hidden := hiding.hidden(kind, value, is_matching, is_entered=True)) is not None:
                # An edit must replace at least one octet: for an empty value, the line end before it.
                start, instead = (part.end(), hidden) if value else (part.end() - 1, b"\n" + hidden)
                yield Edit(start, behind, instead)


def texts_of_parts(octets: bytes) -> Iterator[tuple[int, int]]:
    """Where the parts of a multipart that are text are, including their borders (RFC 2046 section 5.1)."""
    return ((start, stop) for start, stop, is_text in _parts(octets) if is_text)


def has_file(octets: bytes) -> bool:
    """Tell whether a part of a multipart is not text, after any number of others."""
    return octets.startswith(b"--") and not all(is_text for _, _, is_text in _parts(octets))


def _parts(octets: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where the parts of a multipart are, including their borders, and whether they are text."""
    delimiter = octets[:_LONGEST_DELIMITER].partition(b"\r\n")[0]
    if not delimiter.startswith(b"--"):
        return
    borders = [found.start() for found in re.finditer(re.escape(delimiter), octets)]
    for start, stop in pairwise([*borders, len(octets)]):
        is_text = not is_binary(octets[start : min(stop, start + _LONGEST_SAMPLE)])
        yield start, stop + len(delimiter), is_text


def find_in_userinfo(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find passwords in URLs, and tokens used as a user name (RFC 3986 section 3.2.1)."""
    if b"@" not in text or "userinfo" in hiding.rules.off:
        return
    for found in USERINFO.finditer(text):
        user, password = found["user"], found["password"]
        if password:
            hidden = hiding.vault.hide(unquote_to_bytes(password))
            if hidden != unquote_to_bytes(password):
                yield Edit(*found.span("password"), hidden if b"%" not in password else quote_plus(hidden).encode())
        if password in (None, b"", b"x-oauth-basic", b"x") and looks_random(user.decode("latin-1")):
            yield Edit(*found.span("user"), hiding.vault.hide(user))


# New for each request, and returned by the server.
_GRANT = to_pattern(rb"(?:^|&)grant_type=")  # RFC 6749 section 4.1.3
_ONE_TIME = to_pattern(rb"code|state|nonce")
_SIGNATURE = to_pattern(rb"(?:^|&)(?:[\w.-]{0,40}signature|sign?|hmac)=", re.IGNORECASE)
_SAYS_MORE = to_pattern(rb"%b|(?:oauth|id)_token=" % _SIGNATURE.pattern, re.IGNORECASE)
_OF_SIGNATURE = to_pattern(
    rb"_?(?:time_?stamp|ts|nonce|recv_?window|expires?)=(?:[0-9]{9,20}(?:\.[0-9]{1,9})?|[0-9]{4}-?[0-9]{2}-?[0-9]{2}T[0-9:%A-F.Z+-]{4,30}"
    rb"|(?<=nonce=)[\w-]{8,64})",
    re.IGNORECASE,
)
_LONGEST_QUERY = 4000
_QUERY_END = to_pattern(rb"[\s\"'<>^`{|}]|\\(?!u0026)")
_NAME = rb"[\w.~%$\[\]*:\x80-\xee-]{1,80}"
# "6" is the end of "\\u0026" in some JSON. Backwards, a name begins with a certain, rare character.
_EMAN_YREUQ = to_pattern(rb"=(%b)[ ]?[?&#;6]" % _NAME)
_NAME_OF_FORM = rb"[\w.$@/:\[\]~%*+!\x80-\xee-]{1,80}"
_FORM_NAME = to_pattern(rb"(?:^|&)(%b)=" % _NAME_OF_FORM)
# A parameter of a path ends where the query begins.
QUERY_PAIR = to_pattern(
    rb"(?:[?&#]|(?<=&amp);|(?P<of_path>;)|\\u0026)[ ]?(?P<name>%b+)="
    rb"(?P<value>[^&\s\"'<>\\;#|^`?]*+(?(of_path)|(?:\?[^&\s\"'<>\\;#|^`]*+)?+))" % _NAME
)
FORM_PAIR = to_pattern(rb"(?:^|&)(?P<name>%b)=(?P<value>[^&]*+)" % _NAME_OF_FORM)
# The value of one may be the name of the next: "/password/token/abc".
_PATH_PAIR = to_pattern(rb"[/;](?P<name>[\w.-]{3,60}+)(?=(?P<sign>[/=])(?P<value>[^/?#;\s]+))")
_NAME_IN_PATH = to_pattern(rb"/([\w.-]{3,60}+)/(?=[^/?#;\s]{%d})" % SHORTEST_RANDOM)
_LONGEST_STEP = 64
_STEP_BEHIND = to_pattern(rb"/([\w.-]{3,60}+)\\?/\Z", re.ASCII)
_STEP = to_pattern(rb"[\w.~%+=-]*", re.ASCII)
# Segments that are followed by a token sent to a user.
_SENT_BY_MAIL = to_pattern(
    rb"(?:\b|_)(?:reset|magic[_-]?link|magic|invit(?:e|ation)s?|activat(?:e|ion)|confirm(?:ation)?|unsubscribe|unlock"
    rb"|verify[_-]e?mail|e?mail[_-]verif(?:y|ication))(?:\b|_)",
    re.IGNORECASE,
)
_PATH_IN_FRONT = to_pattern(rb"(?:^|[\s\"'(=<>])(?:[A-Za-z][A-Za-z0-9+.-]{0,20}:/)?/[^\s\"'<>()=]*\Z")
# Texts that consist only of escapes are found elsewhere.
_ENCODED_JSON = to_pattern(rb"(?:%(?:25)*(?:7[Bb]|5[Bb])){1,9}%(?:25)*22(?!%)[\w.~!*'()+%-]+")
_ENCODED_SIGN = to_pattern(rb"%(?:3A|2F)", re.IGNORECASE)
_PART = to_pattern(
    rb"content-disposition:[^\r\n]{0,1000}?[ ;]name\*?\s?=\s?(?:[\w-]*'[\w-]*'|\"?)"
    rb"(?P<name>[^\";\r\n]+)\"?[^\r\n]{0,1000}+\r?\n"
    rb"(?:[^\r\n]{1,1000}+\r?\n){0,20}+\r?\n",
    re.IGNORECASE,
)
_LONGEST_DELIMITER, _LONGEST_SAMPLE = 74, 1 << 12
_PART_END = to_pattern(rb"\r?\n--")
USERINFO = to_pattern(
    rb":\\?/\\?/(?P<user>[^/\s:@\"'<>\\?#&]{0,200}+)(?::(?P<password>[^/\s@\"'<>\\?#]{0,500}+))?@(?=[\w\[%-])", re.ASCII
)


def _query_names(text: bytes) -> list[bytes]:
    """All names of pairs in URLs."""
    return [name[::-1] for name in _EMAN_YREUQ.findall(text[::-1])] if b"=" in text else []


def _without_end(value: bytes) -> bytes:
    """Remove what belongs to the sentence or the brackets around a URL; but not the braces of a template."""
    shorter = value.rstrip(b".,:!?)]'")
    return shorter if b"{" in shorter else shorter.rstrip(b".,:!?)]}'")
