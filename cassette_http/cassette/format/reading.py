"""Reads the documents of a cassette (`yaml_format` describes them) and builds values from them.

The content comes from `canonical`, or from PyYAML if a document is not written as we write it. Ordinary answers are
read in one step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from cassette_http.cassette.format import body_forms
from cassette_http.cassette.format.body_forms import MOST_SIZES, BodyForm
from cassette_http.cassette.format.canonical import (
    HEADER_KEYS,
    INTERACTION_KEYS,
    INTERACTION_ORDER,
    MOST_LINES,
    TLS_KEYS,
    Values,
    read_canonical,
)
from cassette_http.cassette.format.ordinary_answers import read_ordinary_answer
from cassette_http.cassette.model import (
    DEFAULT_PORTS,
    Failure,
    FailureKind,
    Header,
    Interaction,
    Origin,
    Piece,
    Request,
    TLSFacts,
    Track,
)
from cassette_http.errors import CassetteFormatError
from cassette_http.wire.messages import Fields

Fetch: TypeAlias = Callable[[str, int], bytes]

FORMAT_VERSION = 1
# Reading takes several times as much memory. Larger bodies are in blobs.
LARGEST_DOCUMENT_OCTETS = 16 << 20

REQUEST_KEYS = frozenset(INTERACTION_KEYS[: INTERACTION_KEYS.index("interim")]) - {"failed"}
TRACK_KEYS = frozenset(INTERACTION_KEYS[INTERACTION_KEYS.index("interim") :]) - {"repeat"}
BODY_TAGS = ("chunks", "coding", "charset", "body")
REQUEST_TAGS = ("version", *BODY_TAGS)
TRACK_TAGS = ("version", *BODY_TAGS, "pieces", "at", "sent", "timeouts", "ends", "close_notify", "fin")
FAILURE_KEYS = ("kind", "errno", "text", "at", "details", "stale")
BLOB_KEYS = ("blob", "octets")
REPEATS = ("fail", "last", "cycle")

USUAL_VERSION = "HTTP/1.1"
VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
REQUEST_LINE = re.compile(r"([!-~]+) ([!-~\x80-\xff]+) (HTTP/[0-9]\.[0-9])")
STATUS_LINE = re.compile(r"(HTTP/[0-9]\.[0-9]) ([0-9]{3}(?: [\t -~\x80-\xff]*)?)")
STATUS = re.compile(r"[0-9]{3}(?: [\t -~\x80-\xff]*)?")
HIGHEST_PORT = 65535
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:\[([^\[\]/?#]+)\]|([^\[\]:/?#]*))(?::([0-9]{1,5}))?")
CONTENT_LENGTH = re.compile(r"^(content-length:[ \t]*)([0-9]+)(?=[ \t]*$)", re.MULTILINE | re.IGNORECASE)
BLOB = re.compile(r"blobs/[0-9a-f]{64}")
RUN = re.compile(r"([0-9]{1,12})\*([0-9]{1,9})")


class Unfit(Exception):
    """A value that is invalid; `key` is its key in the document."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason


def load_document(octets: bytes, path: str, line: int, fetch: Fetch | None = None) -> Interaction | TLSFacts | Header:
    """Build the value of a document. `path` and `line` (where it begins, from 1) are for errors.

    `fetch` returns the content of a body in a blob: it gets the reference and the number of octets, and raises
    ValueError. Raises CassetteFormatError.
    """
    if len(octets) > LARGEST_DOCUMENT_OCTETS:
        raise CassetteFormatError(path, line, f"the document has more than {LARGEST_DOCUMENT_OCTETS >> 20} MiB")
    values = _read_quickly(octets)
    if values is not None:
        try:
            return _build(_with_blobs(values, fetch))
        except Unfit:
            # PyYAML's reader knows the line of each key.
            pass
    # PyYAML takes 30 ms to import, and most runs do not need it.
    from cassette_http.cassette.format.yaml_reading import UnreadableYAML, read_mapping

    try:
        mapping = read_mapping(octets)
    except UnreadableYAML as exc:
        raise CassetteFormatError(path, line + exc.line, exc.reason) from exc
    if mapping is None:
        raise CassetteFormatError(path, line, "the document is empty")
    try:
        return _build(_with_blobs(mapping.values, fetch))
    except Unfit as exc:
        at = line + mapping.lines.get(exc.key, 0)
        raise CassetteFormatError(path, at, f"{exc.key!r} {exc.reason}") from exc


