"""Foreign cassettes as documents of our format (pure)."""

from __future__ import annotations

from cassette_http.cassette.format import yaml_format
from cassette_http.cassette.format.body_forms import PutAside
from cassette_http.cassette.format.yaml_format import Documents
from cassette_http.cassette.model import Header
from cassette_http.cassette.secrets.redaction import Redactor
from cassette_http.convert.formats import Foreign


def as_documents(foreign: Foreign, path: str, put_aside: PutAside) -> Documents:
    """The same cassette in our format, as if it had been read from a file; large bodies are put aside."""
    header = yaml_format.dump_header(Header(recorded=foreign.recorded))
    documents = [header, *(yaml_format.dump_interaction(one, put_aside) for one in foreign.interactions)]
    return yaml_format.scan(yaml_format.whole_file(documents), path)


def redacted_documents(foreign: Foreign, redactor: Redactor, header: Header, put_aside: PutAside) -> list[bytes]:
    """The same documents without secrets, for a file, below `header`."""
    # A secret that is recognised in a later interaction may be in an earlier one.
    for interaction in foreign.interactions:
        redactor.redact(interaction)
    redacted = map(redactor.redact, foreign.interactions)
    return [
        yaml_format.dump_header(header),
        *(yaml_format.dump_interaction(interaction, put_aside) for interaction in redacted),
    ]
