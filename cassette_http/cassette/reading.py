"""Reads the documents of a cassette (`yaml_format` describes them).

Documents as we write them, *canonical* ones, are taken apart by a few regular expressions. All others go to PyYAML.
Both readers give the same values (text, bytes, numbers, lists, mappings by key) to the same builder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from cassette_http.cassette import body_forms
from cassette_http.cassette.body_forms import MOST_SIZES, BodyForm
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
from cassette_http.cassette.scalars import PLAIN, PLAIN_IN_FLOW, SAFE_ASCII, UNSAFE, octets_of, resolve
from cassette_http.errors import CassetteFormatError
from cassette_http.wire.messages import Fields

__all__ = [
    "HEADER_KEYS",
    "LARGEST_DOCUMENT_OCTETS",
    "REQUEST_LINE",
    "STATUS_LINE",
    "TIMESTAMP",
    "USUAL_VERSION",
    "Fetch",
    "Unfit",
    "is_canonical_beginning",
    "load_document",
    "load_track",
    "parse_origin",
    "resolve_target",
]

Values: TypeAlias = dict[str, Any]

Fetch: TypeAlias = Callable[[str, int], bytes]

FORMAT_VERSION = 1
# Reading takes several times as much memory. Larger bodies lie in blobs.
LARGEST_DOCUMENT_OCTETS = 16 << 20

# The keys in canonical order. "failed" stands for "request" where no request was sent.
INTERACTION_KEYS = (
    "request", "request octets", "failed", "origin", "via", "target",
    "request headers", "request body", "request trailers", "request wire",
    "interim", "response", "response octets", "response headers", "response body", "response trailers",
    "failure", "repeat", "wire",
)  # fmt: skip
TRACK_KEYS = frozenset(INTERACTION_KEYS[INTERACTION_KEYS.index("interim") :]) - {"repeat"}
TLS_KEYS = ("tls", "version", "cipher", "alpn", "certificate", "peer")
HEADER_KEYS = ("cassette", "recorded", "by", "test")
BODY_TAGS = ("chunks", "coding", "charset", "body")
REQUEST_TAGS = ("version", *BODY_TAGS)
TRUTHS = ("ends", "close_notify")
TRACK_TAGS = ("version", *BODY_TAGS, "pieces", "at", "sent", *TRUTHS)
FAILURE_KEYS = ("kind", "errno", "text", "at", "details")
MOST_LINES = 10_000  # of trailers, and of interim responses
BLOB_KEYS = ("blob", "octets")
REPEATS = ("fail", "last", "cycle")

USUAL_VERSION = "HTTP/1.1"
VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
REQUEST_LINE = re.compile(r"([!-~]+) ([!-~\x80-\xff]+) (HTTP/[0-9]\.[0-9])")
STATUS_LINE = re.compile(r"(HTTP/[0-9]\.[0-9]) ([0-9]{3}(?: [\t -~\x80-\xff]*)?)")
STATUS = re.compile(r"[0-9]{3}(?: [\t -~\x80-\xff]*)?")
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:\[([^\[\]/?#]+)\]|([^\[\]:/?#]*))(?::([0-9]{1,5}))?")
CONTENT_LENGTH = re.compile(r"^(content-length:[ \t]*)([0-9]+)(?=[ \t]*$)", re.MULTILINE | re.IGNORECASE)
TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
BLOB = re.compile(r"blobs/[0-9a-f]{64}")
RUN = re.compile(r"([0-9]{1,12})\*([0-9]{1,9})")


class Unfit(Exception):
    """A value that nothing can be built from; `key` is that of the document."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason


def load_document(octets: bytes, path: str, line: int, fetch: Fetch | None = None) -> Interaction | TLSFacts | Header:
    """Build what a document says. `path` and `line` (of its beginning, from 1) are for errors.

    `fetch` gives the content of a body that lies elsewhere: it gets the reference and the number of octets, and raises
    ValueError. Raises CassetteFormatError.
    """
    if len(octets) > LARGEST_DOCUMENT_OCTETS:
        raise CassetteFormatError(path, line, f"the document has more than {LARGEST_DOCUMENT_OCTETS >> 20} MiB")
    values = _read_canonical(octets)
    if values is not None:
        try:
            return _build(_with_blobs(values, fetch))
        except Unfit:
            # The other reader knows the line of each key.
            pass
    # PyYAML takes 30 ms to import, and most runs do not need it.
    from cassette_http.cassette.yaml_reading import UnreadableYAML, read_mapping

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