def _read_quickly(octets: bytes) -> Values | None:
    """Read a document that is written as we write it; of an ordinary answer it returns the octets. Otherwise None."""
    at = octets.rfind(b"\nresponse: ") + 1
    answer = read_ordinary_answer(octets[at:]) if at else None
    asked = read_canonical(octets[:at]) if answer is not None else None
    if asked is None or not asked.keys() <= REQUEST_KEYS:
        return read_canonical(octets)
    return {**asked, "response octets": answer}


def load_track(octets: bytes) -> Track | None:
    """Build the track from the part of a document after its request; None if this part is not enough."""
    values = read_canonical(octets)
    if values is None or not values.keys() <= TRACK_KEYS:
        return None
    try:
        return _track(values)
    except Unfit:
        return None


# --- building values ---


def _with_blobs(values: Values, fetch: Fetch | None) -> Values:
    """Replace references by the content of their blobs."""
    for key in ("request body", "response body"):
        value = values.get(key)
        if isinstance(value, dict):
            _refuse_unknown(value, BLOB_KEYS, key)
            reference, count = value.get("blob"), value.get("octets")
            if not (isinstance(reference, str) and BLOB.fullmatch(reference) and _is_count_or_none(count)):
                raise Unfit(
                    key, "has a reference that is not as {blob: blobs/<64 hexadecimal digits>, octets: 5000000}"
                )
            if fetch is None:
                raise Unfit(key, f"lies in {reference}, and it is not known here where that is")
            try:
                values[key] = fetch(reference, count or 0)
            except ValueError as exc:
                raise Unfit(key, str(exc)) from exc
    return values


def _build(values: Values) -> Interaction | TLSFacts | Header:
    if "cassette" in values:
        return _header(values)
    if "tls" in values:
        return _tls_facts(values)
    return _interaction(values)


def _header(values: Values) -> Header:
    _refuse_unknown(values, HEADER_KEYS)
    version = values["cassette"]
    if version != str(FORMAT_VERSION):
        raise Unfit(
            "cassette",
            f"is {version!r}, but this version of cassette-http reads format {FORMAT_VERSION} only",
        )
    return Header(
        FORMAT_VERSION, *[_text(values, key) if key in values else None for key in ("recorded", "by", "test")]
    )


def _tls_facts(values: Values) -> TLSFacts:
    _refuse_unknown(values, TLS_KEYS)
    cipher, certificate, peer = values.get("cipher"), values.get("certificate"), values.get("peer")
    if cipher is not None:
        if not (isinstance(cipher, list) and [type(item) for item in cipher] == [str, str, int]):
            raise Unfit("cipher", "must be a list: name, protocol, number of bits")
        cipher = tuple(cipher)
    if certificate is not None and not isinstance(certificate, bytes):
        raise Unfit("certificate", "must be !!binary")
    if peer is not None and not isinstance(peer, dict):
        raise Unfit("peer", "must be a mapping")
    return TLSFacts(
        _origin(values, "tls"),
        _text(values, "version") if "version" in values else None,
        cipher,
        _text(values, "alpn") if "alpn" in values else None,
        certificate,
        _with_tuples(peer),
    )


def _interaction(values: Values) -> Interaction:
    if not INTERACTION_ORDER.keys() >= values.keys():
        _refuse_unknown(values, INTERACTION_KEYS)
    via = _origin(values, "via") if "via" in values else None
    request: Request | None = None
    if "failed" in values:
        for key in values:
            if key not in ("failed", "via", "failure", "repeat"):
                raise Unfit(key, "cannot stand beside 'failed': no request was sent")
        if "failure" not in values:
            raise Unfit("failed", "needs 'failure', which says how the connection failed")
        origin = _origin(values, "failed")
    else:
        request = _request(values, via)
        origin = request.origin
    repeat = values.get("repeat")
    if repeat is not None and not (isinstance(repeat, str) and repeat in REPEATS):
        raise Unfit("repeat", f"is {repeat!r}; it can be {', '.join(REPEATS)}")
    return Interaction(origin, request, _track(values), via, repeat)


