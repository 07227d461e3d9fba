"""Secrets in XML and HTML: elements, attributes, fields of forms, pairs of a name and a value (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from cassette_http.cassette.secrets.escaped_parts import MARKUP, MOST_PARTS, find_in_part, plain_markup
from cassette_http.cassette.secrets.hiding import MIXED, STRONG, Hiding, Inner, is_own_name
from cassette_http.cassette.secrets.names import NameKind, looks_random
from cassette_http.cassette.splicing import Edit
from cassette_http.wire.patterns import to_pattern


def names_in_markup(text: bytes) -> list[bytes]:
    """All names that `find_in_markup` would consider, except those of attributes."""
    names = _XML_END.findall(text) + _CAPTION_NAME.findall(text) if b"</" in text else []
    for called in (*_CALLING, *_CALLED) if b"=" in text else _CALLING:
        names += called.findall(text)
    if b"&quot;" in text or b"&#34;" in text:
        names += _QUOTED_NAME.findall(text)
    if b"&lt;/" in text:
        names += _ESCAPED_END.findall(text)
    return names


def completed(text: bytes) -> bytes:
    """Close the value, tag or element in which markup is cut off, as a broken response is."""
    start = text.rfind(b"<")
    if text[start + 1 : start + 2] in (b"/", b""):
        start = text.rfind(b"<", 0, start)
    if start < 0 or len(text) - start > _LONGEST_CUT_OFF:
        return text
    last = text[start:]
    if (element := _OPEN_ELEMENT.fullmatch(last)) is not None:
        return text + b"%b</%b>" % (b">" if element["end"] else b"", element["name"])
    if _OPEN_TAG.fullmatch(last) is None:
        return text
    value = _OPEN_VALUE.search(last)
    return text + (value["quote"] if value is not None else b"") + b">"


def find_in_markup(text: bytes, hiding: Hiding, inner: Inner) -> Iterator[Edit]:
    """Find secrets by names of elements and attributes, and by names in them: `name="password"`, `<dt>Password</dt>`.

    `inner` searches attributes that are JSON, and elements that contain any other text with escaped quotes.
    """
    if b"<" not in text:
        return
    if _BEGINS_AS_MARKUP.match(text) is not None:
        text = completed(text)
    names = names_in_markup(text)
    if b"</" in text:
        yield from _in_elements(text, hiding, names)
    for escaped in islice(_ESCAPED.finditer(text), MOST_PARTS):
        yield from find_in_part(text, *escaped.span(escaped.lastindex or 0), MARKUP, inner)
    if b"=" in text:
        yield from _in_attributes(text, hiding)
        if hiding.telling(names):
            yield from _in_fields_of_forms(text, hiding)


def _in_elements(text: bytes, hiding: Hiding, names: list[bytes]) -> Iterator[Edit]:
    for name in hiding.secrets("xml", names):
        if name == b"code":
            continue  # an element of HTML
        for element in _element(name).finditer(text):
            yield from _hidden_value(hiding, hiding.kind("xml", name), element)
    for pair in _ELEMENTS.finditer(text):
        yield from _hidden_value(hiding, hiding.kind("xml", pair["name"]), pair)
    for caption in _CAPTION.finditer(text):
        yield from _captioned(hiding, caption)


def _in_attributes(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    for name in hiding.secrets("xml", _XML_ATTRIBUTE.findall(text)):
        for attribute in _attribute(name).finditer(text):
            if not is_own_name(name, attribute["value"]):
                yield from _hidden_value(hiding, hiding.kind("xml", name), attribute)


def _in_fields_of_forms(text: bytes, hiding: Hiding) -> Iterator[Edit]:
    """Find values of tags that have a name as an attribute, and of inputs for passwords."""
    for tag in _CALLED_TAG.finditer(text):
        kind = hiding.kind("form", tag["name"])
        if kind is not NameKind.ORDINARY:
            value = _TAG_VALUE.search(text, tag.start(), tag.end()) or _TAG_CONTENT.match(text, tag.start())
            if value is not None:
                yield from _hidden_value(hiding, kind, value)
    for tag in _OF_PASSWORD.finditer(text):
        if (value := _TAG_VALUE.search(text, tag.start(), tag.end())) is not None:
            yield from _hidden_value(hiding, hiding.kind("form", b"password"), value)


def _captioned(hiding: Hiding, found: re.Match[bytes]) -> Iterator[Edit]:
    """Hide what is in the element after a caption, if it looks like a secret: most tables contain ordinary data."""
    kind, value = hiding.kind("xml", found["name"]), found["value"]
    is_password = kind is NameKind.PASSWORD and MIXED.fullmatch(value) is not None
    if is_password or (kind in STRONG and looks_random(value.decode("latin-1"))):
        hidden = hiding.hidden(kind, value)
        if hidden is not None:
            yield Edit(*found.span("value"), hidden)


def _hidden_value(hiding: Hiding, kind: NameKind, found: re.Match[bytes]) -> Iterator[Edit]:
    group = "value" if found["value"] is not None else "bare"
    raw = found[group]
    value = plain_markup(raw)
    blanks = len(value) - len(value.lstrip())
    hidden = hiding.hidden(kind, value.strip()) if kind is not NameKind.ORDINARY else None
    if hidden is not None:
        start = found.start(group) + blanks
        yield Edit(start, start + len(raw.strip()), hidden)


_BEGINS_AS_MARKUP = to_pattern(rb"(?:\xef\xbb\xbf)?\s*<")
_LONGEST_CUT_OFF = 1 << 12
_OPEN_ELEMENT = to_pattern(rb"<(?P<name>[\w:.-]{1,120}+)(?:\s[^<>]*)?(?<!/)>[^<>]++(?P<end><(?:/[^<>]*+)?)?+")
_OPEN_TAG = to_pattern(rb"<[A-Za-z][\w:.-]*+\s[^<>]++")
_OPEN_VALUE = to_pattern(rb"=\s?(?P<quote>[\"'])(?:(?!(?P=quote)).)*+\Z", re.DOTALL)
_XML_END = to_pattern(rb"</(?:[\w.-]{1,40}:)?([\w.-]{1,80}+)\s*>")
# <td>Password</td> <td>x</td>, <dt>API key</dt> <dd><code>x</code></dd>, <b>Token:</b> x
_CAPTION_END = rb"\s*:?\s*</(?:t[dh]|dt|b|strong|em|i|label|span|div|p|code)>"
_CAPTION_NAME = to_pattern(rb">\s*([A-Za-z_][\w.-]{1,40}(?: [\w.-]{1,40}){0,2})" + _CAPTION_END)
_CAPTION = to_pattern(
    rb">\s*(?P<name>[A-Za-z_][\w.-]{1,40}(?: [\w.-]{1,40}){0,2})%b\s*:?\s*(?:<[A-Za-z][^<>]{0,200}>\s*){0,3}"
    rb"(?P<value>[^\s<>&]{6,500}+)(?=\s*<)" % _CAPTION_END
)
# A quote may be escaped, as in a string of JSON.
_XML_ATTRIBUTE = to_pattern(rb"[\s:]([\w.-]{1,80}+)\s?=\s?\\*+[\"']")
# Literals at the beginning make these searches fast.
_CALLED = [
    to_pattern(rb"%b\s?=\s?\\*+[\"']?([^\"'\s<>;\\]{1,80})" % each)
    for each in (b"ame", b"AME", b"key", b"property", b"type")
]
_CALLING = [to_pattern(rb"%b>\s*([^<>]{1,80}?)\s*</" % each) for each in (b"ame", b"AME", b"ey", b"EY")]
_CALLED_TAG = to_pattern(
    rb"<[A-Za-z][\w:.-]*+\s(?:[^<>]*?\s)?(?:name|key|property|data-name)\s*=\s*\\*+[\"']?(?P<name>[^\"'\s<>\\]{1,80}+)[^<>]*+>",
    re.IGNORECASE,
)
_OF_PASSWORD = to_pattern(rb"<input\s[^<>]*?\btype\s*=\s*\\*+[\"']?password\b[^<>]*+>", re.IGNORECASE)
_TAG_VALUE = to_pattern(
    rb"\s(?:value|content)\s*=\s*(?:(?P<quote>\\*+[\"'])(?P<value>(?:(?!(?P=quote))[^<>])*+)(?P=quote)|(?P<bare>[^\s\"'<>\\]++))",
    re.IGNORECASE,
)
# Text that is shown to users is a caption, and some elements have no content.
_TAG_CONTENT = to_pattern(
    rb"<(?!(?:a|button|label|legend|option|li|t[dhr]|span|div|p|h[1-6]|section|summary|form|select|iframe|svg|body|nav"
    rb"|input|meta|link|img|br|hr)\b)"
    rb"[^<>]*+(?<!/)>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\]]+)",
    re.IGNORECASE,
)
_ELEMENTS = to_pattern(
    rb"<(?:[\w.-]{1,40}:)?(name|key)>\s*(?P<name>[^<>]{1,80}?)\s*</[^<>]{1,80}>\s*"
    rb"<(?:[\w.-]{1,40}:)?(?:value|string|data|text)>\s*(?:<\w{1,40}>\s*)?(?:<!\[CDATA\[)?(?P<value>[^<>\]]+)",
    re.IGNORECASE,
)
_QUOTED_NAME = to_pattern(rb"([\w.-]{1,80}+)&(?:quot|#34);\s*+[:,]")
_ESCAPED_END = to_pattern(rb"&lt;/(?:[\w.-]{1,40}:)?([\w.-]{1,80}+)\s*&gt;")
# An element with escaped quotes or brackets may contain any text with secrets of its own, an attribute JSON.
_ESCAPED = to_pattern(rb">([^<>&]*+&(?:quot|lt|apos|#)[^<>]*+)<|=\s?(?:\"([\[{][^\"<>]*+)\"|'([\[{][^'<>]*+)')")


@lru_cache(maxsize=256)
def _element(name: bytes) -> re.Pattern[bytes]:
    return to_pattern(
        rb"<(?:[\w.-]{1,40}:)?%b(?:\s[^<>]*)?(?<!/)>\s*(?:<!\[CDATA\[)?(?P<value>[^<>\]]++)(?!>)" % re.escape(name)
    )


@lru_cache(maxsize=256)
def _attribute(name: bytes) -> re.Pattern[bytes]:
    return to_pattern(
        rb"[\s:]%b\s?=\s?(?P<quote>\\*+[\"'])(?P<value>(?:(?!(?P=quote))[^<>])*+)(?P=quote)" % re.escape(name)
    )
