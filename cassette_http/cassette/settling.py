"""Merges a new recording with the old one: what has not changed keeps its old form, octet by octet (pure).

The interactions of both recordings are paired. A new one that differs from its old one only in volatile values is
written as the old one was, unless one of those values is needed elsewhere: in a request, where the program would then
ask for something that the cassette does not have, or in an interaction that did change and refers to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from operator import itemgetter

from cassette_http.cassette.format.reading import Fetch
from cassette_http.cassette.format.yaml_format import TERMINATOR, Document, scan
from cassette_http.cassette.model import Header, Interaction, Request, TLSFacts
from cassette_http.cassette.secrets.message_parts import edit_request, request_parts
from cassette_http.cassette.splicing import Edit
from cassette_http.cassette.volatile import Form, Kind, Value, form_of, may_differ, moment_of, shape_of_facts, time_of
from cassette_http.errors import CassetteFormatError

# If a group has more interactions, comparing all with all takes too long; they are then paired in order.
MOST_TO_COMPARE = 400


@dataclass(slots=True)
class _Recorded:
    """A document of a recording. `old` is the position of the one it replaces, `kept` that of its old form, if kept."""

    document: Document
    position: int
    value: Interaction | TLSFacts
    group: Hashable
    shape: Hashable
    form: Form = field(default_factory=Form)
    old: int | None = None
    kept: int | None = None


def appended(old: bytes, new: bytes, path: str) -> bytes:
    """Append the new recording to the old one."""
    documents = scan(new, path)[1:]
    if not old:
        return new
    whole = old if old.endswith(b"\n") else old + b"\n"
    if documents and not whole.endswith(b"\n" + TERMINATOR):
        whole += TERMINATOR
    return whole + b"".join(_closed(document) for document in documents) if documents else old


def without(old: bytes, path: str, numbers: Container[int], count: int) -> bytes:
    """Remove interactions by their numbers, from 1; returns `old` if it does not have `count` of them any more."""
    kept: list[Document] = []
    number = 0
    for document in scan(old, path):
        if document.request_line is not None or isinstance(document.load(path), Interaction):
            number += 1
            if number in numbers:
                continue
        kept.append(document)
    return b"".join(map(_closed, kept)) if number == count else old


def settled(
    old: bytes,
    new: bytes,
    path: str,
    *,
    answers: Callable[[Request, Request], bool],
    keeps_volatile: bool = True,
    keeps_unrecorded: bool = False,
    is_one_moment: bool = False,
    fetch: Fetch | None = None,
) -> bytes:
    """Return the cassette that replaces `old`, with what `new` has recorded; `old` itself if they are the same.

    `answers(sent, recorded)` tells whether a recorded request answers one that was sent. Interactions that were not
    recorded again are dropped, unless `keeps_unrecorded`. With `is_one_moment` everything comes from one recording,
    because the clock is set to its time. An old file that is not a cassette is replaced. For `fetch` see
    `load_document`.
    """
    try:
        before, old_time = _read(old, path, fetch)
    except CassetteFormatError:
        return new
    after, new_time = _read(new, path, fetch)
    _pair(before, after)
    if keeps_volatile:
        _keep(before, after, old_time, new_time, answers)
        _renew_referenced(before, after)
    if is_one_moment and any(one.kept is None for one in after):
        for one in after:
            one.kept = None
    unrecorded = set(range(len(before))) - {one.old for one in after if one.old is not None}
    rest = [before[position] for position in sorted(unrecorded)] if keeps_unrecorded else []
    places = _places(after, len(before) if keeps_unrecorded else None)
    placed = [*zip(places, after, strict=True), *(((one.position, 0, 0), one) for one in rest)]
    placed.sort(key=itemgetter(0))
    chosen = [one.document if one.kept is None else before[one.kept].document for _, one in placed]
    if [id(one) for one in chosen] == [id(one.document) for one in before]:
        return old
    first = scan(new, path)[0]
    return b"".join(_closed(document) for document in [first, *chosen])


def _closed(document: Document) -> bytes:
    octets = document.octets
    return (octets if octets.endswith(b"\n") else octets + b"\n") + TERMINATOR


def _read(data: bytes, path: str, fetch: Fetch | None) -> tuple[list[_Recorded], float | None]:
    recorded: list[_Recorded] = []
    time_s: float | None = None
    for document in scan(data, path) if data else []:
        value = document.load(path, fetch)
        if isinstance(value, Header):
            time_s = time_of(value)
        elif isinstance(value, TLSFacts):
            recorded.append(_Recorded(document, len(recorded), value, ("tls", value.origin), shape_of_facts(value)))
        else:
            form = form_of(value)
            recorded.append(_Recorded(document, len(recorded), value, _group(value, form), form.shape, form))
    return recorded, time_s


def _group(interaction: Interaction, form: Form) -> Hashable:
    """What interactions that may replace each other have in common: method, origin, and where volatile values are in
    the target."""
    request = interaction.request
    if request is None:
        return interaction.origin
    message = form.shape[2] if isinstance(form.shape, tuple) else None
    return interaction.origin, message[0] if isinstance(message, tuple) else None


# ---------------------------------------------------------------------- pairs


def _pair(before: list[_Recorded], after: list[_Recorded]) -> None:
    """Find for each new document the old one that it replaces, with the same shape if possible."""
    groups: defaultdict[Hashable, list[_Recorded]] = defaultdict(list)
    for one in before:
        groups[one.group].append(one)
    wanted: defaultdict[Hashable, list[_Recorded]] = defaultdict(list)
    for one in after:
        wanted[one.group].append(one)
    for group, new in wanted.items():
        old = groups.get(group, [])
        if max(len(old), len(new)) > MOST_TO_COMPARE:
            _take_places(old, new)
            continue
        comparison = SequenceMatcher(None, [one.shape for one in old], [one.shape for one in new], autojunk=False)
        for _, old_start, old_stop, new_start, new_stop in comparison.get_opcodes():
            _take_places(old[old_start:old_stop], new[new_start:new_stop])


def _take_places(old: list[_Recorded], new: list[_Recorded]) -> None:
    for there, one in zip(old, new, strict=False):
        one.old = there.position


# ---------------------------------------------------------------------- what keeps its old form


class _Identities:
    """Which new value stands for which old one, one to one."""

    def __init__(self) -> None:
        self._old: dict[bytes, bytes] = {}
        self._new: dict[bytes, bytes] = {}

    def agree(self, pairs: Iterable[tuple[Value, Value]]) -> bool:
        """Add pairs of (old, new); if one contradicts what is known, add none of them."""
        old, new = dict(self._old), dict(self._new)
        for was, now in pairs:
            if was.kind is Kind.IDENTITY and not (
                old.setdefault(now.text, was.text) == was.text and new.setdefault(was.text, now.text) == now.text
            ):
                return False
        self._old, self._new = old, new
        return True


def _keep(
    before: list[_Recorded],
    after: list[_Recorded],
    old_time: float | None,
    new_time: float | None,
    answers: Callable[[Request, Request], bool],
) -> None:
    """Mark the new documents that differ from their old ones only in volatile values."""
    identities = _Identities()
    old_values: dict[bytes, bytes] = {}  # the old form of each new value that a response has given to the program
    for one in after:
        there = before[one.old] if one.old is not None else None
        if there is None or there.shape != one.shape:
            continue
        if isinstance(one.value, TLSFacts):
            one.kept = there.position
            continue
        clocks = [(old_time, new_time), (there.form.date_s, one.form.date_s)]
        pairs = list(zip(there.form.values, one.form.values, strict=True))
        if not all(any(may_differ(was, now, *clock) for clock in clocks) for was, now in pairs):
            continue
        if not _is_asked_for(there, one, old_values, answers) or not identities.agree(pairs):
            continue
        one.kept = there.position
        for was, now in zip(there.form.received, one.form.received, strict=True):
            if was.text != now.text:
                old_values[now.text] = was.text


def _is_asked_for(
    there: _Recorded, one: _Recorded, old_values: dict[bytes, bytes], answers: Callable[[Request, Request], bool]
) -> bool:
    """Tell whether the old interaction would answer the program's request if it had got the old values."""
    if there.form.sent == one.form.sent:
        return True
    assert isinstance(there.value, Interaction)
    assert isinstance(one.value, Interaction)
    sent, recorded = one.value.request, there.value.request
    if sent is None or recorded is None:
        return True
    values = {now.text: old_values[now.text] for now in one.form.sent if now.text in old_values}
    return answers(
        edit_request(sent, request_parts(sent).edits(lambda octets: _replacements(octets, values))), recorded
    )