def _request(values: Values, via: Origin | None) -> Request:
    tags = _tags(values, "request wire", REQUEST_TAGS) if "request wire" in values else {}
    if "request octets" in values:
        if "request" in values or "request headers" in values or "origin" not in values:
            raise Unfit("request octets", "stands for 'request' and 'request headers', and needs 'origin'")
        body, _ = _body(values, "request", tags, "")
        return Request(_origin(values, "origin"), _octets(values, "request octets"), body, via)
    if "request" not in values:
        raise Unfit("request", "is missing; so it is no interaction")
    method, _, url = _text(values, "request").partition(" ")
    origin, target = resolve_target(
        method,
        url,
        _origin(values, "origin") if "origin" in values else None,
        _text(values, "target") if "target" in values else None,
    )
    line = f"{method} {target} {tags.get('version', USUAL_VERSION)}"
    if REQUEST_LINE.fullmatch(line) is None:
        raise Unfit("request", "must be a method and a URI with one blank between, without other blanks or controls")
    fields = _text(values, "request headers") if "request headers" in values else ""
    body, fields = _body(values, "request", tags, fields)
    return Request(origin, _head(line, fields, "request headers"), body, via)


def resolve_target(method: str, url: str, origin: Origin | None, target: str | None) -> tuple[Origin, str]:
    """Derive origin and request target (RFC 9112 section 3.2) from the target URI, unless they are given."""
    if target is None and (method == "CONNECT" or origin is not None):
        # Authority-form or absolute-form.
        target = url
    path_at = url.find("/", url.find("://") + 3)
    if origin is None:
        origin = parse_origin(url[:path_at] if path_at >= 0 else url)
    if target is None:
        if path_at < 0:
            raise Unfit("request", f"has no path: {url!r}")
        target = url[path_at:]
    return origin, target


@lru_cache(maxsize=256)
def parse_origin(text: str) -> Origin:
    """Read an origin such as "https://api.test" or "http://[::1]:8080". Raises Unfit."""
    match = ORIGIN.fullmatch(text)
    if match is None:
        raise Unfit("request", f"has no origin such as https://api.example.com: {text!r}")
    scheme, literal_address, host, port = match.groups()
    if port is None and scheme not in DEFAULT_PORTS:
        raise Unfit("request", f"needs a port: {text!r}")
    number = int(port) if port is not None else DEFAULT_PORTS[scheme]
    if number > HIGHEST_PORT:
        raise Unfit("request", f"has a port above {HIGHEST_PORT}: {text!r}")
    return Origin(scheme, literal_address or host, number)


def _origin(values: Values, key: str) -> Origin:
    value = values[key]
    if isinstance(value, list) and [type(item) for item in value] == [str, str, int]:
        return Origin(*value)
    try:
        return parse_origin(_text(values, key))
    except Unfit as exc:
        raise Unfit(key, exc.reason) from None


def _track(values: Values) -> Track:
    tags = _tags(values, "wire", TRACK_TAGS) if "wire" in values else {}
    octets = b""
    if "response octets" in values:
        for key in ("interim", "response", "response headers", "response body", "response trailers"):
            if key in values:
                raise Unfit("response octets", f"is the whole response, so there can be no {key!r}")
        octets = _octets(values, "response octets")
    else:
        if "interim" in values:
            octets = b"".join([_interim_head(text) for text in _list_of_text(values, "interim")])
        if "response" in values:
            status = _text(values, "response")
            if STATUS.fullmatch(status) is None:
                raise Unfit("response", f"must be a status such as '200 OK': {status!r}")
            fields = _text(values, "response headers") if "response headers" in values else ""
            body, fields = _body(values, "response", tags, fields)
            line = f"{tags.get('version', USUAL_VERSION)} {status}"
            octets += _head(line, fields, "response headers") + body
            del body
        elif "response headers" in values or "response body" in values or "response trailers" in values:
            raise Unfit("response", "is missing")
    failure = _failure(values) if "failure" in values else None
    pieces: tuple[Piece, ...]
    if not tags.keys().isdisjoint(("pieces", "at", "sent", "timeouts")):
        pieces = _pieces(octets, tags)
    else:
        pieces = (Piece(octets),) if octets else ()
    return Track(pieces, failure, tags.get("ends", False), tags.get("close_notify", True), tags.get("fin", True))


