"""The HTTP traffic of a test, without secrets, shortened for a report."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from itertools import islice

from cassette_http.cassette.messages import Message
from cassette_http.cassette.model import Interaction
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.in_use import PastExchange
from cassette_http.wire.errors import WireError
from cassette_http.wording import shortened

MOST_EXCHANGES = 20
MOST_LINES = 6
MOST_DIFFERENCES = 16
LONGEST_LINE = 110
# Larger contents are not decoded only to show their beginning.
MOST_OCTETS = 1 << 18
SAMPLE_CHARACTERS = 1000


def transcript(history: Iterable[PastExchange]) -> str:
    """Write the last exchanges, in order: request, result, and the beginnings of both contents."""
    exchanges = list(history)
    redactor = Redactor()
    lines = []
    left_out = len(exchanges) - MOST_EXCHANGES
    if left_out > 0:
        lines.append(f"({left_out} earlier ones are left out)")
    for exchange in exchanges[-MOST_EXCHANGES:]:
        lines += _exchange_lines(_redacted(exchange, redactor))
        lines += _wrong_length_lines(exchange.interaction)
    return "\n".join(lines)


def _redacted(exchange: PastExchange, redactor: Redactor) -> PastExchange:
    """Remove secrets that a cassette may contain if it was written by hand, or elsewhere."""
    if exchange.interaction is not None:
        interaction = redactor.redact(exchange.interaction)
        return exchange._replace(interaction=interaction, request=interaction.request)
    if exchange.request is not None:
        return exchange._replace(request=redactor.redact_request(exchange.request))
    return exchange


def _exchange_lines(exchange: PastExchange) -> Iterator[str]:
    interaction, request = exchange.interaction, exchange.request
    outcome = exchange.outcome if exchange.number is None else f"{exchange.outcome} ({exchange.number})"
    asked = (
        f"{request.method} {shortened(request.url, LONGEST_LINE)}"
        if request is not None
        else f"connect to {_peer(interaction)}"
    )
    yield f"{outcome}: {asked}" + (f" -> {_answer(interaction)}" if interaction is not None else "")
    if request is not None:
        yield from (f"    > {line}" for line in content_lines(request))
    response = interaction.response if interaction is not None else None
    if response is not None:
        yield from (f"    < {line}" for line in content_lines(response))


def _wrong_length_lines(interaction: Interaction | None) -> Iterator[str]:
    """Mention a length that does not fit, as after an edit of the body: the client's error does not tell the cause."""
    response = interaction.response if interaction is not None else None
    if interaction is None or response is None or interaction.track.ended or interaction.track.failure is not None:
        return
    stated, there = response.framing.length, len(response.body_octets)
    if stated is not None and stated != there and there < MOST_OCTETS:  # of a large one only the beginning is here
        yield f"    ! Content-Length says {stated:,} octets, and {there:,} are there; was the body edited?"


def _peer(interaction: Interaction | None) -> str:
    return str(interaction.via or interaction.origin) if interaction is not None else "nobody"


def _answer(interaction: Interaction) -> str:
    response, failure = interaction.response, interaction.track.failure
    words = []
    if response is not None:
        words.append(f"{response.status} {response.reason}".strip())
    if failure is not None:
        words.append(failure.kind.value)
    return ", then ".join(words) or f"{interaction.track.count_octets:,} octets that are no response"


def content_lines(message: Message) -> list[str]:
    """The first lines of a content, as in a cassette; for content that is not text, its size."""
    lines = [shortened(line, LONGEST_LINE) for line in _text(message).splitlines()]
    if len(lines) > MOST_LINES:
        return [*lines[: MOST_LINES - 1], f"... ({len(lines) - MOST_LINES + 1} more lines)"]
    return lines


def content_difference(recorded: Message, sent: Message) -> list[str]:
    """Compare two contents line by line, with JSON in several lines, like `diff -u`; only the first differences."""
    lines = difflib.unified_diff(_laid_out(recorded), _laid_out(sent), n=1, lineterm="")
    marked = (shortened(line, LONGEST_LINE) for line in islice(lines, 2, None) if not line.startswith("@@"))
    found = list(islice(marked, MOST_DIFFERENCES))
    return found if len(found) < MOST_DIFFERENCES else [*found[:-1], "..."]


def _laid_out(message: Message) -> list[str]:
    text = _text(message)
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False, sort_keys=True).splitlines()
    except (ValueError, RecursionError):
        return text.splitlines()


def _text(message: Message) -> str:
    """The content as text; if it is not text, its size."""
    if len(message.body_octets) > MOST_OCTETS:
        return f"({len(message.body_octets):,} octets)"
    try:
        content, text = message.content, message.text
        media_type = (message.value("Content-Type") or "unknown type").partition(";")[0]
    except (WireError, LookupError):
        return f"({len(message.body_octets):,} octets)"
    if any(not (each.isprintable() or each.isspace()) or each == "\ufffd" for each in text[:SAMPLE_CHARACTERS]):
        return f"({len(content):,} octets of {media_type})"
    return text