def load_track(octets: bytes) -> Track | None:
    """Build the track of a document that was cut behind its request; None if that cannot be told from this part."""
    values = _read_canonical(octets)
    if values is None or not values.keys() <= TRACK_KEYS:
        return None
    try:
        return _track(values)
    except Unfit:
        return None


# --- The reader of canonical documents. None always means: not canonical, ask PyYAML. ---

# An entry is a literal block, one line, base64, or a list of literal blocks. Repeats are possessive: no way back.
_LINES = r"(?:(?:  [^\n]*+)?\n)*+"
ENTRY = re.compile(
    rf"([a-z]++(?: [a-z]++)?+):(?: \|(2?)([-+]?)\n({_LINES})"
    r'| "\\\n((?:  [^\n]*+\n)++)'
    r'| (["{\[\w][^\n]*+)\n'
    r"| !!binary \|(?:  #[^\n]*+)?\n((?:  [A-Za-z0-9+/=]++\n)++)"
    rf"|\n((?:- (?:\|2?[-+]?\n{_LINES}|\"[^\n]*+\n(?:  [^\n]*+\n)*+))++))",
    re.ASCII,
)
ITEM = re.compile(rf'- (?:\|(2?)([-+]?)\n({_LINES})|"\\\n((?:  [^\n]*+\n)++)|("[^\n]*+)\n)')
LAST_ENTRY = re.compile(
    rb'^(?:interim:\n(?:- .*\n(?:(?:  .*)?\n)*)*|[a-z ]+: (?:\|2?[-+]?|!!binary \|.*|"\\)\n(?:(?:  .*)?\n)*)\Z',
    re.MULTILINE,
)
ORDERS = [{key: index for index, key in enumerate(keys)} for keys in (INTERACTION_KEYS, TLS_KEYS, HEADER_KEYS)]
PAIR_OF_SURROGATES = re.compile(r"\\u[dD][89A-Fa-f]")
FLOW_SCALAR = re.compile(
    rf"{PLAIN_IN_FLOW.pattern}|[0-9]+\*[0-9]+|-?[0-9]+(?:\.[0-9]+(?:e[-+][0-9]+)?)?|-?\.inf|\.nan", re.ASCII
)
DEEPEST_FLOW = 12

# Quoted scalars as we write them are JSON strings, too.
STRINGS = json.JSONDecoder()


def is_canonical_beginning(octets: bytes) -> bool:
    """Tell whether whole lines are what we write, up to their last one; that the rest is missing cannot be seen."""
    if _read_canonical(octets) is not None:
        return True
    last = LAST_ENTRY.search(octets)
    return last is not None and (last.start() == 0 or _read_canonical(octets[: last.start()]) is not None)


def _read_canonical(octets: bytes) -> Values | None:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    if octets.translate(None, SAFE_ASCII) and UNSAFE.search(text):
        return None
    order = ORDERS[0]
    if text.startswith("tls: "):
        order = ORDERS[1]
    elif text.startswith("cassette: "):
        order = ORDERS[2]
    values: Values = {}
    at, end, last, match_entry = 0, len(text), -1, ENTRY.match
    while at < end:
        match = match_entry(text, at)
        if match is None:
            return None
        key, indicator, chomping, block, lines, line, base64, items = match.groups()
        index = order.get(key, -1)
        if index <= last:
            return None
        last = index
        value: Any
        if block is not None:
            value = _literal(indicator, chomping, block)
        elif line is not None:
            value = _one_line(line)
        elif lines is not None:
            value = _quoted_lines(lines)
        elif base64 is not None:
            value = _octets_of(base64)
        else:
            value = _items(items)
        if value is None:
            return None
        values[key] = value
        at = match.end()
    return values or None


