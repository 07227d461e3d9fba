"""Secrets that are recognised by the object around them, such as all data of a Kubernetes Secret (pure).

In JSON, whatever its layout; Kubernetes Secrets in YAML as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from cassette_http.cassette.secrets.base64_text import from_base64, to_base64
from cassette_http.cassette.secrets.charsets import is_binary
from cassette_http.cassette.secrets.hiding import Hiding
from cassette_http.cassette.secrets.json_members import unescaped, walk_json
from cassette_http.cassette.secrets.names import NameKind
from cassette_http.cassette.secrets.placeholders import is_placeholder
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern


@dataclass(frozen=True)
class _Telling:
    """An object with a telling member; `values` are the paths to its secrets. `mark` is in all texts with one."""

    mark: bytes
    member: tuple[str, ...]
    value: re.Pattern[bytes]
    values: tuple[tuple[str, ...], ...]


_ANY = to_pattern(b"")
_TELLING = (
    _Telling(b"Secret", ("kind",), to_pattern(rb'"Secret"\Z'), (("data", "*"), ("stringData", "*"))),
    _Telling(b"SecretList", ("kind",), to_pattern(rb'"SecretList"\Z'), (("items", "*", "data", "*"),)),
    _Telling(b"CONCEALED", ("type",), to_pattern(rb'"CONCEALED"\Z'), (("value",),)),  # of 1Password
    _Telling(b"SecureString", ("Type",), to_pattern(rb'"SecureString"\Z'), (("Value",),)),  # of AWS Systems Manager
    _Telling(b"sensitive", ("sensitive",), to_pattern(rb"true\Z"), (("value",),)),  # of Terraform
    _Telling(b"masked", ("masked",), to_pattern(rb"true\Z"), (("value",),)),  # of GitLab
    _Telling(b"httpOnly", ("httpOnly",), to_pattern(rb"true\Z"), (("value",),)),  # a cookie
    _Telling(b"deletion_time", ("metadata", "deletion_time"), _ANY, (("data", "*"),)),  # of Vault
    _Telling(b"Plaintext", ("KeyId",), _ANY, (("Plaintext",),)),  # decrypted by AWS KMS
)
# Also in a string of JSON.
_MAY_TELL = to_pattern(
    rb"\"kind%b\"Secret(?:List)?\\*\"|\"type%b\"CONCEALED|\"Type%b\"SecureString\\*\"|\"(?:sensitive|masked|httpOnly)%btrue|\"deletion_time%b|\"Plaintext%b"
    rb"|(?:^|\\n|\")[ ]*+kind:[ ]+\\*[\"']?Secret\b" % ((rb"\\*\"\s*+:\s*+\\*",) * 6),
    re.MULTILINE,
)

_IS_SECRET = to_pattern(rb"^(?P<indent>[ ]*+)kind:[ ]+[\"']?Secret[\"']?[ ]*\r?$", re.MULTILINE)
_DATA = to_pattern(
    rb"^(?P<indent>[ ]*+)(?P<name>data|stringData):[ ]*\r?\n(?P<block>(?:(?P=indent)[ ]+[^\r\n]*\r?(?:\n|\Z))++)",
    re.MULTILINE,
)
_ENTRY = to_pattern(
    rb"^[ ]++[\w.\"'-]{1,100}+:[ ]+(?:(?P<quote>[\"'])(?P<quoted>[^\r\n]*?)(?P=quote)|(?P<plain>[^\s|>\"'][^\r\n]*?))"
    rb"[ ]*\r?$",
    re.MULTILINE,
)
_BORDER = to_pattern(rb"^(?:---|- )", re.MULTILINE)


def has_telling_object(text: bytes, words: bytes) -> bool:
    """Tell whether a text may have such an object; cheap if not. `words` are the telling words of the text."""
    return any(telling.mark in words for telling in _TELLING) and _MAY_TELL.search(text) is not None


def find_in_objects(text: bytes, hiding: Hiding, is_matching: bool) -> Iterator[Edit]:
    """Find the secrets in such objects; for matching, empty values count as well."""
    if not has_telling_object(text, text):
        return
    yield from _in_manifests(text, hiding)
    if text.lstrip()[:1] not in (b"{", b"["):
        return
    objects: set[tuple[_Telling | str, ...]] = {
        (telling, *path[: -len(telling.member)])
        for path, start, stop in walk_json(text)
        for telling in _TELLING
        if tuple(path[-len(telling.member) :]) == telling.member and telling.value.match(text[start:stop])
    }
    for path, start, stop in walk_json(text) if objects else ():
        if text[start : start + 1] == b'"' and any(_leads(path, each, objects) for each in _TELLING):
            value = unescaped(text[start + 1 : stop - 1])
            if is_matching:
                yield Edit(start, stop, b'"{{secret}}"')
            elif (hidden := _hidden(value, hiding)) is not None:
                yield Edit(start + 1, stop - 1, hidden)


def _leads(path: list[str], telling: _Telling, objects: set[tuple[_Telling | str, ...]]) -> bool:
    """Tell whether a path leads to a secret of a telling object."""
    return any(
        all(expected in ("*", step) for expected, step in zip(values, path[-len(values) :], strict=False))
        and (telling, *path[: -len(values)]) in objects
        for values in telling.values
    )


def _in_manifests(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find the data of Kubernetes Secrets in YAML."""
    for block in _blocks_of_data(text):
        for entry in _ENTRY.finditer(text, *block):
            span = entry.span("plain" if entry["quote"] is None else "quoted")
            if (hidden := _hidden(text[slice(*span)], hiding)) is not None:
                yield Edit(*span, hidden)


def _blocks_of_data(text: bytes) -> Iterator[tuple[int, int]]:
    """Where the data of each Secret is; a Secret is a document, or a member of a list in one."""
    borders = [0, *(border.start() for border in _BORDER.finditer(text)), len(text)] if b"kind: " in text else []
    for start, stop in pairwise(borders):
        indents = {secret["indent"] for secret in _IS_SECRET.finditer(text, start, stop)}
        for data in _DATA.finditer(text, start, stop) if indents else ():
            if data["indent"] in indents:
                yield data.span("block")


def _hidden(value: bytes, hiding: Hiding) -> bytes | None:
    """What to write instead of a value; base64 of a text stays base64."""
    plain = from_base64(value) if len(value) % 4 == 0 else None
    if plain is None or is_binary(plain) or not plain.isascii():
        return hiding.hidden(NameKind.SECRET, value, is_entered=True)
    if is_placeholder(plain) or (hidden := hiding.hidden(NameKind.SECRET, plain, is_entered=True)) is None:
        return None
    return to_base64(hidden, value)
