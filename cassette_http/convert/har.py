"""HAR 1.2 archives, as browsers and proxies write them (pure).

    {"log": {"entries": [{"request": {method, url, httpVersion, headers, postData},
                          "response": {status, statusText, httpVersion, headers, content}}]}}

Content is kept decoded, as text or base64. Browsers leave out what they did not keep, and list what is not HTTP.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from cassette_http.convert.exchanges import (
    ForeignExchange,
    LeftOut,
    base64_octets,
    charset_of,
    encoded_text,
    status_code,
    table_at,
    text_at,
)
from cassette_http.convert.trees import Table, Unreadable
from cassette_http.wire.messages import Fields, field_values


def read_exchange(entry: Table) -> ForeignExchange:
    """Read one entry of the log. Raises Unreadable, and LeftOut if it is not an exchange over HTTP."""
    request, response = table_at(entry, "request"), table_at(entry, "response")
    url = text_at(request, "url")
    if not url.startswith(("http://", "https://")):
        raise LeftOut(f"a URL of the scheme {url.partition(':')[0][:20]!r}, which is not HTTP")
    if response.get("status") in (0, "0", None):
        raise LeftOut("a request that got no answer")
    fields = _pairs(response)
    return ForeignExchange(
        text_at(request, "method"),
        url,
        _pairs(request),
        _posted(request),
        status_code(response["status"], response.line),
        text_at(response, "statusText") if response.get("statusText") else None,
        fields,
        _content(response, fields),
        _version(response),
    )


def _pairs(message: Table) -> Fields:
    headers: Any = message.get("headers", [])
    if not isinstance(headers, list) or not all(isinstance(one, Table) for one in headers):
        raise Unreadable(message.line, "'headers' must be a list of names and values")
    # Browsers join lines with the same name (Set-Cookie) with line ends.
    return tuple([(text_at(one, "name"), value) for one in headers for value in text_at(one, "value").split("\n")])


def _posted(request: Table) -> bytes:
    data = request.get("postData")
    if not isinstance(data, Table):
        return b""
    if "base64" in (data.get("encoding"), data.get("_encoding")):
        return base64_octets(data.get("text"), data.line)
    if isinstance(data.get("text"), str) and (data["text"] or not data.get("params")):
        return encoded_text(data["text"], "utf-8")
    parameters: Any = data.get("params") or []
    if not isinstance(parameters, list) or not all(isinstance(one, Table) for one in parameters):
        raise Unreadable(request.line, "'params' must be a list of names and values")
    # Names and values are as sent or decoded, depending on the writer.
    pairs = [(text_at(one, "name"), "" if (value := one.get("value")) is None else str(value)) for one in parameters]
    return urlencode(pairs, errors="surrogatepass").encode()


def _content(response: Table, fields: Fields) -> bytes:
    content = response.get("content")
    if not isinstance(content, Table) or content.get("text") is None:
        size = content.get("size") if isinstance(content, Table) else 0
        if isinstance(size, int) and size > 0 and not 300 <= int(response["status"]) < 400:
            raise LeftOut("an answer whose content is not in the archive")
        return b""
    if content.get("encoding") == "base64":
        return base64_octets(content["text"], content.line)
    declared = ";".join([*field_values(fields, "content-type"), str(content.get("mimeType", ""))])
    return encoded_text(text_at(content, "text"), charset_of(declared))


def _version(response: Table) -> str:
    version = response.get("httpVersion")
    known = isinstance(version, str) and version.upper() not in ("", "UNKNOWN")
    return str(version) if known else "HTTP/1.1"