def _interim_head(text: str) -> bytes:
    line, _, fields = text.partition("\n")
    return _head(line, fields, "interim")


def _head(line: str, fields: str, key: str) -> bytes:
    if fields and fields[-1] != "\n":
        fields += "\n"  # written by hand, with |-
    try:
        return f"{line}\n{fields}\n".replace("\n", "\r\n").encode("latin-1")
    except UnicodeEncodeError as exc:
        raise Unfit(key, f"has a character beyond Latin-1: {exc.object[exc.start]!r}") from exc


def _body(values: Values, whose: str, tags: Values, fields: str) -> tuple[bytes, str]:
    """Build the body; return it with the field lines, whose Content-Length is adapted if the body was coded again."""
    key = f"{whose} body"
    value = values.pop(key, "")  # removed, as a large one must not be kept longer than needed
    if not isinstance(value, (str, bytes)):
        raise Unfit(key, "must be text or !!binary")
    trailers: Fields = ()
    if f"{whose} trailers" in values:
        text = _text(values, f"{whose} trailers")
        if text.count("\n") > MOST_LINES:
            raise Unfit(f"{whose} trailers", f"has more than {MOST_LINES:,} lines")
        parts = [line.partition(": ") for line in text.split("\n") if line]
        if not all(name and sign for name, sign, _ in parts):
            raise Unfit(f"{whose} trailers", "has a line that is not 'name: value'")
        trailers = tuple([(name, value) for name, _, value in parts])
    if not tags:
        if trailers:
            raise Unfit(f"{whose} trailers", "needs 'chunks' in 'wire'")
        return (value if isinstance(value, bytes) else value.encode()), fields
    chunks, coding = tags.get("chunks"), tags.get("coding")
    try:
        octets = body_forms.put_together(
            BodyForm(value, chunks, coding, tags.get("charset"), tags.get("body"), trailers)
        )
    except ValueError as exc:
        raise Unfit(key, f"cannot be put together: {exc}") from exc
    if coding is not None and chunks is None:
        # Another release of a compressor, or an edit, gives another length.
        length = str(len(octets))
        fields = CONTENT_LENGTH.sub(lambda match: match[1] + length, fields)
    return octets, fields


def _pieces(octets: bytes, tags: Values) -> tuple[Piece, ...]:
    times: list[float] = tags.get("at", [])
    sent: list[int | None] = tags.get("sent", [])
    timeouts: list[int] = tags.get("timeouts", [])
    sizes = tags.get("pieces", (len(octets),) if octets else ())
    if sum(sizes) != len(octets):
        sizes = body_forms.fit(sizes, len(octets))
    pieces: list[Piece] = []
    start = 0
    for index, size in enumerate(sizes):
        pieces.append(
            Piece(
                octets[start : start + size],
                times[index] if index < len(times) else 0.0,
                sent[index] if index < len(sent) else None,
                timeouts[index] if index < len(timeouts) else 0,
            )
        )
        start += size
    return tuple(pieces)