def _literal(indicator: str, chomping: str, block: str) -> str | None:
    if indicator:
        text = ("\n" + block).replace("\n  ", "\n")[1:]
        if not text or text.isspace():
            return None
    else:
        if block[:2] != "  " or block[2] in " \t\n":
            return None
        text = block[2:].replace("\n  ", "\n")
    if chomping == "+":
        return text
    if text[-2:] == "\n\n":
        return None
    return text[:-1] if chomping else text


def _one_line(line: str) -> Any:
    first = line[0]
    if first == '"':
        return _quoted(line)
    if first == "{" or first == "[":
        return _flow(line)
    if PLAIN.fullmatch(line) and ": " not in line and line[-1] != ":":
        return line
    return line if line == "1" or TIMESTAMP.fullmatch(line) else None


def _quoted(line: str) -> str | None:
    if PAIR_OF_SURROGATES.search(line):
        return None  # JSON's reader would join two of them; in YAML they are an error
    try:
        text, end = STRINGS.raw_decode(line)
    except ValueError:
        return None
    return text if end == len(line) else None


def _quoted_lines(lines: str) -> str | None:
    """Read what follows on a quote and an escaped line end: each line is whole, and its own end is escaped."""
    texts: list[str] = []
    written = lines[:-1].split("\n")
    for number, line in enumerate(written, 1):
        end = "\\" if number < len(written) else '"'
        if line[-1] != end or line[2:3] in " \t":
            return None
        text = _quoted('"' + line[3 if line[2:4] == "\\ " else 2 : -1] + '"')
        if text is None:
            return None
        texts.append(text)
    return "".join(texts)


def _items(items: str) -> list[str] | None:
    texts: list[str] = []
    at = 0
    while at < len(items):
        match = ITEM.match(items, at)
        if match is None or len(texts) > MOST_LINES:
            return None
        indicator, chomping, block, lines, line = match.groups()
        if block is not None:
            text = _literal(indicator, chomping, block)
        else:
            text = _quoted_lines(lines) if lines is not None else _quoted(line)
        if text is None:
            return None
        texts.append(text)
        at = match.end()
    return texts


def _octets_of(base64: str) -> bytes | None:
    try:
        return octets_of(base64)
    except ValueError:
        return None


def _flow(line: str) -> Any:
    try:
        value, end = _flow_value(line, 0, 0)
    except (ValueError, IndexError):
        return None
    return value if end == len(line) else None


def _flow_value(text: str, at: int, depth: int) -> tuple[Any, int]:
    """Read one value as `scalars.flow` writes it. Raises ValueError or IndexError if it is written otherwise."""
    first = text[at]
    if first == "{" or first == "[":
        return _flow_items(text, at, depth + 1)
    if first == '"':
        value, end = STRINGS.raw_decode(text, at)
        if PAIR_OF_SURROGATES.search(text, at, end):
            raise ValueError
        return value, end
    if first == "!":
        if not text.startswith('!!binary "', at):
            raise ValueError
        base64, end = STRINGS.raw_decode(text, at + 9)
        return octets_of(base64), end
    match = FLOW_SCALAR.match(text, at)
    if match is None:
        raise ValueError
    return resolve(match[0]), match.end()


def _flow_items(text: str, at: int, depth: int) -> tuple[Any, int]:
    if depth > DEEPEST_FLOW:
        raise ValueError
    is_mapping = text[at] == "{"
    closer = "}" if is_mapping else "]"
    mapping: dict[str, Any] = {}
    items: list[Any] = []
    at += 1
    while text[at] != closer:
        if len(items) > MOST_SIZES or len(mapping) > MOST_SIZES:
            raise ValueError
        if is_mapping:
            match = None if text[at] == '"' else FLOW_SCALAR.match(text, at)
            key, at = STRINGS.raw_decode(text, at) if match is None else (match[0], match.end())
            if text[at : at + 2] != ": " or key in mapping:
                raise ValueError
            mapping[key], at = _flow_value(text, at + 2, depth)
        else:
            item, at = _flow_value(text, at, depth)
            items.append(item)
        if text[at : at + 2] == ", ":
            at += 2
            if text[at] == closer:
                raise ValueError
        elif text[at] != closer:
            raise ValueError
    return mapping if is_mapping else items, at + 1


