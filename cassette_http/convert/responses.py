"""The format of the recorder of the library `responses`, YAML (pure).

    responses:
    - response: {method, url, status, body, headers, content_type, auto_calculate_content_length}

Of requests only method and URL are kept, of responses the text as requests decoded it. The last answer to a request is
given again and again.
"""

from __future__ import annotations

from typing import Any

from cassette_http.convert.exchanges import (
    ForeignExchange,
    charset_of,
    field_pairs,
    octets_of,
    status_code,
    table_at,
    text_at,
)
from cassette_http.convert.trees import Table
from cassette_http.wire.messages import field_values


def read_exchange(entry: Table) -> ForeignExchange:
    """Read one entry of `responses`. Raises Unreadable."""
    response = table_at(entry, "response")
    fields = field_pairs(response.get("headers"), response.line)
    content_type: Any = response.get("content_type")
    if isinstance(content_type, str):
        fields = (*[pair for pair in fields if pair[0].lower() != "content-type"], ("Content-Type", content_type))
    declared = ";".join(field_values(fields, "content-type"))
    # requests assumes Latin-1 for text without a character set.
    charset = charset_of(declared, "latin-1" if declared.lower().startswith("text/") else "utf-8")
    body = octets_of(response.get("body"), response.line, charset)
    if str(response.get("auto_calculate_content_length")).lower() == "true" and not field_values(
        fields, "content-length"
    ):
        fields = (*fields, ("Content-Length", str(len(body))))
    return ForeignExchange(
        text_at(response, "method"),
        text_at(response, "url"),
        (),
        b"",
        status_code(response.get("status"), response.line),
        None,
        fields,
        body,
        repeat="last",
    )