def _replacements(octets: bytes, values: dict[bytes, bytes]) -> list[Edit]:
    edits: list[Edit] = []
    for new, old in values.items():
        at = octets.find(new)
        while at >= 0:
            edits.append(Edit(at, at + len(new), old))
            at = octets.find(new, at + len(new))
    edits.sort(key=lambda edit: (edit.start, -edit.stop))
    return [edit for index, edit in enumerate(edits) if not index or edits[index - 1].stop <= edit.start]


def _renew_referenced(before: list[_Recorded], after: list[_Recorded]) -> None:
    """Do not keep the old form if one of the new values is used in an interaction that changed."""
    changed = [one for one in after if one.kept is None]
    while changed:
        flow = b"\n".join(one.form.flow for one in changed)
        changed = []
        for one in after:
            if one.kept is not None and _has_new_value(before[one.kept].form, one.form, flow):
                one.kept = None
                changed.append(one)


def _has_new_value(old: Form, new: Form, flow: bytes) -> bool:
    # A Date or an Age does not refer to anything; an id in a field may.
    return any(
        was.text != now.text
        and (now.kind is not Kind.PASSING or (len(now.text) > 15 and moment_of(now.text) is None))
        and now.text in flow
        for was, now in zip(old.values, new.values, strict=True)
    )


# ---------------------------------------------------------------------- order


def _places(after: list[_Recorded], end: int | None) -> list[tuple[int, int, int]]:
    """The place of each new document: that of its old one; others follow the one before, or go to the `end`.

    Within a group the recorded order is kept.
    """
    later: dict[Hashable, list[int]] = defaultdict(list)
    for one in reversed(after):
        if one.old is not None:
            later[one.group].append(one.old)
    places: list[tuple[int, int, int]] = []
    last: dict[Hashable, int] = {}
    previous = -1
    for number, one in enumerate(after):
        if one.old is not None:
            place = (one.old, 0, 0)
            later[one.group].pop()
        else:
            behind = previous if end is None else end
            limit = later[one.group][-1] - 1 if later[one.group] else behind
            place = (max(min(behind, limit), last.get(one.group, -1)), 1, number)
        previous = last[one.group] = place[0]
        places.append(place)
    return places
