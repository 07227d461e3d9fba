"""Foreign cassettes as documents of ours (pure)."""

from __future__ import annotations

from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.yaml_format import Documents
from cassette_http.cassette.model import Header
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.convert.formats import Foreign

__all__ = ["as_documents", "redacted_documents"]


def as_documents(foreign: Foreign, path: str) -> Documents:
    """The documents of a cassette of ours that holds the same, as if it had been read."""
    header = yaml_format.dump_header(Header(recorded=foreign.recorded))
    documents = [header, *map(yaml_format.dump_interaction, foreign.interactions)]
    return yaml_format.scan(yaml_format.whole_file(documents), path)


def redacted_documents(foreign: Foreign, redactor: Redactor, header: Header) -> list[bytes]:
    """The same without secrets, as it is written to a file, below `header`."""
    # A secret that is recognised in a later interaction may stand in an earlier one.
    for interaction in foreign.interactions:
        redactor.redact(interaction)
    redacted = map(redactor.redact, foreign.interactions)
    return [yaml_format.dump_header(header), *map(yaml_format.dump_interaction, redacted)]
