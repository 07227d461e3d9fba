"""What a file must be, and how large it may be, to be a cassette; each function says what is wrong."""

from __future__ import annotations

import stat

from cassette_http.cassette.format.yaml_format import MOST_DOCUMENTS

LARGEST_CASSETTE_OCTETS = 50 * 1024 * 1024


def irregular(mode: int) -> str | None:
    """Why something with this `st_mode` is not a regular file; None if it is one."""
    kind = stat.S_IFMT(mode)
    if kind == stat.S_IFDIR:
        return "is a folder; name a file in it"
    return None if kind == stat.S_IFREG else "is not a regular file (but a pipe, a socket or a device)"


def too_large(octets: int) -> str | None:
    """Why a cassette cannot have so many octets; None if it can."""
    if octets <= LARGEST_CASSETTE_OCTETS:
        return None
    return (
        f"a cassette of {octets / 2**20:,.0f} MiB is too large, the limit is {LARGEST_CASSETTE_OCTETS / 2**20:.0f} MiB;"
        " record less into one file"
    )


def refuse_too_large(octets: int) -> None:
    """Raise OSError if a cassette cannot have so many octets."""
    if (reason := too_large(octets)) is not None:
        raise OSError(reason)


def refuse_too_many(documents: int) -> None:
    """Raise OSError if a cassette cannot have so many documents."""
    if documents > MOST_DOCUMENTS:
        raise OSError(f"a cassette has at most {MOST_DOCUMENTS:,} documents; record less into one file")