# --- The builder ---


def _with_blobs(values: Values, fetch: Fetch | None) -> Values:
    """Put the content that a reference stands for in its place."""
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
    if not ORDERS[0].keys() >= values.keys():
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
    if repeat is not None and repeat not in REPEATS:
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
        # Authority-form, absolute-form.
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
    return Origin(scheme, literal_address or host, int(port) if port is not None else DEFAULT_PORTS[scheme])


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
        elif "response headers" in values or "response body" in values or "response trailers" in values:
            raise Unfit("response", "is missing")
    failure = _failure(values) if "failure" in values else None
    pieces: tuple[Piece, ...]
    if "pieces" in tags or "at" in tags or "sent" in tags:
        pieces = _pieces(octets, tags)
    else:
        pieces = (Piece(octets),) if octets else ()
    return Track(pieces, failure, tags.get("ends", False), tags.get("close_notify", True))


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
    """Put the body together; return it with the field lines, whose Content-Length follows a recoded body."""
    key = f"{whose} body"
    value = values.get(key, "")
    if not isinstance(value, (str, bytes)):
        raise Unfit(key, "must be text or !!binary")
    trailers: Fields = ()
    if f"{whose} trailers" in values:
        text = _text(values, f"{whose} trailers")
        if text.count("\n") > MOST_LINES:
            raise Unfit(f"{whose} trailers", f"has more than {MOST_LINES:,} lines")
        lines = text.split("\n")
        trailers = tuple([(name, value) for name, _, value in [line.partition(": ") for line in lines] if name])
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
        # Other releases of a compressor, or an editor, give another length.
        length = str(len(octets))
        fields = CONTENT_LENGTH.sub(lambda match: match[1] + length, fields)
    return octets, fields


def _pieces(octets: bytes, tags: Values) -> tuple[Piece, ...]:
    times: list[float] = tags.get("at", [])
    sent: list[int | None] = tags.get("sent", [])
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
    at, details = failure.get("at", 0.0), failure.get("details", {})
    if kind not in kinds:
        raise Unfit("failure", f"is of the kind {kind!r}; the kinds are {', '.join(kinds)}")
    if not (isinstance(errno, (str, type(None))) and isinstance(text, (str, type(None)))):
        raise Unfit("failure", "has an errno or a text that is no text; errno is a name such as ECONNRESET")
    if not _is_time(at) or not isinstance(details, dict):
        raise Unfit("failure", "needs a number of seconds as 'at', and a mapping as 'details'")
    return Failure(kinds[kind], float(at), errno, text, _with_tuples(details))


def _tags(values: Values, key: str, known: tuple[str, ...]) -> Values:
    tags = values[key]
    if not isinstance(tags, dict):
        raise Unfit(key, "must be a mapping such as {chunks: [512, 37]}")
    _refuse_unknown(tags, known, key)
    checked: Values = {}
    for tag, value in tags.items():
        if tag in ("chunks", "pieces"):
            checked[tag] = _sizes(key, tag, value, 1 if tag == "chunks" else 0)
        elif tag in ("at", "sent"):
            is_right = _is_time if tag == "at" else _is_count_or_none
            if not (isinstance(value, list) and all(map(is_right, value))):
                raise Unfit(key, f"has {tag!r} that is no list of numbers")
            checked[tag] = list(map(float, value)) if tag == "at" else value
        elif tag in TRUTHS:
            if not isinstance(value, bool):
                raise Unfit(key, f"has {tag!r} that is neither true nor false")
            checked[tag] = value
        elif not isinstance(value, str):
            raise Unfit(key, f"has {tag!r} that is no text")
        elif tag == "version" and VERSION.fullmatch(value) is None:
            raise Unfit(key, f"has a version that is no HTTP/x.y: {value!r}")
        else:
            checked[tag] = value
    return checked


def _sizes(key: str, tag: str, value: Any, smallest: int) -> tuple[int, ...]:
    """Read a list of sizes, in which "8192*120" stands for a run of equal ones."""
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
    """Sequences within `getpeercert()` and within the arguments of exceptions are tuples."""
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
