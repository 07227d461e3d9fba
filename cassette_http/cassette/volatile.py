"""The *volatile* values of recordings, which differ each time although nothing has changed (pure).

An interaction is split into its *shape* and its volatile values. Two interactions of the same shape are equal except
for volatile values if each pair of these may differ:

    passing   what belongs to one message: Date, Age, ETag, request and trace ids in fields, timings, rate limits
    identity  UUIDs and the like, ids of requests or traces, boundaries, placeholders: if one always replaces the same
              other one
    moment    times, as text or in seconds: if they have moved as far as the clock between the recordings, or if each
              is within a day of its recording; a time that stood still and then changes was changed by somebody

The shape does not include what only the network decides: when pieces arrived, where pieces and chunks were split, how
well a compressor worked.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto

from cassette_http.cassette.model import Header, Interaction, TLSFacts
from cassette_http.cassette.secrets.message_parts import Parts, request_parts, response_parts
from cassette_http.cassette.splicing import chunked_trailers
from cassette_http.wire.chunking import unchunk
from cassette_http.wire.framing import FramingKind

# How far a time may differ from the clock, as the recordings themselves took some time.
MOST_DRIFT_S = 600.0
A_DAY_S = 86_400.0


class Kind(Enum):
    """The kinds of volatile values."""

    PASSING = auto()
    IDENTITY = auto()
    MOMENT = auto()


@dataclass(frozen=True, slots=True)
class Value:
    """One volatile value. A moment has its time in seconds since 1970, and its precision."""

    kind: Kind
    text: bytes
    time_s: float = 0.0
    exact_s: float = 0.0


@dataclass(slots=True)
class Form:
    """An interaction as its shape and its volatile values, in order.

    `flow` is the text in which values of other interactions may occur; `date_s` is the Date of the response.
    """

    shape: Hashable = ()
    sent: list[Value] = field(default_factory=list)
    received: list[Value] = field(default_factory=list)
    flow: bytes = b""
    date_s: float | None = None

    @property
    def values(self) -> list[Value]:
        return self.sent + self.received


def form_of(interaction: Interaction) -> Form:
    request, track = interaction.request, interaction.track
    form, flow = Form(), list[bytes]()
    shape: list[Hashable] = [interaction.origin, interaction.via]
    if request is not None:
        shape.append(_message(request_parts(request), form.sent, flow, is_request=True))
    if track.count_octets:
        parts = response_parts(track, request)
        shape.append(_message(parts, form.received, flow, is_request=False))
        date = _DATE_FIELD.search(parts.head)
        form.date_s = moment_of(date[1]) if date is not None else None
    failure = track.failure
    if failure is not None:
        shape.append((failure.kind, failure.errno, failure.text, repr(failure.details), failure.is_stale))
    shape += [track.ended, track.close_notify, track.fin, any(piece.sent is not None for piece in track.pieces)]
    form.shape, form.flow = tuple(shape), b"\n".join(flow)
    return form


def shape_of_facts(facts: TLSFacts) -> Hashable:
    """What two facts of a TLS connection have in common if only the certificates were renewed."""
    peer = {key: value for key, value in (facts.peer or {}).items() if key not in _RENEWED}
    certificate = facts.certificate if facts.peer is None else None
    return facts.origin, facts.version, facts.cipher, facts.alpn, certificate, repr(sorted(peer.items()))


def may_differ(old: Value, new: Value, old_s: float | None, new_s: float | None) -> bool:
    """Tell whether two values in the same place may differ; their recordings were made at `old_s` and `new_s`.

    For identities, the caller must check that they differ in the same way everywhere.
    """
    if old.kind is not Kind.MOMENT or old.text == new.text:
        return True
    if old_s is None or new_s is None:
        return False
    slack_s = max(old.exact_s, new.exact_s)
    drift_s = abs((new.time_s - old.time_s) - (new_s - old_s))
    is_near = max(abs(old.time_s - old_s), abs(new.time_s - new_s)) <= A_DAY_S + slack_s
    return drift_s <= MOST_DRIFT_S + slack_s or is_near


def moment_of(text: bytes) -> float | None:
    """The time that a text is, in seconds since 1970; None if it is no time."""
    found = _VALUES.fullmatch(text.strip(b" \t"))
    value = _moment(found) if found is not None else None
    return value.time_s if value is not None else None


def time_of(header: Header) -> float | None:
    """When a cassette was recorded, in seconds since 1970; None if its header does not say so."""
    return moment_of(header.recorded.encode()) if header.recorded is not None else None


# ---------------------------------------------------------------------- messages

_DATE_FIELD = re.compile(rb"^date:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_RENEWED = ("serialNumber", "notBefore", "notAfter", "OCSP", "caIssuers", "crlDistributionPoints")

_LENGTH = b"content-length"
_PASSING_FIELDS = re.compile(
    rb"date|x-amz-date|age|expires|e-?tag|if-(?:none-)?match|if-range|server-timing|x-runtime|x-(?:response|process|processing)-time"
    rb"|(?:.*-)?(?:request|trace|correlation|transaction|invocation|span)-?id|x-amz-id-2|x-amzn-trace-id|x-amz-cf-.*"
    rb"|cf-ray|cf-cache-status|x-cache|x-cache-hits|x-timer|x-served-by|x-varnish|traceparent|tracestate|b3|x-b3-.*"
    rb"|x-cloud-trace-context|x-datadog-.*|x-guploader-uploadid|x-vercel-id|x-kong-.*-latency"
    rb"|x-envoy-upstream-service-time|report-to|nel|sec-websocket-(?:key|accept)"
    rb"|(?:x-)?ratelimit-(?:remaining|used|reset)"
)
# A program that has nothing left of a limit acts on it.
_NOTHING_LEFT = re.compile(rb"0")
_BOUNDARY = re.compile(rb"boundary=\"?([^\s\";,]{1,70})", re.IGNORECASE)


def _message(parts: Parts, values: list[Value], flow: list[bytes], *, is_request: bool) -> Hashable:
    shape: list[Hashable] = []
    boundary = _BOUNDARY.search(parts.head)
    lines = parts.head.split(b"\r\n")
    for number, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        lower = name.lower()
        if not colon or (is_request and not number):
            shape.append(_text(line, values))
            flow.append(line)
        elif lower == _LENGTH and value.strip(b" \t") == str(parts.content_length).encode():
            shape.append(name)  # it says what the content says
        elif _PASSING_FIELDS.fullmatch(lower) and _NOTHING_LEFT.fullmatch(value.strip(b" \t")) is None:
            shape.append(name)
            values.append(Value(Kind.PASSING, value.strip(b" \t")))
        else:
            shape.append((name, _text(value, values, boundary)))
            flow.append(line)
    text, behind = parts.body, b""
    if parts.framing.kind is not FramingKind.CHUNKED:
        if parts.codings:
            text, behind = parts.text, parts.body[parts.content_length :]
    elif unchunk(parts.body) is not None:  # else its framing is not that of usual chunks, and counts
        start, stop = chunked_trailers(parts.body)
        text, behind = parts.text, parts.body[start:stop]
    flow += (text, behind)
    shape += (parts.framing.kind, parts.is_complete, _text(text, values, boundary), _text(behind, values))
    return tuple(shape)


# ---------------------------------------------------------------------- values in texts

_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

_VALUES = re.compile(
    rb"""(?<![0-9A-Za-z_])(?:
      (?P<uuid>[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})
    | (?P<jwt>eyJ[A-Za-z0-9_-]+\.(?P<claims>eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_{}:%-]*)
    | (?P<iso>\d{4}-\d\d-\d\d[Tt\ ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)(?P<zone>[Zz]|[+-]\d\d:?\d\d)?
    | (?P<basic>\d{8}T\d{6})(?P<basic_zone>Z)
    | (?:(?P<weekday>[A-Z][a-z]{2,8}),\ )?(?P<day>\d\d?)(?P<between>[ -])(?P<month>[A-Z][a-z]{2})[ -](?P<year>\d{4})
      \ (?P<clock>\d\d:\d\d:\d\d)\ (?P<offset>GMT|UTC|[+-]\d{4})
    | (?P<date>\d{4}-\d\d-\d\d)
    | (?P<epoch>[12]\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d{1,9})?)
    | (?P<ulid>[0-7][0-9A-HJKMNP-TV-Z]{25})
    | (?P<secret>\{\{secret:\d+\}\}|%7B%7Bsecret%3A\d+%7D%7D)
    )(?![0-9A-Za-z_])
    | (?P<named>(?:(?:request|trace|correlation|span)[-_\ ]?id["']?\s*[:=>]\s*["']?|<hostid>))(?P<id>[0-9A-Za-z+/=_.-]+)
    | (?P<timed>["'](?:took|elapsed|processing_?time)(?:_?(?:m?s|seconds|millis))?["']\s*:\s*)(?P<taken>\d+(?:\.\d+)?)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _text(text: bytes, values: list[Value], boundary: re.Match[bytes] | None = None) -> bytes:
    """Put marks in the place of the volatile values of a text."""
    if boundary is not None and boundary[1] in text:
        values.append(Value(Kind.IDENTITY, boundary[1]))
        text = text.replace(boundary[1], b"\0boundary")
    return b"".join(_pieces(text, values))


def _pieces(text: bytes, values: list[Value]) -> Iterator[bytes]:
    at = 0
    for found in _VALUES.finditer(text):
        marked = _marked(found, values)
        if marked is not None:
            yield text[at : found.start()]
            yield marked
            at = found.end()
    yield text[at:]


def _marked(found: re.Match[bytes], values: list[Value]) -> bytes | None:
    """Keep a value, and give the mark in its place, which has what must not differ; None if it is none after all."""
    if found["jwt"] is not None:
        head, claims, _ = found["jwt"].split(b".", 2)
        try:
            plain = urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))
        except NotBase64:
            return None
        values.append(Value(Kind.IDENTITY, found[0]))
        return b"\0jwt " + head + b"." + _text(plain, values) + b"\0"
    if found["named"] is not None:
        values.append(Value(Kind.IDENTITY, found["id"]))
        return found["named"] + b"\0id"
    if found["timed"] is not None:
        values.append(Value(Kind.PASSING, found["taken"]))
        return found["timed"] + b"\0took"
    for kind in ("uuid", "ulid", "secret"):
        if found[kind] is not None:
            values.append(Value(Kind.IDENTITY, found[0]))
            return b"\0" + kind.encode()
    moment = _moment(found)
    if moment is None:
        return None
    values.append(moment)
    spelling = b"".join(b"%s;" % (found[part] or b"") for part in ("zone", "between", "offset"))
    kind = found.lastgroup or ""
    return b"\0%s %s" % (kind.encode(), spelling)


def _moment(found: re.Match[bytes]) -> Value | None:
    """Read a time; None if there is no such day or hour."""
    text = found[0].decode("ascii")
    try:
        if found["epoch"] is not None:
            whole, _, fraction = text.partition(".")
            scale = 10 ** (len(whole) - 10)
            return Value(Kind.MOMENT, found[0], float(text) / scale, 1.0 / scale if not fraction else 0.0)
        if found["date"] is not None:
            return Value(Kind.MOMENT, found[0], datetime.fromisoformat(text + "T00:00:00Z").timestamp(), A_DAY_S)
        if found["iso"] is not None:
            time = datetime.fromisoformat(text.upper().replace(",", "."))
            # Without a zone it may be any; the clock of both recordings was the same one.
            time_s = (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
            return Value(Kind.MOMENT, found[0], time_s, 1.0 if text.count(":") > 1 else 60.0)
        if found["basic"] is not None:
            time = datetime.strptime(text.upper(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return Value(Kind.MOMENT, found[0], time.timestamp(), 1.0)
        if found["clock"] is not None:
            month = _MONTHS.index(found["month"].title()) + 1
            zone = b"+0000" if found["offset"].upper() in (b"GMT", b"UTC") else found["offset"]
            text = (
                f"{found['year'].decode()}-{month:02}-{int(found['day']):02}T{found['clock'].decode()}{zone.decode()}"
            )
            return Value(Kind.MOMENT, found[0], datetime.fromisoformat(text).timestamp(), 1.0)
    except (ValueError, OverflowError):
        pass
    return None
