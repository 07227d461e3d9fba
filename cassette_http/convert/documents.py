"""Foreign cassettes as documents of ours (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from cassette_http.cassette import yaml_format
from cassette_http.cassette.model import Header, Interaction
from cassette_http.cassette.redaction import Redactor
from cassette_http.cassette.yaml_format import Documents

__all__ = ["as_documents", "redacted_documents"]


def as_documents(interactions: Sequence[Interaction], path: str) -> Documents:
    """The documents of a cassette with these interactions, its header first, as if it had been read."""
    documents = [yaml_format.dump_header(Header()), *map(yaml_format.dump_interaction, interactions)]
    return yaml_format.scan(yaml_format.whole_file(documents), path)


def redacted_documents(interactions: Sequence[Interaction], redactor: Redactor) -> list[bytes]:
    """The interactions without secrets, as documents for a `Store`."""
    # A secret that is recognised in a later interaction may stand in an earlier one.
    for interaction in interactions:
        redactor.redact(interaction)
    return [yaml_format.dump_interaction(redactor.redact(interaction)) for interaction in interactions]