def _failure(values: Values) -> Failure:
    failure = values["failure"]
    if not isinstance(failure, dict):
        raise Unfit("failure", "must be a mapping such as {kind: reset}")
    _refuse_unknown(failure, FAILURE_KEYS, "failure")
    kinds = {kind.value: kind for kind in FailureKind}
    kind, errno, text = failure.get("kind"), failure.get("errno"), failure.get("text")
    at, details, is_stale = failure.get("at", 0.0), failure.get("details", {}), failure.get("stale", False)
    if not isinstance(kind, str) or kind not in kinds:
        raise Unfit("failure", f"is of the kind {kind!r}; the kinds are {', '.join(kinds)}")
    if not (isinstance(errno, (str, type(None))) and isinstance(text, (str, type(None)))):
        raise Unfit("failure", "has an errno or a text that is no text; errno is a name such as ECONNRESET")
    if not _is_time(at) or not isinstance(details, dict):
        raise Unfit("failure", "needs a number of seconds as 'at', and a mapping as 'details'")
    if not isinstance(is_stale, bool):
        raise Unfit("failure", "has a 'stale' that is neither true nor false")
    return Failure(kinds[kind], float(at), errno, text, _with_tuples(details), is_stale)


def _tags(values: Values, key: str, known: tuple[str, ...]) -> Values:
    tags = values[key]
    if not isinstance(tags, dict):
        raise Unfit(key, "must be a mapping such as {chunks: [512, 37]}")
    _refuse_unknown(tags, known, key)
    return {tag: _tag(key, tag, value) for tag, value in tags.items()}


def _tag(key: str, tag: str, value: Any) -> Any:
    match tag:
        case "chunks" | "pieces":
            return _sizes(key, tag, value, smallest=1 if tag == "chunks" else 0)
        case "at":
            if isinstance(value, list) and all(map(_is_time, value)):
                return list(map(float, value))
            raise Unfit(key, "has 'at' that is no list of numbers")
        case "sent":
            if isinstance(value, list) and all(each is None or type(each) is int for each in value):
                return value
            raise Unfit(key, "has 'sent' that is no list of numbers")
        case "timeouts":
            if isinstance(value, list) and all(each is not None and _is_count_or_none(each) for each in value):
                return value
            raise Unfit(key, "has 'timeouts' that is no list of numbers")
        case "ends" | "close_notify" | "fin":
            if isinstance(value, bool):
                return value
            raise Unfit(key, f"has {tag!r} that is neither true nor false")
        case _:
            if not isinstance(value, str):
                raise Unfit(key, f"has {tag!r} that is no text")
            if tag == "version" and VERSION.fullmatch(value) is None:
                raise Unfit(key, f"has a version that is no HTTP/x.y: {value!r}")
            return value


def _sizes(key: str, tag: str, value: Any, smallest: int) -> tuple[int, ...]:
    """Read a list of sizes, in which "8192*120" means 120 equal ones."""
    if not isinstance(value, list):
        raise Unfit(key, f"has {tag!r} that is no list of sizes")
    sizes: list[int] = []
    for item in value:
        match = RUN.fullmatch(item) if isinstance(item, str) else None
        if match is not None:
            size, count = int(match[1]), int(match[2])
        else:
            size, count = item, 1
        if type(size) is not int or size < smallest or count + len(sizes) > MOST_SIZES:
            raise Unfit(key, f"has {tag!r} with {item!r}, which is no size, or with more than {MOST_SIZES:,} sizes")
        sizes += [size] * count
    return tuple(sizes)


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1e9


def _is_count_or_none(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)


def _with_tuples(value: Any) -> Any:
    """Make tuples of sequences: in `getpeercert()` and in arguments of exceptions they are tuples."""
    if isinstance(value, list):
        return tuple([_with_tuples(item) for item in value])
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value


def _text(values: Values, key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise Unfit(key, "must be text")
    return value


def _list_of_text(values: Values, key: str) -> list[str]:
    value = values[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unfit(key, "must be a list of texts")
    return value


def _octets(values: Values, key: str) -> bytes:
    value = values[key]
    if not isinstance(value, (str, bytes)):
        raise Unfit(key, "must be text or !!binary")
    return value if isinstance(value, bytes) else value.encode()


def _refuse_unknown(values: Values, known: Iterable[str], within: str | None = None) -> None:
    for key in values:
        if key not in known:
            raise Unfit(
                within or key,
                f"is no key of a cassette; known are {', '.join(known)}"
                if within is None
                else f"has an unknown key {key!r}; known are {', '.join(known)}",
            )
