"""Secrets in XML and HTML: elements, attributes, fields of forms (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from cassette_http.cassette.hiding import Hiding
from cassette_http.cassette.secret_names import NameKind
from cassette_http.cassette.splicing import Edit, shift

__all__ = ["find_in_markup"]


def find_in_markup(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find secrets by the names of elements, of attributes, and of fields of HTML forms."""
    if b"<" not in text:
        return
    if b"</" in text:
        for name in hiding.secrets("xml", _XML_END.findall(text)):
            for element in _element(name).finditer(text):
                yield from _hidden_value(hiding, hiding.kind("xml", name), element, "value")
    if b"=" not in text:
        return
    for name in hiding.secrets("xml", _XML_ATTRIBUTE.findall(text)):
        for attribute in _attribute(name).finditer(text):
            yield from _hidden_value(hiding, hiding.kind("xml", name), attribute, "value")
    for tag in _FORM_TAG.finditer(text):
        called, value = _TAG_NAME.search(tag[0]), _TAG_VALUE.search(tag[0])
        if called is not None and value is not None:
            kind = hiding.kind("form", called["value"])
            yield from shift(_hidden_value(hiding, kind, value, "value"), tag.start())


def _hidden_value(hiding: Hiding, kind: NameKind, found: re.Match[bytes], group: str) -> Iterator[Edit]:
    raw = found[group]
    value = _XML_ESCAPE.sub(_xml_character, raw) if b"&" in raw else raw
    blanks = len(value) - len(value.lstrip())
    hidden = hiding.hidden(kind, value.strip()) if kind is not NameKind.ORDINARY else None
    if hidden is not None:
        start = found.start(group) + blanks
        yield Edit(start, start + len(raw.strip()), hidden)


_XML_END = re.compile(rb"</(?:[\w.-]{1,40}:)?([\w.-]{1,80}+)\s*>")
_XML_ATTRIBUTE = re.compile(rb"[\s:]([\w.-]{1,80}+)\s?=\s?[\"']")
_FORM_TAG = re.compile(rb"<(?:input|meta)\b[^<>]*>", re.IGNORECASE)
_TAG_NAME = re.compile(rb"\sname\s*=\s*([\"']?)(?P<value>[^\"'\s>]+)\1", re.IGNORECASE)
_TAG_VALUE = re.compile(rb"\s(?:value|content)\s*=\s*(?P<quote>[\"'])(?P<value>[^\"'<>]*)(?P=quote)", re.IGNORECASE)
_XML_ESCAPE = re.compile(rb"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_XML_NAMES = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


def _xml_character(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return _XML_NAMES[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    return chr(number).encode() if number < 0xD800 or 0xE000 <= number < 0x110000 else found[0]


@lru_cache(maxsize=256)
def _element(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"<(?:[\w.-]+:)?%b(?:\s[^<>]*)?(?<!/)>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\]]+)" % re.escape(name))


@lru_cache(maxsize=256)
def _attribute(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"[\s:]%b\s?=\s?(?P<quote>[\"'])(?P<value>[^\"'<>]*)(?P=quote)" % re.escape(name))
