"""Writes values as the documents of a cassette (`yaml_format` describes them).

What the reader derives or assumes is left out; so the writer uses the reader's own functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cassette_http.cassette.format import body_forms, json_layout
from cassette_http.cassette.format.body_forms import BodyForm, PutAside, put_nothing_aside
from cassette_http.cassette.format.canonical import HEADER_KEYS, TIMESTAMP
from cassette_http.cassette.format.reading import (
    REQUEST_LINE,
    STATUS_LINE,
    USUAL_VERSION,
    Unfit,
    parse_origin,
    resolve_target,
)
from cassette_http.cassette.format.scalars import (
    SAFE_ASCII,
    binary,
    flow,
    is_safe,
    literal_of_safe,
    plain,
    text_block,
)
from cassette_http.cassette.model import (
    Failure,
    Header,
    Interaction,
    Origin,
    Request,
    TLSFacts,
    Track,
    target_uri,
)
from cassette_http.wire.patterns import to_pattern

LONGEST_FAMILIAR_FIELDS = 4096

# Short times of single answers would only be noise in diffs.
SHORTEST_TIME_SHOWN_S = 0.1

ORDINARY_STATUS = to_pattern(rb"HTTP/1\.1 ([2-9][0-9]{2}(?: [A-Z][A-Za-z]*+)++)")
CODED = (b"chunked", b"content-encoding")
LONGEST_ORDINARY_OCTETS = 1 << 16
LONGEST_ORDINARY_TIME_S = SHORTEST_TIME_SHOWN_S - 0.001  # after rounding it is still not shown


def dump_header(header: Header) -> bytes:
    """Write the first document of a cassette, without its terminator."""
    lines = [f"cassette: {header.version}\n"]
    for key in HEADER_KEYS[1:]:
        value = getattr(header, key)
        if value is not None:
            lines.append(f"{key}: {value if TIMESTAMP.fullmatch(value) else plain(value)}\n")
    return "".join(lines).encode()


def dump_tls(facts: TLSFacts) -> bytes:
    """Write the facts of a TLS connection as a document, without its terminator."""
    lines = [f"tls: {origin_text(facts.origin)}\n"]
    if facts.version is not None:
        lines.append(f"version: {plain(facts.version)}\n")
    if facts.cipher is not None:
        lines.append(f"cipher: {flow(facts.cipher)}\n")
    if facts.alpn is not None:
        lines.append(f"alpn: {plain(facts.alpn)}\n")
    if facts.certificate is not None:
        lines.append(f"certificate: {binary(facts.certificate)}")
    if facts.peer is not None:
        lines.append(f"peer: {flow(facts.peer)}\n")
    return "".join(lines).encode()


def dump_interaction(
    interaction: Interaction, put_aside: PutAside = put_nothing_aside, beginning: bytes | None = None
) -> bytes:
    """Write an interaction as a document, without its terminator.

    Times are rounded to milliseconds; `load_document` returns everything else unchanged. `put_aside` is called for each
    body, and returns the reference to write instead if it has stored it elsewhere (see `take_apart`). `beginning` is
    the result of `dump_request`, if known.
    """
    if beginning is None:
        beginning = _written_beginning(interaction, put_aside).encode()
    answer = _ordinary_answer(interaction, put_aside)
    return beginning + (_any_answer(interaction, put_aside) if answer is None else answer).encode()


def _written_beginning(interaction: Interaction, put_aside: PutAside) -> str:
    parts: list[str] = []
    if interaction.request is not None:
        _write_request(interaction.request, parts, put_aside)
    else:
        parts.append(f"failed: {origin_text(interaction.origin)}\n")
        if interaction.via is not None:
            parts.append(f"via: {origin_text(interaction.via)}\n")
    return "".join(parts)


def _any_answer(interaction: Interaction, put_aside: PutAside) -> str:
    track = interaction.track
    parts: list[str] = []
    wire: list[str] = []
    if track.count_octets:
        _write_response(track, parts, wire, put_aside)
    if track.failure is not None:
        parts.append(f"failure: {_failure_text(track.failure)}\n")
    if interaction.repeat is not None:
        parts.append(f"repeat: {plain(interaction.repeat)}\n")
    _tag_pieces(track, wire)
    return "".join(parts) + _wire_line("wire", wire)


def _wire_line(key: str, tags: list[str]) -> str:
    """Write what else must be known of the octets; "" if they are as usual."""
    return f"{key}: {{{', '.join(tags)}}}\n" if tags else ""


def _ordinary_answer(interaction: Interaction, put_aside: PutAside) -> str | None:
    """Write an ordinary answer: of one piece, with a body of text, perhaps coded.

    None if it is different; the general path writes it then, with the same result for ordinary ones.
    """
    track = interaction.track
    if len(track.pieces) != 1 or track.failure is not None or track.ended or not (track.close_notify and track.fin):
        return None
    [piece] = track.pieces
    octets = piece.octets
    if (
        len(octets) > LONGEST_ORDINARY_OCTETS
        or piece.at >= LONGEST_ORDINARY_TIME_S
        or piece.sent is not None
        or piece.timeouts
        or interaction.repeat is not None
    ):
        return None
    head, _, body = octets.partition(b"\r\n\r\n")
    status_line, _, section = head.partition(b"\r\n")
    status = ORDINARY_STATUS.fullmatch(status_line)
    fields, lower = section.replace(b"\r\n", b"\n  "), section.lower()
    if (
        status is None
        or not section[:1].strip()
        or fields.translate(None, SAFE_ASCII)
        or section.count(b"\r\n") != section.count(b"\n")
    ):
        return None
    written = f"response: {status[1].decode()}\nresponse headers: |\n  {fields.decode()}\n"
    if not body:
        return written if len(octets) > len(head) else None
    if any(map(lower.count, CODED)):
        parts, wire = [written], list[str]()
        lines = lower.replace(b"\r\n", b"\n").decode() + "\n"
        _write_body("response", body_forms.take_apart(body, lines, put_aside), lines, parts, wire)
        return "".join(parts) + _wire_line("wire", wire)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if text.isspace() or not is_safe(text) or put_aside(body, len(body)) is not None:
        return None
    shown, form = json_layout.lay_out(text) or (text, None)
    tag = "" if form is None else f"wire: {{body: {form}}}\n"
    return f"{written}response body: {literal_of_safe(shown)}{tag}"


def dump_request(request: Request) -> bytes:
    """Write the beginning of the document of an interaction with this request."""
    parts: list[str] = []
    _write_request(request, parts, put_nothing_aside)
    return "".join(parts).encode()


def _write_request(request: Request, parts: list[str], put_aside: PutAside) -> None:
    wire: list[str] = []
    head = request.head_octets.decode("latin-1")
    line, _, section = head.partition("\r\n")
    start = REQUEST_LINE.fullmatch(line)
    written = _written_fields(section) if len(section) <= LONGEST_FAMILIAR_FIELDS else _written_anew(section)
    if start is None or written is None:
        parts.append(f"request octets: {_octets_block(request.head_octets)}")
        parts.append(f"origin: {origin_text(request.origin)}\n")
        if request.via is not None:
            parts.append(f"via: {origin_text(request.via)}\n")
        lower = ""
    else:
        method, target, version = start.groups()
        url = target_uri(method, target, request.origin)
        parts.append(f"request: {plain(f'{method} {url}')}\n")
        shows_origin, shows_target = _keys_to_show(method, url, target, request.origin)
        if shows_origin:
            parts.append(f"origin: {origin_text(request.origin)}\n")
        if request.via is not None:
            parts.append(f"via: {origin_text(request.via)}\n")
        if shows_target:
            parts.append(f"target: {plain(target)}\n")
        block, lower = written
        parts.append(block)
        if version != USUAL_VERSION:
            wire.append(f"version: {version}")
    if request.body_octets:
        form = body_forms.take_apart(request.body_octets, lower, put_aside)
        _write_body("request", form, lower, parts, wire)
    parts.append(_wire_line("request wire", wire))


def fields_block(section: str) -> bytes | None:
    """Write the field section of a request, given with its empty line; None if it can only be shown as octets."""
    written = _written_anew(section)
    return written and written[0].encode()


def _written_anew(section: str) -> tuple[str, str] | None:
    """The block of a field section, and its lines in lower case."""
    fields = _with_lf(section)
    if fields is None:
        return None
    return (f"request headers: {text_block(fields)}" if fields else "", fields.lower())


# Cached, as most requests of a session have the same fields.
_written_fields = lru_cache(maxsize=256)(_written_anew)


def _keys_to_show(method: str, url: str, target: str, origin: Origin) -> tuple[bool, bool]:
    """Tell whether origin and target must be written, because the reader would derive others."""
    for shown_origin, shown_target in ((None, None), (None, target), (origin, None)):
        try:
            if resolve_target(method, url, shown_origin, shown_target) == (origin, target):
                return shown_origin is not None, shown_target is not None
        except Unfit:
            continue
    return True, True


def _write_response(track: Track, parts: list[str], wire: list[str], put_aside: PutAside) -> None:
    octets, start = track.octets, 0
    interim: list[str] = []
    while True:
        end = octets.find(b"\r\n\r\n", start)
        if end < 0:
            break
        line, _, section = octets[start : end + 4].decode("latin-1").partition("\r\n")
        status = STATUS_LINE.fullmatch(line)
        fields = _with_lf(section)
        if status is None or fields is None:
            break
        start = end + 4
        version, text = status.groups()
        if text[0] == "1" and not text.startswith("101"):
            interim.append("- " + text_block(line + "\n" + fields))
            continue
        if interim:
            parts.append("interim:\n")
            parts += interim
        parts.append(f"response: {plain(text)}\n")
        if fields:
            parts.append(f"response headers: {text_block(fields)}")
        if version != USUAL_VERSION:
            wire.append(f"version: {version}")
        if start < len(octets):
            del octets  # the body is a copy, and two large ones could be too much
            lower = fields.lower()
            form = body_forms.take_apart(track.cut(start)[1], lower, put_aside)
            _write_body("response", form, lower, parts, wire)
        return
    if interim and start == len(octets):
        # A failure came before the final response.
        parts.append("interim:\n")
        parts += interim
    else:
        parts.append(f"response octets: {_octets_block(octets)}")


def _with_lf(section: str) -> str | None:
    """Turn a field section with its empty line into lines that end with LF, without the empty one; None if that is not
    exact."""
    fields = section[:-2].replace("\r\n", "\n")
    if "\r" in fields or section[-2:] != "\r\n" or (fields and fields[-1] != "\n"):
        return None
    # A bare LF is counted as well, so the sum is wrong if there is one.
    return fields if len(fields) + fields.count("\n") + 2 == len(section) else None


def _write_body(whose: str, form: BodyForm, fields: str, parts: list[str], wire: list[str]) -> None:
    if form.blob is not None:
        parts.append(f"{whose} body: {{blob: {form.blob}, octets: {len(form.value)}}}\n")
    elif form.value:
        if isinstance(form.value, str):
            parts.append(f"{whose} body: {text_block(form.value)}")
        else:
            media_type = body_forms.content_type(fields) or "octets of unknown type"
            parts.append(f"{whose} body: {binary(form.value, f'{media_type}, {len(form.value):,} octets')}")
    if form.trailers:
        lines = "".join([f"{name}: {value}\n" for name, value in form.trailers])
        parts.append(f"{whose} trailers: {text_block(lines)}")
    if form.chunks is not None:
        wire.append(f"chunks: [{_counts(form.chunks)}]")
    if form.coding is not None:
        wire.append(f"coding: {form.coding}")
    if form.charset is not None:
        wire.append(f"charset: {form.charset}")
    if form.form is not None:
        wire.append(f"body: {form.form}")


def _octets_block(octets: bytes) -> str:
    text = body_forms.text_of(octets)
    return text_block(text) if text is not None else binary(octets, f"{len(octets):,} octets")


def _failure_text(failure: Failure) -> str:
    values: dict[str, Any] = {"kind": failure.kind.value}
    if failure.errno is not None:
        values["errno"] = failure.errno
    if failure.text is not None:
        values["text"] = failure.text
    at = _rounded(failure.at)
    if at:
        values["at"] = at
    if failure.details:
        values["details"] = failure.details
    if failure.is_stale:
        values["stale"] = True
    return flow(values)


def _tag_pieces(track: Track, wire: list[str]) -> None:
    # The reader makes one last piece of what is beyond the limit.
    pieces = track.pieces[: body_forms.MOST_SIZES]
    if len(pieces) != (1 if track.count_octets else 0):
        wire.append(f"pieces: [{_counts([len(piece.octets) for piece in pieces])}]")
    times = [_rounded(piece.at) for piece in pieces]
    # Both times together show whether a failure came with the last octets.
    if any(times) and (len(times) > 1 or times[0] >= SHORTEST_TIME_SHOWN_S or track.failure is not None):
        wire.append(f"at: [{', '.join(map(repr, times))}]")
    sent = [piece.sent for piece in pieces]
    if sent.count(None) < len(sent):
        wire.append(f"sent: {flow(sent)}")
    timeouts = [piece.timeouts for piece in pieces]
    if any(timeouts):
        wire.append(f"timeouts: {flow(timeouts)}")
    if track.ended:
        wire.append("ends: true")
    if not track.close_notify:
        wire.append("close_notify: false")
    if not track.fin:
        wire.append("fin: false")


def _rounded(seconds: float) -> float:
    return round(min(max(seconds, 0.0), 1e9), 3)


def _counts(sizes: Sequence[int]) -> str:
    """Write sizes with commas; runs of equal ones as "8192*120"."""
    if len(sizes) < 4:
        return ", ".join(map(str, sizes))
    runs: list[tuple[int, int]] = []
    for size in sizes:
        if runs and runs[-1][0] == size:
            runs[-1] = (size, runs[-1][1] + 1)
        else:
            runs.append((size, 1))
    return ", ".join([f"{size}*{run}" if run > 3 else ", ".join([str(size)] * run) for size, run in runs])


@lru_cache(maxsize=256)
def origin_text(origin: Origin) -> str:
    """Write an origin as the value of a key; if the reader can find it in a URL, it is the same as there."""
    text = str(origin)
    try:
        if parse_origin(text) == origin:
            return plain(text)
    except Unfit:
        pass
    # A host name that no URL can contain must not be lost either.
    return flow([origin.scheme, origin.host, origin.port])
